//! How does a connection to the vendor come about? Name, TCP, the proxy's tunnel, TLS, and on top the writer that puts secrets in their
//! places.

use crate::error::{Error, Result};
use crate::login::http_transport::{Endpoint, HTTP_2, tls_config};
use crate::login::request::basic_of;
use crate::wire::h1_writer::Writer;
use crate::wire::h2_writer::FrameWriter;
use crate::wire::placeholder::Placeholders;
use bootseal_core::{Kind, Secret};
use bootseal_memory::SecretBuf;
use http::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;
use url::Url;

/// An error where no connection may go.
type Allowed = Arc<dyn Fn(&Url) -> Result<()> + Send + Sync>;
type Boxed = Box<dyn std::error::Error + Send + Sync>;
type Later<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// As reqwest's own defaults.
const KEEPALIVE: Duration = Duration::from_secs(15);
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How connections are made, beside what the profile says.
#[derive(Clone, Default)]
pub(crate) struct ConnectOptions {
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) resolve: HashMap<String, SocketAddr>,
    pub(crate) proxy_login: Option<(String, Secret)>,
    pub(crate) http1_only: bool,
}

/// Makes connections, to the hosts that it was told of.
pub(crate) struct Connector(Parts);

#[derive(Clone)]
struct Parts {
    tcp: Tcp,
    proxy: Option<Uri>,
    reach: ConnectOptions,
    tls: TlsConnector,
    allowed: Allowed,
}

impl Connector {
    /// # Errors
    /// [`Kind::LoginTls`] where TLS cannot be set up, or the proxy is of a kind that cannot be gone through.
    pub(crate) fn new(
        way: &Endpoint,
        reach: &ConnectOptions,
        protocols: &[&[u8]],
        placeholders: Arc<Placeholders>,
        allowed: Allowed,
    ) -> Result<Connector> {
        let cannot = |text: String| Error::new(Kind::LoginTls, text);
        let mut tls = tls_config(way).map_err(cannot)?;
        tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut tcp = HttpConnector::new_with_resolver(Names(Arc::new(reach.resolve.clone())));
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        #[cfg(any(target_os = "linux", target_os = "android"))]
        tcp.set_tcp_user_timeout(Some(USER_TIMEOUT));
        tcp.set_connect_timeout(reach.connect_timeout);
        let proxy = match &way.proxy {
            Some(proxy) if proxy.scheme() != "http" => {
                return Err(cannot(format!("a proxy is gone through by http:// only, not by {}://", proxy.scheme())));
            }
            Some(proxy) => Some(proxy.as_str().parse().map_err(|_| cannot("the `proxy` cannot be used".into()))?),
            None => None,
        };
        let tcp = Tcp { connector: tcp, placeholders };
        let tls = TlsConnector::from(Arc::new(tls));
        Ok(Connector(Parts { tcp, proxy, reach: reach.clone(), tls, allowed }))
    }

    pub(crate) async fn connect(&self, uri: Uri) -> std::result::Result<WireStream, Boxed> {
        let connecting = self.0.clone().connect(uri);
        match self.0.reach.connect_timeout {
            Some(limit) => tokio::time::timeout(limit, connecting)
                .await
                .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {limit:?}")))?,
            None => connecting.await,
        }
    }
}

impl Parts {
    async fn connect(mut self, uri: Uri) -> std::result::Result<WireStream, Boxed> {
        let to = Url::parse(&uri.to_string())?;
        // No connection exists on which the token could go elsewhere.
        (self.allowed)(&to)?;
        let placeholders = self.tcp.placeholders.clone();
        let tcp = match &self.proxy {
            None => self.tcp.call(uri.clone()).await?,
            Some(proxy) => {
                let mut tunnel = Tunnel::new(proxy.clone(), self.tcp);
                let mut stand_in = None;
                if let Some((user, password)) = &self.reach.proxy_login {
                    let mut pair = SecretBuf::with_capacity(user.len() + 1 + password.len())?;
                    pair.push(user.as_bytes())?;
                    pair.push(b":")?;
                    password.expose(|password| pair.push(password))?;
                    let stands = placeholders.stand_in(&basic_of(&pair)?);
                    tunnel = tunnel.with_auth(stands.header()?);
                    stand_in = Some(stands);
                }
                let tunnelled = tunnel.call(uri.clone()).await?;
                drop(stand_in);
                tunnelled
            }
        };
        if uri.scheme_str() != Some("https") {
            return Ok(WireStream { stream: Box::new(tcp.into_inner()), http2: false });
        }
        let name = match to.host() {
            Some(url::Host::Ipv4(address)) => ServerName::from(std::net::IpAddr::from(address)),
            Some(url::Host::Ipv6(address)) => ServerName::from(std::net::IpAddr::from(address)),
            Some(url::Host::Domain(domain)) => ServerName::try_from(domain.to_owned())?,
            None => return Err("the URL has no host".into()),
        };
        let stream = self.tls.connect(name, tcp.into_inner().into_below()?).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        let stream: Box<dyn Stream> = match http2 {
            true => Box::new(FrameWriter::new(stream, placeholders)),
            false => Box::new(Writer::new(stream, placeholders)),
        };
        Ok(WireStream { stream, http2 })
    }
}

/// TCP, on which the proxy's password is put in its place, and below which registers are clean.
#[derive(Clone)]
struct Tcp {
    connector: HttpConnector<Names>,
    placeholders: Arc<Placeholders>,
}

impl Service<Uri> for Tcp {
    type Response = TokioIo<Writer<ScrubbingStream>>;
    type Error = Boxed;
    type Future = Later<std::result::Result<Self::Response, Boxed>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::result::Result<(), Boxed>> {
        self.connector.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (connecting, placeholders) = (self.connector.call(uri), self.placeholders.clone());
        Box::pin(async move {
            let stream = connecting.await?.into_inner();
            Ok(TokioIo::new(Writer::new(ScrubbingStream(stream), placeholders)))
        })
    }
}

/// The addresses that were given, else those that the system finds.
#[derive(Clone)]
struct Names(Arc<HashMap<String, SocketAddr>>);

impl Service<Name> for Names {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = io::Error;
    type Future = Later<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let given = self.0.get(&name.as_str().to_ascii_lowercase()).copied();
        Box::pin(async move {
            let found = match given {
                Some(address) => vec![address],
                None => GaiResolver::new().call(name).await?.collect(),
            };
            Ok(found.into_iter())
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, as HTTP sees it.
pub(crate) struct WireStream {
    stream: Box<dyn Stream>,
    http2: bool,
}

impl WireStream {
    /// Whether HTTP/2 was agreed on.
    pub(crate) fn is_http2(&self) -> bool {
        self.http2
    }
}

impl AsyncRead for WireStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl AsyncWrite for WireStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, given)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Clears the vector registers before the system call that sends: a thread spends most of its time there, and TLS has just moved the
/// secret through them.
struct ScrubbingStream(TcpStream);

impl AsyncRead for ScrubbingStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for ScrubbingStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        bootseal_memory::scrub_registers();
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        bootseal_memory::scrub_registers();
        Pin::new(&mut self.0).poll_write_vectored(cx, given)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
