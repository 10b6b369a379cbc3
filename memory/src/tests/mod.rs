//! Tests that need a process of their own, or one without guarded pages.

mod audited;
pub(crate) mod degraded;
mod strained;
