//! Converts nested objects to properties: an object becomes a table, and an array becomes one
//! property with one TOML value.

use crate::formats::input_property::InputProperty;
use bootseal_core::{BasicString, Error, Kind, PropertyPath, ValueKind};
use bootseal_memory::SecretBuf;
use std::fmt::Write;
use zeroize::Zeroizing;

/// A value of JSON or YAML.
#[derive(Clone)]
pub(crate) enum Node {
    Text(Zeroizing<String>),
    /// A number or a boolean, as TOML writes it.
    Toml(Zeroizing<String>),
    Array(Vec<Node>),
    Table(Table),
    /// Null, which occurs only in files of other tools; elsewhere it is an error.
    Null,
    /// The text after `!vault` in a file of Ansible; elsewhere a tag is an error.
    Vault(Zeroizing<String>),
}

impl Node {
    /// Whether some text in this value is what `is` accepts.
    pub(crate) fn any_text(&self, is: &mut impl FnMut(&str) -> bool) -> bool {
        match self {
            Node::Text(text) => is(text),
            Node::Array(elements) => elements.iter().any(|element| element.any_text(is)),
            Node::Table(table) => table.iter().any(|(_, node)| node.any_text(is)),
            Node::Toml(_) | Node::Null | Node::Vault(_) => false,
        }
    }
}

pub(crate) type Table = Vec<(String, Node)>;

/// The deepest nesting of arrays and inline tables in one value.
const MAX_NESTING: usize = 64;
/// The deepest nesting that parsers accept: arrays 64 deep, in tables of 16 segments.
pub(super) const MAX_DEPTH: usize = 80;

/// Returns all properties in order, and the empty tables.
pub(super) fn properties(root: Table) -> Result<(Vec<InputProperty>, Vec<PropertyPath>), Error> {
    let mut found = (Vec::new(), Vec::new());
    collect(&mut Vec::new(), root, &mut found)?;
    Ok(found)
}

fn collect(
    above: &mut Vec<String>,
    table: Table,
    found: &mut (Vec<InputProperty>, Vec<PropertyPath>),
) -> Result<(), Error> {
    for (key, node) in table {
        above.push(key);
        let path = PropertyPath::new(above.clone())?;
        match node {
            Node::Table(inner) if inner.is_empty() => found.1.push(path),
            Node::Table(inner) => collect(above, inner, found)?,
            value => {
                found.0.push(property(path, &value)?);
            }
        }
        above.pop();
    }
    Ok(())
}

/// Makes a property of one value that is not a table.
pub(crate) fn property(path: PropertyPath, value: &Node) -> Result<InputProperty, Error> {
    if depth(value) > MAX_NESTING {
        let what = "nests more than 64 arrays and objects, which is the limit of a value";
        return Err(Error::new(Kind::Malformed, what).at(&path));
    }
    let mut page = Page(SecretBuf::with_capacity(256)?);
    let kind = match value {
        Node::Text(text) => page.write_str(text).map(|()| ValueKind::Text),
        other => toml_text(other, &mut page).map(|()| ValueKind::Toml),
    };
    let kind = kind.map_err(|_| Error::new(Kind::Io, "no guarded memory for the values"))?;
    Ok(InputProperty { path, kind, value: page.0.freeze(), marked: false })
}

fn depth(node: &Node) -> usize {
    match node {
        Node::Text(_) | Node::Toml(_) | Node::Null | Node::Vault(_) => 0,
        Node::Array(array) => 1 + array.iter().map(depth).max().unwrap_or_default(),
        Node::Table(table) => {
            1 + table.iter().map(|(_, node)| depth(node)).max().unwrap_or_default()
        }
    }
}

/// Writes a value as one TOML 1.0 value, on one line.
fn toml_text(node: &Node, page: &mut Page) -> std::fmt::Result {
    match node {
        Node::Text(text) => write!(page, "{}", BasicString(text)),
        Node::Toml(text) => page.write_str(text),
        Node::Array(array) => {
            page.write_str("[")?;
            for (index, element) in array.iter().enumerate() {
                page.write_str(if index > 0 { ", " } else { "" })?;
                toml_text(element, page)?;
            }
            page.write_str("]")
        }
        Node::Table(table) => {
            page.write_str("{")?;
            for (index, (key, value)) in table.iter().enumerate() {
                page.write_str(if index > 0 { ", " } else { " " })?;
                match PropertyPath::new(vec![key.clone()]) {
                    Ok(key) => write!(page, "{key} = ")?,
                    Err(_) => write!(page, "{} = ", BasicString(key))?,
                }
                toml_text(value, page)?;
            }
            page.write_str(if table.is_empty() { "}" } else { " }" })
        }
        // These nodes were removed or decrypted before.
        Node::Null | Node::Vault(_) => Err(std::fmt::Error),
    }
}

/// A guarded page as a target of `write!`.
struct Page(SecretBuf);

impl Write for Page {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.push(text.as_bytes()).map_err(|_| std::fmt::Error)
    }
}
