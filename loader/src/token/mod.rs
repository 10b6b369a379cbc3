//! Tokens: the source that keeps one account's token, and the login that obtains the next one.

pub(crate) mod source;

pub(crate) mod core;
pub(crate) mod login_thread;
pub(crate) mod logout;
pub(crate) mod profile_change;
pub(crate) mod status;

pub(crate) mod failure;
pub(crate) mod login_history;
pub(crate) mod state;

pub(crate) mod single_flight;
pub(crate) mod thread_cache;
#[allow(clippy::module_inception, reason = "the type of the same name, and nothing else")]
pub(crate) mod token;

pub(crate) mod metrics;
