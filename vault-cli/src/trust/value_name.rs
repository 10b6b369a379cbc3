//! The value that a user names: a property, or a value inside an array, as `users[0].password`.

use crate::ui::failure::Result;
use crate::value_writer::readable_text;
use bootseal_core::{
    ElementPath, Error, Kind, MOST_NAMES, OpenedValue, PropertyPath, Secret, ValueKind,
    VerifiedFile, some_names,
};
use std::str::FromStr;
use zeroize::Zeroizing;

/// The name of a value, as a user types it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ValueName {
    Property(PropertyPath),
    Element(ElementPath),
}

impl FromStr for ValueName {
    type Err = Error;

    fn from_str(text: &str) -> Result<ValueName, Error> {
        match text.parse() {
            Ok(path) => Ok(ValueName::Property(path)),
            Err(error) => text.parse().map(ValueName::Element).map_err(|_| error),
        }
    }
}

impl std::fmt::Display for ValueName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ValueName::Property(path) => path.fmt(f),
            ValueName::Element(path) => path.fmt(f),
        }
    }
}

impl ValueName {
    /// Resolves the name in this file. If the file has a property that is itself called
    /// `users[0].password`, the name means this property, and not an element of an array.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the file has no such property.
    pub(crate) fn in_file(&self, file: &VerifiedFile) -> Result<ValueName, Error> {
        let known = |path: &PropertyPath| file.is_sealed(path).is_some();
        match self {
            ValueName::Property(path) if known(path) => Ok(self.clone()),
            ValueName::Property(path) => Err(file.not_found(path)),
            ValueName::Element(path) => {
                match path.literal_names().iter().find(|name| known(name)) {
                    Some(literal) => Ok(ValueName::Property(literal.clone())),
                    None if known(path.property()) => Ok(self.clone()),
                    None => Err(file.not_found(path.property())),
                }
            }
        }
    }

    /// The property that has the value.
    pub(crate) fn property(&self) -> &PropertyPath {
        match self {
            ValueName::Property(path) => path,
            ValueName::Element(path) => path.property(),
        }
    }

    /// The value, taken from the value of the property.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if the array has no such element.
    pub(crate) fn of(&self, property: OpenedValue) -> Result<OpenedValue, Error> {
        let ValueName::Element(path) = self else { return Ok(property) };
        let element = match property.kind {
            ValueKind::Toml => property.secret.expose_str(|array| path.in_text(array)),
            // A text or bytes have no elements.
            _ => Ok(path.in_text("\"\"")),
        };
        let malformed = |_| Error::new(Kind::Malformed, "is not text").at(path.property());
        opened(element.map_err(malformed)??, property.set_at)
    }
}

fn opened(value: toml::Value, set_at: u64) -> Result<OpenedValue, Error> {
    let (kind, text) = match value {
        toml::Value::String(text) => (ValueKind::Text, Zeroizing::new(text)),
        other => (ValueKind::Toml, Zeroizing::new(other.to_string())),
    };
    Ok(OpenedValue { kind, set_at, secret: Secret::copy_of(text.as_bytes())? })
}

/// The property that a verb changes as a whole. A name such as `users[0].password` is accepted only
/// if a property is itself called that.
///
/// # Errors
/// [`Kind::Conflict`] if it names a value inside an array.
pub(crate) fn whole_property<'a>(
    name: &ValueName,
    files: impl Iterator<Item = &'a VerifiedFile> + Clone,
) -> Result<PropertyPath, Error> {
    let path = match name {
        ValueName::Property(path) => return Ok(path.clone()),
        ValueName::Element(path) => path,
    };
    let known = |path: &PropertyPath| files.clone().any(|file| file.is_sealed(path).is_some());
    if let Some(literal) = path.literal_names().iter().find(|path| known(path)) {
        return Ok(literal.clone());
    }
    let array = path.property();
    let (what, help) = match known(array) {
        true => (
            format!("{path} is a value inside the array {array}, which is one property"),
            "To change a part of an array: bootseal edit".to_owned(),
        ),
        false => (
            format!("{path} names a value inside an array, and there is no array {array}"),
            format!(
                "To add an array: bootseal edit. For a property with brackets in its name, write the name in quotes: {}",
                path.literal_names().first().map_or(String::new(), ToString::to_string)
            ),
        ),
    };
    Err(Error::new(Kind::Conflict, what).with_help(help))
}

/// Makes sure that nothing is missing.
///
/// # Errors
/// [`Kind::NotFound`] with all names of `missing`, and names of the file that may be meant.
pub(crate) fn all_found(missing: &[&PropertyPath], file: &VerifiedFile) -> Result<(), Error> {
    let [_, _, ..] = missing else {
        return missing.first().map_or(Ok(()), |path| Err(file.not_found(path)));
    };
    let meant = |path: &PropertyPath| {
        let error = file.not_found(path);
        let help = error.help().filter(|help| help.starts_with("Did you mean"));
        help.map_or(String::new(), |help| format!(" ({help})"))
    };
    let shown = missing.iter().enumerate().map(|(at, path)| match at < MOST_NAMES {
        true => format!("{path}{}", meant(path)),
        false => path.to_string(),
    });
    let names = some_names(shown);
    let error = Error::new(Kind::NotFound, format!("no such properties: {names}"));
    Err(error.with_help("`bootseal list` shows all names.").in_file_if(file.path()))
}

/// The readable value, or `None` if the property is sealed.
pub(crate) fn readable_in(
    name: &ValueName,
    file: &VerifiedFile,
) -> Result<Option<OpenedValue>, Error> {
    let path = name.property();
    if file.is_sealed(path) != Some(false) {
        return Ok(None);
    }
    let kind = if file.is_text(path) { ValueKind::Text } else { ValueKind::Toml };
    let secret = Secret::copy_of(&readable_text(file, path))?;
    name.of(OpenedValue { kind, set_at: 0, secret }).map(Some)
}

/// The names of --only in one file. An element of an array is selected by itself.
#[derive(Default)]
pub(crate) struct Scope {
    only: Vec<PropertyPath>,
    pub(crate) elements: Vec<ElementPath>,
}

impl Scope {
    /// Finds the properties and tables that `names` name; no names stand for all properties.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a name is no property, table or array of the file.
    pub(crate) fn of(names: &[ValueName], file: &VerifiedFile) -> Result<Scope, Error> {
        let below = |prefix: &PropertyPath| {
            file.names().any(|(path, _)| path.starts_with(prefix.segments()))
        };
        let mut scope = Scope::default();
        for name in names {
            match name {
                ValueName::Property(path) if below(path) => scope.only.push(path.clone()),
                ValueName::Property(path) => return Err(file.not_found(path)),
                ValueName::Element(path) => {
                    match path.literal_names().iter().find(|name| below(name)) {
                        Some(literal) => scope.only.push(literal.clone()),
                        None if file.is_sealed(path.property()).is_some() => {
                            if !scope.elements.contains(path) {
                                scope.elements.push(path.clone());
                            }
                        }
                        None => return Err(file.not_found(path.property())),
                    }
                }
            }
        }
        Ok(scope)
    }

    /// Whether the property is selected as a whole.
    pub(crate) fn holds(&self, path: &PropertyPath) -> bool {
        let all = self.only.is_empty() && self.elements.is_empty();
        all || self.only.iter().any(|only| path.starts_with(only.segments()))
    }
}
