//! Erasing what was freed: blocks, stacks and registers.

pub(crate) mod allocator;
pub(crate) mod freed_blocks;
pub(crate) mod scrub;
