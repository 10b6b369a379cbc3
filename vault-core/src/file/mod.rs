//! The sealed file, from untrusted bytes to verified text.

pub(crate) mod known_vaults;

pub(crate) mod version;

pub(crate) mod sealed;
pub(crate) mod verified;

pub(crate) mod header;
pub(crate) mod normalise;
