//! Settings of the process that protect its memory: dumps, inheritance, limits.

pub(crate) mod cgroup;
pub(crate) mod close_on_exec;
pub(crate) mod harden;
pub(crate) mod malloc;
