//! SSH keys: public keys as recipients, and private keys as identities.

#[cfg(feature = "ssh")]
pub(crate) mod private;

pub(crate) mod public;
