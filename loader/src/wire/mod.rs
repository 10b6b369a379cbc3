//! The HTTP client below which secrets are inserted.

pub(crate) mod client;
pub(crate) mod connect;
pub(crate) mod h1_writer;
pub(crate) mod h2_writer;
pub(crate) mod placeholder;
pub(crate) mod pool;
pub(crate) mod upload_pace;
