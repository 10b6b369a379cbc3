//! The admin address: metrics, health and the status page.

pub(crate) mod endpoints;
pub(crate) mod page;
pub(crate) mod probe;
