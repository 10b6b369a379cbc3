//! The places for connections: how many callers may be connected at once, and who has to leave if
//! there are more.
//!
//! A process has a limited number of descriptors. Each listening address keeps some places for
//! itself, and one peer gets at most half of all places. If there is no place for a new connection,
//! the connection that has been silent for the longest time is closed. A connection with a call in
//! flight is never closed for another one.

use crate::framing::connection_state::ConnectionState;
use crate::rules::callers::Peer;
use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// The places that each listening address keeps for its own callers.
const OWN: usize = 16;
/// The number of connections that are examined for one that is silent. Those that are not are filed
/// as the most recent ones, so that the next search examines others.
const MOST_EXAMINED: usize = 1024;
/// The largest number of closed connections whose descriptors are still open.
const MOST_LEAVING: usize = 32;
/// The time for which a refused connection counts as a shortage.
const SHORTAGE: Duration = Duration::from_secs(5);

/// The reason in metrics and in the log for a connection whose place another one got.
pub(crate) const MADE_ROOM: &str = "silent for the longest time when places ran out";

/// The reason why a connection gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// Every place is taken by a connection with a call in flight.
    Full,
    /// The peer has its share of the places, and a call in flight on each of them.
    PeerFull,
}

impl NoPlace {
    pub(crate) fn why(self) -> &'static str {
        match self {
            NoPlace::Full => "no place left",
            NoPlace::PeerFull => "one peer has half of all places",
        }
    }
}

/// The peers that share a number of places: a user, an IPv4 address, or a network of IPv6, of which
/// one machine has many addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum PeerKey {
    Address(IpAddr),
    User(Option<u32>),
}

impl PeerKey {
    fn of(peer: Peer) -> PeerKey {
        match peer {
            Peer::Unix(uid) => PeerKey::User(uid),
            Peer::Tcp(address) => PeerKey::Address(match address.to_canonical() {
                IpAddr::V6(address) if !address.is_loopback() => {
                    IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
                }
                address => address,
            }),
        }
    }
}

/// The places of all addresses that share one limit.
pub(crate) struct Places {
    total: usize,
    per_peer: usize,
    table: Mutex<Table>,
    freed: Notify,
}

/// The number of a listening address in [`Places`].
pub(crate) type ListenId = usize;

#[derive(Default)]
struct Table {
    connections: HashMap<u64, Connection>,
    listens: HashMap<ListenId, Group>,
    peers: HashMap<PeerKey, Group>,
    /// Connections that lost their place and have not ended yet.
    leaving: usize,
    last_id: u64,
    last_listen: ListenId,
    /// The last time at which a connection got no place.
    short: Option<Instant>,
}

struct Connection {
    listen: ListenId,
    peer: PeerKey,
    state: Arc<ConnectionState>,
    /// The time under which it is filed in its two groups.
    filed: Instant,
}

/// The connections of one address or peer, ordered by the time since which they have been silent,
/// as far as it is known.
#[derive(Default)]
struct Group(BTreeSet<(Instant, u64)>);

/// The place of one connection, which is free again when this is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    id: u64,
}

impl Places {
    /// `per_peer` is the largest share of one peer.
    pub(crate) fn new(total: usize, per_peer: usize) -> Arc<Places> {
        Arc::new(Places { total, per_peer, table: Mutex::default(), freed: Notify::new() })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a listening address.
    pub(crate) fn add_listen(&self) -> ListenId {
        let mut table = self.table();
        table.last_listen += 1;
        let id = table.last_listen;
        table.listens.insert(id, Group::default());
        id
    }

    /// Removes a listening address, whose connections keep their places until they end.
    pub(crate) fn remove_listen(&self, listen: ListenId) {
        let mut table = self.table();
        if let Some(group) = table.listens.remove(&listen) {
            for (_, id) in group.0 {
                if let Some(connection) = table.connections.get_mut(&id) {
                    connection.listen = 0;
                }
            }
        }
    }

    /// Takes a place for a new connection, if necessary that of the connection that has been silent
    /// for the longest time.
    ///
    /// # Errors
    /// If there is no place, and none whose connection is silent.
    pub(crate) fn take(
        self: &Arc<Places>,
        listen: ListenId,
        peer: Peer,
        state: &Arc<ConnectionState>,
    ) -> Result<Place, NoPlace> {
        let (mut table, peer) = (self.table(), PeerKey::of(peer));
        if table.leaving >= MOST_LEAVING {
            return Err(NoPlace::Full);
        }
        let held = table.peers.get(&peer).map_or(0, |group| group.0.len());
        if held >= self.per_peer && !table.evict_of_peer(peer) {
            table.short = Some(Instant::now());
            return Err(NoPlace::PeerFull);
        }
        let own = self.own(&table);
        if !self.has_room(&table, listen) && !table.evict_beyond(own) {
            table.short = Some(Instant::now());
            return Err(NoPlace::Full);
        }
        table.last_id += 1;
        let (id, filed) = (table.last_id, Instant::now());
        table.connections.insert(id, Connection { listen, peer, state: state.clone(), filed });
        table.file(id, filed);
        self.count(&table);
        Ok(Place { places: self.clone(), id })
    }

    /// The number of places that each address keeps for itself.
    fn own(&self, table: &Table) -> usize {
        OWN.min(self.total / 2 / table.listens.len().max(1))
    }

    fn has_room(&self, table: &Table, listen: ListenId) -> bool {
        let own = self.own(table);
        if table.connections.len() >= self.total {
            return false;
        }
        let held = |group: &Group| group.0.len();
        if table.listens.get(&listen).map_or(0, held) < own {
            return true;
        }
        // The places that other addresses keep for themselves stay free.
        let kept: usize = table.listens.values().map(|group| own.saturating_sub(held(group))).sum();
        table.connections.len() + kept < self.total
    }

    /// Closes the connection that has been silent for the longest time, because the process has no
    /// descriptor left. Returns whether there was one.
    pub(crate) fn evict(&self) -> bool {
        self.table().evict_beyond(0)
    }

    /// Records that a call or connection was refused because a place or descriptor is missing.
    pub(crate) fn note_shortage(&self) {
        self.table().short = Some(Instant::now());
    }

    /// Waits until a place may be free: one was given back, or `at_most` has passed, since a
    /// connection can become silent without giving its place back.
    pub(crate) async fn freed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.freed.notified()).await;
    }

    /// Whether a connection got no place within the last seconds.
    pub(crate) fn are_short(&self) -> bool {
        self.table().short.is_some_and(|short| short.elapsed() < SHORTAGE)
    }

    /// The number of connections, and of places.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        (self.table().connections.len(), self.total)
    }

    fn count(&self, table: &Table) {
        metrics::gauge!("bootseal_gateway_connections").set(table.connections.len() as f64);
    }
}

impl Table {
    /// Files a connection in its groups.
    fn file(&mut self, id: u64, filed: Instant) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let before = std::mem::replace(&mut connection.filed, filed);
            let (listen, peer) = (connection.listen, connection.peer);
            if let Some(listen) = self.listens.get_mut(&listen) {
                listen.0.remove(&(before, id));
                listen.0.insert((filed, id));
            }
            let peer = self.peers.entry(peer).or_default();
            peer.0.remove(&(before, id));
            peer.0.insert((filed, id));
        }
    }

    fn remove(&mut self, id: u64) -> Option<Arc<ConnectionState>> {
        let connection = self.connections.remove(&id)?;
        let key = (connection.filed, id);
        if let Some(listen) = self.listens.get_mut(&connection.listen) {
            listen.0.remove(&key);
        }
        if let Some(peer) = self.peers.get_mut(&connection.peer) {
            peer.0.remove(&key);
            if peer.0.is_empty() {
                self.peers.remove(&connection.peer);
            }
        }
        Some(connection.state)
    }

    /// Closes the connection of this peer that has been silent for the longest time.
    fn evict_of_peer(&mut self, peer: PeerKey) -> bool {
        self.evict_first(|table| table.peers.get(&peer)?.0.first().copied())
    }

    /// The same for the addresses with more than `own` connections.
    fn evict_beyond(&mut self, own: usize) -> bool {
        self.evict_first(|table| {
            let beyond = table.listens.values().filter(|group| group.0.len() > own);
            beyond.filter_map(|group| group.0.first().copied()).min()
        })
    }

    fn evict_first(&mut self, first: impl Fn(&Table) -> Option<(Instant, u64)>) -> bool {
        for _ in 0..MOST_EXAMINED {
            let Some((filed, id)) = first(self) else { return false };
            let Some(connection) = self.connections.get(&id) else { return false };
            let heard = connection.state.heard();
            if !connection.state.is_silent() {
                self.file(id, Instant::now());
            } else if heard > filed {
                self.file(id, heard);
            } else {
                if let Some(state) = self.remove(id) {
                    self.leaving += 1;
                    state.evict(MADE_ROOM);
                }
                return true;
            }
        }
        false
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.table();
        match table.remove(self.id) {
            Some(_) => self.places.count(&table),
            None => table.leaving -= 1,
        }
        drop(table);
        self.places.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn peer(last: u8) -> Peer {
        Peer::Tcp([192, 0, 2, last].into())
    }

    struct Caller {
        state: Arc<ConnectionState>,
        place: Option<Place>,
    }

    impl Caller {
        fn was_evicted(&self) -> bool {
            self.state.refused() == Some(MADE_ROOM)
        }
    }

    fn connect(places: &Arc<Places>, listen: ListenId, peer: Peer) -> Result<Caller, NoPlace> {
        let state = Arc::new(ConnectionState::default());
        let place = places.take(listen, peer, &state)?;
        Ok(Caller { state, place: Some(place) })
    }

    async fn later() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_that_is_silent_for_the_longest_time_makes_room() {
        let places = Places::new(64, usize::MAX);
        let listen = places.add_listen();
        let mut callers = Vec::new();
        for number in 0..64 {
            callers.push(connect(&places, listen, peer(number)).ok().unwrap());
            later().await;
        }
        callers[0].state.begin_call();
        callers[1].state.hear();
        callers[2].state.set_blocked(true);
        let mut newest = connect(&places, listen, peer(99)).ok().unwrap();
        let evicted: Vec<usize> = (0..64).filter(|at| callers[*at].was_evicted()).collect();
        assert_eq!(evicted, [3]);
        assert!(!places.are_short());
        // Its place counts once, whenever its connection ends.
        callers[3].place = None;
        newest.place = None;
        assert_eq!(places.in_use(), (63, 64));
        later().await;
        callers[0].state.end_call();
        for number in 0..62 {
            callers.push(connect(&places, listen, peer(100 + number)).ok().unwrap());
            if let Some(caller) = callers.iter_mut().find(|caller| caller.was_evicted()) {
                caller.place = None;
            }
            callers.retain(|caller| caller.place.is_some());
        }
        assert!(!callers[0].was_evicted(), "its call ended last");
    }

    #[tokio::test(start_paused = true)]
    async fn one_peer_gets_half_of_the_places_and_displaces_only_its_own() {
        let places = Places::new(100, 50);
        let listen = places.add_listen();
        let other = connect(&places, listen, peer(1)).ok().unwrap();
        later().await;
        let mut greedy = Vec::new();
        for _ in 0..50 {
            greedy.push(connect(&places, listen, peer(2)).ok().unwrap());
            later().await;
        }
        let more = connect(&places, listen, peer(2)).ok().unwrap();
        assert!(greedy[0].was_evicted() && !other.was_evicted());
        for caller in greedy.iter().chain([&more]) {
            caller.state.begin_call();
        }
        assert_eq!(connect(&places, listen, peer(2)).err(), Some(NoPlace::PeerFull));
        assert!(places.are_short());
        assert!(connect(&places, listen, peer(3)).is_ok());
        tokio::time::sleep(SHORTAGE).await;
        assert!(!places.are_short());
    }

    #[test]
    fn the_addresses_of_one_machine_share_its_places() {
        let key = |text: &str| PeerKey::of(Peer::Tcp(text.parse().unwrap()));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_ne!(PeerKey::of(Peer::Unix(Some(1))), PeerKey::of(Peer::Unix(Some(2))));
    }

    #[tokio::test(start_paused = true)]
    async fn each_address_keeps_places_of_its_own() {
        let places = Places::new(100, usize::MAX);
        let (busy, quiet) = (places.add_listen(), places.add_listen());
        let mut callers = Vec::new();
        while let Ok(caller) = connect(&places, busy, peer(1)) {
            caller.state.begin_call();
            callers.push(caller);
        }
        assert_eq!(callers.len(), 100 - OWN);
        for _ in 0..OWN {
            let caller = connect(&places, quiet, peer(1)).ok().unwrap();
            caller.state.begin_call();
            callers.push(caller);
        }
        assert_eq!(connect(&places, quiet, peer(1)).err(), Some(NoPlace::Full));
        // A removed address keeps nothing.
        places.remove_listen(quiet);
        callers.truncate(100 - OWN);
        let idle = connect(&places, busy, peer(1)).ok().unwrap();
        later().await;
        assert!(places.evict() && idle.was_evicted());
    }

    #[tokio::test(start_paused = true)]
    async fn places_whose_connections_have_not_ended_yet_are_limited() {
        let places = Places::new(64, usize::MAX);
        let listen = places.add_listen();
        let mut callers = Vec::new();
        for _ in 0..64 + MOST_LEAVING {
            callers.push(connect(&places, listen, peer(1)).ok().unwrap());
        }
        assert_eq!(connect(&places, listen, peer(1)).err(), Some(NoPlace::Full));
        callers.retain(|caller| !caller.was_evicted());
        assert!(connect(&places, listen, peer(1)).is_ok());
    }
}
