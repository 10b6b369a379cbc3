//! The outline of a TOML text: the spans of headers, keys, values and inline tables, so that an
//! edit leaves all other bytes unchanged.
//!
//! The outline is built in one pass over the events of the text. This pass also finds what
//! `parse::index` does not report: keys that are too long, and syntax that only TOML 1.1 allows.

mod toml_1_1;

use crate::error::{Error, Result};
use crate::text::outline::toml_1_1::{newer_escape, time_without_seconds};
use crate::text::parse::stream::stream_document;
use crate::text::path::{DottedKey, MAX_SEGMENTS, decode_key};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::rc::Rc;
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, ParseError, Source, Span};

/// The maximum number of comments that are listed one by one. Nobody could review more of them, and
/// a list of millions would need much memory.
const MAX_COMMENTS: usize = 32_768;

#[derive(Default)]
pub(crate) struct Outline {
    /// The part before the first header is `sections[0]`, with an empty path.
    pub(crate) sections: Vec<Section>,
    /// Every `key = value` line, in order.
    pub(crate) entries: Vec<Entry>,
    pub(crate) inline_tables: Vec<InlineTable>,
    /// The span of each comment, for the first [`MAX_COMMENTS`] comments.
    pub(crate) comments: Vec<Range<usize>>,
    /// What each of these comments is about: the property or header on its line or, if there is
    /// none, the next one below. Empty if there is none below either.
    pub(crate) about: Vec<Rc<str>>,
    /// The number of further comments, and the hash of their texts.
    pub(crate) more_comments: (usize, Sha256),
    /// The first use of syntax that TOML 1.0 does not have, and its offset.
    pub(crate) newer_toml: Option<(usize, &'static str)>,
}

pub(crate) struct Section {
    pub(crate) path: Vec<String>,
    pub(crate) array: bool,
    /// The start of the header's line.
    pub(crate) start: usize,
    /// The end of the last line with a value or, without values, of the header's line.
    pub(crate) end: usize,
}

pub(crate) struct Entry {
    pub(crate) section: usize,
    pub(crate) path: Vec<String>,
    /// The dotted key as it is written.
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) line_end: usize,
    pub(crate) array: Option<ArrayEnd>,
    /// The elements of the array that is its value.
    pub(crate) elements: Vec<Range<usize>>,
}

/// The end of an array value, for appending to it.
#[derive(Clone, Copy)]
pub(crate) struct ArrayEnd {
    /// The end of the last element; that of the opening bracket if the array is empty.
    pub(crate) last_element: usize,
    pub(crate) comma_follows: bool,
}

pub(crate) struct InlineTable {
    pub(crate) path: Vec<String>,
    /// The offset of its closing brace.
    pub(crate) close: usize,
    pub(crate) empty: bool,
    /// Its direct members: path, and the span from key to end of value.
    pub(crate) members: Vec<(Vec<String>, Range<usize>)>,
}

impl Outline {
    /// The full outline of a short text.
    pub(crate) fn of(text: &str) -> Result<Outline> {
        Outline::scan(text, Detail::Everything)
    }

    /// The sections, and the entries and inline tables whose path is `near` the place of an edit.
    /// A text can have too many of them to list them all.
    pub(crate) fn near(text: &str, near: &dyn Fn(&[String]) -> bool) -> Result<Outline> {
        Outline::scan(text, Detail::Near(near))
    }

    /// The sections and the comments.
    pub(crate) fn layout(text: &str) -> Result<Outline> {
        Outline::scan(text, Detail::Layout)
    }

    /// The outline with only these sections: the part before the first header, the first
    /// `[bootseal]` and the section after it, and the last section. All bounds are checked. This is
    /// enough for a reader, and needs hardly any memory.
    pub(crate) fn bounds(text: &str) -> Result<Outline> {
        Outline::scan(text, Detail::Bounds)
    }

    fn scan(text: &str, detail: Detail<'_>) -> Result<Outline> {
        let source = Source::new(text);
        let mut scan = Scan {
            source,
            detail,
            out: Outline {
                sections: vec![Section { path: vec![], array: false, start: 0, end: 0 }],
                ..Outline::default()
            },
            path: Vec::new(),
            frames: Vec::new(),
            header: None,
            in_key: false,
            key: 0..0,
            entry_key: 0..0,
            value_start: 0,
            array: None,
            element_start: 0,
            elements: Vec::new(),
            is_header: false,
            place_end: 0,
            place: None,
            problem: None,
        };
        let read = stream_document(source, &mut scan);
        if let Some((offset, what)) = scan.problem {
            return Err(Error::malformed(what).at_offset(text, offset));
        }
        if let Err(error) = read {
            let offset = error.unexpected().or(error.context()).map_or(0, |span| span.start());
            return Err(Error::malformed(format!("not TOML: {}", error.description()))
                .at_offset(text, offset));
        }
        scan.out.about.resize(scan.out.comments.len(), "".into());
        Ok(scan.out)
    }
}

/// What is collected. The length of paths is always checked.
#[derive(Clone, Copy)]
enum Detail<'a> {
    Bounds,
    Layout,
    Near(&'a dyn Fn(&[String]) -> bool),
    Everything,
}

impl Detail<'_> {
    fn has_sections(self) -> bool {
        !matches!(self, Detail::Bounds)
    }

    fn has_comments(self) -> bool {
        matches!(self, Detail::Layout | Detail::Everything)
    }

    /// Whether the entry or inline table with this path is collected.
    fn has(self, path: &[String]) -> bool {
        match self {
            Detail::Bounds | Detail::Layout => false,
            Detail::Near(near) => near(path),
            Detail::Everything => true,
        }
    }
}

enum Frame {
    Array,
    Inline {
        base: usize,
        reachable: bool,
        open: usize,
        key: usize,
        members: Vec<(Vec<String>, Range<usize>)>,
    },
}

struct Scan<'a> {
    source: Source<'a>,
    detail: Detail<'a>,
    out: Outline,
    path: Vec<String>,
    frames: Vec<Frame>,
    header: Option<(Vec<String>, bool, usize)>,
    in_key: bool,
    /// The key that was read last, and the key of the line's entry.
    key: Range<usize>,
    entry_key: Range<usize>,
    value_start: usize,
    array: Option<ArrayEnd>,
    element_start: usize,
    elements: Vec<Range<usize>>,
    /// The last property or header: whether it is a header, the end of its line, and its name,
    /// once a comment needs it.
    is_header: bool,
    place_end: usize,
    place: Option<Rc<str>>,
    problem: Option<(usize, String)>,
}

impl Scan<'_> {
    fn reachable(&self) -> bool {
        !self.frames.iter().any(|frame| matches!(frame, Frame::Array))
    }

    fn newer(&mut self, offset: usize, what: &'static str) {
        self.out.newer_toml.get_or_insert((offset, what));
    }

    fn line_start(&self, offset: usize) -> usize {
        self.source.input()[..offset].rfind('\n').map_or(0, |newline| newline + 1)
    }

    fn line_end(&self, offset: usize) -> usize {
        self.source.input()[offset..]
            .find('\n')
            .map_or(self.source.input().len(), |newline| offset + newline + 1)
    }

    fn open(&mut self, start: usize) {
        match self.frames.as_mut_slice() {
            [] => {
                self.value_start = start;
                self.entry_key = self.key.clone();
                self.array = None;
                self.elements.clear();
            }
            [Frame::Array] => self.element_start = start,
            [.., Frame::Inline { key, .. }] => *key = self.key.start,
            _ => {}
        }
    }

    /// Records that a property or header is complete. The comments between the previous property or
    /// header and this one are about this one.
    fn place_done(&mut self, is_header: bool, line_end: usize) {
        (self.is_header, self.place_end, self.place) = (is_header, line_end, None);
        let comments = self.out.comments.len();
        if self.out.about.len() < comments {
            let name = self.place_name();
            self.out.about.resize(comments, name);
        }
    }

    fn place_name(&mut self) -> Rc<str> {
        let section = self.out.sections.last().map_or(&[][..], |section| &section.path);
        let name = || match self.is_header {
            true => format!("[{}]", DottedKey(section)).into(),
            false => DottedKey(&self.path).to_string().into(),
        };
        self.place.get_or_insert_with(name).clone()
    }

    fn value_done(&mut self, end: usize) {
        let reachable = self.reachable();
        match self.frames.as_mut_slice() {
            [] if self.detail.has_sections() => {
                let section = self.out.sections.len() - 1;
                let line_end = self.line_end(end);
                self.out.sections[section].end = line_end;
                self.place_done(false, line_end);
                if !self.detail.has(&self.path) {
                    return;
                }
                let value = self.value_start..end;
                let array = self.array.take();
                let (key, elements) = (self.entry_key.clone(), std::mem::take(&mut self.elements));
                self.out.entries.push(Entry {
                    section,
                    path: self.path.clone(),
                    key,
                    value,
                    line_end,
                    array,
                    elements,
                });
            }
            [Frame::Array] => {
                self.array = Some(ArrayEnd { last_element: end, comma_follows: false });
                if matches!(self.detail, Detail::Everything) {
                    self.elements.push(self.element_start..end);
                }
            }
            [.., Frame::Inline { base, key, members, .. }]
                if reachable && self.detail.has(&self.path[..*base]) =>
            {
                members.push((self.path.clone(), *key..end));
            }
            _ => {}
        }
    }

    fn trailing_comma(&self, close: usize) -> bool {
        self.source.input()[..close].trim_end().ends_with(',')
    }
}

impl EventReceiver for Scan<'_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.header = Some((Vec::new(), false, self.line_start(span.start())));
    }
    fn std_table_close(&mut self, span: Span, error: &mut dyn ErrorSink) {
        self.array_table_close(span, error);
    }
    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.header = Some((Vec::new(), true, self.line_start(span.start())));
    }
    fn array_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        let Some((path, array, start)) = self.header.take() else { return };
        let end = self.line_end(span.end());
        if !self.detail.has_sections() {
            // After the first `[bootseal]`, the next section is kept too.
            let own = self.out.sections.get(1).is_some_and(|first| first.path == ["bootseal"]);
            self.out.sections.truncate(if own { 3 } else { 1 });
        }
        // Near an edit, a section `[[name]]` without a collected entry is dropped, unless it is the
        // first section with a header.
        let before = self.out.sections.len() - 1;
        let is_needed = |entry: &Entry| entry.section == before;
        if matches!(self.detail, Detail::Near(_))
            && before > 1
            && self.out.sections[before].array
            && !self.out.entries.last().is_some_and(is_needed)
        {
            self.out.sections.pop();
        }
        self.out.sections.push(Section { path, array, start, end });
        self.place_done(true, end);
        self.in_key = false;
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let wanted = self.detail.has_sections() || self.header.is_some();
        let segment =
            if wanted { decode_key(self.source, span, encoding, error) } else { String::new() };
        if encoding.is_some() {
            let raw = &self.source.input()[span.start()..span.end()];
            if let Some((offset, what)) = newer_escape(raw, span.start(), encoding) {
                self.newer(offset, what);
            }
        }
        let length = if let Some((path, ..)) = &mut self.header {
            path.push(segment);
            path.len()
        } else {
            self.key =
                if self.in_key { self.key.start..span.end() } else { span.start()..span.end() };
            if !self.in_key {
                self.in_key = true;
                match self.frames.last() {
                    Some(Frame::Inline { base, .. }) => self.path.truncate(*base),
                    _ => {
                        let section =
                            self.out.sections.last().map_or(&[][..], |section| &section.path);
                        self.path.clear();
                        match self.detail.has_sections() {
                            true => self.path.extend_from_slice(section),
                            false => self.path.resize(section.len(), String::new()),
                        }
                    }
                }
            }
            self.path.push(segment);
            self.path.len()
        };
        // Checked before anything recurses, because dropping the tree of a header with a million
        // segments would overflow the stack.
        let depth_allowance = if self.reachable() { 0 } else { self.frames.len() * MAX_SEGMENTS };
        if length > MAX_SEGMENTS + depth_allowance {
            self.problem =
                Some((span.start(), format!("a key of more than {MAX_SEGMENTS} segments")));
            error.report_error(ParseError::new("stopped"));
        }
    }
    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.in_key = false;
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.open(span.start());
        let raw = &self.source.input()[span.start()..span.end()];
        if let Some((offset, what)) = newer_escape(raw, span.start(), encoding) {
            self.newer(offset, what);
        }
        if encoding.is_none() && time_without_seconds(raw) {
            self.newer(span.start(), "a time without seconds");
        }
        self.value_done(span.end());
    }

    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span.start());
        if self.frames.is_empty() {
            self.array = Some(ArrayEnd { last_element: span.end(), comma_follows: true });
        }
        self.frames.push(Frame::Array);
        true
    }
    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.frames.pop();
        self.value_done(span.end());
    }

    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span.start());
        let (base, reachable) = (self.path.len(), self.reachable());
        let frame =
            Frame::Inline { base, reachable, open: span.end(), key: 0, members: Vec::new() };
        self.frames.push(frame);
        true
    }
    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        if let Some(Frame::Inline { base, reachable, open, members, .. }) = self.frames.pop() {
            self.path.truncate(base);
            if self.trailing_comma(span.start()) {
                self.newer(span.start(), "a trailing comma in an inline table");
            }
            if reachable && self.detail.has(&self.path) {
                let empty = self.source.input()[open..span.start()].trim().is_empty();
                self.out.inline_tables.push(InlineTable {
                    path: self.path.clone(),
                    close: span.start(),
                    empty,
                    members,
                });
            }
        }
        self.in_key = false;
        self.value_done(span.end());
    }

    fn value_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let ([Frame::Array], Some(array)) = (self.frames.as_slice(), &mut self.array) {
            array.comma_follows = true;
        }
    }

    fn comment(&mut self, span: Span, _: &mut dyn ErrorSink) {
        if !self.detail.has_comments() {
            return;
        }
        if self.out.comments.len() < MAX_COMMENTS {
            self.out.comments.push(span.start()..span.end());
            if span.start() < self.place_end {
                let name = self.place_name();
                self.out.about.push(name);
            }
        } else {
            let (count, hash) = &mut self.out.more_comments;
            *count += 1;
            hash.update(self.source.input()[span.start()..span.end()].trim().as_bytes());
            hash.update(b"\n");
        }
    }

    fn newline(&mut self, span: Span, _: &mut dyn ErrorSink) {
        if let Some(Frame::Inline { .. }) = self.frames.last() {
            self.newer(span.start(), "a line break in an inline table");
        }
    }
}

/// Refuses syntax that only TOML 1.1 allows, because a writer must not sign it.
pub(crate) fn refuse_newer_toml(text: &str) -> Result<()> {
    match Outline::bounds(text)?.newer_toml {
        None => Ok(()),
        Some((offset, what)) => {
            Err(Error::malformed(format!("{what}: TOML 1.1 allows it, TOML 1.0 does not"))
                .at_offset(text, offset)
                .with_help(
                    "Sealed files are TOML 1.0, which every parser reads. Use TOML 1.0 syntax.",
                ))
        }
    }
}

#[cfg(test)]
mod tests;
