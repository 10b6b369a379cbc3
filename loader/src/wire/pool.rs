//! On which connection does a call go? On the newest whose last answer has come in, else on a new one.

use crate::error::Error;
use crate::wire::connect::Connector;
use bootseal_core::Kind;
use http::header::{Entry, HOST};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Response, Uri, uri};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

type Boxed = Box<dyn std::error::Error + Send + Sync>;

/// The connections of one client.
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    idle_per_host: usize,
    idle_for: Duration,
    kept: Mutex<IdleConnections>,
}

#[derive(Default)]
struct IdleConnections {
    /// None is ever taken out: a profile has few.
    hosts: Vec<Host>,
    /// Ends what was idle for too long.
    reaper: Option<JoinHandle<()>>,
}

struct Host {
    origin: Origin,
    name: Option<HeaderValue>,
    /// The newest last.
    idle: VecDeque<(http1::SendRequest<reqwest::Body>, Instant)>,
    /// All calls go on one, which was last asked for then.
    http2: Option<(http2::SendRequest<reqwest::Body>, Instant)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
}

enum Connection {
    /// With the place of its host, and that one's name.
    Http1(http1::SendRequest<reqwest::Body>, usize, Option<HeaderValue>),
    Http2(http2::SendRequest<reqwest::Body>),
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Failed {
    Ours(Error),
    /// No byte of the call was sent.
    Connect(Boxed),
    Http(hyper::Error),
}

impl Pool {
    pub(crate) fn new(connector: Connector, idle_per_host: usize, idle_for: Duration) -> Pool {
        let idle_per_host = if idle_for.is_zero() { 0 } else { idle_per_host };
        Pool(Arc::new(Inner { connector, idle_per_host, idle_for, kept: Mutex::default() }))
    }

    /// Sends `request`, which it takes out of its place: what is passed on by value is copied at each step. Where a connection turns out to have
    /// been closed before any of it was written, it goes on another.
    pub(crate) async fn send(&self, request: &mut Request<reqwest::Body>) -> Result<Response<Incoming>, Failed> {
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority().cloned()) else {
            return Err(Failed::Ours(Error::new(Kind::Usage, "the call's URL has no scheme and host")));
        };
        let origin = Origin { scheme, authority };
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        // As HTTP/1.1 asks: by the path, the host in a header (RFC 9112 §3.2.1).
        *request.uri_mut() = Uri::from(path);
        loop {
            let (connection, reused) = match self.0.take(&origin) {
                Some(connection) => (connection, true),
                // On the heap, as what is rare: room for it would be made, and moved, for each call.
                None => Box::pin(self.connect(&origin)).await?,
            };
            let mut refused = match connection {
                Connection::Http1(mut connection, host, name) => {
                    if let (Entry::Vacant(place), Some(name)) = (request.headers_mut().entry(HOST), name) {
                        place.insert(name);
                    }
                    match connection.try_send_request(std::mem::take(request)).await {
                        Ok(response) => {
                            self.0.keep(connection, host);
                            return Ok(response);
                        }
                        Err(refused) => refused,
                    }
                }
                Connection::Http2(mut connection) => {
                    if let Some(path) = request.uri().path_and_query().filter(|_| request.uri().authority().is_none()) {
                        *request.uri_mut() = origin.with_path(path.clone())?;
                    }
                    match connection.try_send_request(std::mem::take(request)).await {
                        Ok(response) => return Ok(response),
                        Err(refused) => refused,
                    }
                }
            };
            match refused.take_message() {
                Some(unsent) if reused => *request = unsent,
                _ => return Err(Failed::Http(refused.into_error())),
            }
        }
    }

    /// A connection, and whether it was there already.
    async fn connect(&self, origin: &Origin) -> Result<(Connection, bool), Failed> {
        let to = origin.with_path(PathAndQuery::from_static("/"))?;
        let link = self.0.connector.connect(to).await.map_err(Failed::Connect)?;
        let failed = |error: hyper::Error| Failed::Connect(error.into());
        let is_http2 = link.is_http2();
        let link = TokioIo::new(link);
        if !is_http2 {
            let (connection, driven) = http1::handshake(link).await.map_err(failed)?;
            tokio::spawn(driven.with_upgrades());
            let mut kept = self.0.kept();
            self.keep_reaping(&mut kept);
            let at = kept.host(origin);
            return Ok((Connection::Http1(connection, at, kept.hosts[at].name.clone()), false));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (connection, driven) = builder.timer(TokioTimer::new()).handshake(link).await.map_err(failed)?;
        let mut kept = self.0.kept();
        self.keep_reaping(&mut kept);
        let at = kept.host(origin);
        let host = &mut kept.hosts[at];
        match &host.http2 {
            // Another call was faster: this connection is not needed.
            Some((other, _)) if !other.is_closed() => Ok((Connection::Http2(other.clone()), true)),
            _ => {
                tokio::spawn(driven);
                host.http2 = Some((connection.clone(), Instant::now()));
                Ok((Connection::Http2(connection), false))
            }
        }
    }

    /// Here, for a connection may come back where there is no runtime.
    fn keep_reaping(&self, kept: &mut IdleConnections) {
        if kept.reaper.as_ref().is_none_or(JoinHandle::is_finished) {
            kept.reaper = Some(tokio::spawn(reap(Arc::downgrade(&self.0), self.0.idle_for)));
        }
    }
}

/// Ends, time and again, what was idle for so long; until there is no pool any more.
async fn reap(pool: Weak<Inner>, idle_for: Duration) {
    // As long as tokio's timers can wait.
    let most = Duration::from_secs(365 * 24 * 60 * 60);
    let mut next = Instant::now() + idle_for.min(most);
    loop {
        tokio::time::sleep_until(next).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = Instant::now();
        let oldest = pool.kept().end_idle(now.checked_sub(idle_for));
        next = oldest.unwrap_or(now) + idle_for.min(most);
    }
}

impl IdleConnections {
    /// The place of a host.
    fn host(&mut self, origin: &Origin) -> usize {
        match self.hosts.iter().position(|host| host.origin == *origin) {
            Some(at) => at,
            None => {
                let name = origin.name();
                self.hosts.push(Host { origin: origin.clone(), name, idle: VecDeque::new(), http2: None });
                self.hosts.len() - 1
            }
        }
    }

    /// Drops what is idle since `since` or longer; since when the longest of the rest is.
    fn end_idle(&mut self, since: Option<Instant>) -> Option<Instant> {
        let old = |idle: Instant| since.is_some_and(|since| idle <= since);
        let mut oldest: Option<Instant> = None;
        for host in &mut self.hosts {
            let ended = host.idle.iter().take_while(|(_, idle)| old(*idle)).count();
            host.idle.drain(..ended);
            host.http2.take_if(|(_, idle)| old(*idle));
            let left =
                host.idle.front().map(|(_, idle)| *idle).into_iter().chain(host.http2.as_ref().map(|(_, idle)| *idle));
            oldest = oldest.into_iter().chain(left).min();
        }
        oldest
    }
}

impl Inner {
    fn kept(&self) -> MutexGuard<'_, IdleConnections> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For the next call, once the answer of this one has come in; until then it is not ready.
    fn keep(&self, connection: http1::SendRequest<reqwest::Body>, host: usize) {
        let mut kept = self.kept();
        if let Some(host) = kept.hosts.get_mut(host).filter(|host| host.idle.len() < self.idle_per_host) {
            host.idle.push_back((connection, Instant::now()));
        }
    }

    /// The newest that is ready: the others may become old. Those whose answers are long sink below it.
    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut kept = self.kept();
        let (at, host) = kept.hosts.iter_mut().enumerate().find(|(_, host)| host.origin == *origin)?;
        if let Some((connection, asked)) = &mut host.http2 {
            if !connection.is_closed() {
                *asked = Instant::now();
                return Some(Connection::Http2(connection.clone()));
            }
            host.http2 = None;
        }
        for place in (0..host.idle.len()).rev() {
            let connection = &host.idle[place].0;
            // Neither: its last answer has not ended.
            if (connection.is_closed() || connection.is_ready())
                && let Some((connection, _)) = host.idle.remove(place)
                && connection.is_ready()
            {
                return Some(Connection::Http1(connection, at, host.name.clone()));
            }
        }
        None
    }
}

impl Origin {
    /// What HTTP/1.1 says in `Host`; `None` for what is no header.
    fn name(&self) -> Option<HeaderValue> {
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        match self.authority.port_u16().filter(|port| *port != usual) {
            Some(port) => HeaderValue::from_str(&format!("{}:{port}", self.authority.host())).ok(),
            None => HeaderValue::from_str(self.authority.host()).ok(),
        }
    }

    fn with_path(&self, path: PathAndQuery) -> Result<Uri, Failed> {
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| Failed::Connect(error.into()))
    }
}

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::login::http_transport::Endpoint;
    use crate::wire::client::{Options, SecretClient};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A vendor that answers each head that it reads with `response`, and after `calls` of them closes the connection.
    struct Scripted {
        url: String,
        connections: Arc<AtomicUsize>,
        /// How often a connection was seen to end.
        ended: tokio::sync::mpsc::UnboundedReceiver<()>,
    }

    async fn scripted(response: &'static str, calls: usize) -> Scripted {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (end, ended) = tokio::sync::mpsc::unbounded_channel();
        let count = connections.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                let end = end.clone();
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    for _ in 0..calls {
                        while !read.ends_with(b"\r\n\r\n") {
                            if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                                return end.send(());
                            }
                        }
                        read.clear();
                        if stream.write_all(response.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                    end.send(())
                });
            }
        });
        Scripted { url, connections, ended }
    }

    const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";

    fn guarded(options: Options) -> SecretClient {
        SecretClient::new(&Endpoint::default(), &options, |_| Ok(())).unwrap()
    }

    async fn call(guarded: &SecretClient, vendor: &Scripted) -> Response<Incoming> {
        let mut request = Request::post(&vendor.url).body(reqwest::Body::default()).unwrap();
        guarded.once(&mut request, &[]).await.unwrap()
    }

    async fn read(response: Response<Incoming>) {
        use http_body_util::BodyExt;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }

    #[tokio::test]
    async fn a_connection_is_used_again_when_its_answer_has_ended() {
        let vendor = scripted(OK, usize::MAX).await;
        let guarded = guarded(Options::default());
        for _ in 0..3 {
            read(call(&guarded, &vendor).await).await;
        }
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
        // Nobody has to read it, where it has come in.
        let unread = call(&guarded, &vendor).await;
        drop(call(&guarded, &vendor).await);
        read(call(&guarded, &vendor).await).await;
        read(unread).await;
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn no_call_waits_for_an_answer_that_has_not_ended_and_who_gives_one_up_closes_its_connection() {
        let mut vendor = scripted(HALF, usize::MAX).await;
        let guarded = guarded(Options::default());
        let (one, other) = (call(&guarded, &vendor).await, call(&guarded, &vendor).await);
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
        drop((one, other));
        vendor.ended.recv().await.unwrap();
        vendor.ended.recv().await.unwrap();
    }

    #[tokio::test]
    async fn what_was_closed_while_idle_fails_no_call() {
        let vendor = scripted(OK, 1).await;
        let guarded = guarded(Options::default());
        for _ in 0..20 {
            read(call(&guarded, &vendor).await).await;
        }
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 20);
    }

    #[tokio::test]
    async fn what_is_idle_for_too_long_is_closed() {
        let mut vendor = scripted(OK, usize::MAX).await;
        let guarded = guarded(Options { idle_for: Duration::from_millis(20), ..Options::default() });
        read(call(&guarded, &vendor).await).await;
        vendor.ended.recv().await.unwrap();
        read(call(&guarded, &vendor).await).await;
        vendor.ended.recv().await.unwrap();
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn no_more_are_kept_than_may_be() {
        let mut vendor = scripted(OK, usize::MAX).await;
        let guarded = guarded(Options { idle_per_host: 1, ..Options::default() });
        let (one, other) = tokio::join!(call(&guarded, &vendor), call(&guarded, &vendor));
        read(one).await;
        read(other).await;
        vendor.ended.recv().await.unwrap();
        read(call(&guarded, &vendor).await).await;
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_host_is_named_as_it_is_asked_for() {
        for (url, name) in [
            ("http://a.example", "a.example"),
            ("http://a.example:80", "a.example"),
            ("https://a.example:443", "a.example"),
            ("https://a.example:80", "a.example:80"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            let uri: Uri = url.parse().unwrap();
            let origin = Origin { scheme: uri.scheme().unwrap().clone(), authority: uri.authority().unwrap().clone() };
            assert_eq!(origin.name().unwrap(), name, "{url}");
        }
    }
}
