//! The sealed file, from untrusted bytes to a verified header.

pub(crate) mod header;
pub(crate) mod known_vaults;
pub(crate) mod sealed;
