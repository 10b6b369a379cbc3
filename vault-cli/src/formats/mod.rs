//! Parsers of plain-text settings files, one module for each format.

mod ciphertext;
mod comments;
mod detect;
mod encoding;
mod entries;
mod env;
mod findings;
mod input;
mod input_property;
mod json;
mod problems;
mod properties;
mod reading;
mod tree;
mod yaml;

pub(crate) use ciphertext::{Ciphertext, ciphertext_in, without_selectors};
pub(crate) use comments::{Comment, has_comments};
pub(crate) use detect::by_content;
pub(crate) use encoding::decoded;
pub(crate) use entries::{Entries, WrittenBy, documents, entries, nested, shown};
pub(crate) use env::dialects::dotenvx_pairs;
pub(crate) use findings::{Findings, remarks};
pub(crate) use input::{Input, parse_named, read, text_of};
pub(crate) use input_property::InputProperty;
pub(crate) use reading::Reading;
pub(crate) use tree::{Node, Table, property};
pub(crate) use yaml::merge::merged;
