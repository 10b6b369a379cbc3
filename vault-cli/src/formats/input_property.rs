//! One property of an input, with its value for sealing and as readable TOML.

use bootseal_core::{
    BasicString, Error, PlainContent, PlainDocument, Property, PropertyPath, Secret, ValueKind,
};
use zeroize::Zeroizing;

/// One property of an input.
#[derive(Clone)]
pub(crate) struct InputProperty {
    pub(crate) path: PropertyPath,
    pub(crate) kind: ValueKind,
    pub(crate) value: Secret,
    /// Whether it is written `"secret:…"` in a TOML input.
    pub(crate) marked: bool,
}

impl InputProperty {
    pub(super) fn of_toml(
        path: PropertyPath,
        marked: bool,
        document: &PlainDocument,
    ) -> Result<InputProperty, Error> {
        let (kind, text) = match document.content(&path) {
            Some(PlainContent::Toml(text)) => (ValueKind::Toml, text),
            Some(PlainContent::Text(text)) => (ValueKind::Text, text),
            None => (ValueKind::Text, Zeroizing::default()),
        };
        Ok(InputProperty { path, kind, value: Secret::copy_of(text.as_bytes())?, marked })
    }

    /// Returns the property as it would be in the sealed file if only marked values were sealed.
    pub(crate) fn to_property(&self) -> Property {
        if self.marked {
            return Property::Sealed(String::new());
        }
        let text = self.value.expose_str(str::to_owned).unwrap_or_default();
        Property::Readable(match self.kind {
            ValueKind::Toml => text.parse().unwrap_or(toml::Value::String(text)),
            _ => toml::Value::String(text),
        })
    }

    /// The TOML text of the value, for a file in which it stays readable.
    pub(crate) fn readable(&self) -> String {
        let write = |text: &str| match self.kind {
            ValueKind::Toml => text.to_owned(),
            _ => BasicString(text).to_string(),
        };
        self.value.expose_str(write).unwrap_or_default()
    }
}
