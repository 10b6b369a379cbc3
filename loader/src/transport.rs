//! How does a login reach the vendor? HTTPS by a client of its own, dropped with what it copied when the login is over.

use crate::login::{LoginAnswer, LoginRequest, Transport, TransportError};
use crate::steps::Account;
use bootseal_core::Secret;
use bootseal_memory::SecretBuf;
use http::HeaderValue;
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

const MAX_ANSWER: usize = 1 << 20;
/// What is agreed on in the TLS handshake (ALPN, RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Logins over HTTP, one client each.
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
    fn send(&self, request: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginAnswer, TransportError>> + Send>> {
        Box::pin(async move {
            let client = client_builder(&Way::of_login(&request), &[HTTP_1])
                .map_err(TransportError::Tls)?
                // 307 and 308 would send the body with the password on, and custom headers with it.
                .redirect(reqwest::redirect::Policy::none())
                .timeout(request.timeout)
                .connect_timeout(CONNECT_TIMEOUT.min(request.timeout))
                .pool_max_idle_per_host(0)
                .http1_only()
                .build()
                .map_err(|error| TransportError::Tls(crate::error::chain(&error.without_url())))?;
            let mut call = reqwest::Request::new(request.method, request.url);
            for (name, value) in &request.headers {
                let value = value.expose(HeaderValue::from_bytes);
                let mut value = value
                    .map_err(|_| TransportError::Broken("a header of the login holds what a header cannot".into()))?;
                value.set_sensitive(true);
                call.headers_mut().insert(name, value);
            }
            *call.body_mut() = request.body.map(|body| bytes::Bytes::from_owner(body.exposed()).into());
            let answer = client.execute(call).await.map_err(understand)?;
            read(answer).await
        })
    }
}

async fn read(mut answer: reqwest::Response) -> Result<LoginAnswer, TransportError> {
    let no_memory = |error: bootseal_memory::MemoryError| TransportError::Broken(error.to_string());
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let mut body = SecretBuf::with_capacity(4096).map_err(no_memory)?;
    while let Some(chunk) = answer.chunk().await.map_err(understand)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(TransportError::Broken("it is larger than 1 MiB".into()));
        }
        body.push(&chunk).map_err(no_memory)?;
    }
    let body: Secret = body.freeze();
    Ok(LoginAnswer { status, headers, body })
}

fn understand(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let text = crate::error::chain(&error);
    if tls_cause(&error) {
        TransportError::Tls(text)
    } else if error.is_timeout() && !error.is_connect() {
        TransportError::Timeout
    } else if error.is_connect() {
        TransportError::Connect(text)
    } else {
        TransportError::Broken(text)
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
pub(crate) struct Way {
    ca: Option<String>,
    client_cert: Option<(Secret, Secret)>,
    proxy: Option<Url>,
}

impl Way {
    fn of_login(request: &LoginRequest) -> Way {
        Way { ca: request.ca.clone(), client_cert: request.client_cert.clone(), proxy: request.proxy.clone() }
    }

    /// Trusting these in place of what the profile says.
    pub(crate) fn with_roots(mut self, pem: Option<&str>) -> Way {
        self.ca = pem.map(str::to_owned).or(self.ca);
        self
    }

    pub(crate) fn is(&self, other: &Way) -> bool {
        let certificates = match (&self.client_cert, &other.client_cert) {
            (Some((cert, key)), Some((other_cert, other_key))) => cert.same_as(other_cert) && key.same_as(other_key),
            (one, other) => one.is_none() && other.is_none(),
        };
        certificates && self.ca == other.ca && self.proxy == other.proxy
    }

    pub(crate) fn of(account: &Account) -> Way {
        let profile = &account.profile;
        let named = |name: &str| account.values.get(name).cloned();
        let client_cert = profile.client_cert.as_ref().and_then(|names| named(&names.cert).zip(named(&names.key)));
        Way { ca: profile.ca.clone(), client_cert, proxy: profile.proxy.clone() }
    }
}

/// A reqwest builder that goes this way, takes no proxy from the environment, and speaks one of `protocols`.
pub(crate) fn client_builder(way: &Way, protocols: &[&[u8]]) -> Result<reqwest::ClientBuilder, String> {
    let mut tls = tls_config(way)?;
    tls.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never());
    if let Some(proxy) = &way.proxy {
        let proxy = reqwest::Proxy::all(proxy.as_str()).map_err(|_| "the profile's `proxy` cannot be used")?;
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

fn tls_config(way: &Way) -> Result<ClientConfig, String> {
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
