//! The admin address: health, metrics and the status page.

pub(crate) mod endpoints;
pub(crate) mod page;
pub(crate) mod probe;
