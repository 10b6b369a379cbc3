//! The routing table: the routes in force, the addresses that serve them, and their replacement.

use crate::framing::strict_stream::Timeouts;
use crate::route::ActiveRoute;
use crate::server::addresses::Addresses;
use crate::server::listener::{self, Handler, Routes, Serving};
use crate::server::places::Places;
use crate::upstream_slots::UpstreamSlots;
use arc_swap::ArcSwap;
use bootseal::{Result, Secrets};
use bootseal_core::Listen;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Connections of the admin address.
const ADMIN_CONNECTIONS: usize = 32;
/// Time for requests in flight on the admin address when the gateway stops.
const ADMIN_DRAIN: Duration = Duration::from_millis(100);

/// The state of a running gateway, shared by its parts.
pub(crate) struct Running {
    pub(crate) vault: Secrets,
    addresses: Arc<Addresses>,
    callers: Serving,
    admin: Serving,
    served: Mutex<Served>,
    stopping: AtomicBool,
    disk: Mutex<DiskState>,
}

#[derive(Default)]
struct Served {
    routes: BTreeMap<Listen, (Arc<Routes>, ServedAddress)>,
    admin: Option<(Listen, ServedAddress)>,
    drain: Duration,
}

/// An address that is being served.
struct ServedAddress {
    close: watch::Sender<Option<Duration>>,
    task: JoinHandle<()>,
}

/// The file on disk, compared with the one that is loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskState {
    /// `None` if the file cannot be read, or if its signature is invalid.
    pub(crate) generation: Option<u64>,
    /// The reason why the file was not accepted.
    pub(crate) refused: Option<String>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// `connections` is the limit on concurrent connections of callers, and on those to upstreams.
    pub(crate) fn new(
        vault: Secrets,
        addresses: Arc<Addresses>,
        connections: usize,
        timeouts: Timeouts,
    ) -> Arc<Running> {
        metrics::gauge!("bootseal_gateway_connections_limit").set(connections as f64);
        // One peer gets half of the places, so that it cannot keep all others out.
        let callers = Serving {
            places: Places::new(connections, connections.div_ceil(2)),
            timeouts,
            upstreams: UpstreamSlots::new(connections),
        };
        // The admin address has places of its own, so that the gateway can be probed when callers
        // have taken all others.
        let admin = Serving {
            places: Places::new(ADMIN_CONNECTIONS, usize::MAX),
            timeouts: Timeouts::of_admin(),
            upstreams: UpstreamSlots::new(0),
        };
        Arc::new(Running {
            vault,
            addresses,
            callers,
            admin,
            served: Mutex::default(),
            stopping: AtomicBool::new(false),
            disk: Mutex::default(),
        })
    }

    /// Applies the loaded file's routes: serves new addresses, closes those that are no longer
    /// named once their calls have ended, and replaces routes between two calls. It must be called
    /// inside the runtime.
    ///
    /// # Errors
    /// If a route cannot be created; nothing changes then.
    pub(crate) fn apply(&self) -> Result<()> {
        let gateway = self.vault.gateway()?;
        let mut served = lock(&self.served);
        let former: Vec<Arc<ActiveRoute>> = served.active_routes();
        let mut by_address: BTreeMap<Listen, Vec<Arc<ActiveRoute>>> = BTreeMap::new();
        for config in &gateway.routes {
            let route = ActiveRoute::of(&self.vault, config, &former)?;
            by_address.entry(config.listen.clone()).or_default().push(route);
        }
        served.drain = gateway.drain;
        served.close_routes_but(&by_address);
        served.close_admin_unless(gateway.admin.as_ref());
        for (listen, routes) in by_address {
            match served.routes.get(&listen) {
                Some((former, _)) => former.0.store(Arc::new(routes)),
                None => {
                    let names: Vec<&str> = routes.iter().map(|route| route.name.as_str()).collect();
                    tracing::info!(%listen, routes = bootseal_core::some_names(names), "listening");
                    let routes = Arc::new(Routes(ArcSwap::from_pointee(routes)));
                    let serving = self.callers.clone();
                    if let Some(address) = self.serve(&listen, routes.clone(), serving) {
                        served.routes.insert(listen, (routes, address));
                    }
                }
            }
        }
        self.addresses.put_in_force(&gateway);
        metrics::gauge!("bootseal_gateway_generation", "which" => "loaded")
            .set(self.vault.generation() as f64);
        Ok(())
    }

    /// Serves the admin address that the loaded file names, unless it is already served. It must be
    /// called inside the runtime, after [`Running::apply`], which keeps its socket open.
    ///
    /// # Errors
    /// Those of reading the loaded file's routes.
    pub(crate) fn serve_admin<H: Handler>(&self, handler: Arc<H>) -> Result<()> {
        let gateway = self.vault.gateway()?;
        let mut served = lock(&self.served);
        if let Some(listen) = gateway.admin.filter(|_| served.admin.is_none()) {
            tracing::info!(%listen, "admin: /live, /ready, /metrics, /");
            let address = self.serve(&listen, handler, self.admin.clone());
            served.admin = address.map(|address| (listen, address));
        }
        Ok(())
    }

    fn serve<H: Handler>(
        &self,
        listen: &Listen,
        handler: Arc<H>,
        serving: Serving,
    ) -> Option<ServedAddress> {
        // Opened when the file was vetted.
        let Some(socket) = self.addresses.take(listen) else {
            tracing::error!(%listen, "this address is not served: its socket is missing");
            return None;
        };
        let (close, closing) = watch::channel(None);
        let task = tokio::spawn(listener::serve(listen.clone(), socket, handler, serving, closing));
        Some(ServedAddress { close, task })
    }

    /// Returns all routes in force, ordered by name.
    pub(crate) fn active_routes(&self) -> Vec<Arc<ActiveRoute>> {
        let mut routes = lock(&self.served).active_routes();
        routes.sort_by(|one, other| one.name.cmp(&other.name));
        routes
    }

    /// Whether the file is open and each address is served. The state of the vendors does not
    /// count: the outage of one vendor must not take every instance out of service.
    pub(crate) fn is_ready(&self) -> bool {
        let served = lock(&self.served);
        let all = served.routes.values().all(|(_, address)| !address.task.is_finished())
            && !served.routes.is_empty();
        all && !self.stopping.load(Ordering::Relaxed)
    }

    /// The places for callers.
    pub(crate) fn places(&self) -> &Places {
        &self.callers.places
    }

    pub(crate) fn disk(&self) -> DiskState {
        lock(&self.disk).clone()
    }

    pub(crate) fn set_disk(&self, disk: DiskState) {
        metrics::gauge!("bootseal_gateway_generation", "which" => "disk")
            .set(disk.generation.map_or(-1.0, |generation| generation as f64));
        *lock(&self.disk) = disk;
    }

    /// Accepts no further calls, and waits for those in flight.
    pub(crate) async fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
        let (routes, admin, drain) = {
            let mut served = lock(&self.served);
            (std::mem::take(&mut served.routes), served.admin.take(), served.drain)
        };
        tracing::info!("stopping: calls in flight have {drain:?} to end");
        let tasks: Vec<JoinHandle<()>> =
            routes.into_values().map(|(_, address)| address.close(drain)).collect();
        for task in tasks {
            let _ = task.await;
        }
        // Closed last, so that probes can see the gateway stop.
        if let Some((_, address)) = admin {
            let _ = address.close(ADMIN_DRAIN).await;
        }
    }
}

impl Served {
    fn active_routes(&self) -> Vec<Arc<ActiveRoute>> {
        self.routes.values().flat_map(|(routes, _)| routes.0.load().to_vec()).collect()
    }

    fn close_routes_but(&mut self, named: &BTreeMap<Listen, Vec<Arc<ActiveRoute>>>) {
        let gone: Vec<Listen> =
            self.routes.keys().filter(|listen| !named.contains_key(listen)).cloned().collect();
        for listen in gone {
            if let Some((_, address)) = self.routes.remove(&listen) {
                address.close(self.drain);
            }
        }
    }

    fn close_admin_unless(&mut self, named: Option<&Listen>) {
        if let Some((_, address)) = self.admin.take_if(|(listen, _)| named != Some(&*listen)) {
            address.close(self.drain);
        }
    }
}

impl ServedAddress {
    fn close(self, drain: Duration) -> JoinHandle<()> {
        let _ = self.close.send(Some(drain));
        self.task
    }
}
