//! `bootseal git`: checks, merges and setup in a repository.

pub(crate) mod check;
pub(crate) mod merge;
pub(crate) mod setup;
pub(crate) mod textconv;
