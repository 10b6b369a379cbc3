//! The connection pool: a request takes the newest connection whose last response has ended, or a
//! new connection.

use crate::connect::{Connected, Connector};
use crate::error::{Error, Result};
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

/// The longest time that the reaper waits: a year is within the range that tokio's timers support.
const LONGEST_WAIT: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// The connections of one client.
pub(crate) struct Pool(Arc<Inner>);

struct Inner {
    connector: Connector,
    idle_per_host: usize,
    idle_for: Duration,
    idle: Mutex<IdleConnections>,
}

#[derive(Default)]
struct IdleConnections {
    /// The hosts. None is ever removed, so that each index stays valid; a profile has only a few
    /// hosts.
    hosts: Vec<Host>,
    /// The task that closes connections that have been idle for too long.
    reaper: Option<JoinHandle<()>>,
}

struct Host {
    origin: Origin,
    /// The value of `Host` in HTTP/1.1.
    name: Option<HeaderValue>,
    /// HTTP/1.1 connections, the newest last, each with the time since which it has been idle. A
    /// connection whose response is still being read is in this list too, but is not ready.
    http1: VecDeque<(http1::SendRequest<reqwest::Body>, Instant)>,
    /// The only HTTP/2 connection, which all requests share, and the time of its last use.
    http2: Option<(http2::SendRequest<reqwest::Body>, Instant)>,
}

#[derive(Clone, PartialEq, Eq)]
struct Origin {
    scheme: Scheme,
    authority: Authority,
}

enum Connection {
    Http1 {
        sender: http1::SendRequest<reqwest::Body>,
        /// The index of its host in [`IdleConnections::hosts`].
        host: usize,
        name: Option<HeaderValue>,
    },
    Http2(http2::SendRequest<reqwest::Body>),
}

impl Pool {
    pub(crate) fn new(connector: Connector, idle_per_host: usize, idle_for: Duration) -> Pool {
        let idle_per_host = if idle_for.is_zero() { 0 } else { idle_per_host };
        Pool(Arc::new(Inner { connector, idle_per_host, idle_for, idle: Mutex::default() }))
    }

    /// Takes the request out of `request` and sends it; passing the request by value would copy it
    /// at each step. If a connection was closed before any byte of the request was written, the
    /// request is sent on another connection.
    pub(crate) async fn send(
        &self,
        request: &mut Request<reqwest::Body>,
    ) -> Result<Response<Incoming>> {
        let uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme().cloned(), uri.authority().cloned())
        else {
            return Err(Error::Unusable("the request's URL has no scheme and host".into()));
        };
        let origin = Origin { scheme, authority };
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        // In HTTP/1.1, the URI is only the path, and the host is in a header (RFC 9112 §3.2.1).
        *request.uri_mut() = Uri::from(path);
        loop {
            let (connection, reused) = match self.0.take(&origin) {
                Some(connection) => (connection, true),
                // Boxed, because this case is rare, and the future of every request would otherwise
                // contain space for it.
                None => Box::pin(self.connect(&origin)).await?,
            };
            let mut refused = match connection {
                Connection::Http1 { mut sender, host, name } => {
                    if let (Entry::Vacant(place), Some(name)) =
                        (request.headers_mut().entry(HOST), name)
                    {
                        place.insert(name);
                    }
                    match sender.try_send_request(std::mem::take(request)).await {
                        Ok(response) => {
                            self.0.keep(sender, host);
                            return Ok(response);
                        }
                        Err(refused) => refused,
                    }
                }
                Connection::Http2(mut sender) => {
                    // In HTTP/2, scheme and host are in the URI.
                    if let Some(path) = request
                        .uri()
                        .path_and_query()
                        .filter(|_| request.uri().authority().is_none())
                    {
                        *request.uri_mut() = origin.with_path(path.clone())?;
                    }
                    match sender.try_send_request(std::mem::take(request)).await {
                        Ok(response) => return Ok(response),
                        Err(refused) => refused,
                    }
                }
            };
            match refused.take_message() {
                Some(unsent) if reused => *request = unsent,
                _ => return Err(Error::Exchange(refused.into_error())),
            }
        }
    }

    /// Makes a new connection. If another request has made an HTTP/2 connection in the meantime,
    /// returns that connection and `true`.
    async fn connect(&self, origin: &Origin) -> Result<(Connection, bool)> {
        let Connected { stream, http2 } =
            self.0.connector.connect(origin.with_path(PathAndQuery::from_static("/"))?).await?;
        let failed = |error: hyper::Error| Error::Connect(error.into());
        let stream = TokioIo::new(stream);
        if !http2 {
            let (sender, driver) = http1::handshake(stream).await.map_err(failed)?;
            tokio::spawn(driver.with_upgrades());
            let mut idle = self.0.idle();
            self.keep_reaping(&mut idle);
            let host = idle.host(origin);
            let name = idle.hosts[host].name.clone();
            return Ok((Connection::Http1 { sender, host, name }, false));
        }
        let mut builder = http2::Builder::new(TokioExecutor::new());
        let (sender, driver) =
            builder.timer(TokioTimer::new()).handshake(stream).await.map_err(failed)?;
        let mut idle = self.0.idle();
        self.keep_reaping(&mut idle);
        let host = idle.host(origin);
        let host = &mut idle.hosts[host];
        match &host.http2 {
            Some((other, _)) if !other.is_closed() => Ok((Connection::Http2(other.clone()), true)),
            _ => {
                tokio::spawn(driver);
                host.http2 = Some((sender.clone(), Instant::now()));
                Ok((Connection::Http2(sender), false))
            }
        }
    }

    /// Starts the reaper if it is not running. It cannot be started where a connection is returned
    /// to the pool, because that may happen outside a runtime.
    fn keep_reaping(&self, idle: &mut IdleConnections) {
        if idle.reaper.as_ref().is_none_or(JoinHandle::is_finished) {
            idle.reaper = Some(tokio::spawn(reap(Arc::downgrade(&self.0), self.0.idle_for)));
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
        let oldest = pool.idle().close_idle(now.checked_sub(idle_for));
        next = oldest.unwrap_or(now) + idle_for.min(LONGEST_WAIT);
    }
}

impl IdleConnections {
    /// Returns the index of a host, which is added if it is new.
    fn host(&mut self, origin: &Origin) -> usize {
        match self.hosts.iter().position(|host| host.origin == *origin) {
            Some(at) => at,
            None => {
                let name = origin.host_header();
                self.hosts.push(Host {
                    origin: origin.clone(),
                    name,
                    http1: VecDeque::new(),
                    http2: None,
                });
                self.hosts.len() - 1
            }
        }
    }

    /// Drops the connections that have been idle since `since` or before. Returns the time since
    /// which the oldest remaining connection has been idle.
    fn close_idle(&mut self, since: Option<Instant>) -> Option<Instant> {
        let old = |idle: Instant| since.is_some_and(|since| idle <= since);
        let mut oldest: Option<Instant> = None;
        for host in &mut self.hosts {
            let closed = host.http1.iter().take_while(|(_, idle)| old(*idle)).count();
            host.http1.drain(..closed);
            host.http2.take_if(|(_, idle)| old(*idle));
            let left = host
                .http1
                .front()
                .map(|(_, idle)| *idle)
                .into_iter()
                .chain(host.http2.as_ref().map(|(_, idle)| *idle));
            oldest = oldest.into_iter().chain(left).min();
        }
        oldest
    }
}

impl Inner {
    fn idle(&self) -> MutexGuard<'_, IdleConnections> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a connection for the next request. The connection becomes ready when its current
    /// response has been read.
    fn keep(&self, sender: http1::SendRequest<reqwest::Body>, host: usize) {
        let mut idle = self.idle();
        if let Some(host) =
            idle.hosts.get_mut(host).filter(|host| host.http1.len() < self.idle_per_host)
        {
            host.http1.push_back((sender, Instant::now()));
        }
    }

    /// Returns the newest ready connection, so that older connections can expire. Connections with
    /// long responses move to older positions.
    fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut idle = self.idle();
        let (index, host) =
            idle.hosts.iter_mut().enumerate().find(|(_, host)| host.origin == *origin)?;
        if let Some((sender, asked)) = &mut host.http2 {
            if !sender.is_closed() {
                *asked = Instant::now();
                return Some(Connection::Http2(sender.clone()));
            }
            host.http2 = None;
        }
        for place in (0..host.http1.len()).rev() {
            let sender = &host.http1[place].0;
            // A connection that is neither closed nor ready has an unfinished response, and stays
            // in the list.
            if (sender.is_closed() || sender.is_ready())
                && let Some((sender, _)) = host.http1.remove(place)
                && sender.is_ready()
            {
                return Some(Connection::Http1 { sender, host: index, name: host.name.clone() });
            }
        }
        None
    }
}

impl Origin {
    /// The value of `Host` in HTTP/1.1, without the scheme's default port. `None` if it is not
    /// valid in a header.
    fn host_header(&self) -> Option<HeaderValue> {
        let usual = if self.scheme == Scheme::HTTPS { 443 } else { 80 };
        match self.authority.port_u16().filter(|port| *port != usual) {
            Some(port) => HeaderValue::from_str(&format!("{}:{port}", self.authority.host())).ok(),
            None => HeaderValue::from_str(self.authority.host()).ok(),
        }
    }

    fn with_path(&self, path: PathAndQuery) -> Result<Uri> {
        let mut parts = uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).map_err(|error| Error::Connect(error.into()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::client::{Options, SecretClient};
    use crate::endpoint::Endpoint;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// A vendor that sends `response` for each request head, and closes the connection after
    /// `calls` responses.
    struct Scripted {
        url: String,
        connections: Arc<AtomicUsize>,
        /// Receives a message for each connection that has ended.
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

    fn client(options: Options) -> SecretClient {
        SecretClient::new(&Endpoint::default(), &options, |_| Ok(())).unwrap()
    }

    async fn call(client: &SecretClient, vendor: &Scripted) -> Response<Incoming> {
        let mut request = Request::post(&vendor.url).body(reqwest::Body::default()).unwrap();
        client.send(&mut request, &[]).await.unwrap()
    }

    async fn read(response: Response<Incoming>) {
        use http_body_util::BodyExt;
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
    }

    #[tokio::test]
    async fn a_connection_is_reused_once_its_response_has_ended() {
        let vendor = scripted(OK, usize::MAX).await;
        let client = client(Options::default());
        for _ in 0..3 {
            read(call(&client, &vendor).await).await;
        }
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
        // A response that has arrived completely need not be read.
        let unread = call(&client, &vendor).await;
        drop(call(&client, &vendor).await);
        read(call(&client, &vendor).await).await;
        read(unread).await;
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn an_unfinished_response_blocks_no_call_and_dropping_it_closes_its_connection() {
        let mut vendor = scripted(HALF, usize::MAX).await;
        let client = client(Options::default());
        let (one, other) = (call(&client, &vendor).await, call(&client, &vendor).await);
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
        drop((one, other));
        vendor.ended.recv().await.unwrap();
        vendor.ended.recv().await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_closed_while_idle_fails_no_call() {
        let vendor = scripted(OK, 1).await;
        let client = client(Options::default());
        for _ in 0..20 {
            read(call(&client, &vendor).await).await;
        }
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 20);
    }

    #[tokio::test]
    async fn a_connection_that_is_idle_for_too_long_is_closed() {
        let mut vendor = scripted(OK, usize::MAX).await;
        let client = client(Options { idle_for: Duration::from_millis(20), ..Options::default() });
        read(call(&client, &vendor).await).await;
        vendor.ended.recv().await.unwrap();
        read(call(&client, &vendor).await).await;
        vendor.ended.recv().await.unwrap();
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn no_more_idle_connections_are_kept_than_allowed() {
        let mut vendor = scripted(OK, usize::MAX).await;
        let client = client(Options { idle_per_host: 1, ..Options::default() });
        let (one, other) = tokio::join!(call(&client, &vendor), call(&client, &vendor));
        read(one).await;
        read(other).await;
        vendor.ended.recv().await.unwrap();
        read(call(&client, &vendor).await).await;
        assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_host_header_omits_the_default_port() {
        for (url, name) in [
            ("http://a.example", "a.example"),
            ("http://a.example:80", "a.example"),
            ("https://a.example:443", "a.example"),
            ("https://a.example:80", "a.example:80"),
            ("http://[::1]:8080", "[::1]:8080"),
        ] {
            let uri: Uri = url.parse().unwrap();
            let origin = Origin {
                scheme: uri.scheme().unwrap().clone(),
                authority: uri.authority().unwrap().clone(),
            };
            assert_eq!(origin.host_header().unwrap(), name, "{url}");
        }
    }
}
