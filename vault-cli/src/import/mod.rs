//! Importers of other tools' files, one for each tool: they decrypt values, and report which values
//! were readable.
//!
//! An importer only reads: it runs, expands and fetches nothing that a file names. It starts a
//! program only if the user's own age identity belongs to a plugin. Its work is bounded: 16 MiB of
//! input, and [`MAX_DERIVATIONS`] password derivations of fixed cost.

pub(crate) mod ansible_vault;
mod cipher;
pub(crate) mod dotenvx;
pub(crate) mod jasypt;
mod key_source;
mod pbe;
mod shamir;
pub(crate) mod sops;
mod sops_file;
pub(crate) mod spring;

pub(crate) use key_source::KeySource;

use crate::formats::{self, Entries, InputProperty, Node, ciphertext_in, merged, shown};
use bootseal_core::{Error, Kind, PropertyPath, Result, Secret, ValueKind};
use std::collections::{HashMap, HashSet};
use zeroize::Zeroizing;

/// The maximum number of password derivations: each takes some milliseconds, and a file of 16 MiB
/// could require tens of thousands.
const MAX_DERIVATIONS: usize = 10_000;

/// The contents of a file of another tool.
#[derive(Default)]
pub(crate) struct Imported {
    pub(crate) properties: Vec<InputProperty>,
    /// The properties that were encrypted in the file.
    pub(crate) sealed: HashSet<PropertyPath>,
    pub(crate) weak: Vec<Weak>,
    /// The entries that were left out, each with the reason.
    pub(crate) left_out: Vec<(String, String)>,
    pub(crate) remarks: Vec<String>,
}

/// A protection that is too weak against someone who has the file.
pub(crate) struct Weak {
    pub(crate) scheme: String,
    /// The reason why it is weak.
    pub(crate) why: &'static str,
}

/// The result of an importer for one value.
pub(crate) enum Leaf {
    Readable(Node),
    /// A text that was encrypted.
    Opened(Node),
    /// Bytes that were encrypted, and are not text.
    OpenedBytes(Zeroizing<Vec<u8>>),
    /// A comment that the tool keeps among the values.
    Comment,
}

impl Leaf {
    /// Returns a decrypted value: as text if it is UTF-8, else as bytes.
    fn opened(bytes: Zeroizing<Vec<u8>>) -> Leaf {
        match std::str::from_utf8(&bytes) {
            Ok(text) => Leaf::Opened(Node::Text(Zeroizing::new(text.to_owned()))),
            Err(_) => Leaf::OpenedBytes(bytes),
        }
    }
}

impl Imported {
    /// Passes each value of `entries` to `open`, with the names that lead to it; positions in
    /// arrays have no name.
    pub(crate) fn of(
        entries: Entries,
        mut open: impl FnMut(&[String], Node) -> Result<Leaf>,
    ) -> Result<Imported> {
        let mut imported = Imported { remarks: entries.remarks, ..Imported::default() };
        let mut seen: HashMap<PropertyPath, (usize, bool)> = HashMap::new();
        let (merge, mut comments) = (entries.merge_keys, entries.comments);
        for (path, node) in entries.values {
            let mut names = path.clone();
            let mut walk =
                Walk { open: &mut open, merge, sealed: false, null: false, comments: false };
            let property = match node {
                Node::Array(_) => match walk.inside(&mut names, node)? {
                    Some(array) => Leaf::Readable(array),
                    None => continue,
                },
                Node::Null => {
                    imported.left_out.push((shown(&path), "null, which TOML does not have".into()));
                    continue;
                }
                leaf => (walk.open)(&names, leaf)?,
            };
            let (sealed, null) = (walk.sealed, walk.null);
            comments |= walk.comments;
            if null {
                imported
                    .left_out
                    .push((shown(&path), "contains null, which TOML does not have".into()));
                continue;
            }
            let merged = merge && path.iter().any(|name| name == "<<");
            let path = PropertyPath::new(match merged {
                true => path.into_iter().filter(|name| name != "<<").collect(),
                false => path,
            })?;
            // The mapping's own values win over those that are merged into it.
            let replaced = match seen.get(&path) {
                Some(_) if merged => continue,
                Some((index, true)) => Some(*index),
                Some((_, false)) => {
                    let what = "appears twice, perhaps in several documents of one file; nothing was written";
                    return Err(Error::new(Kind::Conflict, what).at(&path));
                }
                None => None,
            };
            let (property, sealed) = match property {
                Leaf::Readable(node) => (formats::property(path, &node)?, sealed),
                Leaf::Opened(node) => (formats::property(path, &node)?, true),
                Leaf::OpenedBytes(bytes) => {
                    let value = Secret::copy_of(&bytes)?;
                    (InputProperty { path, kind: ValueKind::Bytes, value, marked: false }, true)
                }
                Leaf::Comment => {
                    comments = true;
                    continue;
                }
            };
            match sealed {
                true => imported.sealed.insert(property.path.clone()),
                false => imported.sealed.remove(&property.path),
            };
            let index = replaced.unwrap_or(imported.properties.len());
            seen.insert(property.path.clone(), (index, merged));
            match replaced {
                Some(index) => imported.properties[index] = property,
                None => imported.properties.push(property),
            }
        }
        let empty = entries
            .empty
            .iter()
            .map(|path| (shown(path), "an empty table, which contains no property".into()));
        imported.left_out.extend(empty);
        if comments {
            imported.left_out.push(("comments".into(), "they may contain old values".into()));
        }
        Ok(imported)
    }

    /// Returns the entries as they are, if ciphertext of some tool is in their values although
    /// the importer finds none that it can open.
    fn unopened(entries: Entries) -> Result<Option<Imported>> {
        let mut is = |text: &str| ciphertext_in(text).is_some();
        if !entries.values.iter().any(|(_, node)| node.any_text(&mut is)) {
            return Ok(None);
        }
        Imported::of(entries, |_, node| Ok(Leaf::Readable(node))).map(Some)
    }

    /// Puts all properties below `prefix`.
    pub(crate) fn below(mut self, prefix: &PropertyPath) -> Result<Imported> {
        let longer =
            |path: &PropertyPath| PropertyPath::new([prefix.segments(), path.segments()].concat());
        self.sealed = self.sealed.iter().map(longer).collect::<Result<_>>()?;
        for property in &mut self.properties {
            property.path = longer(&property.path)?;
        }
        Ok(self)
    }
}

/// Opens the values in an array; if one of them was encrypted, the whole array is sealed.
struct Walk<'a, F> {
    open: &'a mut F,
    merge: bool,
    sealed: bool,
    null: bool,
    comments: bool,
}

impl<F: FnMut(&[String], Node) -> Result<Leaf>> Walk<'_, F> {
    /// Opens a value; `None` for a comment among the values.
    fn inside(&mut self, names: &mut Vec<String>, node: Node) -> Result<Option<Node>> {
        Ok(Some(match node {
            Node::Array(elements) => {
                let elements = elements.into_iter().map(|element| self.inside(names, element));
                Node::Array(elements.filter_map(Result::transpose).collect::<Result<_>>()?)
            }
            Node::Table(table) => {
                let (mut opened, mut merges) = (Vec::with_capacity(table.len()), Vec::new());
                for (key, value) in table {
                    names.push(key.clone());
                    let value = self.inside(names, value);
                    names.pop();
                    match value? {
                        Some(Node::Table(merged)) if self.merge && key == "<<" => {
                            merges.push(merged)
                        }
                        value => opened.extend(value.map(|value| (key, value))),
                    }
                }
                merges.push(opened);
                Node::Table(if merges.len() > 1 { merged(merges) } else { merges.remove(0) })
            }
            Node::Null => {
                self.null = true;
                Node::Null
            }
            leaf => match (self.open)(names, leaf)? {
                Leaf::Readable(node) => node,
                Leaf::Opened(node) => {
                    self.sealed = true;
                    node
                }
                Leaf::Comment => {
                    self.comments = true;
                    return Ok(None);
                }
                Leaf::OpenedBytes(_) => {
                    return Err(Error::new(
                        Kind::Malformed,
                        "contains bytes that are not text, in an array",
                    )
                    .at(&PropertyPath::new(names.clone())?));
                }
            },
        }))
    }
}

/// An error about the property with these names.
fn wrong(kind: Kind, what: impl Into<String>, names: &[String]) -> Error {
    let error = Error::new(kind, what);
    match PropertyPath::new(names.to_vec()) {
        Ok(path) => error.at(&path),
        Err(_) => error,
    }
}

/// Decodes hexadecimal digits.
fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}
