//! Figures: recent history and latencies.

pub(crate) mod history;
pub(crate) mod latency;
