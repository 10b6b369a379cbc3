//! The input of `seal`: its properties, in any format.

use crate::cli::{Encoding, EnvDialect, Format};
use crate::context::Context;
use crate::formats::ciphertext::ciphertext_in;
use crate::formats::comments::{Comment, comments};
use crate::formats::detect::{by_content, by_name};
use crate::formats::encoding::decoded;
use crate::formats::env::{dialects, differences, reader};
use crate::formats::input_property::InputProperty;
use crate::formats::reading::Reading;
use crate::formats::{json, problems, properties, tree, yaml};
use crate::ui::failure::{Failure, Result, unreadable};
use bootseal_core::{
    Element, Error, Kind, MAX_FILE, PlainDocument, PlainProperty, Property, PropertyPath, Secret,
    Shown, ValueKind, elements, open_source, some_names,
};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::io::Read;
use std::path::Path;
use zeroize::Zeroizing;

/// The content of an input, from which the sealed file is made.
pub(crate) struct Input {
    /// The properties, except those of a TOML input.
    pub(super) list: Vec<InputProperty>,
    /// The document of a TOML input, whose text is kept, and whose properties are read from it when
    /// they are requested.
    pub(crate) document: Option<PlainDocument>,
    /// The comments, except those of a TOML input.
    pub(crate) comments: Vec<Comment>,
    /// Warnings on how the input was read.
    pub(crate) remarks: Vec<String>,
    /// What the sealed file will not contain, apart from comments, for `--shred`.
    pub(crate) left_out: Vec<String>,
}

impl Input {
    /// Adds the comments of the text that it was read from.
    fn commented(self, text: &str, format: Format) -> Input {
        Input { comments: comments(text.trim_start_matches('\u{feff}'), format), ..self }
    }

    /// An input that consists only of properties, without a document, comments or remarks.
    pub(crate) fn of(list: Vec<InputProperty>) -> Input {
        let (comments, remarks, left_out) = (Vec::new(), Vec::new(), Vec::new());
        Input { list, document: None, comments, remarks, left_out }
    }

    /// The names, in the order of the input, and whether each is marked as a secret.
    pub(crate) fn names(&self) -> impl Iterator<Item = (Cow<'_, PropertyPath>, bool)> {
        let list = self.list.iter().map(|one| (Cow::Borrowed(&one.path), one.marked));
        let document = self.document.iter().flat_map(PlainDocument::names);
        list.chain(document.map(|(path, marked)| (Cow::Owned(path), marked)))
    }

    /// The empty tables of a TOML input, which are part of its text, but are no properties.
    pub(crate) fn empty_tables(&self) -> Vec<String> {
        self.document.as_ref().map_or_else(Vec::new, |document| document.empty_tables())
    }

    /// Returns a function that finds a property, as it would be in the sealed file if only marked
    /// values were sealed.
    pub(crate) fn finder(&self) -> impl Fn(&PropertyPath) -> Option<Property> {
        let list: HashMap<&PropertyPath, &InputProperty> =
            self.list.iter().map(|property| (&property.path, property)).collect();
        move |path| match &self.document {
            None => list.get(path).map(|property| property.to_property()),
            Some(document) => document.property(path).map(PlainProperty::into_property),
        }
    }

    /// Visits the elements of the property at position `at`, if it is an array.
    pub(crate) fn visit_array(
        &self,
        at: usize,
        path: &PropertyPath,
        visit: &mut dyn FnMut(Element<'_>),
    ) {
        if let Some(property) = self.list.get(at) {
            if property.kind == ValueKind::Toml {
                let visit = |text: &str| {
                    if text.starts_with('[') {
                        elements(text, visit);
                    }
                };
                let _ = property.value.expose_str(visit);
            }
        } else if let Some(array) = self.document.as_ref().and_then(|it| it.array(path)) {
            elements(&array, visit);
        }
    }

    /// Whether the property at position `at` is an array.
    pub(crate) fn is_array(&self, at: usize, path: &PropertyPath) -> bool {
        match (self.list.get(at), &self.document) {
            (Some(property), _) => {
                let is_array = property.value.expose_str(|text| text.starts_with('['));
                property.kind == ValueKind::Toml && is_array.unwrap_or(false)
            }
            (None, document) => document.as_ref().is_some_and(|document| document.is_array(path)),
        }
    }

    /// The property at position `at`. In a TOML input, it is marked as a secret if `marked` is true.
    pub(crate) fn value(
        &self,
        at: usize,
        path: &PropertyPath,
        marked: bool,
    ) -> Result<Cow<'_, InputProperty>, Error> {
        match (self.list.get(at), &self.document) {
            (Some(property), _) => Ok(Cow::Borrowed(property)),
            (None, Some(document)) => {
                InputProperty::of_toml(path.clone(), marked, document).map(Cow::Owned)
            }
            (None, None) => Err(Error::new(Kind::NotFound, "no such property").at(path)),
        }
    }

    /// The properties whose names are `wanted`, in the order of the input. Those of a TOML input
    /// are read one at a time, because all values together may need much memory.
    pub(crate) fn properties(
        &self,
        wanted: impl Fn(&PropertyPath) -> bool,
    ) -> impl Iterator<Item = Result<Cow<'_, InputProperty>, Error>> {
        let named = self.names().enumerate().filter(move |(_, (path, _))| wanted(path));
        named.map(|(at, (path, marked))| self.value(at, &path, marked))
    }
}

/// Reads `path`, or stdin for `-`.
pub(crate) fn read(path: &Path, reading: Reading, context: &mut Context<'_>) -> Result<Input> {
    let named = reading.named(path);
    let (mut text, reading) = text_of(path, reading, &mut context.ui.stdin)?;
    let sealed = ciphertext_in(&text);
    if let Some(whole) = sealed.filter(|found| found.is_whole_file(&text)) {
        return Err(whole.refused(path));
    }
    let content = by_content(&text);
    let parsed = match named.or(content).ok_or_else(|| unclear(path))? {
        // The document takes over the text. A copy of up to 16 MiB would use too much memory.
        Format::Toml => {
            if text.starts_with('\u{feff}') {
                text.drain(..'\u{feff}'.len_utf8());
            }
            let looks = content.filter(|format| *format != Format::Toml);
            from_toml(std::mem::take(&mut *text), path).map_err(|error| match looks {
                Some(other) => error.and_help(&insist(other)),
                None => error,
            })
        }
        tried => {
            match parse(&text, path, tried, reading).map(|input| input.commented(&text, tried)) {
                // The file's name may suggest a wrong format, so the format of its content is tried.
                Err(error) if reading.format.is_none() => {
                    by_its_content(&text, path, tried, reading).ok_or(error)
                }
                parsed => parsed,
            }
        }
    };
    // Ciphertext of another tool often does not parse here, for example because of its YAML tags.
    // The error then names that tool and its importer.
    parsed.map_err(|error| sealed.map_or(error, |found| found.refused(path)))
}

/// Parses a text in the format of its content, after `tried`, the format of its name, has failed.
fn by_its_content(text: &str, path: &Path, tried: Format, reading: Reading) -> Option<Input> {
    let format = by_content(text).filter(|format| *format != tried)?;
    let mut input = parse(text, path, format, reading).ok()?;
    input.names().next()?;
    let name = format.name();
    let what = format!("the file is not {}, but {name}, and was read as such", tried.name());
    input.remarks.push(what);
    Some(input.commented(text, format))
}

/// The help that names the option for a format.
fn insist(format: Format) -> String {
    format!("Its content looks like {0}: --format {0}", format.name())
}

pub(super) fn unclear(path: &Path) -> Failure {
    let name = Shown::path(path);
    let what = format!("the format of {name} is not clear from its name and content");
    Failure::new(Kind::Usage, what)
        .with_help("Name it: --format toml, properties, env, json or yaml")
}

/// Reads the text of `path`, or of stdin for `-`, and decodes it. The returned `Reading` states the
/// encoding that was used; it states none if the text was read as UTF-8 by default.
pub(crate) fn text_of(
    path: &Path,
    reading: Reading,
    stdin: &mut dyn Read,
) -> Result<(Zeroizing<String>, Reading)> {
    let bytes = match path == Path::new("-") {
        true => whole(stdin, 0),
        false => open_source(path).map_err(|error| unreadable(&error)).and_then(|mut file| {
            let length = file.metadata().map_or(0, |meta| meta.len());
            whole(&mut file, usize::try_from(length).unwrap_or(MAX_FILE))
        }),
    };
    let decoded = bytes.and_then(|bytes| decoded(bytes, reading.encoding, reading.named(path)));
    let (text, encoding) = decoded.map_err(|error| error.in_file(path))?;
    Ok((text, Reading { encoding, ..reading }))
}

/// Parses a text in the format that the name of `path` indicates; `None` if it indicates none.
pub(crate) fn parse_named(text: &str, path: &Path) -> Option<Result<Input>> {
    by_name(path).map(|format| parse(text, path, format, Reading::default()))
}

pub(super) fn parse(text: &str, path: &Path, format: Format, reading: Reading) -> Result<Input> {
    // A byte order mark is not part of the first name.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let in_file = |error: Error| Failure::from(error.in_file(path));
    match format {
        Format::Toml => from_toml(text.to_owned(), path),
        Format::Properties => from_properties(text, path, reading),
        Format::Env => from_env(text, reading.dialect).map_err(in_file),
        Format::Json => json::parse(text, reading.nulls)
            .and_then(|(root, skipped)| {
                let remarks = problems::skipped(&skipped).into_iter().collect();
                from_tree(vec![root], remarks, &skipped)
            })
            .map_err(in_file),
        Format::Yaml => {
            let Reading { nulls, documents, .. } = reading;
            let dialect = yaml::Dialect { nulls, documents, ..yaml::Dialect::default() };
            let parsed = yaml::parse(text, dialect).and_then(|parsed| {
                let mut input = from_tree(parsed.documents, parsed.remarks, &parsed.skipped)?;
                if parsed.other_documents > 0 {
                    let count = parsed.other_documents;
                    let documents = if count == 1 { "document" } else { "documents" };
                    input.left_out.push(format!("{count} other {documents}"));
                }
                Ok(input)
            });
            parsed.map_err(in_file)
        }
    }
}

/// Reads all bytes. The buffer grows without leaving copies in memory, and is erased when it is
/// dropped.
fn whole(source: &mut dyn Read, expected: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mut bytes = Zeroizing::new(vec![0; expected.min(MAX_FILE) + 1]);
    let mut length = 0;
    loop {
        if length > MAX_FILE {
            return Err(Error::new(
                Kind::Malformed,
                "larger than 16 MiB, the limit of a sealed file",
            ));
        }
        if length == bytes.len() {
            let mut larger = Zeroizing::new(vec![0; (2 * length).clamp(4096, MAX_FILE + 1)]);
            larger[..length].copy_from_slice(&bytes);
            bytes = larger;
        }
        match source.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(&error)),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}

fn from_toml(text: String, path: &Path) -> Result<Input> {
    let document = PlainDocument::parse(text).map_err(|error| error.in_file(path))?;
    Ok(Input { document: Some(document), ..Input::of(Vec::new()) })
}

fn from_properties(text: &str, path: &Path, reading: Reading) -> Result<Input> {
    let (mut found, mut beyond_ascii) = (Found::default(), Vec::new());
    for pair in properties::parse(text)? {
        let segments = match reading.flat {
            true => vec![pair.key],
            false => pair.key.split('.').map(str::to_owned).collect(),
        };
        let property = PropertyPath::new(segments).map_err(|error| {
            Error::new(error.kind(), format!("line {}: {}", pair.line, error.what())).in_file(path)
        })?;
        if pair.beyond_ascii {
            beyond_ascii.push(property.to_string());
        }
        found.add(property, &pair.value, pair.line, ", as in Java")?;
    }
    let tables: HashSet<&[String]> = found
        .properties
        .iter()
        .flat_map(|property| {
            (1..property.path.segments().len()).map(|length| &property.path.segments()[..length])
        })
        .collect();
    let both: Vec<String> = found
        .properties
        .iter()
        .filter(|property| tables.contains(property.path.segments()))
        .map(|property| property.path.to_string())
        .collect();
    if let Some(first) = both.first() {
        let text = match both.len() {
            1 => format!("{first} is a value and has other values below it ({first}.…)"),
            _ => format!("{} are values and have other values below them", some_names(&both)),
        };
        return Err(Failure::new(Kind::Conflict, format!("{text}, which TOML does not allow"))
            .within(&Shown::path(path).to_string())
            .with_help("To keep whole names, without tables: --flat. Otherwise rename one of them in the input."));
    }
    found.remarks.extend(unlike_java(&beyond_ascii, reading.encoding));
    Ok(found.input())
}

/// The remark on letters that Java might read differently.
fn unlike_java(names: &[String], encoding: Option<Encoding>) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let names = some_names(names);
    match encoding {
        None => Some(format!(
            "{names}: read as UTF-8, but java.util.Properties reads a file as ISO 8859-1, and would get other letters. To read it as Java does: --encoding iso-8859-1. If UTF-8 is right: --encoding utf-8"
        )),
        Some(Encoding::Latin1) => Some(format!("{names}: read as ISO 8859-1, as in Java")),
        Some(_) => None,
    }
}

fn from_env(text: &str, dialect: Option<EnvDialect>) -> Result<Input, Error> {
    let (mut found, mut cut) = (Found::default(), Vec::new());
    let pairs = match dialect {
        Some(dialect) => dialects::parse(text, dialect)?,
        None => reader::parse(text).map_err(|error| {
            error.with_help("If another program reads this file: --dialect python-dotenv, node, compose or dotenvx. If not, write the value in single quotes.")
        })?,
    };
    if dialect.is_none() {
        found.remarks.extend(differences::remarks(text, &pairs));
    }
    for pair in pairs {
        let property =
            PropertyPath::new(vec![pair.name]).map_err(|error| error.at_line(pair.line, 1))?;
        if pair.comment_cut {
            cut.push(format!("{property} (line {})", pair.line));
        }
        found.add(property, &pair.value, pair.line, "")?;
    }
    if !cut.is_empty() {
        found.left_out.extend(cut.iter().map(|name| format!("the text after ` #` of {name}")));
        let text = "the text after ` #` was taken as a comment; if it is part of the value, quote the value";
        found.remarks.push(format!("{}: {text}", some_names(cut)));
    }
    Ok(found.input())
}

fn from_tree(
    documents: Vec<tree::Table>,
    mut remarks: Vec<String>,
    nulls: &[String],
) -> Result<Input, Error> {
    let root = documents.into_iter().flatten().collect();
    let (properties, empty) = tree::properties(root)?;
    remarks.extend(empty.iter().map(|path| format!("{path} is an empty table and was left out")));
    let nulls = nulls.iter().map(|name| format!("{name} (null)"));
    let left_out = nulls.chain(empty.iter().map(|path| format!("{path} (an empty table)")));
    Ok(Input { remarks, left_out: left_out.collect(), ..Input::of(properties) })
}

/// The properties that were read so far from a flat format, in which a name may appear twice.
#[derive(Default)]
struct Found {
    properties: Vec<InputProperty>,
    at: HashMap<PropertyPath, usize>,
    remarks: Vec<String>,
    left_out: Vec<String>,
}

impl Found {
    fn add(
        &mut self,
        path: PropertyPath,
        text: &str,
        line: usize,
        as_where: &str,
    ) -> Result<(), Error> {
        let value = Secret::copy_of(text.as_bytes())?;
        let property =
            InputProperty { path: path.clone(), kind: ValueKind::Text, value, marked: false };
        if let Some(index) = self.at.get(&path) {
            let text =
                format!("{path} appears again in line {line}; the last one counts{as_where}");
            self.remarks.push(text);
            self.left_out.push(format!("an earlier value of {path}"));
            self.properties[*index] = property;
        } else {
            self.at.insert(path, self.properties.len());
            self.properties.push(property);
        }
        Ok(())
    }

    fn input(self) -> Input {
        let Found { properties, remarks, left_out, .. } = self;
        Input { remarks, left_out, ..Input::of(properties) }
    }
}
