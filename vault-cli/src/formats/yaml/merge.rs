//! Merge keys: `<<: *defaults` takes over the entries of other mappings, as PyYAML does.

use crate::formats::tree::{Node, Table};
use bootseal_core::{MAX_FILE, Shown};
use saphyr_parser::{Event, Parser};
use std::collections::{HashMap, HashSet};

/// The anchors to which some alias of the text refers; none if the text has no merge key.
pub(super) fn aliases(text: &str) -> HashSet<usize> {
    if !text.contains("<<") {
        return HashSet::new();
    }
    let mut parser = Parser::new_from_str(text);
    let mut found = HashSet::new();
    while let Some(Ok((event, _))) = parser.next_event() {
        if let Event::Alias(anchor) = event {
            found.insert(anchor);
        }
    }
    found
}

/// The mappings that aliases refer to, with the total size of all copies.
#[derive(Default)]
pub(super) struct Anchors {
    pub(super) wanted: HashSet<usize>,
    tables: HashMap<usize, Table>,
    copied: usize,
}

impl Anchors {
    pub(super) fn new(wanted: HashSet<usize>) -> Anchors {
        Anchors { wanted, ..Anchors::default() }
    }

    /// Keeps a copy of a mapping that has an anchor; returns false if all copies together are too
    /// large.
    pub(super) fn keep(&mut self, anchor: usize, table: &Table) -> bool {
        if !self.wanted.contains(&anchor) {
            return true;
        }
        self.copied += size(table);
        if self.copied > MAX_FILE {
            return false;
        }
        self.tables.insert(anchor, table.clone());
        true
    }

    /// Returns a copy of a mapping; `None` if the anchor is not at a mapping, and an error if all
    /// copies together are too large.
    pub(super) fn copy(&mut self, anchor: usize) -> Result<Option<Table>, ()> {
        let Some(table) = self.tables.get(&anchor) else { return Ok(None) };
        self.copied += size(table);
        if self.copied > MAX_FILE { Err(()) } else { Ok(Some(table.clone())) }
    }
}

fn size(table: &Table) -> usize {
    fn of(node: &Node) -> usize {
        match node {
            Node::Text(text) | Node::Toml(text) | Node::Vault(text) => 32 + text.len(),
            Node::Array(elements) => 32 + elements.iter().map(of).sum::<usize>(),
            Node::Table(table) => size(table),
            Node::Null => 32,
        }
    }
    table.iter().map(|(key, node)| 32 + key.len() + of(node)).sum()
}

/// The names that several mappings have.
pub(super) fn in_several(tables: &[Table]) -> Vec<String> {
    let mut seen = HashSet::new();
    let all = tables.iter().flatten().map(|(key, _)| key);
    all.filter(|key| !seen.insert(*key)).map(|key| Shown(key).to_string()).collect()
}

/// Merges mappings into one: a later one wins, and the order is that of the first occurrence.
pub(crate) fn merged(tables: Vec<Table>) -> Table {
    let mut at: HashMap<String, usize> = HashMap::new();
    let mut merged = Table::new();
    for (key, node) in tables.into_iter().flatten() {
        match at.get(&key) {
            Some(index) => merged[*index].1 = node,
            None => {
                at.insert(key.clone(), merged.len());
                merged.push((key, node));
            }
        }
    }
    merged
}
