//! Calls: the HTTP client that sends a request with the token, and layers for other HTTP libraries.

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "middleware")]
pub(crate) mod middleware;
#[cfg(feature = "tower")]
pub(crate) mod tower;

pub(crate) mod builder;
pub(crate) mod request;

pub(crate) mod forward;

pub(crate) mod client;

pub(crate) mod connections;

pub(crate) mod redirect;

pub(crate) mod response_body;

pub(crate) mod authenticated;

pub(crate) mod json_probe;
pub(crate) mod outgoing;
