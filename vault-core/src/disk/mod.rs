//! Writing to disk: one lock per folder, atomic replacement, and files that only their owner can
//! read.

pub(crate) mod lock;
pub(crate) mod private_file;

pub(crate) mod folder;
