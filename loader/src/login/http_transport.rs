//! Logins over HTTP: each uses a client of its own.
//!
//! The client is dropped, with its buffers, when the login is over.

use crate::error::Error;
use crate::login::account::Account;
use crate::login::transport::{LoginRequest, LoginResponse, Transport, TransportError};
use crate::wire::client::{Options, SecretClient};
use crate::wire::connect::ConnectOptions;
use crate::wire::pool::Failed;
use bootseal_core::{Kind, Secret};
use bootseal_memory::SecretBuf;
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const MAX_RESPONSE: usize = 1 << 20;
/// What is agreed on in the TLS handshake (ALPN, RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Logins over HTTP, with one client for each.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// use bootseal::{HttpTransport, testing::Clock};
/// use std::sync::Arc;
/// let acme = vault.token_source_with("acme", Arc::new(Clock::new()), Arc::new(HttpTransport))?;
/// acme.token_blocking()?;
/// assert_eq!(vendor.logins(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpTransport;

impl Transport for HttpTransport {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        Box::pin(async move {
            let origin = request.url.origin();
            let allowed = move |url: &Url| {
                let other = || Error::new(Kind::Usage, "a login goes to its own origin only");
                (url.origin() == origin).then_some(()).ok_or_else(other)
            };
            let connect_timeout = Some(CONNECT_TIMEOUT.min(request.timeout));
            let reach = ConnectOptions { connect_timeout, http1_only: true, ..ConnectOptions::default() };
            let options = Options { reach, idle_per_host: 0, ..Options::default() };
            let guarded = SecretClient::new(&Endpoint::of_login(&request), &options, allowed).map_err(ours)?;
            let mut call = http::Request::new(reqwest::Body::default());
            *call.method_mut() = request.method;
            *call.uri_mut() = request
                .url
                .as_str()
                .parse()
                .map_err(|_| TransportError::Broken("the login's URL cannot be sent".into()))?;
            if let Some(body) = request.body {
                *call.body_mut() = Bytes::from_owner(body.exposed()).into();
            }
            let exchange =
                async { read(guarded.once(&mut call, &request.headers).await.map_err(to_transport_error)?).await };
            match tokio::time::timeout(request.timeout, exchange).await {
                Ok(response) => response,
                Err(_) => Err(TransportError::Timeout),
            }
        })
    }
}

async fn read(response: http::Response<Incoming>) -> Result<LoginResponse, TransportError> {
    let no_memory = |error: bootseal_memory::MemoryError| TransportError::Broken(error.to_string());
    let (parts, mut stream) = response.into_parts();
    let mut body = SecretBuf::with_capacity(4096).map_err(no_memory)?;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut stream).poll_frame(cx)).await {
        let frame = frame.map_err(|error| TransportError::Broken(crate::error::chain(&error)))?;
        let Some(chunk) = frame.data_ref() else { continue };
        if body.len() + chunk.len() > MAX_RESPONSE {
            return Err(TransportError::Broken("it is larger than 1 MiB".into()));
        }
        body.push(chunk).map_err(no_memory)?;
    }
    Ok(LoginResponse { status: parts.status.as_u16(), headers: parts.headers, body: body.freeze() })
}

fn ours(error: Error) -> TransportError {
    match error.kind() {
        Kind::LoginTls => TransportError::Tls(error.to_string()),
        _ => TransportError::Broken(error.to_string()),
    }
}

fn to_transport_error(failed: Failed) -> TransportError {
    match failed {
        Failed::Ours(error) => ours(error),
        Failed::Connect(error) if tls_cause(&*error) => TransportError::Tls(crate::error::chain(&*error)),
        Failed::Connect(error) => TransportError::Connect(crate::error::chain(&*error)),
        // TLS 1.3 refuses a client's certificate after the handshake.
        Failed::Http(error) if tls_cause(&error) => TransportError::Tls(crate::error::chain(&error)),
        Failed::Http(error) => TransportError::Broken(crate::error::chain(&error)),
    }
}

/// Whether TLS itself, and not the network below it, is among the causes.
fn tls_cause(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut at = Some(error);
    while let Some(cause) = at {
        if cause.is::<rustls::Error>() {
            return true;
        }
        // An io::Error does not name what it wraps as its source.
        let wrapped = cause.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref());
        if wrapped.is_some_and(|wrapped| tls_cause(wrapped)) {
            return true;
        }
        at = cause.source();
    }
    false
}

/// How a vendor is reached and trusted.
#[derive(Clone, Default)]
pub(crate) struct Endpoint {
    ca: Option<String>,
    client_cert: Option<(Secret, Secret)>,
    pub(crate) proxy: Option<Url>,
}

impl Endpoint {
    fn of_login(request: &LoginRequest) -> Endpoint {
        Endpoint { ca: request.ca.clone(), client_cert: request.client_cert.clone(), proxy: request.proxy.clone() }
    }

    /// Through this one in place of what the profile says.
    pub(crate) fn with_proxy(mut self, proxy: Option<Url>) -> Endpoint {
        self.proxy = proxy.or(self.proxy);
        self
    }

    /// Trusting these in place of what the profile says.
    pub(crate) fn with_roots(mut self, pem: Option<&str>) -> Endpoint {
        self.ca = pem.map(str::to_owned).or(self.ca);
        self
    }

    pub(crate) fn is(&self, other: &Endpoint) -> bool {
        let certificates = match (&self.client_cert, &other.client_cert) {
            (Some((cert, key)), Some((other_cert, other_key))) => cert.same_as(other_cert) && key.same_as(other_key),
            (one, other) => one.is_none() && other.is_none(),
        };
        certificates && self.ca == other.ca && self.proxy == other.proxy
    }

    pub(crate) fn of(account: &Account) -> Endpoint {
        let profile = &account.profile;
        let named = |name: &str| account.values.get(name).cloned();
        let client_cert = profile.client_cert.as_ref().and_then(|names| named(&names.cert).zip(named(&names.key)));
        Endpoint { ca: profile.ca.clone(), client_cert, proxy: profile.proxy.clone() }
    }
}

pub(crate) fn tls_config(way: &Endpoint) -> Result<ClientConfig, String> {
    // The process's provider where one is installed; nothing is installed by a library.
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match &way.ca {
        None => builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's root certificates cannot be used: {error}"))?,
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate = certificate.map_err(|_| "the profile's `ca` is not PEM")?;
                roots
                    .add(certificate)
                    .map_err(|error| format!("a certificate of the profile's `ca` cannot be used: {error}"))?;
            }
            builder.with_root_certificates(roots)
        }
    };
    let Some((cert, key)) = &way.client_cert else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = cert.expose(|pem| CertificateDer::pem_slice_iter(pem).collect());
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or("the value of `client_cert` is not PEM")?;
    let key = key.expose(PrivateKeyDer::from_pem_slice).map_err(|_| "the value of `client_key` is not a key in PEM")?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|_| "the values of `client_cert` and `client_key` do not belong together, or cannot be used".into())
}
