//! The listener of one address: accepts connections, passes each call to the handler, and drains
//! when the address is closed.

use crate::call::body::ToCaller;
use crate::call::forward::{self, CallerInfo};
use crate::framing::connection_state::ConnectionState;
use crate::framing::machine::Limits;
use crate::framing::strict_stream::{StrictStream, Timeouts};
use crate::route::{ActiveRoute, LOG_INTERVAL};
use crate::rules::callers::Peer;
use crate::startup::sockets::Socket;
use arc_swap::ArcSwap;
use bootseal_core::Listen;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};
use tokio::task::JoinSet;

/// The pause after a failed accept, for example when the process has no descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// Concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// Bytes of a head, as in the strict framing of HTTP/1.1.
const MAX_HEAD: usize = 32 * 1024;

/// Answers the calls of an address.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(
        self: Arc<Self>,
        caller: Arc<CallerInfo>,
        request: Box<Request<Incoming>>,
    ) -> impl Future<Output = Response<ToCaller>> + Send;
}

/// The routes of one address, replaced as a whole by a reload.
pub(crate) struct Routes(pub(crate) ArcSwap<Vec<Arc<ActiveRoute>>>);

impl Handler for Routes {
    async fn handle(
        self: Arc<Self>,
        caller: Arc<CallerInfo>,
        request: Box<Request<Incoming>>,
    ) -> Response<ToCaller> {
        let routes = self.0.load_full();
        forward::response(&caller, &routes, request).await
    }
}

enum Listener {
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl Listener {
    fn of(socket: Socket) -> io::Result<Listener> {
        match socket {
            Socket::Tcp(socket) => {
                socket.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(socket).map(Listener::Tcp)
            }
            #[cfg(unix)]
            Socket::Unix(socket) => {
                socket.set_nonblocking(true)?;
                tokio::net::UnixListener::from_std(socket).map(Listener::Unix)
            }
        }
    }

    async fn accept(&self) -> io::Result<Accepted> {
        Ok(match self {
            Listener::Tcp(listener) => Accepted::Tcp(listener.accept().await?.0),
            #[cfg(unix)]
            Listener::Unix(listener) => Accepted::Unix(listener.accept().await?.0),
        })
    }
}

enum Accepted {
    Tcp(tokio::net::TcpStream),
    #[cfg(unix)]
    Unix(tokio::net::UnixStream),
}

/// Serves one socket until `closing` contains a drain time; calls in flight and upgraded
/// connections then have that long to end. `slots` has one permit for each connection.
pub(crate) async fn serve<H: Handler>(
    listen: Listen,
    socket: Socket,
    handler: Arc<H>,
    slots: Arc<Semaphore>,
    mut closing: watch::Receiver<Option<Duration>>,
) {
    let listener = match Listener::of(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%listen, %error, "this address cannot be served"),
    };
    let loopback = matches!(&listen, Listen::Tcp(address) if address.ip().is_loopback());
    // Every connection, upgraded or not, holds a receiver: `ended.closed()` waits for all of them,
    // and dropping `ended` ends the upgraded ones.
    let (ended, until) = watch::channel(());
    let mut server = Server {
        handler,
        builder: builder(),
        graceful: GracefulShutdown::new(),
        loopback,
        until,
        connections: JoinSet::new(),
    };
    let mut slots_logged = None;
    let drain = loop {
        let permit = tokio::select! {
            drain = close_requested(&mut closing) => break drain,
            permit = acquire_slot(&slots, &listen, &mut slots_logged) => permit,
        };
        tokio::select! {
            drain = close_requested(&mut closing) => break drain,
            accepted = listener.accept() => {
                if let Err(error) = accepted.and_then(|accepted| server.accepted(accepted, permit)) {
                    tracing::warn!(%listen, %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
            // Frees the memory of connections that ended.
            Some(_) = server.connections.join_next() => {}
        }
    };
    drop(listener);
    #[cfg(unix)]
    if let Listen::Unix(path) = &listen {
        let _ = std::fs::remove_file(path);
    }
    // Dropping the set aborts what is left when this function returns.
    let Server { graceful, until, connections: _connections, .. } = server;
    drop(until);
    let all = async {
        graceful.shutdown().await;
        ended.closed().await;
    };
    if tokio::time::timeout(drain, all).await.is_err() {
        tracing::warn!(%listen, "calls that did not end within {drain:?} were cut off");
    }
}

/// Waits for a free connection slot. `logged` is the time of the last log line about missing slots.
async fn acquire_slot(
    slots: &Arc<Semaphore>,
    listen: &Listen,
    logged: &mut Option<Instant>,
) -> Option<OwnedSemaphorePermit> {
    match slots.clone().try_acquire_owned() {
        Ok(permit) => return Some(permit),
        Err(TryAcquireError::Closed) => return None,
        Err(TryAcquireError::NoPermits)
            if logged.is_some_and(|last| last.elapsed() < LOG_INTERVAL) => {}
        Err(TryAcquireError::NoPermits) => {
            *logged = Some(Instant::now());
            tracing::warn!(%listen, "all connection slots are in use, and new connections wait; the number of slots follows from the limit on open files (ulimit -n, LimitNOFILE=)");
        }
    }
    slots.clone().acquire_owned().await.ok()
}

/// Waits until the address must be closed, and returns the time that calls in flight have to end.
async fn close_requested(closing: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match closing.wait_for(Option::is_some).await {
        Ok(drain) => drain.unwrap_or_default(),
        Err(_) => Duration::ZERO,
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // The strict stream has the time limits; hyper's would need a timer for each call.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(256 * 1024);
    builder
}

struct Server<H> {
    handler: Arc<H>,
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    loopback: bool,
    until: watch::Receiver<()>,
    connections: JoinSet<()>,
}

impl<H: Handler> Server<H> {
    fn accepted(
        &mut self,
        accepted: Accepted,
        permit: Option<OwnedSemaphorePermit>,
    ) -> io::Result<()> {
        match accepted {
            Accepted::Tcp(stream) => {
                stream.set_nodelay(true)?;
                self.connection(stream, Peer::Tcp, permit);
            }
            #[cfg(unix)]
            Accepted::Unix(stream) => {
                let uid = stream.peer_cred().ok().map(|credentials| credentials.uid());
                self.connection(stream, Peer::Unix(uid), permit);
            }
        }
        Ok(())
    }

    fn connection<S>(&mut self, stream: S, peer: Peer, permit: Option<OwnedSemaphorePermit>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let state = Arc::new(ConnectionState::default());
        let caller = Arc::new(CallerInfo {
            peer,
            loopback: self.loopback,
            connection: state.clone(),
            until: self.until.clone(),
        });
        let stream =
            StrictStream::new(stream, Limits::default(), Timeouts::default(), state.clone());
        let handler = self.handler.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, caller) = (handler.clone(), caller.clone());
            // Boxed once: unboxed it would be copied into each future on the way.
            let request = Box::new(request);
            async move { Ok::<_, Infallible>(handler.handle(caller, request).await) }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection.into_owned());
        self.connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                // At debug level: callers may disconnect at any time.
                tracing::debug!(%error, "a connection ended");
            }
            if let Some(why) = state.refused() {
                metrics::counter!("bootseal_gateway_refused_connections_total", "why" => why)
                    .increment(1);
                tracing::info!(
                    why,
                    "closed a connection: the caller broke the rules of HTTP/1.1 or a time limit"
                );
            }
        });
    }
}
