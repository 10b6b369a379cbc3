//! Calls: the HTTP client that sends a request with the token.

pub(crate) mod authenticated;
#[cfg(feature = "blocking")]
pub mod blocking;
pub(crate) mod builder;
pub(crate) mod client;
pub(crate) mod forward;
#[cfg(feature = "middleware")]
pub(crate) mod middleware;
pub(crate) mod response_body;
#[cfg(feature = "tower")]
pub(crate) mod tower;
