//! The type of a value that `set` stores: that of `--type`, else that of the value it replaces.

use crate::cli::TypeOption;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    CanWrite, Kind, PropertyPath, Secret, ValueKind, ValuePart, Vault, VerifiedFile,
};

/// The type of a stored value, readable or sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ValueType {
    Text,
    Bytes,
    Integer,
    Float,
    Boolean,
    Date,
    Array,
    Table,
    /// Any TOML value that is not a string.
    Toml,
}

/// The type that a new value must have, and what requires it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Required {
    sort: ValueType,
    by_option: bool,
}

impl From<TypeOption> for Required {
    fn from(option: TypeOption) -> Required {
        let sort = match option {
            TypeOption::Text => ValueType::Text,
            TypeOption::Integer => ValueType::Integer,
            TypeOption::Float => ValueType::Float,
            TypeOption::Boolean => ValueType::Boolean,
            TypeOption::Toml => ValueType::Toml,
            TypeOption::Bytes => ValueType::Bytes,
        };
        Required { sort, by_option: true }
    }
}

impl Required {
    /// The type that `--type` names, else that of the value which is there now. `None` if there is
    /// neither, or if the sealed value that is there does not open: then any type is right.
    pub(super) fn of(
        option: Option<TypeOption>,
        path: &PropertyPath,
        vault: &Vault<CanWrite>,
    ) -> Option<Required> {
        if let Some(option) = option {
            return Some(option.into());
        }
        let sort = match vault.file().is_sealed(path)? {
            false => ValueType::of_readable(vault.file(), path)?,
            true => {
                let opened = vault.open(path).ok()?;
                match opened.kind {
                    ValueKind::Text => ValueType::Text,
                    ValueKind::Bytes => ValueType::Bytes,
                    _ => opened.secret.expose_str(ValueType::of_text).ok()?,
                }
            }
        };
        Some(Required { sort, by_option: false })
    }

    /// The kind and the bytes with which `value` is sealed.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the value is not of this type.
    pub(super) fn sealed(self, path: &PropertyPath, value: &Secret) -> Result<(ValueKind, Secret)> {
        match self.sort {
            ValueType::Bytes => return Ok((ValueKind::Bytes, value.clone())),
            ValueType::Text if value.expose_str(|_| ()).is_ok() => {
                return Ok((ValueKind::Text, value.clone()));
            }
            _ => {}
        }
        // One value is the same with blanks around it, such as the line end of a file.
        let fits = value.expose_str(|text| {
            let text = text.trim();
            self.sort.takes(text).map(|point| (Secret::copy_of(text.as_bytes()), point))
        });
        match fits {
            Ok(Some((trimmed, None))) => Ok((ValueKind::Toml, trimmed?)),
            Ok(Some((trimmed, Some(point)))) => {
                let mut whole =
                    bootseal_memory::SecretBuf::with_capacity(value.len() + point.len())?;
                trimmed?.expose(|bytes| whole.push(bytes))?;
                whole.push(point.as_bytes())?;
                Ok((ValueKind::Toml, whole.freeze()))
            }
            _ => Err(self.refused(path)),
        }
    }

    /// The readable value that `text` is.
    ///
    /// # Errors
    /// [`Kind::Usage`] if the text is not of this type.
    pub(super) fn readable(self, path: &PropertyPath, text: &str) -> Result<toml::Value> {
        if self.sort == ValueType::Text {
            return Ok(toml::Value::String(text.to_owned()));
        }
        if self.sort == ValueType::Bytes {
            let what = format!("{path}: bytes cannot be a readable value; nothing was changed");
            return Err(Failure::new(Kind::Usage, what)
                .with_help("Seal them, without --plain. For a readable text, add --type text."));
        }
        let text = text.trim();
        let refused = || self.refused(path);
        let point = self.sort.takes(text).ok_or_else(refused)?.unwrap_or_default();
        let value: toml::Value = format!("{text}{point}").parse().map_err(|_| refused())?;
        let is_it = self.sort == ValueType::Toml || ValueType::of(&value) == self.sort;
        if is_it { Ok(value) } else { Err(refused()) }
    }

    /// The error of a value that is not of this type. It never contains the value.
    pub(super) fn refused(self, path: &PropertyPath) -> Failure {
        let what = match self.sort {
            ValueType::Text => "UTF-8 text",
            ValueType::Bytes => "bytes",
            ValueType::Integer => "an integer",
            ValueType::Float => "a number",
            ValueType::Boolean => "true or false",
            ValueType::Date => "a date or a time",
            ValueType::Array => "an array",
            ValueType::Table => "an inline table",
            ValueType::Toml => "one TOML value other than a string",
        };
        let by = if self.by_option { "as --type requires" } else { "as the present value is" };
        let failure = Failure::new(
            Kind::Usage,
            format!("{path}: the new value is not {what}, {by}; nothing was changed"),
        );
        match self.by_option {
            true => failure,
            false => failure.with_help(
                "To change the type, add --type text, integer, float, boolean, toml or bytes.",
            ),
        }
    }
}

impl ValueType {
    /// The type of a readable property; no array is built in memory for it.
    fn of_readable(file: &VerifiedFile, path: &PropertyPath) -> Option<ValueType> {
        if file.is_text(path) {
            return Some(ValueType::Text);
        }
        let mut sort = None;
        file.parts(path, &mut |part| {
            sort.get_or_insert_with(|| match part {
                ValuePart::Value(value) => ValueType::of(&value),
                ValuePart::ArrayStart | ValuePart::ArrayEnd => ValueType::Array,
            });
        });
        sort
    }

    fn of(value: &toml::Value) -> ValueType {
        match value {
            toml::Value::String(_) => ValueType::Text,
            toml::Value::Integer(_) => ValueType::Integer,
            toml::Value::Float(_) => ValueType::Float,
            toml::Value::Boolean(_) => ValueType::Boolean,
            toml::Value::Datetime(_) => ValueType::Date,
            toml::Value::Array(_) => ValueType::Array,
            toml::Value::Table(_) => ValueType::Table,
        }
    }

    /// The type that a TOML value of this text has, if it is one; sealing checks that. It looks at
    /// a secret in its place, so no parser makes copies of it.
    fn of_text(text: &str) -> ValueType {
        let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        match unsigned.as_bytes() {
            [b'[', ..] => ValueType::Array,
            [b'{', ..] => ValueType::Table,
            b"true" | b"false" => ValueType::Boolean,
            b"inf" | b"nan" => ValueType::Float,
            [b'0', b'x' | b'o' | b'b', ..] => ValueType::Integer,
            bytes if digits == 4 && bytes.get(4) == Some(&b'-') => ValueType::Date,
            bytes if digits == 2 && bytes.get(2) == Some(&b':') => ValueType::Date,
            [b'0'..=b'9', ..] if unsigned.contains(['.', 'e', 'E']) => ValueType::Float,
            [b'0'..=b'9', ..] => ValueType::Integer,
            _ => ValueType::Text,
        }
    }

    /// Whether a value of this type can have this text, and what has to follow it: `3` becomes `3.0`
    /// where a float is.
    fn takes(self, text: &str) -> Option<Option<&'static str>> {
        match (self, ValueType::of_text(text)) {
            (_, ValueType::Text) => None,
            (ValueType::Toml, _) => Some(None),
            (ValueType::Float, ValueType::Integer) if text.contains(['x', 'o', 'b']) => None,
            (ValueType::Float, ValueType::Integer) => Some(Some(".0")),
            (one, other) => (one == other).then_some(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_text_is_that_of_toml() {
        for text in [
            "1",
            "-1",
            "+1_000",
            "0x1F",
            "0o17",
            "0b1",
            "1.5",
            "-1e3",
            "6.02E23",
            "inf",
            "-nan",
            "true",
            "false",
            "1979-05-27",
            "07:32:00",
            "1979-05-27T07:32:00Z",
            "[1, 2]",
            "[]",
            "{ a = 1 }",
        ] {
            let value: toml::Value = text.parse().expect(text);
            assert_eq!(ValueType::of_text(text), ValueType::of(&value), "{text}");
        }
        for text in ["", "x", "\"1\"", "'1'", "True", "yes", ".5", "None"] {
            assert_eq!(ValueType::of_text(text), ValueType::Text, "{text}");
        }
    }
}
