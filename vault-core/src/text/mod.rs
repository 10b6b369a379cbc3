//! The text layer: paths, TOML values, and edits that leave every other byte alone.

pub(crate) mod document;
pub(crate) mod outline;
pub(crate) mod path;
pub(crate) mod plain;
pub(crate) mod table_reader;
