//! Reads a value part by part: the elements of arrays, one at a time. A built array of a million
//! elements would need a hundred times the memory of its text.

use crate::text::parse::stream::{stream_document, stream_value};
use crate::text::parse::value_builder::{blocks_value, value_of};
use std::ops::Range;
use toml::Value;
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, Source, Span};

/// A part of a TOML value. A value that is no array has one part.
///
/// ```
/// use bootseal_core::{ValuePart, value_parts};
/// let mut integers = Vec::new();
/// let is_value = value_parts("[1, [2, 3]]", &mut |part| {
///     if let ValuePart::Value(toml::Value::Integer(integer)) = part {
///         integers.push(integer);
///     }
/// });
/// assert!(is_value && integers == [1, 2, 3]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum ValuePart {
    /// An array begins.
    ArrayStart,
    /// An array ends.
    ArrayEnd,
    /// Anything else, including an inline table as a whole.
    Value(Value),
}

/// Calls `each` with the parts of the TOML value that `text` consists of, in their order. Returns
/// whether `text` is one value.
pub fn value_parts(text: &str, each: &mut dyn FnMut(ValuePart)) -> bool {
    let mut parts = Parts { text, tables: 0, start: 0, is_value: true, each };
    let read = stream_value(Source::new(text), &mut parts);
    read.is_ok() && parts.is_value
}

/// Does the same for `[[blocks]]` whose name has `above` segments, from the sections that belong to
/// it.
pub(in crate::text) fn blocks_parts(
    text: &str,
    above: usize,
    sections: impl Iterator<Item = Range<usize>>,
    each: &mut dyn FnMut(ValuePart),
) {
    each(ValuePart::ArrayStart);
    let mut element: Vec<Range<usize>> = Vec::new();
    let mut flush = |element: &mut Vec<Range<usize>>| {
        if let Value::Array(blocks) = blocks_value(text, above, std::mem::take(element).into_iter())
        {
            blocks.into_iter().for_each(|block| each(ValuePart::Value(block)));
        }
    };
    for section in sections {
        let mut done = section.start;
        let mut next = |header: usize| {
            let header = section.start + header;
            if header > done {
                element.push(done..header);
            }
            flush(&mut element);
            done = header;
        };
        let inside = text.get(section.clone()).unwrap_or_default();
        let mut headers = Headers { above, segments: None, start: 0, next: &mut next };
        let _ = stream_document(Source::new(inside), &mut headers);
        element.push(done..section.end);
    }
    flush(&mut element);
    each(ValuePart::ArrayEnd);
}

struct Parts<'a, 'e> {
    text: &'a str,
    /// The number of open inline tables, and the start of the outermost one.
    tables: usize,
    start: usize,
    is_value: bool,
    each: &'e mut dyn FnMut(ValuePart),
}

impl Parts<'_, '_> {
    fn value(&mut self, span: Range<usize>) {
        match self.text.get(span).and_then(value_of) {
            Some(value) => (self.each)(ValuePart::Value(value)),
            None => self.is_value = false,
        }
    }
}

impl EventReceiver for Parts<'_, '_> {
    fn scalar(&mut self, span: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        if self.tables == 0 {
            self.value(span.start()..span.end());
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        if self.tables == 0 {
            (self.each)(ValuePart::ArrayStart);
        }
        true
    }
    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if self.tables == 0 {
            (self.each)(ValuePart::ArrayEnd);
        }
    }

    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        if self.tables == 0 {
            self.start = span.start();
        }
        self.tables += 1;
        true
    }
    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.tables = self.tables.saturating_sub(1);
        if self.tables == 0 {
            self.value(self.start..span.end());
        }
    }
}

/// Finds the headers `[[name]]` that begin an element, by the number of their segments.
struct Headers<'n> {
    above: usize,
    /// The number of segments of the header that is open, and its start.
    segments: Option<usize>,
    start: usize,
    next: &'n mut dyn FnMut(usize),
}

impl EventReceiver for Headers<'_> {
    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        (self.segments, self.start) = (Some(0), span.start());
    }
    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if self.segments.take() == Some(self.above) {
            (self.next)(self.start);
        }
    }
    fn simple_key(&mut self, _: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        if let Some(segments) = &mut self.segments {
            *segments += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::text::document::{Document, Property};
    use crate::text::parse::value_parts::ValuePart;
    use toml::Value;

    /// Builds the value from its parts.
    fn built(document: &Document, name: &str) -> Value {
        let mut open = vec![Vec::new()];
        document.parts(&name.parse().unwrap(), &mut |part| {
            let value = match part {
                ValuePart::ArrayStart => return open.push(Vec::new()),
                ValuePart::ArrayEnd => Value::Array(open.pop().unwrap()),
                ValuePart::Value(value) => value,
            };
            open.last_mut().unwrap().push(value);
        });
        assert_eq!((open.len(), open[0].len()), (1, 1));
        open.remove(0).remove(0)
    }

    #[test]
    fn the_parts_of_a_value_are_the_value() {
        for text in [
            "a = 1",
            "a = []",
            "a = [1, [2, [], 'x'], { b = [1, { c = 2 }], d.e = 3, f = 4, d.g = 5 }, []]",
            "a = [\n  1, # one\n  1979-05-27, # two\n]",
            "[[a]]\n[[a]]\nb = 1\n[a.c]\nd = 2\n[[a.e]]\nf = 3\n[[a.e]]\n[[a]]\nb = 2",
            "[[a]]\nb = 1\n[z]\ny = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[x]\nw = 1\n[a.c.e]\nf = 4\n[[a]]\n",
            "[[a]]\nb.c = 1\nd = 2\nb.e = [{}]\n",
        ] {
            let document = Document::parse(format!("{text}\n")).unwrap();
            let value = document.get(&"a".parse().unwrap());
            assert_eq!(value, Some(Property::Readable(built(&document, "a"))), "{text}");
        }
    }
}
