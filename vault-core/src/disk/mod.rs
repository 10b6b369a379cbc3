//! Reading and writing on disk: one lock per folder, atomic replacement, files that only their owner
//! can read, and pipes.

pub(crate) mod lock;
pub(crate) mod private_file;

pub(crate) mod source;

pub(crate) mod folder;

#[cfg(unix)]
mod acl;
mod holder;
pub(crate) mod paths;
