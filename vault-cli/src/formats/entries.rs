//! The entries of another tool's file, before its importer decrypts the values.

use crate::cli::Format;
use crate::formats::comments::has_comments;
use crate::formats::detect::by_content;
use crate::formats::input::{parse, unclear};
use crate::formats::reading::{Documents, Nulls, Reading};
use crate::formats::tree::{Node, Table};
use crate::formats::{json, yaml};
use crate::ui::failure::Result;
use bootseal_core::{Error, Kind, PropertyPath, Shown, ValueKind};
use std::path::Path;
use zeroize::Zeroizing;

/// The entries of a file, in the order of its text.
#[derive(Default)]
pub(crate) struct Entries {
    pub(crate) values: Vec<(Vec<String>, Node)>,
    /// Empty tables.
    pub(crate) empty: Vec<Vec<String>>,
    pub(crate) remarks: Vec<String>,
    pub(crate) comments: bool,
    /// Whether the values below a name `<<` are to be merged into the mapping around it.
    pub(crate) merge_keys: bool,
}

impl Entries {
    pub(crate) fn add(&mut self, above: &mut Vec<String>, table: Table) {
        for (key, node) in table {
            above.push(key);
            match node {
                Node::Table(inner) if inner.is_empty() => self.empty.push(above.clone()),
                Node::Table(inner) => self.add(above, inner),
                value => self.values.push((above.clone(), value)),
            }
            above.pop();
        }
    }
}

/// The tool whose YAML file is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WrittenBy {
    Sops,
    Ansible,
    /// Spring, also with Jasypt.
    Spring,
}

/// Parses the documents of a JSON or YAML text, which may contain nulls, with remarks on how YAML
/// was read.
pub(crate) fn documents(
    text: &str,
    format: Format,
    tool: WrittenBy,
    reading: Reading,
) -> Result<(Vec<Table>, Vec<String>), Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // An importer lists what is null, so it is kept until then.
    let nulls = if reading.nulls == Nulls::Empty { Nulls::Empty } else { Nulls::Keep };
    if format == Format::Json {
        let (root, _) = json::parse(text, nulls)?;
        return Ok((vec![root], Vec::new()));
    }
    let documents = match reading.documents {
        Documents::One => Documents::All,
        chosen => chosen,
    };
    let (ansible, merge_keys_are_names) = (tool == WrittenBy::Ansible, tool == WrittenBy::Sops);
    let dialect = yaml::Dialect { nulls, documents, ansible, merge_keys_are_names };
    let parsed = yaml::parse(text, dialect)?;
    Ok((parsed.documents, parsed.remarks))
}

/// The entries of a JSON or YAML text.
pub(crate) fn nested(
    text: &str,
    format: Format,
    tool: WrittenBy,
    reading: Reading,
) -> Result<Entries, Error> {
    let (documents, remarks) = documents(text, format, tool, reading)?;
    let comments = has_comments(text, format);
    let mut found = Entries { remarks, comments, ..Entries::default() };
    documents.into_iter().for_each(|table| found.add(&mut Vec::new(), table));
    Ok(found)
}

/// Parses all values of a file, in the format that the user, its name or its content indicates.
pub(crate) fn entries(text: &str, path: &Path, reading: Reading) -> Result<Entries> {
    let format = reading.named(path).or_else(|| by_content(text));
    let format = format.ok_or_else(|| unclear(path))?;
    match format {
        Format::Json | Format::Yaml => Ok(nested(text, format, WrittenBy::Spring, reading)
            .map_err(|error| error.in_file(path))?),
        flat => {
            let input = parse(text, path, flat, reading)?;
            let value = |text: &str, kind| match kind {
                ValueKind::Text => Node::Text(Zeroizing::new(text.to_owned())),
                _ => Node::Toml(Zeroizing::new(text.to_owned())),
            };
            let values = input.properties(|_| true).map(|property| {
                let property = property?;
                let node = property.value.expose_str(|text| value(text, property.kind));
                let node = node
                    .map_err(|_| Error::new(Kind::Malformed, "is not text").at(&property.path))?;
                Ok((property.path.segments().to_vec(), node))
            });
            let values = values.collect::<Result<Vec<_>, Error>>()?;
            let comments = has_comments(text, flat)
                || input.document.as_ref().is_some_and(|text| text.comments().next().is_some());
            Ok(Entries { values, remarks: input.remarks, comments, ..Entries::default() })
        }
    }
}

/// Formats a property's name for errors, even if the name is not valid.
pub(crate) fn shown(path: &[String]) -> String {
    PropertyPath::new(path.to_vec())
        .map_or_else(|_| Shown(&path.join(".")).to_string(), |path| path.to_string())
}
