//! The verbs for the known vaults of this machine.

pub(crate) mod add;
pub(crate) mod forget;
pub(crate) mod list;
