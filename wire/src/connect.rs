//! Connections to a host: name lookup, TCP, the proxy's tunnel, TLS, and on top of TLS the writer
//! that replaces placeholders with secrets.

use crate::connection::observed::ObservedStream;
use crate::connection::state::ConnectionState;
use crate::endpoint::Endpoint;
use crate::error::{Boxed, Error, Result};
use crate::h1_writer::H1SecretWriter;
use crate::h2_writer::H2SecretWriter;
use crate::io::{ScrubbingStream, Stream};
use crate::placeholder::Placeholders;
use crate::tls::{self, HTTP_2};
use bootseal_memory::Secret;
use http::Uri;
use http::uri::Scheme;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

mod names;

/// The caller's rule, which returns an error for each URL that the client must not connect to.
type Allowed = Arc<dyn Fn(&Url) -> Result<(), Boxed> + Send + Sync>;
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// reqwest's defaults.
const KEEPALIVE: Duration = Duration::from_secs(15);
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The options for new connections.
#[derive(Clone, Default)]
pub struct ConnectOptions {
    /// The time limit for making one connection, including TLS. `None` means no limit.
    pub connect_timeout: Option<Duration>,
    /// Fixed addresses of hosts, which replace name lookup. The keys are host names in lower case.
    pub resolve: HashMap<String, SocketAddr>,
    /// The value of `Proxy-Authorization`.
    pub proxy_authorization: Option<Secret>,
    /// Whether HTTP/2 is disabled.
    pub http1_only: bool,
}

/// Makes connections to the hosts that the caller allows.
pub(crate) struct Connector(Parts);

/// A connection and its HTTP version.
pub(crate) struct Connected {
    pub(crate) stream: ObservedStream,
    pub(crate) state: Arc<ConnectionState>,
    pub(crate) http2: bool,
}

impl Connected {
    fn new(stream: Box<dyn Stream>, state: Arc<ConnectionState>, http2: bool) -> Connected {
        Connected { stream: ObservedStream::new(stream, http2, state.clone()), state, http2 }
    }
}

#[derive(Clone)]
struct Parts {
    tcp: Tcp,
    proxy: Option<Uri>,
    options: ConnectOptions,
    tls: TlsConnector,
    allowed: Allowed,
}

impl Connector {
    /// # Errors
    /// [`Error::Setup`] if TLS cannot be set up, or if the proxy is of an unsupported kind.
    pub(crate) fn new(
        endpoint: &Endpoint,
        options: &ConnectOptions,
        placeholders: Arc<Placeholders>,
        allowed: Allowed,
    ) -> Result<Connector> {
        let tls = tls::config(endpoint, options.http1_only)?;
        let mut tcp = HttpConnector::new_with_resolver(Names(Arc::new(options.resolve.clone())));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        tcp.set_connect_timeout(options.connect_timeout);
        let tcp = Tcp { connector: tcp, placeholders };
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Connector(Parts {
            tcp,
            proxy: proxy(endpoint)?,
            options: options.clone(),
            tls,
            allowed,
        }))
    }

    /// Whether HTTP/2 is possible: the protocol of a new connection is then known only after TLS.
    pub(crate) fn may_be_http2(&self, scheme: &Scheme) -> bool {
        *scheme == Scheme::HTTPS && !self.0.options.http1_only
    }

    /// # Errors
    /// [`Error::NotAllowed`] if the caller's rule refuses the host of `uri`.
    pub(crate) fn check(&self, uri: &Uri) -> Result<()> {
        (self.0.allowed)(&url_of(uri)?).map_err(Error::NotAllowed)
    }

    /// Connects to the origin of `uri`. The state of the connection notifies `freed`.
    ///
    /// # Errors
    /// [`Error::NotAllowed`] if the host is refused before connecting; [`Error::Connect`] if no
    /// connection can be made in time.
    pub(crate) async fn connect(&self, uri: Uri, freed: Arc<Notify>) -> Result<Connected> {
        let connecting = self.0.clone().connect(uri, ConnectionState::new(freed));
        let Some(limit) = self.0.options.connect_timeout else { return connecting.await };
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
            let late =
                io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}"));
            Err(Error::Connect(late.into()))
        })
    }
}

fn proxy(endpoint: &Endpoint) -> Result<Option<Uri>> {
    let Some(proxy) = &endpoint.proxy else { return Ok(None) };
    if proxy.scheme() != "http" {
        let text = format!("only http:// proxies are supported, not {}://", proxy.scheme());
        return Err(Error::Setup(text));
    }
    proxy.as_str().parse().map(Some).map_err(|_| Error::Setup("the `proxy` cannot be used".into()))
}

fn url_of(uri: &Uri) -> Result<Url> {
    Url::parse(&uri.to_string()).map_err(|error| Error::Connect(error.into()))
}

impl Parts {
    async fn connect(self, uri: Uri, state: Arc<ConnectionState>) -> Result<Connected> {
        let to = url_of(&uri)?;
        (self.allowed)(&to).map_err(Error::NotAllowed)?;
        let (tls, placeholders) = (self.tls.clone(), self.tcp.placeholders.clone());
        let tcp = self.tcp(&uri).await?;
        if uri.scheme_str() != Some("https") {
            return Ok(Connected::new(Box::new(tcp), state, false));
        }
        secure(tls, &to, tcp, placeholders, state).await.map_err(Error::Connect)
    }

    /// Opens a TCP connection to the host, or a tunnel through the proxy.
    async fn tcp(mut self, uri: &Uri) -> Result<H1SecretWriter<ScrubbingStream>> {
        let Some(proxy) = &self.proxy else {
            return Ok(self.tcp.call(uri.clone()).await.map_err(Error::Connect)?.into_inner());
        };
        let placeholders = self.tcp.placeholders.clone();
        let mut tunnel = Tunnel::new(proxy.clone(), self.tcp);
        let mut stand_in = None;
        if let Some(secret) = &self.options.proxy_authorization {
            let placeholder = placeholders.stand_in(secret);
            tunnel = tunnel.with_auth(placeholder.header()?);
            stand_in = Some(placeholder);
        }
        let tunnelled =
            tunnel.call(uri.clone()).await.map_err(|error| Error::Connect(error.into()))?;
        drop(stand_in);
        Ok(tunnelled.into_inner())
    }
}

/// Adds TLS on top of `tcp`, and the writer for the negotiated protocol on top of TLS.
async fn secure(
    tls: TlsConnector,
    to: &Url,
    tcp: H1SecretWriter<ScrubbingStream>,
    placeholders: Arc<Placeholders>,
    state: Arc<ConnectionState>,
) -> Result<Connected, Boxed> {
    let name = match to.host() {
        Some(url::Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::from(address)),
        Some(url::Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::from(address)),
        Some(url::Host::Domain(domain)) => ServerName::try_from(domain.to_owned())?,
        None => return Err("the URL has no host".into()),
    };
    // Ciphertext has no placeholders: the tunnel's writer is removed, and TLS writes directly to
    // TCP.
    let stream = tls.connect(name, tcp.into_below()?).await?;
    let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
    let stream: Box<dyn Stream> = match http2 {
        true => Box::new(H2SecretWriter::new(stream, placeholders, state.clone())),
        false => Box::new(H1SecretWriter::new(stream, placeholders)),
    };
    Ok(Connected::new(stream, state, http2))
}

/// Opens TCP connections with the writer that inserts the proxy's password, because the request for
/// the tunnel is plain HTTP/1.1.
#[derive(Clone)]
struct Tcp {
    connector: HttpConnector<Names>,
    placeholders: Arc<Placeholders>,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<H1SecretWriter<ScrubbingStream>>;
    type Error = Boxed;
    type Future = BoxFuture<std::result::Result<Self::Response, Boxed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Boxed>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, placeholders) = (self.connector.call(uri), self.placeholders.clone());
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(H1SecretWriter::new(ScrubbingStream { tcp: stream }, placeholders)))
        })
    }
}

/// Looks names up in the configured addresses, and otherwise with the system's resolver, on threads
/// for which no runtime waits.
#[derive(Clone)]
struct Names(Arc<HashMap<String, SocketAddr>>);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = BoxFuture<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let given = self.0.get(&name.as_str().to_ascii_lowercase()).copied();
        Box::pin(async move {
            let found = match given {
                Some(address) => vec![address],
                None => names::look_up(name.as_str()).await?,
            };
            Ok(found.into_iter())
        })
    }
}
