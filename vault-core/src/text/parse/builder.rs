//! Builds the index of a document in one pass, by TOML's rules for tables, and within the limits of
//! the format.

use crate::error::{Error, Result};
use crate::text::parse::index::{Block, Entry, EntryKind, Index, Rules};
use crate::text::parse::limits::{Counts, MAX_ELEMENTS};
use crate::text::parse::scalar::{check_scalar, string_of};
use crate::text::parse::stream::{stream_document, stream_value};
use crate::text::parse::tree::{
    BLOCKS, DOTTED, HIDDEN, IMPLICIT, INLINE, LEAF, ROOT, decoded_key, key_at,
};
use crate::text::path::PropertyPath;
use std::collections::HashMap;
use std::ops::Range;
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Source, Span};

impl Index {
    /// Reads `text`, in which the depth of keys and values was checked already.
    pub(in crate::text) fn of(text: &str, rules: Rules) -> Result<Index> {
        let counts = match rules {
            Rules::Own => Counts::of_own(),
            Rules::Value => Counts::of_value(),
            Rules::Sealed | Rules::Plain => Counts::of_user(),
        };
        let mut builder = Builder::of(text, rules, counts);
        let read = stream_document(Source::new(text), &mut builder);
        builder.end_section(text.len());
        if let Some(problem) = builder.problem {
            return Err(problem);
        }
        read.map_err(|error| {
            let offset = error.unexpected().or(error.context()).map_or(0, |span| span.start());
            Error::malformed(format!("not TOML: {}", error.description())).at_offset(text, offset)
        })?;
        builder.count_empty_tables()?;
        let mut index = builder.index;
        index.blocks.sort_unstable();
        Ok(index)
    }
}

impl Index {
    /// Whether `text`, in which the depth of keys and values was checked already, is one value.
    pub(in crate::text) fn is_value(text: &str) -> bool {
        // The value is read as an element of an array, to which the limits for properties do not
        // apply.
        let mut builder = Builder {
            frames: vec![Frame::Array(false)],
            ..Builder::of(text, Rules::Value, Counts::of_value())
        };
        stream_value(Source::new(text), &mut builder).is_ok() && builder.problem.is_none()
    }
}

/// An array or inline table that is open.
enum Frame {
    /// An array; whether it is a property.
    Array(bool),
    /// An inline table and, if it is an element of an array, the number of nodes before it.
    Inline(u32, Option<usize>),
}

/// What a value belongs to.
enum Slot {
    /// An array, of which it is an element.
    Element,
    /// A name, and whether it may be a property.
    Name(u32, bool),
}

/// The kind of key that leads down a path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Descent {
    Header,
    Dotted,
    Inline,
}

pub(super) struct Builder<'a> {
    pub(super) text: &'a str,
    pub(super) rules: Rules,
    counts: Counts,
    pub(super) index: Index,
    /// The newest element of each array of tables.
    newest: HashMap<u32, u32>,
    pub(super) section: u32,
    /// Whether the header is that of an array of tables, and its offset.
    header: Option<(bool, usize)>,
    /// The offsets of the segments of the current key.
    keys: Vec<usize>,
    in_key: bool,
    frames: Vec<Frame>,
    /// An error that is more specific than an error of the grammar.
    problem: Option<Error>,
}

impl<'a> Builder<'a> {
    fn of(text: &'a str, rules: Rules, counts: Counts) -> Builder<'a> {
        Builder {
            text,
            rules,
            counts,
            index: Index::default(),
            newest: HashMap::new(),
            section: ROOT,
            header: None,
            keys: Vec::new(),
            in_key: false,
            frames: Vec::new(),
            problem: None,
        }
    }

    pub(super) fn stop(&mut self, problem: Error, sink: &mut dyn ErrorSink) {
        self.problem.get_or_insert(problem);
        sink.report_error(ParseError::new("stopped"));
    }

    fn limit(
        &mut self,
        counted: std::result::Result<(), String>,
        at: usize,
        sink: &mut dyn ErrorSink,
    ) {
        if let Err(what) = counted {
            self.stop(Error::malformed(what).at_offset(self.text, at), sink);
        }
    }

    fn duplicate(&self, key: usize, sink: &mut dyn ErrorSink) {
        let span = Span::new_unchecked(key, key);
        sink.report_error(ParseError::new("duplicate key").with_unexpected(span));
    }

    fn add_table(&mut self, parent: u32, key: usize, flags: u8, sink: &mut dyn ErrorSink) -> u32 {
        let hidden = self.index.tree.flags(parent) & HIDDEN;
        let counted = if hidden == 0 { self.counts.table() } else { self.counts.element() };
        self.limit(counted, key, sink);
        self.index.tree.add(self.text, parent, key, flags | hidden)
    }

    /// The table that `keys` lead to from `table`; missing tables are added.
    fn descend(
        &mut self,
        mut table: u32,
        keys: &[usize],
        how: Descent,
        sink: &mut dyn ErrorSink,
    ) -> Option<u32> {
        for key in keys {
            let name = key_at(self.text, *key);
            let Some(node) = self.index.tree.find(self.text, table, &name) else {
                let flags = match how {
                    Descent::Header => IMPLICIT,
                    Descent::Dotted => IMPLICIT | DOTTED,
                    Descent::Inline => IMPLICIT | DOTTED | INLINE,
                };
                table = self.add_table(table, *key, flags, sink);
                continue;
            };
            let flags = self.index.tree.flags(node);
            let span = Span::new_unchecked(*key, *key);
            if flags & LEAF != 0 {
                let what = "cannot extend a value with a dotted key";
                sink.report_error(ParseError::new(what).with_unexpected(span));
                return None;
            }
            if flags & BLOCKS != 0 {
                match self.newest.get(&node).filter(|_| how == Descent::Header) {
                    Some(newest) => table = *newest,
                    None => {
                        self.duplicate(*key, sink);
                        return None;
                    }
                }
                continue;
            }
            if flags & INLINE != 0 && how != Descent::Inline {
                let what = "cannot extend value of type inline table with a dotted key";
                sink.report_error(ParseError::new(what).with_unexpected(span));
                return None;
            }
            if how != Descent::Header {
                if flags & IMPLICIT == 0 {
                    self.duplicate(*key, sink);
                    return None;
                }
                self.index.tree.set_flags(node, flags | DOTTED);
            }
            table = node;
        }
        Some(table)
    }

    /// Begins a value at `start`. Returns the name or the array that it belongs to.
    fn begin(&mut self, start: usize, sink: &mut dyn ErrorSink) -> Option<Slot> {
        let (table, how) = match self.frames.last() {
            Some(Frame::Array(_)) => {
                let counted = self.counts.element();
                self.limit(counted, start, sink);
                return Some(Slot::Element);
            }
            Some(Frame::Inline(table, _)) => (*table, Descent::Inline),
            None => (self.section, Descent::Dotted),
        };
        let keys = std::mem::take(&mut self.keys);
        let (last, above) = keys.split_last()?;
        let parent = self.descend(table, above, how, sink)?;
        let name = key_at(self.text, *last);
        if self.index.tree.find(self.text, parent, &name).is_some() {
            self.duplicate(*last, sink);
            return None;
        }
        let hidden = self.index.tree.flags(parent) & HIDDEN;
        let node = self.index.tree.add(self.text, parent, *last, LEAF | hidden);
        if hidden != 0 {
            let counted = self.counts.element();
            self.limit(counted, start, sink);
        }
        Some(Slot::Name(node, hidden == 0))
    }

    fn add_property(
        &mut self,
        node: u32,
        span: Range<usize>,
        kind: EntryKind,
        sink: &mut dyn ErrorSink,
    ) {
        let path = self.index.tree.path(self.text, node);
        let counted = self.counts.property().and_then(|()| self.counts.path(&path));
        self.limit(counted, span.start, sink);
        if let Err(error) = PropertyPath::new(path) {
            self.stop(error.at_offset(self.text, span.start), sink);
        }
        let (start, end) = (span.start as u32, span.end as u32);
        self.index.entries.push(Entry { node, start, end, kind });
    }

    fn begin_section(&mut self, end: usize, sink: &mut dyn ErrorSink) {
        let Some((array, start)) = self.header.take() else { return };
        self.end_section(start);
        let keys = std::mem::take(&mut self.keys);
        let Some((last, above)) = keys.split_last() else { return };
        let Some(parent) = self.descend(ROOT, above, Descent::Header, sink) else { return };
        let name = key_at(self.text, *last);
        let found = self.index.tree.find(self.text, parent, &name);
        if !array {
            match found.map(|node| (node, self.index.tree.flags(node))) {
                None => self.section = self.add_table(parent, *last, 0, sink),
                Some((node, flags))
                    if flags & IMPLICIT != 0 && flags & (DOTTED | LEAF | BLOCKS) == 0 =>
                {
                    self.index.tree.set_flags(node, flags & !IMPLICIT);
                    self.section = node;
                }
                Some(_) => self.duplicate(*last, sink),
            }
        } else {
            let blocks = match found {
                None => {
                    let hidden = self.index.tree.flags(parent) & HIDDEN;
                    let node = self.index.tree.add(self.text, parent, *last, BLOCKS | hidden);
                    match hidden {
                        0 => self.add_property(node, start..end, EntryKind::Blocks, sink),
                        _ => {
                            let counted = self.counts.element();
                            self.limit(counted, start, sink);
                        }
                    }
                    node
                }
                Some(node) if self.index.tree.is(node, BLOCKS) => node,
                Some(_) => return self.duplicate(*last, sink),
            };
            let counted = self.counts.element();
            self.limit(counted, start, sink);
            self.section = self.index.tree.add_element(blocks, HIDDEN);
            self.newest.insert(blocks, self.section);
        }
        self.begin_block(start);
    }

    /// If the section belongs to `[[blocks]]`, remembers where it begins.
    fn begin_block(&mut self, start: usize) {
        let tree = &self.index.tree;
        let outer = tree.up(self.section).find(|node| !tree.is(*node, HIDDEN));
        if let Some(outer) = outer.filter(|_| tree.is(self.section, HIDDEN))
            && let Ok(entry) = self.index.entries.binary_search_by_key(&outer, |entry| entry.node)
        {
            let (entry, start) = (entry as u32, start as u32);
            let blocks = &mut self.index.blocks;
            // Sections of one array that follow each other are one block.
            if blocks.last().is_some_and(|last| (last.entry, last.end) == (entry, start)) {
                return;
            }
            if blocks.is_empty() {
                // Every block follows a `[[`. A list that grows is copied, and then needs its
                // memory twice.
                blocks.reserve_exact(self.text.matches("[[").count().min(MAX_ELEMENTS));
            }
            blocks.push(Block { entry, start, end: start });
        }
    }

    fn end_section(&mut self, at: usize) {
        if self.index.tree.is(self.section, HIDDEN)
            && let Some(block) = self.index.blocks.last_mut()
        {
            block.end = at as u32;
        }
    }

    fn count_empty_tables(&mut self) -> Result<()> {
        for node in 1..self.index.tree.len() as u32 {
            if self.index.is_empty_table(node) {
                let path = self.index.tree.path(self.text, node);
                self.counts.path(&path).map_err(Error::malformed)?;
            }
        }
        Ok(())
    }
}

impl EventReceiver for Builder<'_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.header = Some((false, span.start()));
        self.keys.clear();
    }
    fn std_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.in_key = false;
        self.begin_section(span.end(), error);
    }
    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.header = Some((true, span.start()));
        self.keys.clear();
    }
    fn array_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.std_table_close(span, error);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        if !self.in_key {
            self.in_key = true;
            self.keys.clear();
        }
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        decoded_key(raw, encoding, span, error);
        self.keys.push(span.start());
    }
    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.in_key = false;
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let Some(slot) = self.begin(span.start(), error) else { return };
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        let in_range = check_scalar(raw, encoding, span, error);
        let string = encoding.map(|encoding| string_of(raw, encoding, span));
        match (slot, &string) {
            (Slot::Name(node, true), string) => {
                let kind = match string {
                    Some(text) => self.string_kind(node, text, span.start(), error),
                    None => EntryKind::Readable,
                };
                self.add_property(node, span.start()..span.end(), kind, error);
            }
            (_, Some(text)) => self.check_inner_string(text, span.start(), error),
            _ => {}
        }
        if !in_range {
            let path = self.outer_property();
            self.refuse("a number that is out of range", span.start(), path, error);
        }
    }

    fn array_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        let slot = self.begin(span.start(), error);
        let property = match slot {
            Some(Slot::Name(node, true)) => {
                self.add_property(node, span.start()..span.end(), EntryKind::Readable, error);
                true
            }
            _ => false,
        };
        self.frames.push(Frame::Array(property));
        true
    }
    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let frame = self.frames.pop();
        if let (Some(Frame::Array(true)), Some(entry)) = (frame, self.index.entries.last_mut()) {
            entry.end = span.end() as u32;
        }
    }

    fn inline_table_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        let (table, kept) = match self.begin(span.start(), error) {
            Some(Slot::Name(node, property)) => {
                let flags = self.index.tree.flags(node);
                self.index.tree.set_flags(node, flags & !LEAF | INLINE);
                if property {
                    let counted = self.counts.table();
                    self.limit(counted, span.start(), error);
                }
                (node, None)
            }
            _ => {
                let kept = self.index.tree.len();
                (self.index.tree.add_element(self.section, HIDDEN | INLINE), Some(kept))
            }
        };
        self.frames.push(Frame::Inline(table, kept));
        true
    }
    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(Frame::Inline(_, Some(kept))) = self.frames.pop() {
            self.index.tree.truncate(self.text, kept);
        }
        self.in_key = false;
    }
}
