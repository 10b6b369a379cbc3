//! Keys: vault ids, pins, derived keys and signatures.

pub(crate) mod derive;
pub(crate) mod signing;

pub(crate) mod pin;
pub(crate) mod vault_id;

pub(crate) mod random;
