//! Erasure of freed blocks, dead stack frames and registers.

pub(crate) mod allocator;
pub(crate) mod freed_blocks;
pub(crate) mod scrub;
