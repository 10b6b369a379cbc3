//! The endpoint that a client connects to: the trusted CAs, the client certificate and the proxy.

use bootseal_memory::Secret;
use url::Url;

/// The settings for reaching and trusting a host. `Endpoint::default()` trusts the system's root
/// certificates and connects directly.
#[derive(Clone, Default)]
pub struct Endpoint {
    /// The only CA certificates to trust, in PEM; `None` for the system's root certificates.
    pub ca: Option<String>,
    /// The client's certificate chain and its private key, both in PEM.
    pub client_cert: Option<(Secret, Secret)>,
    /// The HTTP proxy, `http://host:port`. Requests go through a tunnel (CONNECT), so that the
    /// proxy sees no secret.
    pub proxy: Option<Url>,
}

impl Endpoint {
    /// Whether connections made for `other` can be used for this endpoint.
    pub fn same_as(&self, other: &Endpoint) -> bool {
        let certificates = match (&self.client_cert, &other.client_cert) {
            (Some((cert, key)), Some((other_cert, other_key))) => {
                cert.same_as(other_cert) && key.same_as(other_key)
            }
            (one, other) => one.is_none() && other.is_none(),
        };
        certificates && self.ca == other.ca && self.proxy == other.proxy
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Endpoint { ca, client_cert, proxy } = self;
        write!(
            f,
            "Endpoint {{ ca: {}, client_cert: {}, {proxy:?} }}",
            ca.is_some(),
            client_cert.is_some()
        )
    }
}
