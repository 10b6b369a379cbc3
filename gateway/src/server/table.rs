//! What is in force now? The file's routes, an address for each, and what becomes of both when the file changes.

use crate::admin::endpoints::Admin;
use crate::route::ActiveRoute;
use crate::server::listener::{self, Responses, Routes};
use crate::startup::sockets::Sockets;
use arc_swap::ArcSwap;
use bootseal::{Gateway, Kind, Result, Secrets, VerifiedFile};
use bootseal_core::Listen;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;

/// Connections of the admin address.
const ADMIN_CONNECTIONS: usize = 32;

/// The gateway, as all its parts know it.
pub(crate) struct Running {
    pub(crate) vault: Secrets,
    addresses: Arc<Addresses>,
    room: Arc<Semaphore>,
    served: Mutex<Served>,
    stopping: AtomicBool,
    disk: Mutex<Disk>,
}

/// The addresses in force, and the sockets that wait to be served.
pub(crate) struct Addresses {
    sockets: Sockets,
    taken: Mutex<HashSet<Listen>>,
    /// Where one only looks: addresses that somebody else has now.
    busy: Option<Mutex<HashSet<Listen>>>,
}

#[derive(Default)]
struct Served {
    routes: BTreeMap<Listen, (Arc<Routes>, Open)>,
    admin: Option<(Listen, Open)>,
    drain: Duration,
}

/// A served address, until it is closed.
struct Open {
    close: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

/// The file as it lies there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// `None` where it cannot be read, or its signature does not hold.
    pub(crate) generation: Option<u64>,
    /// Why it is not taken.
    pub(crate) refused: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Addresses {
    /// `sockets`: those that were handed over. `look`: an address that somebody has is no error, as when the gateway runs beside us.
    pub(crate) fn new(sockets: Sockets, look: bool) -> Addresses {
        Addresses { sockets, taken: Mutex::default(), busy: look.then(Mutex::default) }
    }

    pub(crate) fn is_busy(&self, listen: &Listen) -> bool {
        self.busy.as_ref().is_some_and(|busy| lock(busy).contains(listen))
    }

    /// Whether the routes of a file can be served: an address that is not, as one that another process has, is told before anything of the
    /// file is taken.
    ///
    /// # Errors
    /// What [`Gateway::read`] says; [`Kind::NotFound`] where there is no route; [`Kind::Io`] where an address cannot be had.
    pub(crate) fn vet(&self, file: &VerifiedFile) -> Result<()> {
        let gateway = Gateway::read(file)?;
        if gateway.routes.is_empty() {
            let error = bootseal_core::Error::new(Kind::NotFound, "the file has no route");
            return Err(error
                .with_help("Say where calls come in and where they go: bootseal edit, and then [acme.route] listen = \"127.0.0.1:9301\", upstream = \"https://…\"")
                .into());
        }
        let taken = lock(&self.taken);
        for listen in addresses(&gateway).iter().filter(|listen| !taken.contains(listen)) {
            let asked = gateway.routes.iter().any(|route| route.listen == *listen && route.callers.is_some());
            let Err(error) = self.sockets.open(listen, asked) else { continue };
            let in_use = error.kind() == std::io::ErrorKind::AddrInUse;
            if in_use && let Some(busy) = &self.busy {
                lock(busy).insert(listen.clone());
                continue;
            }
            let help = match error.kind() {
                _ if in_use => "Another process has it; or give the route another `listen`.",
                std::io::ErrorKind::NotFound => {
                    "Its folder has to be there: under systemd, RuntimeDirectory= makes one."
                }
                _ => "Give the route another `listen`.",
            };
            let error = bootseal_core::Error::new(Kind::Io, format!("cannot listen at {error}"));
            return Err(error.with_help(help).into());
        }
        Ok(())
    }
}

fn addresses(gateway: &Gateway) -> HashSet<Listen> {
    gateway.routes.iter().map(|route| &route.listen).chain(&gateway.admin).cloned().collect()
}

impl Running {
    pub(crate) fn new(vault: Secrets, addresses: Arc<Addresses>, connections: usize) -> Arc<Running> {
        Arc::new(Running {
            vault,
            addresses,
            room: Arc::new(Semaphore::new(connections)),
            served: Mutex::default(),
            stopping: AtomicBool::new(false),
            disk: Mutex::default(),
        })
    }

    /// Puts in force what the file says: new addresses are served, others closed when their calls have ended, routes exchanged in between two
    /// calls. To be called in the runtime.
    ///
    /// # Errors
    /// Where a route cannot be made; then nothing changes.
    pub(crate) fn apply(self: &Arc<Running>) -> Result<()> {
        let gateway = self.vault.gateway()?;
        let mut served = lock(&self.served);
        let before: Vec<Arc<ActiveRoute>> = served.lives();
        let mut by_address: BTreeMap<Listen, Vec<Arc<ActiveRoute>>> = BTreeMap::new();
        for route in &gateway.routes {
            let live = ActiveRoute::of(&self.vault, route, &before)?;
            by_address.entry(route.listen.clone()).or_default().push(live);
        }
        served.drain = gateway.drain;
        let gone: Vec<Listen> =
            served.routes.keys().filter(|listen| !by_address.contains_key(listen)).cloned().collect();
        for listen in gone {
            if let Some((_, open)) = served.routes.remove(&listen) {
                open.close(gateway.drain);
            }
        }
        if served.admin.as_ref().is_some_and(|(listen, _)| gateway.admin.as_ref() != Some(listen))
            && let Some((_, open)) = served.admin.take()
        {
            open.close(gateway.drain);
        }
        for (listen, lives) in by_address {
            match served.routes.get(&listen) {
                Some((routes, _)) => routes.0.store(Arc::new(lives)),
                None => {
                    let names: Vec<&str> = lives.iter().map(|live| live.name.as_str()).collect();
                    tracing::info!(%listen, routes = names.join(", "), "listening");
                    let routes = Arc::new(Routes(ArcSwap::from_pointee(lives)));
                    if let Some(open) = self.open(&listen, routes.clone(), self.room.clone()) {
                        served.routes.insert(listen, (routes, open));
                    }
                }
            }
        }
        if let Some(listen) = gateway.admin.clone().filter(|_| served.admin.is_none()) {
            tracing::info!(%listen, "admin: /live, /ready, /metrics, /");
            // Of its own: one can ask how it is when callers have taken all other room.
            let room = Arc::new(Semaphore::new(ADMIN_CONNECTIONS));
            let open = self.open(&listen, Arc::new(Admin(Arc::downgrade(self))), room);
            served.admin = open.map(|open| (listen, open));
        }
        *lock(&self.addresses.taken) = addresses(&gateway);
        self.addresses.sockets.close_rest();
        metrics::gauge!("bootseal_gateway_generation", "which" => "loaded").set(self.vault.generation() as f64);
        Ok(())
    }

    fn open<A: Responses>(&self, listen: &Listen, responses: Arc<A>, room: Arc<Semaphore>) -> Option<Open> {
        // It was opened when the file was vetted.
        let Some(socket) = self.addresses.sockets.take(listen) else {
            tracing::error!(%listen, "this address is not served: its socket is missing");
            return None;
        };
        let (close, open) = watch::channel(None);
        let task = tokio::spawn(listener::serve(listen.clone(), socket, responses, room, open));
        Some(Open { close, task })
    }

    /// All routes in force, by name.
    pub(crate) fn lives(&self) -> Vec<Arc<ActiveRoute>> {
        let mut lives = lock(&self.served).lives();
        lives.sort_by(|one, other| one.name.cmp(&other.name));
        lives
    }

    /// The file is open and each address served; what the vendors do is not asked: one outage must not take every instance out of service.
    pub(crate) fn is_ready(&self) -> bool {
        let served = lock(&self.served);
        let all = served.routes.values().all(|(_, open)| !open.task.is_finished()) && !served.routes.is_empty();
        all && !self.stopping.load(Ordering::Relaxed)
    }

    pub(crate) fn disk(&self) -> Disk {
        lock(&self.disk).clone()
    }

    pub(crate) fn set_disk(&self, disk: Disk) {
        metrics::gauge!("bootseal_gateway_generation", "which" => "disk")
            .set(disk.generation.map_or(-1.0, |it| it as f64));
        *lock(&self.disk) = disk;
    }

    /// Takes no more calls, and lets those in flight end.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let (routes, admin, drain) = {
            let mut served = lock(&self.served);
            (std::mem::take(&mut served.routes), served.admin.take(), served.drain)
        };
        tracing::info!("stopping: calls in flight have {drain:?}");
        let tasks: Vec<JoinHandle<()>> = routes.into_values().map(|(_, open)| open.close(drain)).collect();
        for task in tasks {
            let _ = task.await;
        }
        // Last: so that it can be asked until then whether it still works.
        if let Some((_, open)) = admin {
            let _ = open.close(Duration::from_millis(100)).await;
        }
    }
}

impl Served {
    fn lives(&self) -> Vec<Arc<ActiveRoute>> {
        self.routes.values().flat_map(|(routes, _)| routes.0.load().to_vec()).collect()
    }
}

impl Open {
    fn close(self, drain: Duration) -> JoinHandle<()> {
        let _ = self.close.send(Some(drain));
        self.task
    }
}
