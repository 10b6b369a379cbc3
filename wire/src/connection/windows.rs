//! The receive windows of HTTP/2 streams: small while nobody reads, larger while a reader keeps up.
//!
//! h2 has one size of window for all streams of a connection, so a window that is large enough for
//! a download over a long distance would let each response that nobody reads fill as much memory.
//! Therefore h2 is given a large window, the peer is given a small one, and the peer's window is
//! extended here as the body is read. h2's own extensions are not sent.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The window of a stream at first.
pub(crate) const FIRST: usize = 32 << 10;
/// The largest window of a stream. 1 MiB would be a fifth of what TCP itself takes over a distance of
/// 100 ms.
const LARGEST: usize = 4 << 20;
/// The window that h2 has for each stream. It extends it only after half of the rest is read, so
/// it must be this much larger than ours.
pub(crate) const WINDOW_OF_H2: u32 = 8 << 20;
/// The bytes by which all windows of the process together are larger than at first.
const GROWTH: usize = 16 << 20;

/// A window grows by this many times its size.
const FASTER: usize = 3;
/// The number of extensions after which a reader that has not read everything since is slow.
const BEHIND: u32 = 3;

static GROWN: AtomicUsize = AtomicUsize::new(0);

/// The windows of the streams of one connection.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    /// The calls by their number.
    calls: HashMap<u64, Window>,
    /// The numbers of the calls by their streams.
    numbers: HashMap<u32, u64>,
    /// Streams of calls without a number, whose windows h2 extends.
    others: HashSet<u32>,
    /// Extensions that are to be sent: the stream, and the number of bytes.
    pending: Vec<(u32, u32)>,
}

#[derive(Debug, Default)]
struct Window {
    stream: u32,
    /// By how much the window is larger than at first.
    grown: usize,
    /// The bytes that have arrived and are not read.
    unread: usize,
    /// The bytes that were read, and by which the peer's window is to be extended.
    read: usize,
    /// Whether the reader has read everything since the last extension.
    drained: bool,
    /// The number of extensions since the reader last had read everything.
    behind: u32,
    /// Whether the peer sends nothing more.
    closed: bool,
}

impl Windows {
    /// A call begins; its stream is not known yet.
    pub(super) fn begin(&mut self, number: u64) {
        self.calls.insert(number, Window::default());
    }

    /// A call ends, or is given up.
    pub(super) fn end(&mut self, number: u64) {
        if let Some(window) = self.calls.remove(&number) {
            self.numbers.remove(&window.stream);
            GROWN.fetch_sub(window.grown, Ordering::Relaxed);
        }
    }

    /// The head of a call is sent on `stream`. Returns whether an extension is to be sent.
    pub(super) fn open(&mut self, number: Option<u64>, stream: u32) -> bool {
        match number.and_then(|number| Some((number, self.calls.get_mut(&number)?))) {
            Some((number, window)) => {
                window.stream = stream;
                self.numbers.insert(stream, number);
                false
            }
            None => {
                self.others.insert(stream);
                self.pending.push((stream, WINDOW_OF_H2 - FIRST as u32));
                true
            }
        }
    }

    /// Whether an extension of this stream's window by h2 is sent.
    pub(crate) fn is_extended_by_h2(&self, stream: u32) -> bool {
        self.others.contains(&stream)
    }

    /// The peer sends nothing more on the stream.
    pub(crate) fn close(&mut self, stream: u32) {
        self.others.remove(&stream);
        let number = self.numbers.get(&stream);
        if let Some(window) = number.and_then(|number| self.calls.get_mut(number)) {
            window.closed = true;
        }
    }

    /// Bytes of a body arrive, with so many bytes of padding that nobody reads.
    pub(super) fn arrive(&mut self, stream: u32, bytes: usize, padding: usize) {
        let number = self.numbers.get(&stream);
        if let Some(window) = number.and_then(|number| self.calls.get_mut(number)) {
            window.unread += bytes.saturating_sub(padding);
            window.read += padding;
        }
    }

    /// Bytes of a body are read. Returns whether an extension is to be sent.
    pub(super) fn read(&mut self, number: u64, bytes: usize) -> bool {
        let Some(window) = self.calls.get_mut(&number) else { return false };
        window.unread = window.unread.saturating_sub(bytes);
        window.read += bytes;
        window.drained |= window.unread == 0;
        let extension = window.extension();
        if extension > 0 {
            self.pending.push((window.stream, extension as u32));
        }
        extension > 0
    }

    pub(super) fn take_pending(&mut self) -> Vec<(u32, u32)> {
        std::mem::take(&mut self.pending)
    }
}

impl Window {
    /// The bytes by which the peer's window is extended now: after a quarter of the window is read. It
    /// becomes larger if the reader keeps up, and smaller if it falls behind.
    fn extension(&mut self) -> usize {
        let size = FIRST + self.grown;
        if self.closed || self.read < size / 4 {
            return 0;
        }
        let read = std::mem::take(&mut self.read);
        self.behind = if self.drained { 0 } else { self.behind + 1 };
        if std::mem::take(&mut self.drained) {
            let more = take_growth((FASTER * size).min(LARGEST - size));
            self.grown += more;
            return read + more;
        }
        if self.behind >= BEHIND && self.unread >= size / 4 {
            // Not more than was read: a window cannot be taken back.
            let less = (self.grown / 2).min(read);
            GROWN.fetch_sub(less, Ordering::Relaxed);
            self.grown -= less;
            return read - less;
        }
        read
    }
}

/// Takes up to `most` bytes from the growth of all windows, but not more than half of what is left,
/// so that something is left for others. Returns the number taken.
fn take_growth(most: usize) -> usize {
    let taken = |grown: usize| most.min(GROWTH.saturating_sub(grown) / 2);
    let take = |grown: usize| Some(grown + taken(grown));
    GROWN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_or(0, taken)
}

impl Drop for Windows {
    fn drop(&mut self) {
        let grown = self.calls.values().map(|window| window.grown).sum();
        GROWN.fetch_sub(grown, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Streams with so many bytes in flight as their windows allow.
    struct Peer {
        windows: Windows,
        may_send: HashMap<u32, usize>,
    }

    impl Peer {
        fn new(calls: u32) -> Peer {
            let mut windows = Windows::default();
            let mut may_send = HashMap::new();
            for call in 0..calls {
                windows.begin(call.into());
                windows.open(Some(call.into()), 2 * call + 1);
                may_send.insert(2 * call + 1, FIRST);
            }
            Peer { windows, may_send }
        }

        /// Sends as much as allowed, and returns how much that is.
        fn send(&mut self, call: u32) -> usize {
            let bytes = std::mem::take(self.may_send.entry(2 * call + 1).or_default());
            self.windows.arrive(2 * call + 1, bytes, 0);
            bytes
        }

        fn read(&mut self, call: u32, bytes: usize) {
            self.windows.read(call.into(), bytes);
            for (stream, more) in self.windows.take_pending() {
                *self.may_send.entry(stream).or_default() += more as usize;
            }
        }
    }

    #[test]
    fn a_window_grows_while_its_reader_keeps_up_and_all_together_stay_in_bounds() {
        let mut peer = Peer::new(100);
        for call in 0..100 {
            let mut last = 0;
            for _ in 0..8 {
                last = peer.send(call);
                peer.read(call, last);
            }
            // The first ones get as much as one may have, and the others halves of the rest.
            assert!(call > 1 || last == LARGEST, "{call}: {last}");
            assert!(call < 5 || last < 1 << 20, "{call}: {last}");
            assert!(GROWN.load(Ordering::Relaxed) <= GROWTH);
        }
        drop(peer);
        assert_eq!(GROWN.load(Ordering::Relaxed), 0);

        // A reader that reads only a part is never ahead of its window.
        let mut peer = Peer::new(1);
        for _ in 0..100 {
            let sent = peer.send(0);
            assert!(sent <= FIRST);
            peer.read(0, sent.min(20_000));
        }
        assert!(peer.windows.calls[&0].unread <= FIRST);

        // One that becomes slow gives back what it had.
        let mut peer = Peer::new(1);
        for _ in 0..8 {
            let sent = peer.send(0);
            peer.read(0, sent);
        }
        assert_eq!(peer.windows.calls[&0].grown, LARGEST - FIRST);
        for _ in 0..2000 {
            peer.send(0);
            peer.read(0, 20_000);
        }
        assert!(peer.windows.calls[&0].unread < 4 * FIRST);
        drop(peer);
        assert_eq!(GROWN.load(Ordering::Relaxed), 0);

        // Padding is given back without a reader.
        let mut peer = Peer::new(1);
        peer.windows.arrive(1, FIRST, FIRST - 1);
        peer.read(0, 1);
        assert!(peer.may_send[&1] >= 2 * FIRST);
    }

    #[test]
    fn a_call_without_a_number_has_the_window_of_h2() {
        let mut windows = Windows::default();
        windows.open(None, 5);
        assert_eq!(windows.take_pending(), [(5, WINDOW_OF_H2 - 32_768)]);
        assert!(windows.is_extended_by_h2(5));
        windows.close(5);
        assert!(!windows.is_extended_by_h2(5) && !windows.read(5, 1 << 20));
    }
}
