//! Parsers of plain-text settings files, one module for each format.

mod ciphertext;
mod entries;
mod env;
mod findings;
mod input;
mod input_property;
mod json;
mod properties;
mod tree;
mod yaml;

pub(crate) use ciphertext::{Ciphertext, ciphertext_in};
pub(crate) use entries::{Entries, documents, entries, shown};
pub(crate) use findings::{Findings, remarks};
pub(crate) use input::{Input, by_name, parse_named, read, whole};
pub(crate) use input_property::InputProperty;
pub(crate) use tree::{Node, Table, property};
