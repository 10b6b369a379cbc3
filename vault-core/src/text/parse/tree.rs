//! The names of a document as a compact tree: 12 bytes for each name. The name itself stays in the
//! text.

use crate::text::parse::stream::token_at;
use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use toml_parser::{Raw, Span};

/// The root table.
pub(in crate::text) const ROOT: u32 = 0;
const NONE: u32 = u32::MAX;
/// The parent of a node is in the lower 24 bits, its flags are in the upper 8.
const PARENT: u32 = (1 << 24) - 1;

pub(in crate::text) const LEAF: u8 = 1;
/// An array of tables, written as `[[name]]`.
pub(in crate::text) const BLOCKS: u8 = 2;
/// A table that only the names of other tables or dotted keys define.
pub(in crate::text) const IMPLICIT: u8 = 4;
pub(in crate::text) const DOTTED: u8 = 8;
pub(in crate::text) const INLINE: u8 = 16;
/// A table with content.
pub(in crate::text) const FILLED: u8 = 32;
/// A name inside an array, which is not a property of its own.
pub(in crate::text) const HIDDEN: u8 = 64;

const CHUNK: usize = 1 << 14;

#[derive(Clone, Copy)]
struct Node {
    parent: u32,
    /// The offset of its key in the text; `NONE` for the element of an array.
    key: u32,
    /// The next node in the same bucket.
    next: u32,
}

/// Names by their parent. A bucket is a chain of nodes.
pub(in crate::text) struct Tree {
    /// In chunks, because a single list is copied when it grows, and then needs its memory twice.
    chunks: Vec<Vec<Node>>,
    buckets: Vec<u32>,
    /// Keyed with random numbers, so that nobody can choose names that share a bucket.
    hasher: RandomState,
}

impl Default for Tree {
    fn default() -> Tree {
        let root = Node { parent: 0, key: NONE, next: NONE };
        Tree { chunks: vec![vec![root]], buckets: vec![NONE; 16], hasher: RandomState::new() }
    }
}

impl Tree {
    pub(in crate::text) fn len(&self) -> usize {
        self.chunks.last().map_or(0, |last| (self.chunks.len() - 1) * CHUNK + last.len())
    }

    pub(in crate::text) fn flags(&self, node: u32) -> u8 {
        self.node(node).map_or(0, |node| (node.parent >> 24) as u8)
    }

    pub(in crate::text) fn is(&self, node: u32, flag: u8) -> bool {
        self.flags(node) & flag != 0
    }

    pub(in crate::text) fn set_flags(&mut self, node: u32, flags: u8) {
        if let Some(node) = self.node_mut(node) {
            node.parent = node.parent & PARENT | u32::from(flags) << 24;
        }
    }

    pub(in crate::text) fn parent(&self, node: u32) -> u32 {
        self.node(node).map_or(ROOT, |node| node.parent & PARENT)
    }

    fn node(&self, node: u32) -> Option<Node> {
        self.chunks.get(node as usize / CHUNK)?.get(node as usize % CHUNK).copied()
    }

    fn node_mut(&mut self, node: u32) -> Option<&mut Node> {
        self.chunks.get_mut(node as usize / CHUNK)?.get_mut(node as usize % CHUNK)
    }

    fn bucket(&self, parent: u32, key: &str) -> usize {
        self.hasher.hash_one((parent, key)) as usize & (self.buckets.len() - 1)
    }

    pub(in crate::text) fn find(&self, text: &str, parent: u32, key: &str) -> Option<u32> {
        let mut at = self.buckets.get(self.bucket(parent, key)).copied()?;
        while let Some(node) = self.node(at) {
            if node.parent & PARENT == parent && key_at(text, node.key as usize) == key {
                return Some(at);
            }
            at = node.next;
        }
        None
    }

    /// Adds a name whose key is at `start`.
    pub(in crate::text) fn add(&mut self, text: &str, parent: u32, start: usize, flags: u8) -> u32 {
        if self.len() >= self.buckets.len() {
            self.grow(text);
        }
        let node = self.add_element(parent, flags);
        if let Some(added) = self.node_mut(node) {
            added.key = start as u32;
        }
        self.link(text, node);
        node
    }

    /// Adds the element of an array, which has no key.
    pub(in crate::text) fn add_element(&mut self, parent: u32, flags: u8) -> u32 {
        let filled = self.flags(parent) | FILLED;
        self.set_flags(parent, filled);
        let node = self.len() as u32;
        let parent = parent | u32::from(flags) << 24;
        let new = Node { parent, key: NONE, next: NONE };
        match self.chunks.last_mut().filter(|last| last.len() < CHUNK) {
            Some(last) => last.push(new),
            None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(new);
                self.chunks.push(chunk);
            }
        }
        node
    }

    fn link(&mut self, text: &str, at: u32) {
        let Some(node) = self.node(at).filter(|node| node.key != NONE) else { return };
        let bucket = self.bucket(node.parent & PARENT, &key_at(text, node.key as usize));
        let next = std::mem::replace(&mut self.buckets[bucket], at);
        if let Some(node) = self.node_mut(at) {
            node.next = next;
        }
    }

    fn grow(&mut self, text: &str) {
        let length = self.buckets.len() * 2;
        self.buckets = Vec::new(); // freed before the longer list is made
        self.buckets = vec![NONE; length];
        (0..self.len() as u32).for_each(|node| self.link(text, node));
    }

    /// Forgets every node from `length` on.
    pub(in crate::text) fn truncate(&mut self, text: &str, length: usize) {
        while self.len() > length {
            // Within a bucket, newer nodes come first, so the newest of all is the first of its
            // bucket.
            let newest = self.chunks.last_mut().and_then(Vec::pop);
            if self.chunks.last().is_some_and(Vec::is_empty) {
                self.chunks.pop();
            }
            if let Some(node) = newest.filter(|node| node.key != NONE) {
                let bucket = self.bucket(node.parent & PARENT, &key_at(text, node.key as usize));
                self.buckets[bucket] = node.next;
            }
        }
    }

    /// The segments from the root to `node`.
    pub(in crate::text) fn path(&self, text: &str, node: u32) -> Vec<String> {
        let mut path: Vec<String> = self
            .up(node)
            .filter_map(|at| self.node(at).filter(|node| node.key != NONE))
            .map(|node| key_at(text, node.key as usize).into_owned())
            .collect();
        path.reverse();
        path
    }

    /// `node` and everything above it, without the root.
    pub(in crate::text) fn up(&self, node: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(Some(node), |node| Some(self.parent(*node)))
            .take_while(|node| *node != ROOT)
    }

    /// The node of a path that leads through tables.
    pub(in crate::text) fn at(&self, text: &str, path: &[String]) -> Option<u32> {
        path.iter().try_fold(ROOT, |node, key| self.find(text, node, key))
    }
}

/// The key that begins at `start`, decoded.
pub(in crate::text) fn key_at(text: &str, start: usize) -> Cow<'_, str> {
    let (span, encoding) = token_at(text, start);
    let raw = text.get(span.start()..span.end()).unwrap_or_default();
    decoded_key(raw, encoding, span, &mut ())
}

pub(in crate::text) fn decoded_key<'a>(
    raw: &'a str,
    encoding: Option<toml_parser::decoder::Encoding>,
    span: Span,
    error: &mut dyn toml_parser::ErrorSink,
) -> Cow<'a, str> {
    let mut decoded = Cow::Borrowed("");
    Raw::new_unchecked(raw, encoding, span).decode_key(&mut decoded, error);
    decoded
}
