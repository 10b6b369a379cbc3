//! The TLS configuration of a client: protocol names, trusted certificates, and the client's own
//! certificate.

use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use std::sync::Arc;

/// The names of the protocols that TLS negotiates in its handshake (ALPN, RFC 7301).
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";

/// Returns the configuration for `endpoint`, which offers HTTP/2 unless `http1_only` is true.
///
/// # Errors
/// [`Error::Setup`] if a certificate or key cannot be used, or if the system has no root
/// certificates.
pub(crate) fn config(endpoint: &Endpoint, http1_only: bool) -> Result<ClientConfig> {
    let mut config = with_certificates(endpoint).map_err(Error::Setup)?;
    let protocols: &[&[u8]] = if http1_only { &[HTTP_1] } else { &[HTTP_2, HTTP_1] };
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn with_certificates(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    // Uses the process's default provider if there is one; a library must not install a default
    // provider.
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| format!("TLS cannot be set up: {error}"))?;
    let builder = match &endpoint.ca {
        None => builder
            .with_platform_verifier()
            .map_err(|error| format!("the system's root certificates cannot be used: {error}"))?,
        Some(pem) => builder.with_root_certificates(roots(pem)?),
    };
    let Some((cert, key)) = &endpoint.client_cert else { return Ok(builder.with_no_client_auth()) };
    let chain: Result<Vec<_>, _> = cert.expose(|pem| CertificateDer::pem_slice_iter(pem).collect());
    let chain = chain
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or("the value of `client_cert` is not PEM")?;
    let key = key
        .expose(PrivateKeyDer::from_pem_slice)
        .map_err(|_| "the value of `client_key` is not a key in PEM")?;
    builder.with_client_auth_cert(chain, key).map_err(|_| {
        "the values of `client_cert` and `client_key` do not belong together, or cannot be used"
            .into()
    })
}

fn roots(pem: &str) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|_| "the CA certificate (`ca`) is not PEM")?;
        roots
            .add(certificate)
            .map_err(|error| format!("a CA certificate (`ca`) cannot be used: {error}"))?;
    }
    Ok(roots)
}
