//! The files of sops: YAML, JSON, dotenv and INI in the dialects of sops, with its metadata; all
//! are read into one flat form.

use crate::cli::Format;
use crate::formats::{Entries, Node, Reading, Table, WrittenBy, documents, has_comments};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind};
use std::collections::HashMap;
use std::path::Path;
use zeroize::Zeroizing;

/// A format in which sops writes its files.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Store {
    Yaml,
    /// Also of binary files.
    Json,
    Env,
    Ini,
}

impl Store {
    /// The format that the content shows, by the place of sops' metadata.
    fn of(text: &str) -> Store {
        let line = |begin: &str| text.lines().any(|line| line.trim_end().starts_with(begin));
        if text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            Store::Json
        } else if line("sops_mac=") {
            Store::Env
        } else if line("[sops]") {
            Store::Ini
        } else if line("sops:") {
            Store::Yaml
        } else {
            Store::Json
        }
    }

    fn parse(self, text: &str) -> Result<SopsFile, Error> {
        match self {
            Store::Yaml => nested(text, Format::Yaml),
            Store::Json => nested(text, Format::Json),
            Store::Env => dotenv(text),
            Store::Ini => ini(text),
        }
    }
}

/// Values, and metadata by their flat names, `age__list_0__map_enc`.
pub(super) struct SopsFile {
    pub(super) entries: Entries,
    pub(super) metadata: HashMap<String, String>,
    /// Whether the file is JSON, which has only one kind of number.
    pub(super) json: bool,
    /// Whether sops encrypted a binary file, which is one value, `data`.
    pub(super) binary: bool,
}

impl SopsFile {
    /// Parses in the format that the user names, else by the extension of the name, as sops does,
    /// else by the content.
    pub(super) fn read(text: &str, path: &Path, format: Option<Format>) -> Result<SopsFile> {
        let in_file = |error: Error| Failure::from(error.in_file(path));
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let by_name = match (format, ending) {
            (Some(Format::Yaml), _) | (None, "yaml" | "yml") => Some(Store::Yaml),
            (Some(Format::Json), _) | (None, "json") => Some(Store::Json),
            (Some(Format::Env), _) | (None, "env") => Some(Store::Env),
            (Some(_), _) => {
                let what = "sops has no such format; it writes yaml, json, env and ini";
                return Err(Failure::new(Kind::Usage, what));
            }
            (None, "ini") => Some(Store::Ini),
            _ if path.file_name().is_some_and(|name| name == ".env") => Some(Store::Env),
            _ => None,
        };
        let by_content = Store::of(text);
        let first = by_name.unwrap_or(by_content);
        let mut read = first.parse(text);
        let found = |read: &Result<SopsFile, Error>| {
            read.as_ref().is_ok_and(|file| file.metadata.contains_key("mac"))
        };
        if !found(&read) && format.is_none() && by_content != first {
            let other = by_content.parse(text);
            if found(&other) {
                read = other;
            }
        }
        let mut file = read.map_err(in_file)?;
        if !file.metadata.contains_key("mac") {
            return Err(Error::new(
                Kind::Malformed,
                "contains no metadata of sops, so sops has not encrypted it",
            )
            .in_file(path)
            .with_help("To seal a plain-text file: bootseal seal INPUT")
            .into());
        }
        let only_data =
            matches!(file.entries.values.as_slice(), [(names, _)] if names == &["data"]);
        file.binary = file.json && by_name.is_none() && only_data;
        Ok(file)
    }

    fn new(entries: Entries, metadata: HashMap<String, String>, json: bool) -> SopsFile {
        SopsFile { entries, metadata, json, binary: false }
    }

    pub(super) fn has(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).map(String::as_str)
    }
}

fn nested(text: &str, format: Format) -> Result<SopsFile, Error> {
    let (documents, remarks) = documents(text, format, WrittenBy::Sops, Reading::default())?;
    let mut metadata = HashMap::new();
    let mut entries = Entries { remarks, merge_keys: true, ..Entries::default() };
    for table in documents {
        let (own, values): (Table, Table) = table.into_iter().partition(|(key, _)| key == "sops");
        for (_, node) in own {
            flatten(String::new(), &node, &mut metadata);
        }
        entries.add(&mut Vec::new(), values);
    }
    entries.comments = has_comments(text, format);
    Ok(SopsFile::new(entries, metadata, format == Format::Json))
}

/// Flattens sops' metadata to the names that it has in a format without nesting.
fn flatten(name: String, node: &Node, found: &mut HashMap<String, String>) {
    match node {
        Node::Table(table) => table.iter().for_each(|(key, node)| {
            let name = if name.is_empty() { key.clone() } else { format!("{name}__map_{key}") };
            flatten(name, node, found);
        }),
        Node::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(at, node)| flatten(format!("{name}__list_{at}"), node, found));
        }
        Node::Text(text) | Node::Toml(text) => {
            found.insert(name, text.to_string());
        }
        _ => {}
    }
}

/// Parses dotenv as sops does: without quotes, `export` and trimming; `\n` is a line break.
fn dotenv(text: &str) -> Result<SopsFile, Error> {
    let (mut entries, mut metadata) = (Entries::default(), HashMap::new());
    for (index, line) in text.split('\n').enumerate() {
        if line.is_empty() || line.starts_with('#') {
            entries.comments |= line.starts_with('#');
            continue;
        }
        let (name, value) = line.split_once('=').ok_or_else(|| {
            Error::new(Kind::Malformed, "is not NAME=value").at_line(index + 1, 1)
        })?;
        let value = value.replace("\\n", "\n");
        match name.strip_prefix("sops_") {
            Some(name) => drop(metadata.insert(name.to_owned(), value)),
            None => entries.values.push((vec![name.to_owned()], Node::Text(Zeroizing::new(value)))),
        }
    }
    Ok(SopsFile::new(entries, metadata, false))
}

/// Parses INI as go-ini writes it: with `` `…` `` or `"""…"""` around values that are not plain; a
/// comment is a separate line.
fn ini(text: &str) -> Result<SopsFile, Error> {
    let (mut entries, mut metadata) = (Entries::default(), HashMap::new());
    let mut section = "DEFAULT".to_owned();
    let mut rest = text;
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let broken = |what: &str| Error::new(Kind::Malformed, what).at_line(number, 1);
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            entries.comments |= !line.is_empty();
            continue;
        }
        if let Some(name) = line.strip_prefix('[') {
            section = name.strip_suffix(']').ok_or_else(|| broken("is not [section]"))?.to_owned();
            continue;
        }
        let (name, value) = match line.strip_prefix('`').and_then(|line| line.split_once('`')) {
            Some((name, after)) => (
                name,
                after
                    .trim_start()
                    .strip_prefix('=')
                    .ok_or_else(|| broken("is not name = value"))?,
            ),
            None => line.split_once('=').ok_or_else(|| broken("is not name = value"))?,
        };
        let (name, value) = (name.trim(), value.trim());
        let mut whole = value.to_owned();
        for fence in ["\"\"\"", "`"] {
            let Some(begun) = value.strip_prefix(fence) else { continue };
            whole = match begun.strip_suffix(fence) {
                Some(inner) => inner.to_owned(),
                None => {
                    let (inner, after) =
                        rest.split_once(fence).ok_or_else(|| broken("an unterminated quote"))?;
                    number += inner.matches('\n').count() + 1;
                    rest = after.split_once('\n').map_or("", |(_, rest)| rest);
                    format!("{begun}\n{inner}")
                }
            };
            break;
        }
        match section.as_str() {
            "sops" => drop(
                metadata.insert(name.to_owned(), whole.replace("\\\\n", "\n").replace("\\n", "\n")),
            ),
            _ => entries
                .values
                .push((vec![section.clone(), name.to_owned()], Node::Text(Zeroizing::new(whole)))),
        }
    }
    Ok(SopsFile::new(entries, metadata, false))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([a-c=;#\"`\\\\ \n\u{e4}\\[\\]]|\"\"\"|sops){0,40}") {
            let _ = (ini(&text), dotenv(&text), nested(&text, Format::Yaml), nested(&text, Format::Json));
        }
    }
}
