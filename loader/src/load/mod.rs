//! Loading: find file, key and pin, verify, open, and hand out secrets.

pub(crate) mod deserialize;
pub(crate) mod env;
pub mod exposed;
pub(crate) mod key_sources;
pub(crate) mod loader;
pub(crate) mod secrets;
