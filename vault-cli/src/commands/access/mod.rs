//! `bootseal access`: the members who may open or change a vault.

pub(crate) mod add;
pub(crate) mod list;
mod new_key;
pub(crate) mod own_name;
pub(crate) mod pin;
pub(crate) mod remove;
pub(crate) mod rename;
pub(crate) mod request;
