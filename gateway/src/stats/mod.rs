//! Statistics of a route: calls per minute of the last hour, and latencies.

pub(crate) mod history;
pub(crate) mod latency;
