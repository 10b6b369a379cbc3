//! The text layer, with paths, TOML values, and edits that leave all other bytes unchanged.

pub(crate) mod edit;
pub(crate) mod insert;
pub(crate) mod plain;
pub(crate) mod removal;

pub(crate) mod host;

pub(crate) mod document;

pub(crate) mod elements;
pub(crate) mod settings;
pub(crate) mod table_reader;

pub(crate) mod outline;
pub(crate) mod parse;
pub(crate) mod sealed_text;
pub(crate) mod shared_text;
pub(crate) mod toml_value;

pub(crate) mod nearest;
pub(crate) mod path;
