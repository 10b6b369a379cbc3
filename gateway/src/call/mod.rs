//! One call through the gateway: the request to the upstream, and the response to the caller.

pub(crate) mod forward;

pub(crate) mod body;
pub(crate) mod caller_body;
