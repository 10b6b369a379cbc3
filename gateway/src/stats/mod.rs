//! Statistics of a route: calls per minute of the last hour, latencies, and counts for the log.

pub(crate) mod history;
pub(crate) mod latency;
pub(crate) mod repeats;
