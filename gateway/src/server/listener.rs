//! How is one address served? Connections are accepted, each call answered by the routes that are in force, and all let end when it is closed.

use crate::call::body::ToCaller;
use crate::call::forward::{self, CallerInfo};
use crate::framing::strict_stream::{Limits, Strict, Watch};
use crate::route::{ActiveRoute, TELL_EVERY};
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

/// Where there is no room for a connection, as when the process has no descriptor left.
const BREATH: Duration = Duration::from_millis(50);
/// Streams of one HTTP/2 connection.
const STREAMS: u32 = 256;
/// Bytes of heads, and of what is read ahead.
pub(crate) const HEAD: usize = 32 * 1024;

/// What answers the calls of an address.
pub(crate) trait Responses: Send + Sync + 'static {
    fn response(
        self: Arc<Self>,
        came: Arc<CallerInfo>,
        request: Box<Request<Incoming>>,
    ) -> impl Future<Output = Response<ToCaller>> + Send;
}

/// The routes of one address.
pub(crate) struct Routes(pub(crate) ArcSwap<Vec<Arc<ActiveRoute>>>);

impl Responses for Routes {
    async fn response(self: Arc<Self>, came: Arc<CallerInfo>, request: Box<Request<Incoming>>) -> Response<ToCaller> {
        let routes = self.0.load_full();
        forward::response(&came, &routes, request).await
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

/// Serves one socket until `open` is no longer so, and then lets calls in flight end, and connections that were upgraded, for `drain` at most.
pub(crate) async fn serve<A: Responses>(
    listen: Listen,
    socket: Socket,
    responses: Arc<A>,
    room: Arc<Semaphore>,
    mut open: watch::Receiver<Option<Duration>>,
) {
    let listener = match Listener::of(socket) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%listen, %error, "this address cannot be served"),
    };
    let loopback = matches!(&listen, Listen::Tcp(address) if address.ip().is_loopback());
    let (over, until) = watch::channel(());
    let mut server = Server {
        responses,
        builder: builder(),
        graceful: GracefulShutdown::new(),
        loopback,
        until,
        connections: JoinSet::new(),
    };
    let mut full = None;
    let drain = loop {
        let permit = tokio::select! {
            drain = closed(&mut open) => break drain,
            permit = place(&room, &listen, &mut full) => permit,
        };
        tokio::select! {
            drain = closed(&mut open) => break drain,
            accepted = listener.accept() => {
                if let Err(error) = accepted.and_then(|accepted| server.accepted(accepted, permit)) {
                    tracing::warn!(%listen, %error, "a connection was not accepted");
                    tokio::time::sleep(BREATH).await;
                }
            }
            // What ended gives its memory back.
            Some(_) = server.connections.join_next() => {}
        }
    };
    drop(listener);
    #[cfg(unix)]
    if let Listen::Unix(path) = &listen {
        let _ = std::fs::remove_file(path);
    }
    // Dropped, and with it ended, when this returns.
    let Server { graceful, until, connections: _connections, .. } = server;
    drop(until);
    let all = async {
        graceful.shutdown().await;
        // Each connection, upgraded or not, holds the other end.
        over.closed().await;
    };
    if tokio::time::timeout(drain, all).await.is_err() {
        tracing::warn!(%listen, "calls were cut off that did not end within {drain:?}");
    }
}

/// Waits until there is room for one more connection. `full`: when it was last told that there is none.
async fn place(room: &Arc<Semaphore>, listen: &Listen, full: &mut Option<Instant>) -> Option<OwnedSemaphorePermit> {
    match room.clone().try_acquire_owned() {
        Ok(permit) => return Some(permit),
        Err(TryAcquireError::Closed) => return None,
        Err(TryAcquireError::NoPermits) if full.is_some_and(|told| told.elapsed() < TELL_EVERY) => {}
        Err(TryAcquireError::NoPermits) => {
            *full = Some(Instant::now());
            tracing::warn!(%listen, "as many connections as are allowed: more have to wait. The limit of open files (ulimit -n, LimitNOFILE=) says how many");
        }
    }
    room.clone().acquire_owned().await.ok()
}

/// How long what is in flight may take, once the address is to be closed.
async fn closed(open: &mut watch::Receiver<Option<Duration>>) -> Duration {
    match open.wait_for(Option::is_some).await {
        Ok(drain) => drain.unwrap_or_default(),
        Err(_) => Duration::ZERO,
    }
}

fn builder() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        // `strict` has the limits of time; hyper's would need a timer for each call.
        .header_read_timeout(None)
        .max_buf_size(HEAD * 2);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD as u32)
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .max_send_buf_size(256 * 1024);
    builder
}

struct Server<A> {
    responses: Arc<A>,
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    loopback: bool,
    until: watch::Receiver<()>,
    connections: JoinSet<()>,
}

impl<A: Responses> Server<A> {
    fn accepted(&mut self, accepted: Accepted, permit: Option<OwnedSemaphorePermit>) -> io::Result<()> {
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
        let watch = Arc::new(Watch::default());
        let came =
            Arc::new(CallerInfo { peer, loopback: self.loopback, watch: watch.clone(), until: self.until.clone() });
        let stream = Strict::new(stream, Limits::default(), watch.clone());
        let responses = self.responses.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (responses, came) = (responses.clone(), came.clone());
            // Once, in place of with each future that it goes through.
            let request = Box::new(request);
            async move { Ok::<_, Infallible>(responses.response(came, request).await) }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection.into_owned());
        self.connections.spawn(async move {
            let _permit = permit;
            if let Err(error) = connection.await {
                // A caller that goes away is no event.
                tracing::debug!(%error, "a connection ended");
            }
            if let Some(why) = watch.refused() {
                metrics::counter!("bootseal_gateway_refused_connections_total", "why" => why).increment(1);
                tracing::info!(why, "a connection was ended: it was not HTTP by the letter");
            }
        });
    }
}
