//! The user's part of a sealed file, with its text and the properties in it. `[bootseal]` is kept
//! as a separate text. Names and values stay in the text until they are requested.

use crate::error::{Error, Result};
use crate::text::outline::{Outline, Section};
use crate::text::parse::index::{Index, Rules};
use crate::text::parse::value_parts::ValuePart;
use crate::text::path::{DottedKey, PropertyPath};
use crate::text::shared_text::SharedText;
use indexmap::IndexSet;
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

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

/// Hashes a value so that two values have the same hash if and only if they are equal as in
/// [`same_value`].
fn hash_value(value: &toml::Value, hash: &mut Sha256) {
    match value {
        toml::Value::Float(float) => {
            let float = if float.is_nan() { f64::NAN } else { *float };
            hash.update(b"f");
            hash.update(float.to_bits().to_be_bytes());
        }
        toml::Value::Array(array) => {
            hash.update(b"[");
            array.iter().for_each(|value| hash_value(value, hash));
            hash.update(b"]");
        }
        toml::Value::Table(table) => {
            let mut pairs: Vec<_> = table.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            hash.update(b"{");
            for (key, value) in pairs {
                hash_text(b'k', key, hash);
                hash_value(value, hash);
            }
            hash.update(b"}");
        }
        toml::Value::String(text) => hash_text(b's', text, hash),
        toml::Value::Integer(integer) => hash_text(b'i', &integer.to_string(), hash),
        toml::Value::Boolean(boolean) => hash_text(b'b', &boolean.to_string(), hash),
        toml::Value::Datetime(time) => hash_text(b'd', &time.to_string(), hash),
    }
}

fn hash_text(kind: u8, text: &str, hash: &mut Sha256) {
    hash.update([kind]);
    hash.update((text.len() as u64).to_be_bytes());
    hash.update(text);
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The maximum size of an array that a review shows, in bytes of its TOML. Built in memory, an array
/// can need a hundred times its text.
const LARGEST_SHOWN: usize = 1 << 20;

/// Clones share the text and its index.
#[derive(Clone, Default)]
pub(crate) struct Document {
    pub(super) text: SharedText,
    index: Arc<Index>,
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
        Ok(Document { text, index: Arc::new(index) })
    }

    /// The property at a position in the order of the text.
    pub(crate) fn property(&self, at: usize) -> Option<Property> {
        Some(match (self.index.is_sealed(at), self.index.value(&self.text, at)?) {
            (true, toml::Value::String(text)) => Property::Sealed(text),
            (_, value) => Property::Readable(value),
        })
    }

    /// Calls `each` with the parts of a property's value, without building an array in memory.
    pub(crate) fn parts(&self, path: &PropertyPath, each: &mut dyn FnMut(ValuePart)) {
        if let Some(at) = self.position(path) {
            self.index.parts(&self.text, at, each);
        }
    }

    /// Whether a reader cannot distinguish this property from that of another document, or both
    /// documents do not have it. No array is built in memory for it.
    pub(crate) fn has_same(&self, path: &PropertyPath, other: &Document) -> bool {
        let (one, two) = match (self.position(path), other.position(path)) {
            (Some(one), Some(two)) => (one, two),
            (None, None) => return true,
            _ => return false,
        };
        let texts = self.index.texts(&self.text, one);
        texts.eq(other.index.texts(&other.text, two))
            || self.index.is_sealed(one) == other.index.is_sealed(two)
                && self.fingerprint(one) == other.fingerprint(two)
    }

    /// A text that stands for a readable array that is too large to build: its size and its hash.
    /// `None` for every other property.
    pub(crate) fn stand_in(&self, path: &PropertyPath) -> Option<String> {
        let size = self.too_large(path)?;
        let mut hash = Sha256::new();
        self.index.texts(&self.text, self.position(path)?).for_each(|text| hash.update(text));
        Some(format!("({size} bytes of TOML, SHA-256 {})", hex(&hash.finalize())))
    }

    /// The size of a readable array in bytes, if it is too large to build for a review.
    pub(crate) fn too_large(&self, path: &PropertyPath) -> Option<usize> {
        let at = self.position(path).filter(|at| !self.index.is_string(&self.text, *at))?;
        let size = self.index.texts(&self.text, at).map(str::len).sum();
        Some(size).filter(|size| *size > LARGEST_SHOWN)
    }

    /// The hash of what a reader can distinguish in a value.
    fn fingerprint(&self, at: usize) -> [u8; 32] {
        let mut hash = Sha256::new();
        self.index.parts(&self.text, at, &mut |part| match part {
            ValuePart::ArrayStart => hash.update(b"["),
            ValuePart::ArrayEnd => hash.update(b"]"),
            ValuePart::Value(value) => hash_value(&value, &mut hash),
        });
        hash.finalize().into()
    }

    pub(crate) fn is_sealed(&self, path: &PropertyPath) -> bool {
        self.position(path).is_some_and(|at| self.index.is_sealed(at))
    }

    /// Whether the property is readable and a string.
    pub(crate) fn is_text(&self, path: &PropertyPath) -> bool {
        self.position(path)
            .is_some_and(|at| self.index.is_string(&self.text, at) && !self.index.is_sealed(at))
    }

    /// Whether the property is readable and an array, also one of `[[blocks]]`.
    pub(crate) fn is_array(&self, path: &PropertyPath) -> bool {
        let starts = |span: Range<usize>| self.text[span].starts_with('[');
        self.span(path).is_some_and(|span| self.is_blocks(&span) || starts(span))
    }

    pub(crate) fn position(&self, path: &PropertyPath) -> Option<usize> {
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
        let sealed = (0..self.index.entries.len()).filter(|at| self.index.is_sealed(*at)).count();
        (self.index.entries.len(), sealed)
    }

    /// The name of each property in the order of the text, and whether it is sealed. Unlike
    /// [`Document::iter`], this reads no value.
    pub(crate) fn names(&self) -> impl Iterator<Item = (PropertyPath, bool)> {
        (0..self.index.entries.len()).filter_map(|at| {
            Some((self.index.property_path(&self.text, at)?, self.index.is_sealed(at)))
        })
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The property, read from the text.
    pub(crate) fn get(&self, path: &PropertyPath) -> Option<Property> {
        self.property(self.position(path)?)
    }

    /// The value of a property as it is written.
    pub(crate) fn raw_value(&self, path: &PropertyPath) -> Option<&str> {
        self.span(path).map(|span| &self.text[span])
    }

    /// The comments, each without surrounding blanks. If there are very many, one text with their
    /// number and their hash stands for the last ones, so that a change in them still shows.
    pub(crate) fn comments(&self) -> Vec<Cow<'_, str>> {
        let outline = Outline::layout(&self.text).unwrap_or_default();
        let listed = outline.comments.into_iter().map(|span| Cow::from(self.text[span].trim()));
        let (count, hash) = outline.more_comments;
        let more = (count > 0).then(|| {
            Cow::from(format!("({count} more comments, SHA-256 {})", hex(&hash.finalize())))
        });
        listed.chain(more).collect()
    }

    /// Each comment, with the property or header that it is about. This is the property or header
    /// on the line of the comment or, if there is none, the next one below.
    pub(crate) fn placed_comments(&self) -> Vec<(&str, Rc<str>)> {
        let outline = Outline::layout(&self.text).unwrap_or_default();
        let texts = outline.comments.into_iter().map(|span| self.text[span].trim());
        texts.zip(outline.about).collect()
    }

    /// The length of all values below a table, in bytes.
    pub(crate) fn length_below(&self, table: &[String]) -> usize {
        let positions = self.index.positions_below(&self.text, table);
        positions.into_iter().filter_map(|at| Some(self.index.extent(at)?.len())).sum()
    }

    /// The properties below a table, in the order of the text.
    pub(crate) fn below(&self, table: &[String]) -> impl Iterator<Item = (PropertyPath, Property)> {
        let positions = self.index.positions_below(&self.text, table).into_iter();
        positions.filter_map(|at| self.named(at))
    }

    /// The names of the properties below a table, in the order of the text.
    pub(crate) fn names_below(&self, table: &[String]) -> impl Iterator<Item = PropertyPath> {
        let positions = self.index.positions_below(&self.text, table).into_iter();
        positions.filter_map(|at| self.path_at(at))
    }

    /// The paths of the empty tables below a table.
    pub(crate) fn empty_below(&self, table: &[String]) -> Vec<Vec<String>> {
        self.index.empty_tables(&self.text, table)
    }

    /// The names of tables without any property: headers, and `key = {}`.
    pub(crate) fn empty_tables(&self) -> Vec<String> {
        let Ok(outline) = Outline::layout(&self.text) else { return Vec::new() };
        let empty = |section: &&Section| {
            let path = section.path.as_slice();
            !self.is_table(path) && self.index.position(&self.text, path).is_none()
        };
        let headers = outline.sections.iter().skip(1).filter(empty).map(|section| &section.path);
        let inline = self.empty_below(&[]);
        let names: IndexSet<String> =
            headers.chain(&inline).map(|path| format!("[{}]", DottedKey(path))).collect();
        names.into_iter().collect()
    }

    /// All properties, in the order of the text, each read when the iterator reaches it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (PropertyPath, Property)> {
        (0..self.index.entries.len()).filter_map(|at| self.named(at))
    }

    /// The name of the property at a position in the order of the text.
    pub(crate) fn path_at(&self, at: usize) -> Option<PropertyPath> {
        self.index.property_path(&self.text, at)
    }

    fn named(&self, at: usize) -> Option<(PropertyPath, Property)> {
        Some((self.index.property_path(&self.text, at)?, self.property(at)?))
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
