//! SSH keys: public ones as recipients, private ones as identities.

#[cfg(feature = "ssh")]
pub(crate) mod private;

pub(crate) mod public;
