//! How does text become properties, and an edit text again? The user's part of the file; `[bootseal]` is a text of its own.
//!
//! An edit replaces the bytes of one value, or adds one line. Everything else keeps its bytes: comments, order, blanks.

use crate::error::{Error, Kind, Result, is_hidden};
use crate::text::outline::{Entry, InlineTable, Outline};
use crate::text::path::{BasicString, DottedKey, PropertyPath};
use crate::vault::value::SEALED_PREFIX;
use indexmap::{IndexMap, IndexSet};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// How a value in clear is written in an input that is to be sealed; it never stands in a sealed file.
///
/// ```
/// use bootseal_core::{PlainDocument, SECRET_PREFIX};
/// let plain = PlainDocument::parse(format!("password = \"{SECRET_PREFIX}hunter2\"\n"))?;
/// assert!(plain.properties()[0].marked);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub const SECRET_PREFIX: &str = "secret:";

/// What stands behind a property's name.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let mut vault = Vault::create(access, "timeout = \"10s\"\n")?;
/// # vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
/// # let file = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?;
/// match file.property(&"acme.password".parse()?) {
///     Some(Property::Sealed(text)) => assert!(text.starts_with("sealed:")),
///     Some(Property::Readable(value)) => println!("{value}"),
///     None => println!("absent"),
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub enum Property {
    /// A sealed value: its text, `sealed:` included. It is ciphertext, never a value.
    Sealed(String),
    /// A readable value, covered by the signature.
    Readable(toml::Value),
}

/// Two are the same where a reader cannot tell them apart: not a number is as good as itself.
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
        (Float(one), Float(other)) => one.to_bits() == other.to_bits() || one.is_nan() && other.is_nan(),
        (Array(one), Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_value(one, other))
        }
        (Table(one), Table(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same_value(value, other)))
        }
        _ => one == other,
    }
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Document {
    text: String,
    /// In the order of the text.
    properties: IndexMap<PropertyPath, (Property, Range<usize>)>,
    /// Tables that hold nothing.
    empty: Vec<Vec<String>>,
}

impl Document {
    /// Parses `text`, in which `sealed:` strings may stand where the format allows them.
    pub(crate) fn parse(text: String) -> Result<Document> {
        Outline::bounds(&text)?;
        Document::parse_bounded(text)
    }

    /// The same for a part of a text whose outline, and so its depth, was looked at already.
    pub(crate) fn parse_bounded(text: String) -> Result<Document> {
        let table = parse_toml(&text)?;
        let mut found = Found::default();
        collect(&text, &mut Vec::new(), table.get_ref(), &mut found)?;
        let own = table.get_ref().keys().any(|key| *key.get_ref() == "bootseal");
        drop(table);
        if own {
            return Err(Error::malformed(
                "the table `bootseal` belongs to the format and stands once, as the last table of the file",
            ));
        }
        found.properties.sort_by_key(|(_, _, span)| span.start);
        let properties = found.properties.into_iter().map(|(path, property, span)| (path, (property, span))).collect();
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

    /// The comments, each without the blanks around it.
    pub(crate) fn comments(&self) -> Vec<String> {
        let comments = Outline::of(&self.text).map(|outline| outline.comments).unwrap_or_default();
        comments.into_iter().map(|span| self.text[span].trim().to_owned()).collect()
    }

    /// Each comment with the property or header that it is about: that on its line, or the next one below.
    pub(crate) fn placed_comments(&self) -> Vec<(String, String)> {
        let Ok(outline) = Outline::of(&self.text) else { return Vec::new() };
        let name = |path: &[String]| DottedKey(path).to_string();
        let mut places: Vec<(usize, String)> = outline
            .entries
            .iter()
            .map(|entry| (entry.line_end, name(&entry.path)))
            .chain(
                outline
                    .sections
                    .iter()
                    .skip(1)
                    .map(|section| (self.line_end(section.start), format!("[{}]", name(&section.path)))),
            )
            .collect();
        places.sort();
        let place = |at: usize| {
            let next = places.partition_point(|(end, _)| *end <= at);
            places.get(next).map_or(String::new(), |(_, name)| name.clone())
        };
        outline.comments.iter().map(|span| (self.text[span.clone()].trim().to_owned(), place(span.start))).collect()
    }

    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    /// The paths of tables that hold nothing, not even another table.
    pub(crate) fn empty(&self) -> &[Vec<String>] {
        &self.empty
    }

    /// The names of tables that hold no property, and so are shown by none: headers, and `key = {}`.
    pub(crate) fn empty_tables<'a>(&'a self) -> Vec<String> {
        let Ok(outline) = Outline::of(&self.text) else { return Vec::new() };
        let prefixes = |path: &'a PropertyPath| (1..=path.segments().len()).map(|length| &path.segments()[..length]);
        let full: HashSet<&[String]> = self.properties.keys().flat_map(prefixes).collect();
        let empty = |section: &&crate::text::outline::Section| !full.contains(section.path.as_slice());
        let headers = outline.sections.iter().skip(1).filter(empty).map(|section| &section.path);
        let names: IndexSet<String> = headers.chain(&self.empty).map(|path| format!("[{}]", DottedKey(path))).collect();
        names.into_iter().collect()
    }

    /// All properties, in the order of the text.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&PropertyPath, &Property)> {
        self.properties.iter().map(|(path, (property, _))| (path, property))
    }

    /// Whether `path` is a table that holds properties.
    pub(crate) fn is_table(&self, path: &[String]) -> bool {
        self.properties.keys().any(|other| other.starts_with(path) && other.segments().len() > path.len())
    }

    /// The text in which what `path` holds is the TOML value `value`; a property that is not there is added.
    pub(crate) fn with(&self, path: &PropertyPath, value: &str) -> Result<String> {
        if let Some((_, span)) = self.properties.get(path) {
            self.refuse_blocks(path, span)?;
            return Ok([&self.text[..span.start], value, &self.text[span.end..]].concat());
        }
        if self.is_table(path.segments()) {
            return Err(Error::new(Kind::Conflict, "this is a table; a value cannot take its place").at(path));
        }
        if let Some(outer) = (1..path.segments().len()).find_map(|length| {
            let outer = PropertyPath::new(path.segments()[..length].to_vec()).ok()?;
            self.properties.contains_key(&outer).then_some(outer)
        }) {
            return Err(Error::new(Kind::Conflict, format!("`{outer}` is a value; it cannot hold others")).at(path));
        }
        self.with_new(&[(path, value)])
    }

    /// The text without the property `path`; a comment behind it goes with it, those above it stay.
    pub(crate) fn without(&self, path: &PropertyPath) -> Result<String> {
        self.without_all(&[path])
    }

    /// The same for several.
    pub(crate) fn without_all(&self, paths: &[&PropertyPath]) -> Result<String> {
        for path in paths {
            let Some((_, span)) = self.properties.get(*path) else {
                return Err(Error::new(Kind::NotFound, "no such property").at(path));
            };
            self.refuse_blocks(path, span)?;
        }
        let outline = Outline::of(&self.text)?;
        let wanted: HashSet<&[String]> = paths.iter().map(|path| path.segments()).collect();
        let line = |entry: &Entry| self.line_start(entry.key.start)..entry.line_end;
        let lines: Vec<(&Entry, Range<usize>)> = outline
            .entries
            .iter()
            .filter(|entry| wanted.contains(entry.path.as_slice()))
            .map(|entry| (entry, line(entry)))
            .collect();
        let inline = paths.iter().filter(|path| !lines.iter().any(|(entry, _)| entry.path == path.segments()));
        let inline: Vec<&&PropertyPath> = if lines.len() == paths.len() { Vec::new() } else { inline.collect() };
        let mut text = String::with_capacity(self.text.len());
        let mut done = 0;
        for (_, span) in &lines {
            text.push_str(&self.text[done..span.start]);
            done = span.end;
        }
        text.push_str(&self.text[done..]);
        let whole: Vec<&PropertyPath> =
            paths.iter().copied().filter(|path| !inline.iter().any(|other| **other == *path)).collect();
        if !self.reads_as(&text, &whole, &[]) {
            return Err(Document::cannot(paths.first().copied()));
        }
        // A member of an inline table goes with the comma that separates it: one at a time.
        inline.into_iter().try_fold(text, |text, path| Document::parse(text)?.without_member(path))
    }

    fn without_member(&self, path: &PropertyPath) -> Result<String> {
        let outline = Outline::of(&self.text)?;
        let span = outline.inline_tables.iter().find_map(|inline| {
            let at = inline.members.iter().position(|(member, _)| member == path.segments())?;
            let span = inline.members[at].1.clone();
            match (at.checked_sub(1), inline.members.get(at + 1)) {
                (_, Some((_, next))) => Some(span.start..next.start),
                (Some(before), None) => Some(inline.members[before].1.end..span.end),
                (None, None) => Some(span),
            }
        });
        let changed = span.map(|span| [&self.text[..span.start], &self.text[span.end..]].concat());
        changed.filter(|changed| self.reads_as(changed, &[path], &[])).ok_or_else(|| Document::cannot(Some(path)))
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The text in which `old` is called `new`; in its place where the tables allow it, with its comments.
    pub(crate) fn renamed(&self, old: &PropertyPath, new: &PropertyPath, value: &str) -> Result<String> {
        let outline = Outline::of(&self.text)?;
        if let Some(entry) = outline.entries.iter().find(|entry| entry.path == old.segments()) {
            let header = &outline.sections[entry.section].path;
            if let Some(below) = new.segments().strip_prefix(header.as_slice()).filter(|below| !below.is_empty()) {
                let key = DottedKey(below).to_string();
                let changed = [
                    &self.text[..entry.key.start],
                    &key,
                    &self.text[entry.key.end..entry.value.start],
                    value,
                    &self.text[entry.value.end..],
                ]
                .concat();
                if self.reads_as(&changed, &[old], &[new]) {
                    return Ok(changed);
                }
            }
        }
        Document::parse(self.without(old)?)?.with(new, value)
    }

    /// Where a line went is a matter of TOML's rules on tables; that it did what it was meant to, and nothing else, is checked by
    /// reading it: without `gone`, with `new`, and every other property as it was.
    fn reads_as(&self, changed: &str, gone: &[&PropertyPath], new: &[&PropertyPath]) -> bool {
        let Ok(read) = Document::parse(changed.to_owned()) else { return false };
        let moved: HashSet<&PropertyPath> = gone.iter().chain(new).copied().collect();
        let kept = || self.properties.keys().filter(|path| !moved.contains(path));
        read.properties.len() == kept().count() + new.len()
            && new.iter().all(|new| read.properties.contains_key(*new))
            && kept().all(|path| self.get(path) == read.get(path))
    }

    fn cannot(path: Option<&PropertyPath>) -> Error {
        if let Some(path) = path.filter(|path| path.segments().first().is_some_and(|name| name == "bootseal")) {
            return Error::new(Kind::Conflict, "the table [bootseal] is the vault's own, and holds no properties")
                .at(path)
                .with_help("Who may read or write is changed by `bootseal access`. Another name does for a property.");
        }
        let error = Error::new(Kind::Conflict, "this file's tables do not let it be changed here");
        let error = match path {
            Some(path) => error.at(path),
            None => error,
        };
        error.with_help("Change the line by hand, then accept the change: bootseal sign")
    }

    /// `[[name]]` blocks are one property too, but not one value in one place.
    fn refuse_blocks(&self, path: &PropertyPath, span: &Range<usize>) -> Result<()> {
        match self.is_blocks(span) {
            true => {
                Err(Error::new(Kind::Conflict, "this is an array of tables; a value cannot take its place").at(path))
            }
            false => Ok(()),
        }
    }

    /// A value stands behind its key on the same line; only the header of a block begins one.
    fn is_blocks(&self, span: &Range<usize>) -> bool {
        self.text[self.line_start(span.start)..span.start].trim().is_empty()
    }

    /// Whether the property is written as `[[blocks]]`: its value has no one place in the text.
    pub(crate) fn has_blocks(&self, path: &PropertyPath) -> bool {
        self.properties.get(path).is_some_and(|(_, span)| self.is_blocks(span))
    }

    /// The text with these properties, none of which is there yet, and their values.
    pub(crate) fn with_new(&self, list: &[(&PropertyPath, &str)]) -> Result<String> {
        let new: Vec<&PropertyPath> = list.iter().map(|(path, _)| *path).collect();
        let text = self.placed_at_once(list)?;
        if self.reads_as(&text, &[], &new) {
            return Ok(text);
        }
        match list {
            [_] => Err(Document::cannot(new.first().copied())),
            // One may need the table that another makes.
            several => several
                .iter()
                .try_fold(self.text.clone(), |text, (path, value)| Document::parse(text)?.with(path, value)),
        }
    }

    /// Where each goes by the outline of the text as it is; what belongs into new tables comes last.
    fn placed_at_once(&self, list: &[(&PropertyPath, &str)]) -> Result<String> {
        let outline = Outline::of(&self.text)?;
        let mut splices: Vec<(usize, String)> = Vec::new();
        let mut tables: IndexMap<&[String], String> = IndexMap::new();
        let (mut bare, mut tight) = (false, Vec::new());
        // The first bare keys: before the first header and the comments that lead up to it.
        let first = outline.sections.get(1).map_or(self.text.len(), |section| lead(&self.text, section.start));
        for (path, value) in list {
            let segments = path.segments();
            let table = &segments[..segments.len() - 1];
            let line = |above: usize| format!("{} = {value}\n", DottedKey(&segments[above..]));
            match self.place(&outline, table) {
                Spot::Inline(inline) => {
                    let before = self.text[..inline.close].trim_end().len();
                    let comma = if inline.empty && !splices.iter().any(|(at, _)| *at == before) { "" } else { "," };
                    splices.push((before, format!("{comma} {} = {value}", DottedKey(&segments[inline.path.len()..]))));
                    if before == inline.close {
                        tight.push(before);
                    }
                }
                Spot::Line(at, above) => splices.push((at, line(above))),
                Spot::First => {
                    bare = true;
                    splices.push((first, line(0)));
                }
                Spot::NewTable => tables.entry(table).or_default().push_str(&line(table.len())),
            }
        }
        // No blank before the brace yet: one, behind all that is added.
        tight.sort_unstable();
        tight.dedup();
        splices.extend(tight.into_iter().map(|at| (at, " ".to_owned())));
        if bare && first < self.text.len() {
            splices.push((first, "\n".into()));
        }
        splices.sort_by_key(|(at, _)| *at);
        let mut text = String::with_capacity(self.text.len() + list.len() * 64);
        let mut done = 0;
        for (at, splice) in splices {
            text.push_str(&self.text[done..at]);
            if splice.ends_with('\n') && !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&splice);
            done = at;
        }
        text.push_str(&self.text[done..]);
        for (table, lines) in tables {
            let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
            text.push_str(&format!("{gap}[{}]\n{lines}", DottedKey(table)));
        }
        Ok(text)
    }

    fn place<'a>(&self, outline: &'a Outline, table: &[String]) -> Spot<'a> {
        // Inside an inline table, which cannot be extended from outside.
        let inline = outline.inline_tables.iter().filter(|inline| table.starts_with(&inline.path));
        if let Some(inline) = inline.max_by_key(|inline| inline.path.len()) {
            return Spot::Inline(inline);
        }
        // In the table's own section.
        if let Some(section) = outline.sections.iter().find(|section| !section.array && section.path == table)
            && (!table.is_empty() || section.end > 0)
        {
            return Spot::Line(section.end, table.len());
        }
        // Beside the dotted keys that made the table: its section cannot be opened again.
        if let Some(entry) = outline.entries.iter().rev().find(|entry| {
            let header = &outline.sections[entry.section].path;
            header.len() < table.len()
                && table.starts_with(header)
                && entry.path.len() > table.len()
                && entry.path.starts_with(table)
        }) {
            return Spot::Line(entry.line_end, outline.sections[entry.section].path.len());
        }
        if table.is_empty() { Spot::First } else { Spot::NewTable }
    }

    /// The sealed ones, and where the value of each stands in the text.
    pub(crate) fn sealed(&self) -> impl Iterator<Item = (&PropertyPath, &Range<usize>)> {
        let sealed = self.properties.iter().filter(|(_, (property, _))| matches!(property, Property::Sealed(_)));
        sealed.map(|(path, (_, span))| (path, span))
    }

    /// The text in which each of `changes` (a property that is there, and its new value) was made at once.
    pub(crate) fn with_all(&self, changes: &HashMap<PropertyPath, String>) -> Result<String> {
        let mut text = String::with_capacity(self.text.len() + changes.values().map(String::len).sum::<usize>());
        let mut done = 0;
        for (path, (_, span)) in &self.properties {
            if let Some(value) = changes.get(path) {
                self.refuse_blocks(path, span)?;
                text.push_str(&self.text[done..span.start]);
                text.push_str(value);
                done = span.end;
            }
        }
        text.push_str(&self.text[done..]);
        Ok(text)
    }
}

/// Where a new property goes.
enum Spot<'a> {
    /// At the end of this inline table.
    Inline(&'a InlineTable),
    /// On a line of its own at this offset, named from this many segments on.
    Line(usize, usize),
    /// Among the bare keys at the top, of which there is none yet.
    First,
    /// In a table of its own at the end.
    NewTable,
}

/// What only TOML 1.1 allows, a writer does not sign.
pub(crate) fn refuse_newer_toml(text: &str) -> Result<()> {
    match Outline::bounds(text)?.newer_toml {
        None => Ok(()),
        Some((offset, what)) => Err(Error::malformed(format!("{what}: TOML 1.1 allows it, TOML 1.0 does not"))
            .at_offset(text, offset)
            .with_help("Sealed files are TOML 1.0, which every parser reads. Write it the older way.")),
    }
}

/// The start of the comment lines directly above `start`, or of the text.
fn lead(text: &str, start: usize) -> usize {
    let mut at = start;
    for line in text[..start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        at -= line.len();
    }
    at
}

/// Parses TOML; an error has line and column and nothing of the text.
pub(crate) fn parse_toml(text: &str) -> Result<toml::Spanned<DeTable<'_>>> {
    DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Error::malformed(format!("not TOML: {}", error.message())).at_offset(text, offset)
    })
}

#[derive(Default)]
struct Found {
    properties: Vec<(PropertyPath, Property, Range<usize>)>,
    empty: Vec<Vec<String>>,
    /// The length of all their names together, in bytes.
    names: usize,
}

/// In bytes, of all paths together. A long header over many short keys would else need memory a hundred times the text's.
const MAX_NAMES: usize = 64 << 20;

fn collect(text: &str, above: &mut Vec<String>, table: &DeTable<'_>, found: &mut Found) -> Result<()> {
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
                let path =
                    PropertyPath::new(above.clone()).map_err(|error| error.at_offset(text, value.span().start))?;
                let property = property(text, &path, other, value.span())?;
                found.names += length();
                found.properties.push((path, property, value.span()));
            }
        }
        if found.names > MAX_NAMES {
            return Err(Error::malformed("the names of its properties have more than 64 MiB together"));
        }
        above.pop();
    }
    Ok(())
}

fn property(text: &str, path: &PropertyPath, value: &DeValue<'_>, span: Range<usize>) -> Result<Property> {
    let fail = |what: &str| Err(Error::malformed(what).at(path).at_offset(text, span.start));
    match value {
        DeValue::String(string) if string.starts_with(SEALED_PREFIX) => {
            crate::vault::value::check_shape(string).map_err(|error| error.at(path).at_offset(text, span.start))?;
            Ok(Property::Sealed(string.to_string()))
        }
        DeValue::String(string) if string.starts_with(SECRET_PREFIX) => {
            fail("a readable string may not begin with `secret:`: it looks like a value that was to be sealed")
        }
        DeValue::Array(_) if mentions(value, SEALED_PREFIX) => {
            fail("`sealed:` in an array or in a table inside an array: only a string directly in a table can be sealed")
        }
        DeValue::Array(_) if mentions(value, SECRET_PREFIX) => {
            fail("`secret:` in an array or in a table inside an array: only a string directly in a table can be sealed")
        }
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

/// `None` for a number that neither i64 nor f64 holds, which TOML says must be an error.
pub(crate) fn to_value(value: &DeValue<'_>) -> Option<toml::Value> {
    Some(match value {
        DeValue::String(string) => toml::Value::String(string.to_string()),
        DeValue::Integer(integer) => toml::Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?),
        DeValue::Float(float) => toml::Value::Float(float.as_str().parse().ok()?),
        DeValue::Boolean(boolean) => toml::Value::Boolean(*boolean),
        DeValue::Datetime(datetime) => toml::Value::Datetime(*datetime),
        DeValue::Array(array) => {
            toml::Value::Array(array.iter().map(|element| to_value(element.get_ref())).collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let pairs =
                table.iter().map(|(key, element)| Some((key.get_ref().to_string(), to_value(element.get_ref())?)));
            toml::Value::Table(pairs.collect::<Option<_>>()?)
        }
    })
}

/// A readable value as it is written: whatever is invisible in it is escaped, so that a review sees it.
pub(crate) fn value_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => {
            let unseen = text.chars().any(|next| is_hidden(next) && next != '\n' && next != '\t');
            // Several lines stay several lines: a certificate is read as one.
            if text.contains('\n') && !unseen { value.to_string() } else { quoted(text) }
        }
        toml::Value::Array(array) => format!("[{}]", array.iter().map(value_text).collect::<Vec<_>>().join(", ")),
        toml::Value::Table(table) => {
            let pairs = table
                .iter()
                .map(|(key, value)| format!("{} = {}", DottedKey(std::slice::from_ref(key)), value_text(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A sealed value as it stands in the text.
pub(crate) fn quoted(text: &str) -> String {
    BasicString(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(text: &str, path: &str, value: &str) -> Result<String> {
        Document::parse(text.into()).unwrap().with(&path.parse().unwrap(), value)
    }

    #[test]
    fn a_change_touches_the_value_alone() {
        let text = "# top\n[a] # table\nb  =  1   # keep\n\n'c d' = \"x\"\n";
        assert_eq!(with(text, "a.b", "2").unwrap(), text.replace('1', "2"));
        assert_eq!(with(text, "a.'c d'", "\"y\"").unwrap(), text.replace("\"x\"", "\"y\""));
    }

    #[test]
    fn a_new_property_goes_where_its_table_is() {
        assert_eq!(with("", "a.b.c", "1").unwrap(), "[a.b]\nc = 1\n");
        assert_eq!(with("", "a", "1").unwrap(), "a = 1\n");
        assert_eq!(with("# about t\n[t]\nx = 1\n", "a", "1").unwrap(), "a = 1\n\n# about t\n[t]\nx = 1\n");
        assert_eq!(with("x = 1\n[t]\ny = 1\n", "a", "1").unwrap(), "x = 1\na = 1\n[t]\ny = 1\n");
        assert_eq!(with("[a]\nx = 1 # one\n\n[b]\n", "a.y", "2").unwrap(), "[a]\nx = 1 # one\ny = 2\n\n[b]\n");
        assert_eq!(with("[a]\n\n[b]\n", "a.y", "2").unwrap(), "[a]\ny = 2\n\n[b]\n");
        assert_eq!(with("[a.b]\nx = 1\n", "a.y", "2").unwrap(), "[a.b]\nx = 1\n\n[a]\ny = 2\n");
        assert_eq!(with("[a]\nb.x = 1\n", "a.b.y", "2").unwrap(), "[a]\nb.x = 1\nb.y = 2\n");
        assert_eq!(with("[a]\nb = { x = 1 }\n", "a.b.y", "2").unwrap(), "[a]\nb = { x = 1, y = 2 }\n");
        assert_eq!(with("[a]\nb = {}\n", "a.b.c.y", "2").unwrap(), "[a]\nb = { c.y = 2 }\n");
        assert_eq!(with("a = { b = { x = 1 } }\n", "a.b.y", "2").unwrap(), "a = { b = { x = 1, y = 2 } }\n");
        assert_eq!(with("[a]\nx = 1", "a.y", "2").unwrap(), "[a]\nx = 1\ny = 2\n");
        assert_eq!(
            with("[a]\nx = \"\"\"\n[a.b]\n\"\"\"\n", "a.y", "2").unwrap(),
            "[a]\nx = \"\"\"\n[a.b]\n\"\"\"\ny = 2\n"
        );
    }

    #[test]
    fn what_has_no_place_is_a_conflict() {
        for (text, path) in
            [("a = 1\n", "a.b"), ("[a]\nb = 1\n", "a"), ("[[a]]\nb = 1\n", "a.c"), ("a = [{ b = 1 }]\n", "a.b")]
        {
            assert_eq!(with(text, path, "1").unwrap_err().kind(), Kind::Conflict, "{text} {path}");
        }
    }

    #[test]
    fn ciphertext_and_marked_secrets_are_not_values() {
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
            assert_eq!(Document::parse(text.clone()).err().map(|error| error.kind()), Some(Kind::Malformed), "{text}");
        }
    }

    fn toml_text() -> impl Strategy<Value = String> {
        let key = "[a-c]{1,2}";
        let value = prop_oneof![
            Just("1".to_string()),
            Just("\"x # y\"".to_string()),
            Just("[1, 2]".to_string()),
            Just("{ k = 1 }".to_string()),
            Just("\"\"\"\n[z]\n\"\"\"".to_string()),
            Just("{}".to_string()),
            Just("'''\n# no\n'''".to_string())
        ];
        let line = prop_oneof![
            4 => (key, value.clone()).prop_map(|(key, value)| format!("{key} = {value}")),
            2 => (key, key, value).prop_map(|(a, b, value)| format!("{a}.{b} = {value} # note")),
            2 => key.prop_map(|key| format!("[{key}]")),
            2 => (key, key).prop_map(|(a, b)| format!("[{a}.{b}]")),
            1 => key.prop_map(|key| format!("[[{key}]]")),
            1 => Just("# comment".to_string()),
            1 => Just(String::new()),
        ];
        prop::collection::vec(line, 0..12).prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn an_edit_changes_one_property_and_no_other_line(text in toml_text(), path in prop::collection::vec("[a-c]{1,2}", 1..4)) {
            let Ok(before) = Document::parse(text.clone()) else { return Ok(()) };
            let path = PropertyPath::new(path).unwrap();
            let Ok(after) = before.with(&path, "77") else { return Ok(()) };
            let read = Document::parse(after.clone()).unwrap();
            prop_assert_eq!(read.get(&path), Some(&Property::Readable(toml::Value::Integer(77))));
            for (other, property) in before.iter().filter(|(other, _)| **other != path) {
                prop_assert_eq!(read.get(other), Some(property));
            }
            let kept = |line: &&str| !line.contains("77");
            if before.get(&path).is_none() && !text.contains('{') {
                let old: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
                let new: Vec<&str> = after.lines().filter(kept).filter(|line| !line.is_empty() && *line != format!("[{}]", DottedKey(&path.segments()[..path.segments().len()-1]))).collect();
                let old: Vec<&str> = old.into_iter().filter(|line| *line != format!("[{}]", DottedKey(&path.segments()[..path.segments().len()-1]))).collect();
                prop_assert_eq!(old, new);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,200}") {
            let _ = Document::parse(text);
        }
    }

    #[test]
    fn a_property_goes_and_everything_else_keeps_its_bytes() {
        for (before, path, after) in [
            ("# top\na = 1 # one\nb = 2\n", "a", "# top\nb = 2\n"),
            ("[t]\na = \"\"\"\nx\n\"\"\"\nb = 2\n", "t.a", "[t]\nb = 2\n"),
            ("t.a = 1\nt.b = 2\n", "t.b", "t.a = 1\n"),
            ("t = { a = 1, b = 2, c = 3 }\n", "t.a", "t = { b = 2, c = 3 }\n"),
            ("t = { a = 1, b = 2, c = 3 }\n", "t.b", "t = { a = 1, c = 3 }\n"),
            ("t = { a = 1, b = 2, c = 3 } # t\n", "t.c", "t = { a = 1, b = 2 } # t\n"),
            ("t = { u = { a = 1 }, b = 2 }\n", "t.u.a", "t = { u = {  }, b = 2 }\n"),
            ("t = { u.a = 1, u.b = [1, 2] }\n", "t.u.b", "t = { u.a = 1 }\n"),
        ] {
            let document = Document::parse(before.into()).unwrap();
            assert_eq!(document.without(&path.parse().unwrap()).unwrap(), after);
        }
        let blocks = Document::parse("[[t]]\na = 1\n".into()).unwrap();
        assert_eq!(blocks.without(&"t".parse().unwrap()).unwrap_err().kind(), Kind::Conflict);
    }

    #[test]
    fn a_new_name_stands_where_the_old_one_stood() {
        for (before, old, new, after) in [
            ("[t]\n# of\n  a   = 1 # one\nb = 2\n", "t.a", "t.\"x y\"", "[t]\n# of\n  \"x y\"   = 1 # one\nb = 2\n"),
            ("[t]\na = 1\n[u]\nb = 2\n", "t.a", "u.a", "[t]\n[u]\nb = 2\na = 1\n"),
            ("t.a = 1\n", "t.a", "t.b.c", "t.b.c = 1\n"),
            ("t = { a = 1, b = 2 }\n", "t.a", "t.c", "t = { b = 2, c = 1 }\n"),
        ] {
            let document = Document::parse(before.into()).unwrap();
            let renamed = document.renamed(&old.parse().unwrap(), &new.parse().unwrap(), "1").unwrap();
            assert_eq!(renamed, after);
        }
    }

    /// Lines as people write them, in any order: most of what comes out is TOML.
    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("# a comment"),
            Just(""),
            Just("[a]"),
            Just("[a.b]"),
            Just("[\"x.y\"] # header"),
            Just("[[l]]"),
            Just("a = 1"),
            Just("b = \"two\" # why"),
            Just("c.d = [1,\n  2, # in between\n]"),
            Just("c.e = 3"),
            Just("e = { f = 1, g = { h = 2 }, i.j = 3 }"),
            Just("\"k l\" = \"\"\"\n[a]\n# no comment\n\"\"\""),
            Just("m = 'x' "),
            Just("a.b.n = 1979-05-27T07:32:00Z"),
        ];
        prop::collection::vec(line, 0..14).prop_map(|lines| lines.into_iter().map(|line| format!("{line}\n")).collect())
    }

    proptest! {
        #[test]
        fn no_edit_touches_another_property(text in lines(), new in "[a-n](\\.[a-n]){0,2}", at in any::<prop::sample::Index>()) {
            let Ok(document) = Document::parse(text) else { return Ok(()) };
            let new: PropertyPath = new.parse().unwrap();
            let paths: Vec<PropertyPath> = document.properties.keys().cloned().collect();
            let others = |changed: Result<String>, but: &[&PropertyPath]| -> std::result::Result<(), TestCaseError> {
                let Ok(changed) = changed else { return Ok(()) };
                let read = Document::parse(changed).map_err(|error| TestCaseError::fail(error.to_string()))?;
                for path in paths.iter().filter(|path| !but.contains(path)) {
                    prop_assert_eq!(document.get(path), read.get(path));
                }
                Ok(())
            };
            others(document.with(&new, "7"), &[&new])?;
            if !paths.is_empty() {
                let old = at.get(&paths);
                others(document.without(old), &[old])?;
                others(document.renamed(old, &new, "7"), &[old, &new])?;
            }
        }
    }
}
