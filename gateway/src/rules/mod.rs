//! Pure rules: which calls and headers may pass, and in which form.

pub(crate) mod callers;
pub(crate) mod headers;
pub(crate) mod http2_head;
pub(crate) mod problem;
pub(crate) mod redact;
pub(crate) mod rewrite;
pub(crate) mod target;
pub(crate) mod token_search;
