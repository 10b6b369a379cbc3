//! The user's part of a sealed file, with its text and the properties in it. `[bootseal]` is kept
//! as a separate text.

use crate::error::{Error, Result};
use crate::text::outline::Outline;
use crate::text::path::{DottedKey, PropertyPath};
use crate::text::sealed_text::{SEALED_PREFIX, SECRET_PREFIX, check_shape};
use crate::text::toml_value::{parse_toml, to_value};
use indexmap::{IndexMap, IndexSet};
use std::collections::HashSet;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// The value of a property.
///
/// ```
/// # let (_, file) = bootseal_fixtures::with_password("timeout = \"10s\"\n");
/// use bootseal_core::Property;
/// match file.property(&"acme.password".parse()?) {
///     Some(Property::Sealed(text)) => assert!(text.starts_with("sealed:")),
///     Some(Property::Readable(value)) => println!("{value}"),
///     None => println!("absent"),
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Property {
    /// A sealed value as ciphertext, with the prefix `sealed:`.
    Sealed(String),
    /// A readable value, covered by the signature.
    Readable(toml::Value),
}

/// Two properties are equal if a reader cannot distinguish them, so NaN equals NaN.
impl PartialEq for Property {
    fn eq(&self, other: &Property) -> bool {
        match (self, other) {
            (Property::Sealed(one), Property::Sealed(other)) => one == other,
            (Property::Readable(one), Property::Readable(other)) => same_value(one, other),
            _ => false,
        }
    }
}

fn same_value(one: &toml::Value, other: &toml::Value) -> bool {
    use toml::Value::{Array, Float, Table};
    match (one, other) {
        (Float(one), Float(other)) => {
            one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan()
        }
        (Array(one), Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Table(one), Table(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| {
                    other.get(key).is_some_and(|other| same_value(value, other))
                })
        }
        _ => one == other,
    }
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    pub(super) text: String,
    /// The properties, in the order of the text.
    pub(super) properties: IndexMap<PropertyPath, (Property, Range<usize>)>,
    /// Empty tables.
    empty: Vec<Vec<String>>,
}

impl Document {
    /// Parses `text`, in which `sealed:` strings may occur wherever the format allows them.
    pub(crate) fn parse(text: String) -> Result<Document> {
        Outline::bounds(&text)?;
        Document::parse_bounded(text)
    }

    /// Like `parse`, for a part of a text whose nesting depth was checked already.
    pub(crate) fn parse_bounded(text: String) -> Result<Document> {
        let table = parse_toml(&text)?;
        let mut found = Found::default();
        collect(&text, &mut Vec::new(), table.get_ref(), &mut found)?;
        let own = table.get_ref().keys().any(|key| *key.get_ref() == "bootseal");
        drop(table);
        if own {
            return Err(Error::malformed(
                "the table `bootseal` belongs to the format and must occur once, as the last table of the file",
            ));
        }
        found.properties.sort_by_key(|(_, _, span)| span.start);
        let properties = found
            .properties
            .into_iter()
            .map(|(path, property, span)| (path, (property, span)))
            .collect();
        Ok(Document { text, properties, empty: found.empty })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn get(&self, path: &PropertyPath) -> Option<&Property> {
        self.properties.get(path).map(|(property, _)| property)
    }

    /// The value of a property as it is written.
    pub(crate) fn raw_value(&self, path: &PropertyPath) -> Option<&str> {
        self.properties.get(path).map(|(_, span)| &self.text[span.clone()])
    }

    /// The comments, each without surrounding blanks.
    pub(crate) fn comments(&self) -> Vec<String> {
        let comments = Outline::of(&self.text).map(|outline| outline.comments).unwrap_or_default();
        comments.into_iter().map(|span| self.text[span].trim().to_owned()).collect()
    }

    /// Each comment, with the property or header that it is about. This is the property or header
    /// on the line of the comment or, if there is none, the next one below.
    pub(crate) fn placed_comments(&self) -> Vec<(String, String)> {
        let Ok(outline) = Outline::of(&self.text) else { return Vec::new() };
        let name = |path: &[String]| DottedKey(path).to_string();
        let mut places: Vec<(usize, String)> = outline
            .entries
            .iter()
            .map(|entry| (entry.line_end, name(&entry.path)))
            .chain(outline.sections.iter().skip(1).map(|section| {
                (self.line_end(section.start), format!("[{}]", name(&section.path)))
            }))
            .collect();
        places.sort();
        let place = |at: usize| {
            let next = places.partition_point(|(end, _)| *end <= at);
            places.get(next).map_or(String::new(), |(_, name)| name.clone())
        };
        outline
            .comments
            .iter()
            .map(|span| (self.text[span.clone()].trim().to_owned(), place(span.start)))
            .collect()
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// The paths of empty tables.
    pub(crate) fn empty(&self) -> &[Vec<String>] {
        &self.empty
    }

    /// The names of tables without any property: headers, and `key = {}`.
    pub(crate) fn empty_tables<'a>(&'a self) -> Vec<String> {
        let Ok(outline) = Outline::of(&self.text) else { return Vec::new() };
        let prefixes = |path: &'a PropertyPath| {
            (1..=path.segments().len()).map(|length| &path.segments()[..length])
        };
        let full: HashSet<&[String]> = self.properties.keys().flat_map(prefixes).collect();
        let empty =
            |section: &&crate::text::outline::Section| !full.contains(section.path.as_slice());
        let headers = outline.sections.iter().skip(1).filter(empty).map(|section| &section.path);
        let names: IndexSet<String> =
            headers.chain(&self.empty).map(|path| format!("[{}]", DottedKey(path))).collect();
        names.into_iter().collect()
    }

    /// All properties, in the order of the text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PropertyPath, &Property)> {
        self.properties.iter().map(|(path, (property, _))| (path, property))
    }

    /// Whether `path` is a table with properties.
    pub(crate) fn is_table(&self, path: &[String]) -> bool {
        self.properties
            .keys()
            .any(|other| other.starts_with(path) && other.segments().len() > path.len())
    }

    /// Whether the span is that of `[[blocks]]`. Any other value follows its key on the same line.
    pub(super) fn is_blocks(&self, span: &Range<usize>) -> bool {
        self.text[self.line_start(span.start)..span.start].trim().is_empty()
    }

    /// Whether the property is written as `[[blocks]]`, in more than one place of the text.
    pub(crate) fn has_blocks(&self, path: &PropertyPath) -> bool {
        self.properties.get(path).is_some_and(|(_, span)| self.is_blocks(span))
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The sealed properties, and the span of each value in the text.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = (&PropertyPath, &Range<usize>)> {
        let sealed = self
            .properties
            .iter()
            .filter(|(_, (property, _))| matches!(property, Property::Sealed(_)));
        sealed.map(|(path, (_, span))| (path, span))
    }
}

#[derive(Default)]
struct Found {
    properties: Vec<(PropertyPath, Property, Range<usize>)>,
    empty: Vec<Vec<String>>,
    /// The total length of all names, in bytes.
    names: usize,
}

/// The maximum length of all paths together, in bytes. Otherwise, a long header above many short
/// keys could take a hundred times the memory of the text.
const MAX_NAMES: usize = 64 << 20;

fn collect(
    text: &str,
    above: &mut Vec<String>,
    table: &DeTable<'_>,
    found: &mut Found,
) -> Result<()> {
    for (key, value) in table {
        above.push(key.get_ref().to_string());
        let length = || above.iter().map(String::len).sum::<usize>();
        match value.get_ref() {
            DeValue::Table(inner) if inner.is_empty() => {
                found.names += length();
                found.empty.push(above.clone());
            }
            DeValue::Table(inner) => collect(text, above, inner, found)?,
            other => {
                let path = PropertyPath::new(above.clone())
                    .map_err(|error| error.at_offset(text, value.span().start))?;
                let property = property(text, &path, other, value.span())?;
                found.names += length();
                found.properties.push((path, property, value.span()));
            }
        }
        if found.names > MAX_NAMES {
            return Err(Error::malformed(
                "the names of its properties have more than 64 MiB in total",
            ));
        }
        above.pop();
    }
    Ok(())
}

fn property(
    text: &str,
    path: &PropertyPath,
    value: &DeValue<'_>,
    span: Range<usize>,
) -> Result<Property> {
    let fail = |what: &str| Err(Error::malformed(what).at(path).at_offset(text, span.start));
    match value {
        DeValue::String(string) if string.starts_with(SEALED_PREFIX) => {
            check_shape(string).map_err(|error| error.at(path).at_offset(text, span.start))?;
            Ok(Property::Sealed(string.to_string()))
        }
        DeValue::String(string) if string.starts_with(SECRET_PREFIX) => fail(
            "a readable string may not begin with `secret:`: it looks like a value to be sealed",
        ),
        DeValue::Array(_) if mentions(value, SEALED_PREFIX) => fail(
            "`sealed:` in an array or in a table inside an array: only a string directly in a table can be sealed",
        ),
        DeValue::Array(_) if mentions(value, SECRET_PREFIX) => fail(
            "`secret:` in an array or in a table inside an array: only a string directly in a table can be sealed",
        ),
        other => match to_value(other) {
            Some(value) => Ok(Property::Readable(value)),
            None => fail("a number that is out of range"),
        },
    }
}

fn mentions(value: &DeValue<'_>, prefix: &str) -> bool {
    match value {
        DeValue::String(string) => string.starts_with(prefix),
        DeValue::Array(array) => array.iter().any(|element| mentions(element.get_ref(), prefix)),
        DeValue::Table(table) => table.values().any(|element| mentions(element.get_ref(), prefix)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[test]
    fn misplaced_sealed_and_secret_texts_are_refused() {
        let good = format!("sealed:{}", "A".repeat(139));
        assert!(Document::parse(format!("a = \"{good}\"\n")).is_ok());
        for text in [
            format!("a = [\"{good}\"]\n"),
            format!("a = [{{ b = \"{good}\" }}]\n"),
            format!("[[a]]\nb = \"{good}\"\n"),
            "a = \"sealed:AAAA\"\n".into(),
            "a = \"sealed:\"\n".into(),
            format!("a = \"{good}=\"\n"),
            "a = \"secret:x\"\n".into(),
            "a = ['secret:x']\n".into(),
            "[bootseal]\nx = 1\n".into(),
            "bootseal.x = 1\n".into(),
        ] {
            assert_eq!(
                Document::parse(text.clone()).err().map(|error| error.kind()),
                Some(Kind::Malformed),
                "{text}"
            );
        }
    }
}
