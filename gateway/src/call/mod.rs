//! One call through the gateway.

pub(crate) mod body;
pub(crate) mod forward;
