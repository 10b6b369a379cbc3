//! Writing to disk: one lock per folder, and atomic replacement.

pub(crate) mod lock;
