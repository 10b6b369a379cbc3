//! The entries of another tool's file, before its importer decrypts the values.

use crate::cli::Format;
use crate::formats::input::{Input, by_name, parse};
use crate::formats::reading::{Documents, Nulls, Reading};
use crate::formats::tree::{Node, Table};
use crate::formats::{json, yaml};
use crate::ui::failure::{Failure, Result};
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
    let nulls = if reading.nulls == Nulls::Refuse { Nulls::Keep } else { reading.nulls };
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

/// Parses all values of a file, in the format that its name indicates.
pub(crate) fn entries(text: &str, path: &Path, reading: Reading) -> Result<Entries> {
    let format = by_name(path).ok_or_else(|| {
        let name = Shown::path(path).to_string();
        Failure::new(Kind::Usage, format!("the format of {name} is not clear from its name"))
            .with_help("It should end in .properties, .yaml, .yml, .json or .env")
    })?;
    match format {
        Format::Json | Format::Yaml => {
            let (documents, remarks) = documents(text, format, WrittenBy::Spring, reading)
                .map_err(|error| error.in_file(path))?;
            let comments = format == Format::Yaml
                && text.lines().any(|line| line.trim_start().starts_with('#'));
            let mut found = Entries { remarks, comments, ..Entries::default() };
            documents.into_iter().for_each(|table| found.add(&mut Vec::new(), table));
            Ok(found)
        }
        flat => {
            let Input { list: properties, left_out_comments, remarks, .. } =
                parse(text, path, flat, reading)?;
            let value = |text: &str, kind| match kind {
                ValueKind::Text => Node::Text(Zeroizing::new(text.to_owned())),
                _ => Node::Toml(Zeroizing::new(text.to_owned())),
            };
            let values = properties.into_iter().map(|property| {
                let node = property.value.expose_str(|text| value(text, property.kind));
                let node = node
                    .map_err(|_| Error::new(Kind::Malformed, "is not text").at(&property.path))?;
                Ok((property.path.segments().to_vec(), node))
            });
            let values = values.collect::<Result<Vec<_>, Error>>()?;
            Ok(Entries { values, remarks, comments: left_out_comments, ..Entries::default() })
        }
    }
}

/// Formats a property's name for errors, even if the name is not valid.
pub(crate) fn shown(path: &[String]) -> String {
    PropertyPath::new(path.to_vec())
        .map_or_else(|_| Shown(&path.join(".")).to_string(), |path| path.to_string())
}
