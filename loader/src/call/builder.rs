//! The builder of a client, with options for pool, timeouts, proxy and roots. No option can send
//! the token to another host.

use crate::call::client::Client;
use crate::call::connections::{ClientOptions, Connections};
use crate::token::source::TokenSource;
use bootseal_core::Secret;
use bootseal_wire::ResendReason;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Builds a [`Client`]. Redirects, cookies and default headers depend on the profile and cannot be
/// set.
///
/// ```
/// use std::time::Duration;
///
/// fn patient_client(acme: &bootseal::TokenSource) -> bootseal::Client {
///     acme.client_builder()
///         .user_agent("orders/1.4")
///         .connect_timeout(Duration::from_secs(3))
///         .timeout(Duration::from_secs(30))
///         .pool(8, Duration::from_secs(30))
///         .build()
/// }
/// ```
#[must_use = "a builder does nothing until it builds"]
pub struct ClientBuilder {
    source: TokenSource,
    options: ClientOptions,
}

impl TokenSource {
    /// A builder for a client with its own pool, timeouts, proxy or roots. See the example of
    /// [`ClientBuilder`].
    pub fn client_builder(&self) -> ClientBuilder {
        ClientBuilder { source: self.clone(), options: ClientOptions::default() }
    }
}

impl ClientBuilder {
    /// Sends all calls through this HTTP proxy (`http://host:port`) instead of the profile's proxy.
    /// Each call goes through a tunnel (CONNECT), so that the proxy sees no token. Logins use the
    /// profile's proxy. If the address is invalid or contains credentials, every call returns an
    /// error.
    ///
    /// ```
    /// fn through_a_proxy(vault: &bootseal::Secrets) -> bootseal::Result<bootseal::Client> {
    ///     let builder = vault.token_source("acme")?.client_builder().proxy("http://proxy.acme.example:3128");
    ///     Ok(builder.proxy_login("app", &vault.secret("proxy.password")?).build())
    /// }
    /// ```
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.options.proxy = Some(url.into());
        self
    }

    /// Authenticates to the proxy with HTTP Basic, including a proxy from the profile. See the
    /// example of [`ClientBuilder::proxy`].
    pub fn proxy_login(mut self, user: impl Into<String>, password: &Secret) -> Self {
        self.options.proxy_login = Some((user.into(), password.clone()));
        self
    }

    /// Trusts these CA certificates, in PEM, instead of the profile's `ca` or the system's
    /// certificates. If the PEM is invalid, every call returns an error of kind
    /// [`Kind::LoginTls`](crate::Kind::LoginTls).
    pub fn roots(mut self, pem: impl Into<String>) -> Self {
        self.options.roots = Some(pem.into());
        self
    }

    /// Connects to this address for `host` instead of resolving the name. The certificate must
    /// still be valid for `host`.
    pub fn resolve(mut self, host: impl Into<String>, address: SocketAddr) -> Self {
        self.options.wire.connect.resolve.insert(host.into().to_ascii_lowercase(), address);
        self
    }

    /// Sets the maximum number of idle connections to one host, and the maximum time that a
    /// connection may be idle.
    pub fn pool(mut self, idle_per_host: usize, idle_for: Duration) -> Self {
        (self.options.wire.idle_per_host, self.options.wire.idle_for) = (idle_per_host, idle_for);
        self
    }

    /// Disables HTTP/2.
    pub fn http1_only(mut self) -> Self {
        self.options.wire.connect.http1_only = true;
        self
    }

    /// Limits the time from sending a request to the last byte of its response. There is no limit
    /// by default.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = Some(timeout);
        self
    }

    /// Limits the time from sending a request to the head of its response; the body may take
    /// longer. There is no limit by default.
    pub fn answer_timeout(mut self, timeout: Duration) -> Self {
        self.options.wire.response_timeout = Some(timeout);
        self
    }

    /// Limits the time for making a connection.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.options.wire.connect.connect_timeout = Some(timeout);
        self
    }

    /// Calls `count` with the reason each time that a call is sent again without a new token: the
    /// upstream did not process it, or closed a kept connection as an idempotent call arrived.
    pub fn on_resend(mut self, count: impl Fn(ResendReason) + Send + Sync + 'static) -> Self {
        self.options.wire.on_resend = Some(Arc::new(count));
        self
    }

    /// Sets `User-Agent`. If the value is invalid, every call returns an error.
    pub fn user_agent(mut self, name: impl Into<String>) -> Self {
        self.options.user_agent = Some(name.into());
        self
    }

    /// Builds the client. If an option cannot be used, every call returns an error, as with
    /// [`TokenSource::client`].
    pub fn build(self) -> Client {
        let connections = Connections::new(&self.source, self.options);
        Client::with_connections(self.source, connections)
    }
}

impl std::fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientBuilder({:?})", self.source)
    }
}
