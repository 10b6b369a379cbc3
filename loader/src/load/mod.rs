//! Loading: find file, key and pin, verify, open, and hand out secrets.

pub(crate) mod check;
mod reload;

pub(crate) mod open;

#[cfg(feature = "client")]
mod accounts;
/// Without the client there are no token sources.
#[cfg(not(feature = "client"))]
#[path = "no_accounts.rs"]
mod accounts;

pub(crate) mod secrets;

pub(crate) mod snapshot;
pub(crate) mod sources;

mod key_sources;

pub(crate) mod loader;

pub(crate) mod watch;

mod env;

mod deserialize;

pub mod exposed;
