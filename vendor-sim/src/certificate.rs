//! The certificate of a vendor with TLS, generated for it alone, and the CA to trust.

use crate::server::{HTTP_1, HTTP_2};
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// A TLS acceptor with a certificate from a new CA, and that CA as PEM.
pub(crate) fn certified() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>>
{
    use rcgen::{BasicConstraints, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
    let dated = |names: &[&str], title: &str| {
        let mut params = rcgen::CertificateParams::new(
            names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>(),
        )?;
        params.distinguished_name.push(DnType::CommonName, title);
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        Ok::<_, rcgen::Error>(params)
    };
    let mut ca = dated(&[], "Bootseal test vendor CA")?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let ca_key = rcgen::KeyPair::generate()?;
    let ca_pem = ca.self_signed(&ca_key)?.pem();

    let mut leaf = dated(&["127.0.0.1", "::1", "localhost"], "Bootseal test vendor")?;
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true; // required by OpenSSL's strict mode, Python's default
    let leaf_key = rcgen::KeyPair::generate()?;
    let leaf = leaf.signed_by(&leaf_key, &rcgen::Issuer::new(ca, ca_key))?;

    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(leaf_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()?
    .with_no_client_auth()
    .with_single_cert(vec![leaf.der().clone()], key.into())?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), ca_pem))
}
