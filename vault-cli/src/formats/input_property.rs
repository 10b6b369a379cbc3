//! One property of an input, with its value as it would be sealed and as it would stand readable.

use bootseal_core::{BasicString, Property, PropertyPath, Secret, ValueKind};

/// One property of an input, with its value as it would be sealed and as it would stand readable.
pub(crate) struct InputProperty {
    pub(crate) path: PropertyPath,
    pub(crate) kind: ValueKind,
    pub(crate) value: Secret,
    /// Written `"secret:…"` in a TOML input.
    pub(crate) marked: bool,
}

impl InputProperty {
    /// What a reader of the sealed file sees of it, where it is sealed only if it is marked.
    pub(crate) fn as_it_will_stand(&self) -> Property {
        if self.marked {
            return Property::Sealed(String::new());
        }
        let text = self.value.expose_str(str::to_owned).unwrap_or_default();
        Property::Readable(match self.kind {
            ValueKind::Toml => text.parse().unwrap_or(toml::Value::String(text)),
            _ => toml::Value::String(text),
        })
    }

    /// As it stands in a file where it stays readable.
    pub(crate) fn readable(&self) -> String {
        let write = |text: &str| match self.kind {
            ValueKind::Toml => text.to_owned(),
            _ => BasicString(text).to_string(),
        };
        self.value.expose_str(write).unwrap_or_default()
    }
}
