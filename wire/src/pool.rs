//! The connection pool: a request takes a connection that is ready for it, or waits for a new one.

use crate::body::ArrivingBody;
use crate::connect::{Connected, Connector};
use crate::connection::state::{ConnectionState, Slot};
use crate::error::{Error, Result, causes};
use crate::pool::host::{Connection, Hosts, Origin};
use crate::pool::waiting::Waiter;
use crate::resend::ResendReason;
use http::header::{Entry, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

mod waiting;

pub(crate) mod host;

/// The longest time that the reaper waits: a year is within the range that tokio's timers support.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// The time in which idle connections are closed, when there is no file descriptor for a new one.
const CLOSING: Duration = Duration::from_millis(20);
/// The number of runtimes in which a connection is tried, if one after the other ends.
const RUNTIMES: u32 = 3;
/// What HTTP/2 counts for each header beside its name and value.
const HEADER_OVERHEAD: usize = 32;
/// The size of the names of the four pseudo-headers, with this overhead and method and scheme.
const PSEUDO_HEADERS: usize = 4 * HEADER_OVERHEAD + 33 + 16;
/// The largest head of a response, after which its stream ends. h2 ends the connection if a head is
/// larger than it takes, so it takes more.
const LARGEST_HEAD: usize = 256 << 10;
const LARGEST_HEAD_ON_HTTP2: u32 = 1 << 20;
/// The window of a whole HTTP/2 connection. It is as large as it can be, so that responses that
/// nobody reads cannot use it up: only the window of each stream bounds what is in flight.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// The window of one stream.
const STREAM_WINDOW: u32 = 1 << 21;

/// The connections of one client.
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    idle_per_host: usize,
    idle_for: Duration,
    hosts: Mutex<Hosts>,
    /// The task that closes connections that have been idle for too long.
    reaper: Mutex<Option<JoinHandle<()>>>,
}

/// The pools of this process, which share its file descriptors.
static POOLS: Mutex<Vec<Weak<Inner>>> = Mutex::new(Vec::new());

/// Closes the connections of all clients of this process that serve no call, and returns their
/// number. Call it when the process runs out of file descriptors. The descriptors are free as soon
/// as the runtimes of the connections have run.
pub fn close_idle_connections() -> usize {
    let pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    pools.iter().filter_map(Weak::upgrade).map(|pool| pool.hosts().close_unused()).sum()
}

/// A request that got no response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: Error,
    /// The reason why the request may be sent again, if it may.
    pub(crate) again: Option<ResendReason>,
    /// Whether the request was given back unsent.
    pub(crate) given_back: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        Failed { error, again: None, given_back: false }
    }
}

impl Pool {
    pub(crate) fn new(connector: Connector, idle_per_host: usize, idle_for: Duration) -> Pool {
        let idle_per_host = if idle_for.is_zero() { 0 } else { idle_per_host };
        let pool = Arc::new(Inner {
            connector,
            idle_per_host,
            idle_for,
            hosts: Mutex::default(),
            reaper: Mutex::default(),
        });
        let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|other| other.strong_count() > 0);
        pools.push(Arc::downgrade(&pool));
        Pool(pool)
    }

    /// Closes the connections without calls, and returns their number.
    pub(crate) fn close_idle(&self) -> usize {
        self.0.hosts().close_unused()
    }

    /// Takes the request out of `request` and sends it to `origin`; passing the request by value
    /// would copy it at each step. If `new` is true, no kept HTTP/1.1 connection is used.
    /// `unwritten` says whether the request's head was never written. `growth` is by how much its
    /// secrets are longer than their placeholders.
    pub(crate) async fn send(
        &self,
        request: &mut Request<reqwest::Body>,
        origin: &Origin,
        new: bool,
        growth: usize,
        unwritten: impl Fn() -> bool,
    ) -> Result<Response<ArrivingBody>, Failed> {
        // Boxed, because waiting is rare, and the future of every request would otherwise contain
        // space for it.
        let (connection, kept) = match if new { None } else { self.0.take(origin) } {
            Some(connection) => (connection, true),
            None => Box::pin(self.wait(origin, new)).await?,
        };
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or(PathAndQuery::from_static("/"));
        let sent = match connection {
            Connection::Http1 { mut sender, state, host, name } => {
                // In HTTP/1.1, the URI is only the path, and the host is in a header (RFC 9112
                // §3.2.1).
                *request.uri_mut() = Uri::from(path);
                if let (Entry::Vacant(place), Some(name)) =
                    (request.headers_mut().entry(HOST), name)
                {
                    place.insert(name);
                }
                let reads = state.reads();
                state.begin_head();
                match sender.try_send_request(std::mem::take(request)).await {
                    Ok(response) => {
                        state.end_head();
                        self.0.keep(sender, state, host);
                        return Ok(response.map(|body| ArrivingBody::new(body, None)));
                    }
                    Err(failed) => Err((failed, kept && state.reads() == reads)),
                }
            }
            Connection::Http2 { sender, slot } => {
                // In HTTP/2, scheme and host are in the URI.
                *request.uri_mut() = origin.with_path(path)?;
                refuse_large_head(request, growth, slot.0.max_head())?;
                send_on_http2(sender, slot, std::mem::take(request), kept).await
            }
        };
        let response = sent.map_err(|(mut failed, untouched)| {
            let unsent = failed.take_message();
            let given_back = unsent.is_some();
            if let Some(unsent) = unsent {
                *request = unsent;
            }
            let error = failed.into_error();
            let again = match given_back || unwritten() {
                true => Some(ResendReason::Unsent),
                false => reason(&error, untouched),
            };
            Failed { error: told(error), again, given_back }
        })?;
        match lines_size(response.headers()) > LARGEST_HEAD {
            true => Err(Error::ResponseHeadTooLarge.into()),
            false => Ok(response),
        }
    }

    /// Waits for a connection. The second part of the result is whether it was used before.
    async fn wait(&self, origin: &Origin, new: bool) -> Result<(Connection, bool)> {
        self.0.connector.check(&origin.with_path(PathAndQuery::from_static("/"))?)?;
        for _ in 0..RUNTIMES {
            let (waiter, arrives) = oneshot::channel();
            self.0.enqueue(origin, Waiter::new(waiter, new));
            if let Ok(arrived) = arrives.await {
                return arrived;
            }
            // The runtime of the task that was connecting has ended, and this one continues.
        }
        Err(Error::Connect("the async runtime has ended".into()))
    }
}

/// Sends a request on a stream of an HTTP/2 connection. The second part of an error is whether the
/// connection was kept and nothing has arrived on it since.
async fn send_on_http2(
    mut sender: http2::SendRequest<reqwest::Body>,
    slot: Slot,
    request: Request<reqwest::Body>,
    kept: bool,
) -> Result<Response<ArrivingBody>, (TrySendError<Request<reqwest::Body>>, bool)> {
    let state = slot.0.clone();
    let mut sending = pin!(sender.try_send_request(request));
    // Dropped before `sending`, whose end makes the connection write.
    let mut waiting = AwaitedHead { reads: state.reads(), state: &state, over: false };
    let sent = sending.as_mut().await;
    waiting.over = true;
    let silent = waiting.is_silent();
    drop(waiting);
    match sent {
        Ok(response) => Ok(response.map(|body| ArrivingBody::new(body, Some(slot)))),
        Err(failed) => Err((failed, kept && silent)),
    }
}

/// The wait for the head of a response in HTTP/2. If the call is given up and nothing has arrived
/// on the connection since it began, the connection may be dead.
struct AwaitedHead<'a> {
    state: &'a ConnectionState,
    reads: u64,
    /// Whether the wait ended by itself.
    over: bool,
}

impl AwaitedHead<'_> {
    fn is_silent(&self) -> bool {
        self.state.reads() == self.reads
    }
}

impl Drop for AwaitedHead<'_> {
    fn drop(&mut self) {
        if !self.over && self.is_silent() {
            self.state.doubt();
        }
    }
}

/// The reason why a request that failed with `error` may be sent again. `untouched` means that its
/// connection was kept and that nothing has arrived on it since the request.
fn reason(error: &hyper::Error, untouched: bool) -> Option<ResendReason> {
    match h2_error(error) {
        // h2 reports the peer's GOAWAY only for streams after the last one that it names.
        Some(error) if error.is_go_away() && error.is_remote() => match error.reason() {
            Some(h2::Reason::NO_ERROR) => Some(ResendReason::GoAway),
            _ => Some(ResendReason::GoAwayForError),
        },
        Some(error) if error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM) => {
            Some(ResendReason::Refused)
        }
        Some(error) if !error.is_io() => None,
        _ => {
            let ended = error.is_incomplete_message()
                || error.is_closed()
                || causes(error).any(|cause| cause.is::<std::io::Error>());
            (untouched && ended && !error.is_user()).then_some(ResendReason::Closed)
        }
    }
}

/// Whether this process, or the whole system, has no file descriptor left.
fn lacks_descriptor(error: &Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    let Error::Connect(error) = error else { return false };
    let os = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error)
    };
    causes(&**error).any(|cause| matches!(os(cause), Some(ENFILE | EMFILE)))
}

/// The size of a head as HTTP/2 counts it (RFC 9113 §6.5.2).
pub(crate) fn head_size(request: &Request<reqwest::Body>) -> usize {
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    lines_size(request.headers()) + path
}

fn lines_size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD).sum()
}

/// Refuses a head that the upstream does not take: it would end the connection, and all calls on
/// it.
fn refuse_large_head(
    request: &Request<reqwest::Body>,
    growth: usize,
    most: u32,
) -> Result<(), Failed> {
    if most == u32::MAX {
        return Ok(());
    }
    let authority = request.uri().authority().map_or(0, |authority| authority.as_str().len());
    let size = head_size(request) + growth + authority + PSEUDO_HEADERS;
    match size <= most as usize {
        true => Ok(()),
        false => Err(Error::HeadTooLarge { size, most }.into()),
    }
}

/// The error for the caller.
fn told(error: hyper::Error) -> Error {
    match h2_error(&error).and_then(h2::Error::reason) {
        Some(h2::Reason::HTTP_1_1_REQUIRED) => Error::NeedsHttp1,
        _ => Error::Exchange(error),
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    causes(error).find_map(|cause| cause.downcast_ref::<h2::Error>())
}

/// A new connection, before its first call.
enum Made {
    Http1(http1::SendRequest<reqwest::Body>, Arc<ConnectionState>),
    Http2(http2::SendRequest<reqwest::Body>, Arc<ConnectionState>),
}

impl Inner {
    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut hosts = self.hosts();
        let index = hosts.position(origin)?;
        let host = &mut hosts.list[index];
        // Others came first.
        if host.waiters.is_empty() { host.take(index) } else { None }
    }

    /// Keeps a connection for the next request. The connection becomes ready when its current
    /// response has been read.
    fn keep(
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
    async fn connect(self: Arc<Inner>, origin: Origin, freed: Arc<Notify>) -> Result<Made> {
        let to = origin.with_path(PathAndQuery::from_static("/"))?;
        let connected = match self.connector.connect(to.clone(), freed.clone()).await {
            Err(error) if lacks_descriptor(&error) && close_idle_connections() > 0 => {
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
        builder.initial_stream_window_size(STREAM_WINDOW);
        builder.max_header_list_size(LARGEST_HEAD_ON_HTTP2);
        let (sender, driver) = builder.handshake(stream).await.map_err(failed)?;
        tokio::spawn(driver);
        Ok(Made::Http2(sender, state))
    }

    /// Starts the reaper if it is not running.
    fn keep_reaping(self: &Arc<Inner>) {
        let mut reaper = self.reaper.lock().unwrap_or_else(PoisonError::into_inner);
        if reaper.as_ref().is_none_or(JoinHandle::is_finished) {
            *reaper = Some(tokio::spawn(reap(Arc::downgrade(self), self.idle_for)));
        }
    }
}

/// Closes connections that have been idle for `idle_for`; ends when the pool has been dropped.
async fn reap(pool: Weak<Inner>, idle_for: Duration) {
    let mut next = Instant::now() + idle_for.min(LONGEST_WAIT);
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let oldest = pool.hosts().close_idle(now.checked_sub(idle_for), now);
        next = oldest.unwrap_or(now) + idle_for.min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests;
