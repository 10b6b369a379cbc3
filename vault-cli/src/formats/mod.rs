//! Parsers of plain-text settings files, one module for each format, and a writer of values.

mod entries;
mod env;
mod input;
mod input_property;
mod json;
mod properties;
mod tree;
mod yaml;

pub(crate) mod value_writer;

pub(crate) use entries::{Entries, documents, entries, shown};
pub(crate) use input::{Input, by_name, parse_named, read, whole};
pub(crate) use input_property::InputProperty;
pub(crate) use tree::{Node, Table, property};
