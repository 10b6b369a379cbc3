//! What the process does about its own memory: limits, dumps and inheritance.

pub(crate) mod cgroup;
pub(crate) mod close_on_exec;
pub(crate) mod harden;
pub(crate) mod malloc;
