//! The listener of one address: accepts connections, passes each call to the handler, and drains
//! when the address is closed.

use crate::call::body::ToCaller;
use crate::call::forward::{self, CallerInfo};
use crate::framing::connection_state::ConnectionState;
use crate::framing::machine::Limits;
use crate::framing::strict_stream::{StrictStream, Timeouts};
use crate::route::ActiveRoute;
use crate::rules::callers::Peer;
use crate::rules::http2_head;
use crate::rules::problem::{ERROR, NO_RESOURCES, OVERLOADED, Problem};
use crate::server::places::{ListenId, MADE_ROOM, NoPlace, Place, Places};
use crate::startup::sockets::Socket;
use crate::stats::repeats::{self, Repeats};
use crate::upstream_slots::UpstreamSlots;
use arc_swap::ArcSwap;
use bootseal_core::Listen;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The number of bytes that the kernel takes beyond those that the caller's own buffer has room for.
/// A caller that does not read holds no more than this, and one that reads is not slowed down.
#[cfg(unix)]
const UNSENT: u32 = 64 * 1024;

/// The pause after a failed accept, for example when the process has no descriptor left.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);
/// The longest time after which the listener looks for a place again.
const PLACE_RETRY: Duration = Duration::from_millis(100);
/// Concurrent streams of one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// The number of bytes of a response that wait for the caller in HTTP/2, per call.
const SEND_BUFFER: usize = 16 * 1024;
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
                // Connections inherit it.
                #[cfg(target_os = "linux")]
                socket2::SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT)?;
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

impl Accepted {
    fn peer(&self) -> io::Result<Peer> {
        Ok(match self {
            Accepted::Tcp(stream) => Peer::Tcp(stream.peer_addr()?.ip()),
            #[cfg(unix)]
            Accepted::Unix(stream) => {
                Peer::Unix(stream.peer_cred().ok().map(|credentials| credentials.uid()))
            }
        })
    }

    /// Answers that there is no place, as far as that is possible at once, and closes the
    /// connection.
    fn refuse(self) {
        let _ = match self {
            Accepted::Tcp(stream) => {
                stream.into_std().and_then(|mut stream| stream.write(OVERLOADED.as_bytes()))
            }
            #[cfg(unix)]
            Accepted::Unix(stream) => {
                stream.into_std().and_then(|mut stream| stream.write(OVERLOADED.as_bytes()))
            }
        };
    }
}

/// What the connections of an address share.
#[derive(Clone)]
pub(crate) struct Serving {
    pub(crate) places: Arc<Places>,
    pub(crate) timeouts: Timeouts,
    pub(crate) upstreams: Arc<UpstreamSlots>,
}

/// Serves one socket until `closing` contains a drain time; calls in flight and upgraded
/// connections then have that long to end.
pub(crate) async fn serve<H: Handler>(
    listen: Listen,
    socket: Socket,
    handler: Arc<H>,
    serving: Serving,
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
    let places = serving.places.clone();
    let listen_id = places.add_listen();
    let mut server = Server {
        handler,
        builder: builder(),
        graceful: GracefulShutdown::new(),
        loopback,
        until,
        connections: JoinSet::new(),
        listen: listen_id,
        serving,
        refusals: Arc::new(Refusals { listen: listen.clone(), logged: Repeats::default() }),
    };
    let mut upkeep = tokio::time::interval(repeats::INTERVAL);
    let drain = loop {
        tokio::select! {
            drain = close_requested(&mut closing) => break drain,
            accepted = listener.accept() => {
                let placed = async {
                    if let Err(error) = server.accepted(accepted).await {
                        server.refusals.not_accepted(&error);
                        tokio::time::sleep(ACCEPT_RETRY).await;
                    }
                };
                tokio::select! {
                    drain = close_requested(&mut closing) => break drain,
                    () = placed => {}
                }
            }
            _ = upkeep.tick() => server.refusals.log_due(),
            // Frees the memory of connections that ended.
            Some(_) = server.connections.join_next() => {}
        }
    };
    drop(listener);
    places.remove_listen(listen_id);
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

/// The log lines about refused connections and calls of one address: at most one in 10 s for each
/// kind, with their number.
struct Refusals {
    listen: Listen,
    logged: Repeats,
}

impl Refusals {
    /// Logs the number of refusals that no line contains yet.
    fn log_due(&self) {
        for (why, times) in self.logged.due() {
            tracing::info!(listen = %self.listen, why, times, "further connections or calls were refused");
        }
    }

    fn not_accepted(&self, error: &io::Error) {
        if let Some(connections) = self.logged.count("not accepted") {
            tracing::warn!(listen = %self.listen, connections, %error, "a connection could not be accepted");
        }
    }

    fn no_place(&self, why: NoPlace) {
        if let Some(times) = self.logged.count(why.why()) {
            tracing::warn!(listen = %self.listen, why = why.why(), times, "a connection gets no place; the number of places follows from the limit on open files (ulimit -n, LimitNOFILE=)");
        }
    }

    fn closed(&self, why: &'static str) {
        if let Some(connections) = self.logged.count(why) {
            let what = match why {
                MADE_ROOM => "closed a silent connection, whose place another one needed",
                _ => "closed a connection: the caller broke the rules of HTTP/1.1 or a time limit",
            };
            tracing::info!(listen = %self.listen, why, connections, "{what}");
        }
    }

    fn call(&self, problem: &Problem) {
        if let Some(calls) = self.logged.count(problem.name) {
            tracing::info!(listen = %self.listen, error = problem.name, calls, "{}", problem.detail());
        }
    }
}

fn count_refused(why: &'static str) {
    metrics::counter!("bootseal_gateway_refused_connections_total", "why" => why).increment(1);
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
        // Also the number of bytes of a response that wait for the caller; it must be larger than a
        // head.
        .max_buf_size(MAX_HEAD + 1024);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEAD as u32)
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(256 * 1024)
        .max_send_buf_size(SEND_BUFFER);
    builder
}

struct Server<H> {
    handler: Arc<H>,
    builder: Builder<TokioExecutor>,
    graceful: GracefulShutdown,
    loopback: bool,
    until: watch::Receiver<()>,
    connections: JoinSet<()>,
    listen: ListenId,
    serving: Serving,
    refusals: Arc<Refusals>,
}

impl<H: Handler> Server<H> {
    /// Serves an accepted connection once there is a place for it.
    async fn accepted(&mut self, accepted: io::Result<Accepted>) -> io::Result<()> {
        let accepted = accepted.inspect_err(|error| {
            if bootseal::is_out_of_descriptors(error) {
                make_room(&self.serving.places);
            }
        })?;
        let peer = accepted.peer()?;
        let state = Arc::new(ConnectionState::default());
        let place = loop {
            match self.serving.places.take(self.listen, peer, &state) {
                Ok(place) => break place,
                Err(NoPlace::PeerFull) => {
                    self.refusals.no_place(NoPlace::PeerFull);
                    count_refused(NoPlace::PeerFull.why());
                    accepted.refuse();
                    return Ok(());
                }
                Err(NoPlace::Full) => {
                    self.refusals.no_place(NoPlace::Full);
                    self.serving.places.freed(PLACE_RETRY).await;
                }
            }
        };
        match accepted {
            Accepted::Tcp(stream) => {
                stream.set_nodelay(true)?;
                self.connection(stream, peer, state, place);
            }
            #[cfg(unix)]
            Accepted::Unix(stream) => {
                socket2::SockRef::from(&stream).set_send_buffer_size(UNSENT as usize)?;
                self.connection(stream, peer, state, place);
            }
        }
        Ok(())
    }

    fn connection<S>(&mut self, stream: S, peer: Peer, state: Arc<ConnectionState>, place: Place)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let caller = Arc::new(CallerInfo {
            peer,
            loopback: self.loopback,
            connection: state.clone(),
            upstreams: self.serving.upstreams.clone(),
            until: self.until.clone(),
        });
        let stream =
            StrictStream::new(stream, Limits::default(), self.serving.timeouts, state.clone());
        let (handler, places) = (self.handler.clone(), self.serving.places.clone());
        let (refusals, of_calls) = (self.refusals.clone(), self.refusals.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let (handler, caller, places) = (handler.clone(), caller.clone(), places.clone());
            let refusals = of_calls.clone();
            // Boxed once: unboxed it would be copied into each future on the way.
            let request = Box::new(request);
            async move {
                if request.version() == Version::HTTP_2
                    && let Err(problem) = http2_head::check(request.uri(), request.headers())
                {
                    metrics::counter!("bootseal_gateway_errors_total", "route" => "", "error" => problem.name).increment(1);
                    refusals.call(&problem);
                    return Ok(ToCaller::own(problem.response("")));
                }
                let connection = caller.connection.clone();
                let response = handler.handle(caller, request).await;
                if is_out_of_descriptors(&response) {
                    // The connection of this caller is not one of those to close.
                    connection.begin_call();
                    make_room(&places);
                    connection.end_call();
                }
                Ok::<_, Infallible>(response)
            }
        });
        let connection = self.builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
        let connection = self.graceful.watch(connection.into_owned());
        self.connections.spawn(async move {
            let _place = place;
            let ended = tokio::select! {
                ended = connection => ended,
                () = state.evicted() => Ok(()),
            };
            if let Err(error) = ended {
                // At debug level: callers may disconnect at any time.
                tracing::debug!(%error, "a connection ended");
            }
            if let Some(why) = state.refused() {
                count_refused(why);
                refusals.closed(why);
            }
        });
    }
}

/// Closes a connection that nobody uses, so that its descriptor serves another one: first those to
/// upstreams, then the caller that has been silent for the longest time.
fn make_room(places: &Places) {
    places.note_shortage();
    if bootseal::close_idle_connections() == 0 {
        places.evict();
    }
}

/// Whether a call failed because the process has no descriptor left.
fn is_out_of_descriptors(response: &Response<ToCaller>) -> bool {
    response.status() == StatusCode::SERVICE_UNAVAILABLE
        && response.headers().get(ERROR).is_some_and(|error| error == NO_RESOURCES)
}
