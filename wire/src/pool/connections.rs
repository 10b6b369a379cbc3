//! The open connections of a client, and how a new one is made.

use crate::connect::{Connected, Connector};
use crate::connection::state::ConnectionState;
use crate::connection::windows::WINDOW_OF_H2;
use crate::error::{Error, Result};
use crate::pool::host::{Hosts, Origin, Protocol};
use crate::pool::waiter::Connection;
use http::Uri;
use http::uri::PathAndQuery;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// The longest time that the reaper waits: a year is within the range that tokio's timers support.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The time in which idle connections are closed, when there is no file descriptor for a new one.
const CLOSING: Duration = Duration::from_millis(20);
/// The largest head of a response that h2 takes. If one is larger, h2 ends the whole connection, so
/// this is more than a call may get.
const LARGEST_HEAD_ON_HTTP2: u32 = 1 << 20;
/// The window of a whole HTTP/2 connection. It is so large that responses that nobody reads cannot
/// use it up: only the window of each stream bounds what is in flight.
const CONNECTION_WINDOW: u32 = 1 << 30;

/// The connections of one client.
pub(super) struct Connections {
    connector: Connector,
    pub(super) idle_per_host: usize,
    idle_for: Duration,
    hosts: Mutex<Hosts>,
    /// The task that closes connections that have been idle for too long.
    reaper: Mutex<Option<JoinHandle<()>>>,
}

/// The pools of this process, which share its file descriptors.
static POOLS: Mutex<Vec<Weak<Connections>>> = Mutex::new(Vec::new());

/// Closes the connections of all clients of this process that serve no call, and returns their
/// number. Call it when the process runs out of file descriptors. The descriptors are free as soon
/// as the runtimes of the connections have run.
pub fn close_idle_connections() -> usize {
    let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    pools.iter().filter_map(Weak::upgrade).map(|pool| pool.hosts().close_unused()).sum()
}

/// A new connection, before its first call.
pub(super) enum Made {
    Http1(http1::SendRequest<reqwest::Body>, Arc<ConnectionState>),
    Http2(http2::SendRequest<reqwest::Body>, Arc<ConnectionState>),
}

impl Connections {
    pub(super) fn new(
        connector: Connector,
        idle_per_host: usize,
        idle_for: Duration,
    ) -> Arc<Connections> {
        let idle_per_host = if idle_for.is_zero() { 0 } else { idle_per_host };
        let connections = Arc::new(Connections {
            connector,
            idle_per_host,
            idle_for,
            hosts: Mutex::default(),
            reaper: Mutex::default(),
        });
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|other| other.strong_count() > 0);
        pools.push(Arc::downgrade(&connections));
        connections
    }

    /// # Errors
    /// [`Error::NotAllowed`] if the caller's rule refuses the host of `uri`.
    pub(super) fn check(&self, uri: &Uri) -> Result<()> {
        self.connector.check(uri)
    }

    /// The index of a host, which is added if it is new.
    pub(super) fn index(&self, hosts: &mut Hosts, origin: &Origin) -> usize {
        let protocol = match self.connector.may_be_http2(origin.scheme()) {
            true => Protocol::Unknown,
            false => Protocol::Http1,
        };
        hosts.index(origin, protocol)
    }

    pub(super) fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut hosts = self.hosts();
        let index = hosts.position(origin)?;
        let host = &mut hosts.list[index];
        // Others came first.
        if host.waiters.is_empty() { host.take(index) } else { None }
    }

    /// Keeps a connection for the next request. The connection becomes ready when its current
    /// response has been read.
    pub(super) fn keep(
        &self,
        sender: http1::SendRequest<reqwest::Body>,
        state: Arc<ConnectionState>,
        host: usize,
    ) {
        let mut hosts = self.hosts();
        if let Some(host) = hosts.list.get_mut(host) {
            host.keep(sender, state, self.idle_per_host);
        }
    }

    /// Makes a new connection.
    pub(super) async fn connect(
        self: Arc<Connections>,
        origin: Origin,
        freed: Arc<Notify>,
    ) -> Result<Made> {
        let to = origin.with_path(PathAndQuery::from_static("/"))?;
        let connected = match self.connector.connect(to.clone(), freed.clone()).await {
            Err(error) if error.is_out_of_resources() && close_idle_connections() > 0 => {
                tokio::time::sleep(CLOSING).await;
                self.connector.connect(to, freed).await
            }
            connected => connected,
        };
        let Connected { stream, state, http2 } = connected?;
        let failed = |error: hyper::Error| Error::Connect(error.into());
        let stream = TokioIo::new(stream);
        if !http2 {
            let (sender, driver) = http1::handshake(stream).await.map_err(failed)?;
            tokio::spawn(driver.with_upgrades());
            return Ok(Made::Http1(sender, state));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.initial_connection_window_size(CONNECTION_WINDOW);
        builder.initial_stream_window_size(WINDOW_OF_H2);
        builder.max_header_list_size(LARGEST_HEAD_ON_HTTP2);
        let (sender, driver) = builder.handshake(stream).await.map_err(failed)?;
        tokio::spawn(driver);
        Ok(Made::Http2(sender, state))
    }

    /// Starts the reaper if it is not running.
    pub(super) fn keep_reaping(self: &Arc<Connections>) {
        let mut reaper = self.reaper.lock().unwrap_or_else(PoisonError::into_inner);
        if reaper.as_ref().is_none_or(JoinHandle::is_finished) {
            *reaper = Some(tokio::spawn(reap(Arc::downgrade(self), self.idle_for)));
        }
    }
}

/// Closes connections that have been idle for `idle_for`; ends when the pool has been dropped.
async fn reap(pool: Weak<Connections>, idle_for: Duration) {
    let mut next = Instant::now() + idle_for.min(LONGEST_WAIT);
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let oldest = pool.hosts().close_idle(now.checked_sub(idle_for), now);
        next = oldest.unwrap_or(now) + idle_for.min(LONGEST_WAIT);
    }
}
