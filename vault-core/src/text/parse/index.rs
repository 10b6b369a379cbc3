//! The index of a document: where each property is in the text. It holds no value.

use crate::text::parse::tree::{BLOCKS, FILLED, HIDDEN, LEAF, ROOT, Tree};
use crate::text::parse::value_builder::{blocks_value, value_of};
use crate::text::parse::value_parts::{ValuePart, blocks_parts, value_parts};
use crate::text::parse::walk::Walk;
use crate::text::path::PropertyPath;
use std::ops::Range;
use std::sync::OnceLock;

/// The rules for strings that begin with `sealed:` or `secret:`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::text) enum Rules {
    /// The user's part of a sealed file.
    Sealed,
    /// A plain-text file, the input of sealing.
    Plain,
    /// The table `[bootseal]`.
    Own,
    /// The content of a sealed value, which has no limits but its length.
    Value,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::text) enum EntryKind {
    Sealed,
    Readable,
    /// `"secret:…"` in a plain-text file.
    Marked,
    Blocks,
}

/// A property.
#[derive(Clone, Copy)]
pub(in crate::text) struct Entry {
    pub(in crate::text) node: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    pub(in crate::text) kind: EntryKind,
}

impl Entry {
    /// The span of the value or, for `[[blocks]]`, of the first header.
    pub(in crate::text) fn span(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Consecutive sections of one array `[[blocks]]`: the index of its entry, and their span.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) entry: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

#[derive(Default)]
pub(in crate::text) struct Index {
    pub(in crate::text) tree: Tree,
    /// In the order of the text.
    pub(in crate::text) entries: Vec<Entry>,
    pub(super) blocks: Vec<Block>,
    /// Built when the nodes below a table are first requested.
    pub(super) walk: OnceLock<Walk>,
}

impl Index {
    /// The position of the property with this path.
    pub(in crate::text) fn position(&self, text: &str, path: &[String]) -> Option<usize> {
        let node = self.tree.at(text, path)?;
        self.entries.binary_search_by_key(&node, |entry| entry.node).ok()
    }

    pub(in crate::text) fn has(&self, text: &str, name: &str) -> bool {
        self.tree.find(text, ROOT, name).is_some()
    }

    pub(in crate::text) fn is_sealed(&self, at: usize) -> bool {
        self.entries.get(at).is_some_and(|entry| entry.kind == EntryKind::Sealed)
    }

    /// The path of the property at a position.
    pub(in crate::text) fn property_path(&self, text: &str, at: usize) -> Option<PropertyPath> {
        PropertyPath::new(self.tree.path(text, self.entries.get(at)?.node)).ok()
    }

    /// The value of the property at a position.
    pub(in crate::text) fn value(&self, text: &str, at: usize) -> Option<toml::Value> {
        let entry = self.entries.get(at)?;
        if entry.kind == EntryKind::Blocks {
            let above = self.tree.path(text, entry.node).len();
            return Some(blocks_value(text, above, self.blocks(at)));
        }
        value_of(text.get(entry.span())?)
    }

    /// Calls `each` with the parts of the value at a position.
    pub(in crate::text) fn parts(&self, text: &str, at: usize, each: &mut dyn FnMut(ValuePart)) {
        let Some(entry) = self.entries.get(at) else { return };
        if entry.kind == EntryKind::Blocks {
            let above = self.tree.path(text, entry.node).len();
            return blocks_parts(text, above, self.blocks(at), each);
        }
        // The text was checked when the index was built.
        let _ = value_parts(text.get(entry.span()).unwrap_or_default(), each);
    }

    /// The texts that the value at a position consists of.
    pub(in crate::text) fn texts<'a>(
        &'a self,
        text: &'a str,
        at: usize,
    ) -> impl Iterator<Item = &'a str> {
        let entry = self.entries.get(at).filter(|entry| entry.kind != EntryKind::Blocks);
        let spans = entry.map(Entry::span).into_iter().chain(self.blocks(at));
        spans.map(move |span| text.get(span).unwrap_or_default())
    }

    /// The nodes below a table.
    fn below(&self, text: &str, table: &[String]) -> impl Iterator<Item = u32> {
        let table = self.tree.at(text, table);
        let walk = || self.walk.get_or_init(|| Walk::of(&self.tree));
        table.into_iter().flat_map(move |table| walk().below(&self.tree, table))
    }

    /// The positions of the properties below a table, in the order of the text.
    pub(in crate::text) fn positions_below(&self, text: &str, table: &[String]) -> Vec<usize> {
        let position = |node| self.entries.binary_search_by_key(&node, |entry| entry.node).ok();
        let mut below: Vec<usize> = self.below(text, table).filter_map(position).collect();
        below.sort_unstable();
        below
    }

    /// Whether the property at a position is a string.
    pub(in crate::text) fn is_string(&self, text: &str, at: usize) -> bool {
        let value = self.entries.get(at).and_then(|entry| text.get(entry.span()));
        value.is_some_and(|value| value.starts_with(['"', '\'']))
    }

    /// Whether `path` is a table with properties.
    pub(in crate::text) fn is_full_table(&self, text: &str, path: &[String]) -> bool {
        let is_property =
            |node| self.entries.binary_search_by_key(&node, |entry| entry.node).is_ok();
        self.below(text, path).any(is_property)
    }

    /// The extent of a value; of `[[blocks]]`, from the first to the last of them.
    pub(in crate::text) fn extent(&self, at: usize) -> Option<Range<usize>> {
        let span = self.entries.get(at)?.span();
        let end = self.blocks(at).last().map_or(span.end, |block| block.end);
        Some(span.start..end)
    }

    /// The spans of the `[[blocks]]` at `position`, each with one or more consecutive sections.
    pub(in crate::text) fn blocks(&self, position: usize) -> impl Iterator<Item = Range<usize>> {
        let first = self.blocks.partition_point(|block| (block.entry as usize) < position);
        let blocks = self.blocks.iter().skip(first);
        blocks
            .take_while(move |block| block.entry as usize == position)
            .map(|block| block.start as usize..block.end as usize)
    }

    /// The paths of the empty tables below a table.
    pub(in crate::text) fn empty_tables(&self, text: &str, table: &[String]) -> Vec<Vec<String>> {
        self.below(text, table)
            .filter(|node| self.is_empty_table(*node))
            .map(|node| self.tree.path(text, node))
            .collect()
    }

    pub(super) fn is_empty_table(&self, node: u32) -> bool {
        node != ROOT && !self.tree.is(node, LEAF | BLOCKS | HIDDEN | FILLED)
    }
}
