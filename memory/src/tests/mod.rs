//! Tests that need a separate process, or a process without guarded pages.

mod audited;
pub(crate) mod degraded;
mod strained;
