//! Keys: vault ids, pins, derived keys and signatures.

pub(crate) mod derive;
pub(crate) mod pin;
pub(crate) mod signing;
