//! What does a settings file in clear hold? One file a format.

mod entries;
mod env;
mod input;
mod json;
mod properties;
mod tree;
mod yaml;

pub(crate) use entries::{Entries, documents, entries, shown};
pub(crate) use input::{Input, by_name, parse_named, read, whole};
pub(crate) use tree::{Node, Table, property};

use bootseal_core::{BasicString, PropertyPath, Secret, ValueKind};

/// One property of an input, with its value as it would be sealed and as it would stand readable.
pub(crate) struct InputProperty {
    pub(crate) path: PropertyPath,
    pub(crate) kind: ValueKind,
    pub(crate) value: Secret,
    /// Written `"secret:…"` in a TOML input.
    pub(crate) marked: bool,
}

impl InputProperty {
    /// As it stands in a file where it stays readable.
    pub(crate) fn readable(&self) -> String {
        let write = |text: &str| match self.kind {
            ValueKind::Toml => text.to_owned(),
            _ => BasicString(text).to_string(),
        };
        self.value.expose_str(write).unwrap_or_default()
    }
}
