//! The user's part of a sealed file, with its text and the properties in it. `[bootseal]` is kept
//! as a separate text. Names and values stay in the text until they are requested.

use crate::error::{Error, Result};
use crate::text::outline::Outline;
use crate::text::parse::index::{Index, Rules};
use crate::text::path::{DottedKey, PropertyPath};
use crate::text::shared_text::SharedText;
use indexmap::IndexSet;
use sha2::Digest;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use std::sync::OnceLock;

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

#[derive(Default)]
pub(crate) struct Document {
    pub(super) text: SharedText,
    index: Index,
    /// The properties that were requested, in the order of the text.
    read: Vec<OnceLock<Box<(PropertyPath, Property)>>>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Document").field(&self.text).finish()
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Document) -> bool {
        *self.text == *other.text
    }
}

impl Document {
    /// Parses `text`, in which `sealed:` strings may occur wherever the format allows them.
    pub(crate) fn parse(text: String) -> Result<Document> {
        let text = SharedText::from(text);
        Outline::bounds(&text)?;
        Document::parse_bounded(text)
    }

    /// Like `parse`, for a part of a text whose nesting depth was checked already.
    pub(crate) fn parse_bounded(text: SharedText) -> Result<Document> {
        let index = Index::of(&text, Rules::Sealed)?;
        if index.has(&text, "bootseal") {
            return Err(Error::malformed(
                "the table `bootseal` belongs to the format and must occur once, as the last table of the file",
            ));
        }
        let read = std::iter::repeat_with(OnceLock::new).take(index.entries.len()).collect();
        Ok(Document { text, index, read })
    }

    /// The property at a position, which is read from the text when it is requested first.
    fn property(&self, at: usize) -> Option<&(PropertyPath, Property)> {
        let read = self.read.get(at)?;
        if let Some(read) = read.get() {
            return Some(read);
        }
        let path = self.index.property_path(&self.text, at)?;
        let property = self.read_at(at)?;
        Some(read.get_or_init(|| Box::new((path, property))))
    }

    fn read_at(&self, at: usize) -> Option<Property> {
        Some(match (self.index.is_sealed(at), self.index.value(&self.text, at)?) {
            (true, toml::Value::String(text)) => Property::Sealed(text),
            (_, value) => Property::Readable(value),
        })
    }

    /// Like `get`, but keeps nothing in memory: for passes over very many properties.
    pub(crate) fn read(&self, path: &PropertyPath) -> Option<Property> {
        self.read_at(self.position(path)?)
    }

    pub(crate) fn is_sealed(&self, path: &PropertyPath) -> bool {
        self.position(path).is_some_and(|at| self.index.is_sealed(at))
    }

    fn position(&self, path: &PropertyPath) -> Option<usize> {
        self.index.position(&self.text, path.segments())
    }

    pub(crate) fn contains(&self, path: &PropertyPath) -> bool {
        self.position(path).is_some()
    }

    /// The extent of a property's value.
    pub(super) fn span(&self, path: &PropertyPath) -> Option<Range<usize>> {
        Some(self.index.entries.get(self.position(path)?)?.span())
    }

    /// The number of properties, and how many of them are sealed.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let sealed = (0..self.read.len()).filter(|at| self.index.is_sealed(*at)).count();
        (self.read.len(), sealed)
    }

    /// The name of each property in the order of the text, and whether it is sealed. Unlike
    /// [`Document::iter`], this keeps nothing in memory.
    pub(crate) fn names(&self) -> impl Iterator<Item = (PropertyPath, bool)> {
        (0..self.read.len()).filter_map(|at| {
            Some((self.index.property_path(&self.text, at)?, self.index.is_sealed(at)))
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn get(&self, path: &PropertyPath) -> Option<&Property> {
        self.property(self.position(path)?).map(|(_, property)| property)
    }

    /// The value of a property as it is written.
    pub(crate) fn raw_value(&self, path: &PropertyPath) -> Option<&str> {
        self.span(path).map(|span| &self.text[span])
    }

    /// The comments, each without surrounding blanks. If there are very many, one text with their
    /// number and their hash stands for the last ones, so that a change in them still shows.
    pub(crate) fn comments(&self) -> Vec<Cow<'_, str>> {
        let outline = Outline::of(&self.text).unwrap_or_default();
        let listed = outline.comments.into_iter().map(|span| Cow::from(self.text[span].trim()));
        let (count, hash) = outline.more_comments;
        let more = (count > 0).then(|| {
            let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
            Cow::from(format!("({count} more comments, SHA-256 {hash})"))
        });
        listed.chain(more).collect()
    }

    /// Each comment, with the property or header that it is about. This is the property or header
    /// on the line of the comment or, if there is none, the next one below.
    pub(crate) fn placed_comments(&self) -> Vec<(&str, String)> {
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
            .map(|span| (self.text[span.clone()].trim(), place(span.start)))
            .collect()
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// The length of all values below a table, in bytes.
    pub(crate) fn length_below(&self, table: &[String]) -> usize {
        let positions = self.index.positions_below(&self.text, table);
        positions.into_iter().filter_map(|at| Some(self.index.extent(at)?.len())).sum()
    }

    /// The properties below a table, in the order of the text.
    pub(crate) fn below(
        &self,
        table: &[String],
    ) -> impl Iterator<Item = (&PropertyPath, &Property)> {
        let positions = self.index.positions_below(&self.text, table).into_iter();
        positions.filter_map(|at| self.property(at).map(|(path, property)| (path, property)))
    }

    /// The paths of the empty tables below a table.
    pub(crate) fn empty_below(&self, table: &[String]) -> Vec<Vec<String>> {
        self.index.empty_tables(&self.text, table)
    }

    /// The names of tables without any property: headers, and `key = {}`.
    pub(crate) fn empty_tables(&self) -> Vec<String> {
        let Ok(outline) = Outline::of(&self.text) else { return Vec::new() };
        let full: HashSet<Vec<String>> = self
            .names()
            .flat_map(|(path, _)| {
                let prefixes = 1..=path.segments().len();
                prefixes.map(move |length| path.segments()[..length].to_vec()).collect::<Vec<_>>()
            })
            .collect();
        let empty = |section: &&crate::text::outline::Section| !full.contains(&section.path);
        let headers = outline.sections.iter().skip(1).filter(empty).map(|section| &section.path);
        let inline = self.empty_below(&[]);
        let names: IndexSet<String> =
            headers.chain(&inline).map(|path| format!("[{}]", DottedKey(path))).collect();
        names.into_iter().collect()
    }

    /// All properties, in the order of the text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PropertyPath, &Property)> {
        (0..self.read.len())
            .filter_map(|at| self.property(at).map(|(path, property)| (path, property)))
    }

    /// Whether `path` is a table with properties.
    pub(crate) fn is_table(&self, path: &[String]) -> bool {
        self.index.is_full_table(&self.text, path)
    }

    /// Whether the span is that of `[[blocks]]`. Any other value follows its key on the same line.
    pub(super) fn is_blocks(&self, span: &Range<usize>) -> bool {
        self.text[self.line_start(span.start)..span.start].trim().is_empty()
    }

    /// Whether the property is written as `[[blocks]]`, which can be in more than one place of the
    /// text.
    pub(crate) fn has_blocks(&self, path: &PropertyPath) -> bool {
        self.span(path).is_some_and(|span| self.is_blocks(&span))
    }

    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The sealed properties, and the span of each value in the text.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = (PropertyPath, Range<usize>)> {
        let sealed = self.names().zip(&self.index.entries).filter(|((_, sealed), _)| *sealed);
        sealed.map(|((path, _), entry)| (path, entry.span()))
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
