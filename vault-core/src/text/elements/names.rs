//! The names of the elements inside an array, read as a stream: `[0].password`, `[0].tags[1]`.

use crate::text::parse::scalar::string_of;
use crate::text::parse::stream::stream_value;
use crate::text::parse::tree::decoded_key;
use crate::text::path::DottedKey;
use std::fmt::Write;
use std::ops::Range;
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, Source, Span};
use zeroize::Zeroizing;

/// One element or key inside an array.
///
/// ```
/// let mut names = Vec::new();
/// bootseal_core::elements("[{ name = \"a\", 'b c' = 1 }]", &mut |element| names.push(element.shown.to_owned()));
/// assert_eq!(names, ["[0]", "[0].name", "[0].\"b c\""]);
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Element<'a> {
    /// Its name after the name of the array, with each key as TOML writes it.
    pub shown: &'a str,
    /// Its name after the name of the array, with each key as it is.
    pub plain: &'a str,
    /// Its text, if it is a string.
    pub text: Option<&'a str>,
}

/// Calls `visit` for each element and each key inside the TOML value `array`, in the order of the
/// text. It builds no value, because an array of a million elements would need a hundred times the
/// memory of its text.
pub fn elements(array: &str, visit: &mut dyn FnMut(Element<'_>)) {
    let mut names = Names {
        source: array,
        open: Vec::new(),
        shown: Zeroizing::default(),
        plain: Zeroizing::default(),
        visit,
    };
    let _ = stream_value(Source::new(array), &mut names);
}

/// The extent of the element `[index]` of the TOML value `array`, or the number of its elements if
/// there is no such element. `None` if it is not an array.
pub(in crate::text) fn element_at(
    array: &str,
    index: usize,
) -> Option<Result<Range<usize>, usize>> {
    let mut seek = Seek { wanted: index, ..Seek::default() };
    stream_value(Source::new(array), &mut seek).ok()?;
    seek.is_array.then(|| seek.found.ok_or(seek.count))
}

/// An array or inline table that is open, and the lengths of both names before its content.
struct Open {
    /// The index of the next element of an array; `None` for a table.
    index: Option<usize>,
    lengths: (usize, usize),
}

struct Names<'a, 'v> {
    source: &'a str,
    open: Vec<Open>,
    // Keys inside a sealed value are part of the secret.
    shown: Zeroizing<String>,
    plain: Zeroizing<String>,
    visit: &'v mut dyn FnMut(Element<'_>),
}

impl Names<'_, '_> {
    /// Begins a value: an element of an array gets its index; the key of a table is there already.
    fn begin(&mut self, text: Option<&str>) {
        let Some(open) = self.open.last_mut() else { return };
        if let Some(index) = &mut open.index {
            self.shown.truncate(open.lengths.0);
            self.plain.truncate(open.lengths.1);
            let _ = write!(*self.shown, "[{index}]");
            let _ = write!(*self.plain, "[{index}]");
            *index += 1;
        }
        (self.visit)(Element { shown: &self.shown, plain: &self.plain, text });
    }

    fn enter(&mut self, index: Option<usize>) -> bool {
        self.begin(None);
        self.open.push(Open { index, lengths: (self.shown.len(), self.plain.len()) });
        true
    }

    /// Ends a value that is a member of a table: the next key begins after the table's name.
    fn end(&mut self) {
        if let Some(Open { index: None, lengths }) = self.open.last() {
            self.shown.truncate(lengths.0);
            self.plain.truncate(lengths.1);
        }
    }
}

impl EventReceiver for Names<'_, '_> {
    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let raw = self.source.get(span.start()..span.end()).unwrap_or_default();
        let segment = [decoded_key(raw, encoding, span, error).into_owned()];
        let _ = write!(*self.shown, ".{}", DottedKey(&segment));
        let _ = write!(*self.plain, ".{}", segment[0]);
    }

    /// The table of a dotted key is a name of its own.
    fn key_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        (self.visit)(Element { shown: &self.shown, plain: &self.plain, text: None });
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        let raw = self.source.get(span.start()..span.end()).unwrap_or_default();
        let text = encoding.map(|encoding| string_of(raw, encoding, span));
        self.begin(text.as_deref());
        self.end();
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.enter(Some(0))
    }
    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
        self.end();
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.enter(None)
    }
    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.open.pop();
        self.end();
    }
}

/// Counts the elements of the outermost array up to the wanted one.
#[derive(Default)]
struct Seek {
    wanted: usize,
    depth: usize,
    is_array: bool,
    count: usize,
    start: usize,
    found: Option<Range<usize>>,
}

impl Seek {
    fn open(&mut self, span: Span, is_array: bool) -> bool {
        match self.depth {
            0 => self.is_array = is_array,
            1 => self.start = span.start(),
            _ => {}
        }
        self.depth += 1;
        true
    }

    fn close(&mut self, span: Span) {
        self.depth = self.depth.saturating_sub(1);
        if self.depth == 1 {
            if self.count == self.wanted {
                self.found = Some(self.start..span.end());
            }
            self.count += 1;
        }
    }
}

impl EventReceiver for Seek {
    fn scalar(&mut self, span: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.open(span, false);
        self.close(span);
    }
    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span, true)
    }
    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }
    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span, false)
    }
    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(array: &str) -> Vec<String> {
        let mut names = Vec::new();
        elements(array, &mut |element| {
            let text = element.text.map_or(String::new(), |text| format!(" {text}"));
            names.push(format!("{}{text}", element.shown));
        });
        names
    }

    #[test]
    fn every_element_and_key_has_a_name() {
        assert_eq!(
            names(
                "[ # users\n { name = 'a', pw.old = \"x\", 'b.c' = [1, [\"y\"]] },\n {}, 'z', [] ]"
            ),
            [
                "[0]",
                "[0].name a",
                "[0].pw",
                "[0].pw.old x",
                "[0].\"b.c\"",
                "[0].\"b.c\"[0]",
                "[0].\"b.c\"[1]",
                "[0].\"b.c\"[1][0] y",
                "[1]",
                "[2] z",
                "[3]"
            ]
        );
        assert_eq!(names("[{a = {b = 1}, c = 2}]"), ["[0]", "[0].a", "[0].a.b", "[0].c"]);
        assert_eq!(names("[]"), [""; 0]);
        let mut plain = Vec::new();
        elements("[{'b.c' = 1}]", &mut |element| plain.push(element.plain.to_owned()));
        assert_eq!(plain, ["[0]", "[0].b.c"]);
    }

    #[test]
    fn an_element_is_found_by_its_index() {
        let array = "[ [1, 2], { a = [3] }, 'x' ]";
        let text = |index| element_at(array, index).unwrap().map(|range| &array[range]);
        assert_eq!((text(0), text(1), text(2)), (Ok("[1, 2]"), Ok("{ a = [3] }"), Ok("'x'")));
        assert_eq!(text(3), Err(3));
        assert_eq!(element_at("{ a = [1] }", 0), None);
        assert_eq!(element_at("1", 0), None);
    }
}
