//! Loading: finds file, key and pin, verifies and opens the file, and returns secrets.

pub(crate) mod check;
mod reload;

pub(crate) mod open;

#[cfg(feature = "client")]
mod accounts;

pub(crate) mod secrets;

pub(crate) mod snapshot;
#[cfg(feature = "client")]
pub(crate) mod sources;

mod key_sources;

pub(crate) mod loader;

pub(crate) mod watch;

mod env;

mod deserialize;

pub mod exposed;
