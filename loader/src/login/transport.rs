//! The transport: the trait that separates logins from the network, and the request and response of
//! a login.

use bootseal_core::Secret;
use http::header::HeaderName;
use http::{HeaderMap, Method};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// A login, ready to be sent. Its secrets are on guarded pages. See the example of [`Transport`].
#[derive(Clone)]
#[non_exhaustive]
pub struct LoginRequest {
    /// The method.
    pub method: Method,
    /// The URL, fixed by the profile.
    pub url: Url,
    /// The headers, including `Authorization` for HTTP Basic and `Content-Type` for a body.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The body, if any.
    pub body: Option<Secret>,
    /// The time limit for the whole request.
    pub timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<String>,
    /// The client certificate with its chain, and its key, both in PEM.
    pub client_cert: Option<(Secret, Secret)>,
    /// The proxy to use.
    pub proxy: Option<Url>,
    /// The URL as written in the profile, for messages, because a filled-in value may be a session
    /// id.
    pub(crate) shown: Url,
}

impl std::fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginRequest")
            .field("method", &self.method)
            .field("url", &self.shown.as_str())
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// The response to a login.
///
/// ```
/// use bootseal::{LoginResponse, Secret};
/// let body = Secret::copy_of(br#"{"access_token":"opaque"}"#)?;
/// let response = LoginResponse { status: 200, headers: Default::default(), body };
/// assert!(!format!("{response:?}").contains("opaque"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LoginResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, which has at most 1 MiB: a larger one is a [`TransportError::Broken`].
    pub body: Secret,
}

impl std::fmt::Debug for LoginResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The value of a header may be the token.
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("LoginResponse")
            .field("status", &self.status)
            .field("headers", &headers)
            .finish_non_exhaustive()
    }
}

/// The reason why there was no response. The login fails with
/// [`Kind::LoginTls`](crate::Kind::LoginTls) after [`TransportError::Tls`], with
/// [`Kind::Io`](crate::Kind::Io) after [`TransportError::OutOfResources`], otherwise with
/// [`Kind::LoginDown`](crate::Kind::LoginDown).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection was made, so no byte was sent.
    Connect(String),
    /// The TLS connection is not trusted.
    Tls(String),
    /// No response arrived in time.
    Timeout,
    /// This process has no file descriptor or guarded memory left. `sent` is true if the request may
    /// have reached the vendor.
    OutOfResources {
        /// The limit that was reached.
        why: String,
        /// Whether the request may have been sent.
        sent: bool,
    },
    /// The connection broke, or the response was larger than 1 MiB.
    Broken(String),
}

/// Sends a login. The default implementation uses HTTPS; tests use a script.
///
/// ```
/// use bootseal::{LoginRequest, LoginResponse, Secret, Transport, TransportError};
/// use std::{future::Future, pin::Pin, sync::Arc};
///
/// struct Script;
///
/// impl Transport for Script {
///     fn send(&self, request: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
///         assert!(request.headers.iter().any(|(name, _)| name == "authorization")); // HTTP Basic
///         let body = Secret::copy_of(br#"{"access_token":"opaque","expires_in":60}"#);
///         let body = body.map_err(|error| TransportError::Broken(error.to_string()));
///         Box::pin(async { Ok(LoginResponse { status: 200, headers: Default::default(), body: body? }) })
///     }
/// }
/// # let (_vendor, vault) = bootseal_fixtures::vendor();
/// let clock = bootseal::testing::Clock::new();
/// let acme = vault.token_source_with("acme", Arc::new(clock), Arc::new(Script))?;
/// assert_eq!(acme.token_blocking()?.lifetime().as_secs(), 60);
/// # Ok::<(), bootseal::Error>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends `request` and follows no redirect. The future is polled on its own thread, inside a
    /// tokio runtime.
    ///
    /// The request may take as long as [`LoginRequest::timeout`]. A login that has not ended five
    /// seconds after that is abandoned. See the example of [`Transport`].
    ///
    /// # Errors
    /// A [`TransportError`] that says at which step the request failed. The request is sent again
    /// only after [`TransportError::Connect`].
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>>;
}
