//! A plain-text settings file, the input of sealing: its properties, and its text without the
//! secrets.

use crate::error::{Error, Result};
use crate::text::document::Property;
use crate::text::insert::lead;
use crate::text::outline::{Outline, Section};
use crate::text::parse::index::{EntryKind, Index, Rules};
use crate::text::parse::value_text::one_line;
use crate::text::path::{DottedKey, PropertyPath};
use crate::text::sealed_text::{SEALED_PREFIX, SECRET_PREFIX};
use crate::text::shared_text::with_lf;
use crate::text::toml_value::quoted;
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;
use toml::Value;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;
use zeroize::{Zeroize, Zeroizing};

/// A plain-text TOML file, in which `"secret:…"` may mark values to be sealed.
///
/// ```
/// let plain = bootseal_core::PlainDocument::parse("# acme\nuser = \"bob\"\npassword = \"secret:hunter2\"\n".into())?;
/// let marked: Vec<_> = plain.properties().filter(|property| property.marked).collect();
/// assert_eq!(marked[0].path.to_string(), "password");
/// assert_eq!(plain.emptied(&[marked[0].path.clone()].into(), true), "# acme\nuser = \"bob\"\npassword = \"\"\n");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct PlainDocument {
    text: String,
    index: Index,
}

/// Wipes the text, which contains secrets in the clear.
impl Drop for PlainDocument {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// One property of a plain-text file.
///
/// ```
/// let plain = bootseal_core::PlainDocument::parse("password = \"secret:hunter2\"\n".into())?;
/// let password = plain.properties().next().unwrap();
/// assert!(password.marked && password.value.is_str());
/// assert_eq!(password.path.to_string(), "password");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct PlainProperty {
    /// Its name.
    pub path: PropertyPath,
    /// Its value, without the prefix `secret:`.
    pub value: Value,
    /// Whether it was written as `"secret:…"`.
    pub marked: bool,
    pub(crate) span: Range<usize>,
}

/// The content of a property, as it is sealed.
pub enum PlainContent {
    /// A string, without the prefix `secret:`.
    Text(Zeroizing<String>),
    /// Any other value, as TOML on one line, without comments.
    Toml(Zeroizing<String>),
}

impl PlainProperty {
    /// The property as it would be in the sealed file, if only marked values were sealed. A sealed
    /// value is an empty text.
    pub fn into_property(self) -> Property {
        match self.marked {
            true => Property::Sealed(String::new()),
            false => Property::Readable(self.value),
        }
    }
}

impl PlainDocument {
    /// Parses `text`; CR LF becomes LF.
    ///
    /// # Errors
    /// [`Kind::Malformed`](crate::Kind::Malformed), with line and column if they are known: if it is not TOML or nested too
    /// deep, if a number is out of range, if it is sealed already, or if `secret:` occurs inside an
    /// array.
    ///
    /// ```
    /// use bootseal_core::{Kind, PlainDocument};
    /// let plain = PlainDocument::parse("[acme]\nuser = \"bob\"\n".into())?;
    /// assert_eq!(plain.properties().count(), 1);
    /// let error = PlainDocument::parse("user = bob".into()).err();
    /// assert_eq!(error.map(|error| error.kind()), Some(Kind::Malformed));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn parse(text: String) -> Result<PlainDocument> {
        PlainDocument::parse_user(text, || {
            Error::malformed("has a table `bootseal`: is it sealed already?")
                .with_help("To change a sealed file: bootseal set, or bootseal seal INPUT -f FILE")
        })
    }

    /// Like `parse`; `own` is the error for a table `bootseal`, which a plain-text file never has.
    pub(crate) fn parse_user(text: String, own: impl FnOnce() -> Error) -> Result<PlainDocument> {
        // The drop wipes the text on every way out of this function, errors included.
        let mut plain = PlainDocument { text: with_lf(text), index: Index::default() };
        let outline = Outline::bounds(&plain.text)?;
        let is_own = |section: &Section| section.path.first().is_some_and(|key| key == "bootseal");
        if outline.sections.iter().any(is_own) {
            return Err(own());
        }
        let index = Index::of(&plain.text, Rules::Plain)?;
        if index.has(&plain.text, "bootseal") {
            return Err(own());
        }
        plain.index = index;
        Ok(plain)
    }

    /// The names of the tables without any property. A sealed file keeps them, but they cannot be
    /// added to one that exists.
    pub fn empty_tables(&self) -> Vec<String> {
        let paths = self.index.empty_tables(&self.text, &[]);
        paths.iter().map(|path| DottedKey(path).to_string()).collect()
    }

    /// The number of properties.
    pub(crate) fn len(&self) -> usize {
        self.index.entries.len()
    }

    /// All properties, in the order of the text. Each is read when the iterator reaches it, and is
    /// not kept.
    pub fn properties(&self) -> impl Iterator<Item = PlainProperty> {
        (0..self.len()).filter_map(|at| self.at(at))
    }

    /// The names of all properties in the order of the text, and whether each is marked. This reads
    /// no value.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("user = \"bob\"\npassword = \"secret:hunter2\"\n".into())?;
    /// let names: Vec<_> = plain.names().collect();
    /// assert_eq!(names, [("user".parse()?, false), ("password".parse()?, true)]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn names(&self) -> impl Iterator<Item = (PropertyPath, bool)> {
        self.index.entries.iter().enumerate().filter_map(|(at, entry)| {
            let path = self.index.property_path(&self.text, at)?;
            Some((path, entry.kind == EntryKind::Marked))
        })
    }

    /// One property; `None` if no property has this name.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("[acme]\nuser = \"bob\"\n".into())?;
    /// assert!(plain.property(&"acme.user".parse()?).is_some_and(|user| user.value.is_str()));
    /// assert!(plain.property(&"acme".parse()?).is_none());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn property(&self, path: &PropertyPath) -> Option<PlainProperty> {
        self.at(self.index.position(&self.text, path.segments())?)
    }

    /// The content of one property, as it is sealed; `None` if no property has this name.
    ///
    /// ```
    /// use bootseal_core::{PlainContent, PlainDocument};
    /// let plain = PlainDocument::parse("hosts = [\n  'a', # first\n  'b',\n]\n".into())?;
    /// let Some(PlainContent::Toml(text)) = plain.content(&"hosts".parse()?) else { panic!() };
    /// assert_eq!(*text, "[\"a\", \"b\"]");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn content(&self, path: &PropertyPath) -> Option<PlainContent> {
        let at = self.index.position(&self.text, path.segments())?;
        match self.index.is_string(&self.text, at) {
            true => match self.at(at)?.value {
                Value::String(text) => Some(PlainContent::Text(Zeroizing::new(text))),
                _ => None,
            },
            false => {
                let entry = self.index.entries.get(at)?;
                let text = match entry.kind {
                    EntryKind::Blocks => Zeroizing::new(self.at(at)?.value.to_string()),
                    _ => one_line(self.text.get(entry.span())?)?,
                };
                Some(PlainContent::Toml(text))
            }
        }
    }

    fn at(&self, at: usize) -> Option<PlainProperty> {
        let entry = self.index.entries.get(at)?;
        let path = self.index.property_path(&self.text, at)?;
        let marked = entry.kind == EntryKind::Marked;
        let value = match self.index.value(&self.text, at)? {
            Value::String(text) if marked => {
                let text = Zeroizing::new(text);
                Value::String(text.strip_prefix(SECRET_PREFIX).unwrap_or(&text).to_owned())
            }
            value => value,
        };
        Some(PlainProperty { path, value, marked, span: entry.span() })
    }

    /// The text in which the values of `paths` are empty strings; everything else stays the same,
    /// also the comments if they are `kept`. A missing path changes nothing. An array that is
    /// written as `[[blocks]]` is removed, because it can be in more than one place of the text.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("password = \"secret:hunter2\" # since May\n[[hosts]]\na = 1\n".into())?;
    /// let paths = ["password".parse()?, "hosts".parse()?].into();
    /// assert_eq!(plain.emptied(&paths, true), "password = \"\" # since May\n");
    /// assert_eq!(plain.emptied(&paths, false), "password = \"\"\n");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn emptied(&self, paths: &HashSet<PropertyPath>, kept: bool) -> String {
        let mut text = String::with_capacity(self.text.len() + paths.len() * quoted("").len());
        let mut done = 0;
        self.visit_spans(paths, &mut |span, is_value| {
            push(&mut text, self.text.get(done..span.start).unwrap_or_default(), kept);
            if is_value {
                text.push_str(&quoted(""));
            }
            done = span.end;
        });
        push(&mut text, &self.text[done..], kept);
        text
    }

    /// Visits the spans of the values of `paths` in the order of the text, each with whether it is a
    /// value in one place, and not a part of `[[blocks]]`.
    fn visit_spans(
        &self,
        paths: &HashSet<PropertyPath>,
        visit: &mut dyn FnMut(Range<usize>, bool),
    ) {
        let wanted =
            |at| self.index.property_path(&self.text, at).is_some_and(|it| paths.contains(&it));
        let entries = || self.index.entries.iter().enumerate();
        let blocks = entries().filter(|(at, entry)| entry.kind == EntryKind::Blocks && wanted(*at));
        let mut blocks: Vec<Range<usize>> =
            blocks.flat_map(|(at, _)| self.block_spans(at)).collect();
        blocks.sort_unstable_by_key(|span| span.start);
        let mut blocks = blocks.into_iter().peekable();
        for (_, entry) in entries().filter(|(at, it)| it.kind != EntryKind::Blocks && wanted(*at)) {
            let span = entry.span();
            while let Some(block) = blocks.next_if(|block| block.start < span.start) {
                visit(block, false);
            }
            visit(span, true);
        }
        blocks.for_each(|block| visit(block, false));
    }

    /// The spans of the `[[blocks]]` at a position. A comment above the next header belongs to that
    /// header.
    fn block_spans(&self, at: usize) -> impl Iterator<Item = Range<usize>> {
        self.index.blocks(at).map(|block| block.start..lead(&self.text, block.end))
    }

    /// The length of the text without the values of `paths`, in bytes. A missing path is ignored.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("user = 'bob'\n".into())?;
    /// assert_eq!(plain.length_without(&["user".parse()?].into()), "user = \n".len());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn length_without(&self, paths: &HashSet<PropertyPath>) -> usize {
        let mut length = self.text.len();
        self.visit_spans(paths, &mut |span, _| length -= span.len());
        length
    }

    /// Whether a property is an array that is written as `[[blocks]]`.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("[[hosts]]\nname = \"a\"\n".into())?;
    /// assert!(plain.has_blocks(&"hosts".parse()?));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn has_blocks(&self, path: &PropertyPath) -> bool {
        let at = self.index.position(&self.text, path.segments());
        let entry = at.and_then(|at| self.index.entries.get(at));
        entry.is_some_and(|entry| entry.kind == EntryKind::Blocks)
    }

    /// Whether there is a comment in the `[[blocks]]` of an array, which [`PlainDocument::emptied`]
    /// removes with them.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("[[hosts]]\n# the first\nname = \"a\"\n".into())?;
    /// assert!(plain.has_comments_in_blocks(&"hosts".parse()?));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn has_comments_in_blocks(&self, path: &PropertyPath) -> bool {
        let comment = |text: &str| {
            let mut tokens = Source::new(text).lex();
            tokens.any(|token| token.kind() == TokenKind::Comment)
        };
        let Some(at) = self.index.position(&self.text, path.segments()) else { return false };
        self.block_spans(at).any(|span| self.text.get(span).is_some_and(comment))
    }

    /// Whether a property is an array.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("hosts = ['a']\n[[users]]\n".into())?;
    /// assert!(plain.is_array(&"hosts".parse()?) && plain.is_array(&"users".parse()?));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn is_array(&self, path: &PropertyPath) -> bool {
        let at = self.index.position(&self.text, path.segments());
        let entry = at.and_then(|at| self.index.entries.get(at));
        let is_array = |text: &str| text.starts_with('[');
        entry.is_some_and(|entry| self.text.get(entry.span()).is_some_and(is_array))
    }

    /// The text of a property that is an array, as TOML; `None` for other properties.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("hosts = ['a', 'b']\nport = 1\n".into())?;
    /// assert_eq!(plain.array(&"hosts".parse()?).as_deref(), Some("['a', 'b']"));
    /// assert!(plain.array(&"port".parse()?).is_none());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn array(&self, path: &PropertyPath) -> Option<Cow<'_, str>> {
        let at = self.index.position(&self.text, path.segments())?;
        let entry = self.index.entries.get(at)?;
        match entry.kind {
            EntryKind::Blocks => Some(Cow::Owned(self.index.value(&self.text, at)?.to_string())),
            _ => {
                self.text.get(entry.span()).filter(|text| text.starts_with('[')).map(Cow::Borrowed)
            }
        }
    }

    /// The comments, each with its line (from 1).
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("# who\n\nuser = \"bob\" # for now\n# the old one was: eve\n".into())?;
    /// let comments: Vec<(usize, &str)> = plain.comments().collect();
    /// assert_eq!(comments, [(1, "# who"), (3, "# for now"), (4, "# the old one was: eve")]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        // The count continues from the previous comment, because counting from the top each time
        // would be quadratic.
        let tokens = Source::new(&self.text).lex();
        let comments = tokens.filter(|token| token.kind() == TokenKind::Comment);
        comments.scan((0, 1), |(counted, line), comment| {
            let span = comment.span();
            *line += self.text[*counted..span.start()].matches('\n').count();
            *counted = span.start();
            Some((*line, &self.text[span.start()..span.end()]))
        })
    }
}

/// Appends a part of a document between two values; without its comments, and the lines that
/// consist of one, unless they are `kept`.
fn push(text: &mut String, part: &str, kept: bool) {
    if kept {
        return text.push_str(part);
    }
    let mut drops_line = false;
    for token in Source::new(part).lex() {
        let raw = part.get(token.span().start()..token.span().end()).unwrap_or_default();
        match token.kind() {
            TokenKind::Comment => {
                text.truncate(text.trim_end_matches([' ', '\t']).len());
                drops_line = text.is_empty() || text.ends_with('\n');
            }
            TokenKind::Newline if std::mem::take(&mut drops_line) => {}
            _ => text.push_str(raw),
        }
    }
}

impl PlainDocument {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

/// Whether any string in the value begins with `secret:` or `sealed:`.
pub(crate) fn mentions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(SECRET_PREFIX) || text.starts_with(SEALED_PREFIX),
        Value::Array(array) => array.iter().any(mentions),
        Value::Table(table) => table.values().any(mentions),
        _ => false,
    }
}
