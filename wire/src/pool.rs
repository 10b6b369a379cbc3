//! The connection pool: a request takes a connection that is ready for it, or waits for a new one.

use crate::body::ArrivingBody;
use crate::connect::Connector;
use crate::connection::state::{ConnectionState, Slot};
use crate::error::{Error, Result, causes};
use crate::pool::connections::Connections;
use crate::pool::host::Origin;
use crate::pool::waiter::{Connection, Waiter};
use crate::resend::ResendReason;
use http::header::{Entry, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, Request, Response, Uri};
use hyper::client::conn::{TrySendError, http2};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

mod waiting;

pub(crate) mod connections;

pub(crate) mod host;

mod waiter;

/// The number of runtimes in which a connection is tried, if one after the other ends.
const RUNTIMES: u32 = 3;
/// A head that has not come after this time is late.
const LATE: Duration = Duration::from_millis(500);
/// What HTTP/2 counts for each header beside its name and value.
const HEADER_OVERHEAD: usize = 32;
/// The size of the names of the four pseudo-headers, with this overhead and method and scheme.
const PSEUDO_HEADERS: usize = 4 * HEADER_OVERHEAD + 33 + 16;
/// The largest head of a response.
const LARGEST_HEAD: usize = 256 << 10;

/// The connections of one client.
pub(crate) struct Pool(Arc<Connections>);

/// The secrets in the head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecretHead {
    /// The number of the first placeholder.
    pub(crate) number: Option<u64>,
    /// By how much the secrets are longer than their placeholders.
    pub(crate) growth: usize,
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
        Pool(Connections::new(connector, idle_per_host, idle_for))
    }

    /// Closes the connections without calls, and returns their number.
    pub(crate) fn close_idle(&self) -> usize {
        self.0.hosts().close_unused()
    }

    /// Takes the request out of `request` and sends it to `origin`; passing the request by value
    /// would copy it at each step. If `new` is true, no kept HTTP/1.1 connection is used.
    /// `unwritten` says whether the request's head was never written.
    pub(crate) async fn send(
        &self,
        request: &mut Request<reqwest::Body>,
        origin: &Origin,
        new: bool,
        head: SecretHead,
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
            Connection::Http2 { sender, mut slot } => {
                // In HTTP/2, scheme and host are in the URI.
                *request.uri_mut() = origin.with_path(path)?;
                refuse_large_head(request, head.growth, slot.state.max_head())?;
                slot.begin(head.number);
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
        self.0.check(&origin.with_path(PathAndQuery::from_static("/"))?)?;
        for _ in 0..RUNTIMES {
            let (waiter, arrives) = oneshot::channel();
            waiting::enqueue(&self.0, origin, Waiter::new(waiter, new));
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
    let state = slot.state.clone();
    let mut sending = pin!(sender.try_send_request(request));
    // Dropped before `sending`, whose end makes the connection write.
    let (reads, since) = (state.reads(), Instant::now());
    let mut waiting = AwaitedHead { reads, state: &state, since, over: false };
    let sent = sending.as_mut().await;
    waiting.over = true;
    let silent = waiting.is_silent();
    drop(waiting);
    match sent {
        Ok(response) => Ok(response.map(|body| ArrivingBody::new(body, Some(slot)))),
        Err(failed) => Err((failed, kept && silent)),
    }
}

/// The wait for the head of a response in HTTP/2. If the call is given up late and nothing has
/// arrived on the connection since it began, the connection may be dead.
struct AwaitedHead<'a> {
    state: &'a ConnectionState,
    reads: u64,
    since: Instant,
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
        if !self.over && self.is_silent() && self.since.elapsed() >= LATE {
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

#[cfg(test)]
mod tests;
