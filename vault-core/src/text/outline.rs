//! The outline of a TOML text: the spans of headers, keys, values and inline tables, so that an
//! edit leaves all other bytes unchanged.
//!
//! It is built in one pass over the events of the text, which also finds what the index does not
//! report: the length of keys, and syntax that only TOML 1.1 allows.

use crate::error::{Error, Result};
use crate::text::parse::stream::stream_document;
use crate::text::parse::toml_1_1::{newer_escape, time_without_seconds};
use crate::text::path::{MAX_SEGMENTS, decode_key};
use sha2::{Digest, Sha256};
use std::ops::Range;
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
    /// The full outline, for an edit.
    pub(crate) fn of(text: &str) -> Result<Outline> {
        Outline::scan(text, true)
    }

    /// The outline with only these sections: the part before the first header, the first
    /// `[bootseal]` and the section after it, and the last section. All bounds are checked. This is
    /// enough for a reader, and needs hardly any memory.
    pub(crate) fn bounds(text: &str) -> Result<Outline> {
        Outline::scan(text, false)
    }

    fn scan(text: &str, detail: bool) -> Result<Outline> {
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
        Ok(scan.out)
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
    /// Whether names, entries, inline tables and comments are collected. Otherwise, only the
    /// lengths of paths are counted.
    detail: bool,
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

    fn value_done(&mut self, end: usize) {
        let reachable = self.reachable();
        match self.frames.as_mut_slice() {
            [] if self.detail => {
                let section = self.out.sections.len() - 1;
                let line_end = self.line_end(end);
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
                self.out.sections[section].end = line_end;
            }
            [Frame::Array] => {
                self.array = Some(ArrayEnd { last_element: end, comma_follows: false });
                if self.detail {
                    self.elements.push(self.element_start..end);
                }
            }
            [.., Frame::Inline { key, members, .. }] if self.detail && reachable => {
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
        if !self.detail {
            // After the first `[bootseal]`, its successor is kept too.
            let own = self.out.sections.get(1).is_some_and(|first| first.path == ["bootseal"]);
            self.out.sections.truncate(if own { 3 } else { 1 });
        }
        self.out.sections.push(Section { path, array, start, end });
        self.in_key = false;
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let wanted = self.detail || self.header.is_some();
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
                        match self.detail {
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
            if reachable && self.detail {
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
        if !self.detail {
            return;
        }
        if self.out.comments.len() < MAX_COMMENTS {
            self.out.comments.push(span.start()..span.end());
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
mod tests {
    use super::*;

    fn newer(text: &str) -> Option<&'static str> {
        Outline::of(text).unwrap().newer_toml.map(|(_, what)| what)
    }

    #[test]
    fn syntax_of_toml_1_1_is_found() {
        assert_eq!(newer("a = { b = 1, }\n"), Some("a trailing comma in an inline table"));
        assert_eq!(newer("a = {\n b = 1 }\n"), Some("a line break in an inline table"));
        assert_eq!(newer("a = \"\\e\"\n"), Some("the escape \\e"));
        assert_eq!(newer("a = \"\\x41\"\n"), Some("the escape \\x"));
        assert_eq!(newer("\"\\x41\" = 1\n"), Some("the escape \\x"));
        assert_eq!(newer("a = 07:32\n"), Some("a time without seconds"));
        assert_eq!(newer("a = 1979-05-27T07:32Z\n"), Some("a time without seconds"));
    }

    #[test]
    fn syntax_of_toml_1_0_is_not_reported() {
        assert_eq!(
            newer(
                "a = 1979-05-27T07:32:00-07:00\nb = 07:32:00.5\nc = 1979-05-27 07:32:00Z\nd = 1979-05-27\n"
            ),
            None
        );
        assert_eq!(
            newer(
                "a = { b = [\n 1,\n 2,\n] }\nc = '\\e\\x'\nd = \"\\\\e \\\\x41\"\ne = { f = \", }\" }\n"
            ),
            None
        );
    }

    #[test]
    fn depth_is_bounded_before_anything_recurses() {
        let deep = format!("a = {}{}\n", "[".repeat(65), "]".repeat(65));
        assert!(Outline::of(&deep).is_err());
        let allowed = format!("a = {}{}\n", "[".repeat(64), "]".repeat(64));
        assert!(Outline::of(&allowed).is_ok());
        assert!(Outline::of(&format!("a = {}\n", "[".repeat(200_000))).is_err());
        assert!(Outline::of(&format!("[{}a]\n", "a.".repeat(1_000_000))).is_err());
        assert!(Outline::of(&format!("{}a = 1\n", "a.".repeat(1_000_000))).is_err());
    }

    #[test]
    fn spans_are_those_of_the_values() {
        let text = "a.b = 1 # one\n[c]\nd = { e = \"x\" }\nf = [\n  1, # first\n  2\n]\n";
        let outline = Outline::of(text).unwrap();
        let values: Vec<_> = outline
            .entries
            .iter()
            .map(|entry| (entry.path.join("."), &text[entry.value.clone()]))
            .collect();
        assert_eq!(values[0], ("a.b".into(), "1"));
        assert_eq!(values[1], ("c.d".into(), "{ e = \"x\" }"));
        assert_eq!(values[2], ("c.f".into(), "[\n  1, # first\n  2\n]"));
        assert_eq!(outline.inline_tables[0].path.join("."), "c.d");
        let end = outline.entries[2].array.unwrap();
        assert!(text[..end.last_element].ends_with("  2") && !end.comma_follows);
    }
}
