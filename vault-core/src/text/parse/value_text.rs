//! Checks a value, and writes it on one line as it is sealed, without building it in memory. A
//! built array of a million elements would need a hundred times the memory of its text.

use crate::text::outline::Outline;
use crate::text::parse::index::Index;
use crate::text::parse::scalar::scalar_value;
use crate::text::parse::stream::stream_value;
use crate::text::parse::tree::decoded_key;
use crate::text::path::DottedKey;
use crate::text::toml_value::quoted;
use std::fmt::Write;
use std::ops::Range;
use toml::Value;
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, Source, Span};
use zeroize::Zeroizing;

/// The value that `text` consists of, on one line and without comments. The text was checked when
/// the document was read. `None` if it is not one value.
pub(in crate::text) fn one_line(text: &str) -> Option<Zeroizing<String>> {
    // The separators can make the result longer than the text, by a character for each element.
    // With escaped characters, or floats that have an exponent, it can be longer still; the buffer
    // then grows.
    let out = Zeroizing::new(String::with_capacity(2 * text.len()));
    let mut writer = Writer { text, out, between: Vec::new(), in_key: false };
    stream_value(Source::new(text), &mut writer).ok()?;
    Some(writer.out)
}

/// Whether `text` is exactly one value that is not a string, by TOML 1.0.
pub(crate) fn is_one_value(text: &str) -> bool {
    // The outline bounds the nesting and the length of keys.
    let line = Zeroizing::new(format!("v = {text}\n"));
    let mut extent = Extent::default();
    Outline::bounds(&line).is_ok_and(|outline| outline.newer_toml.is_none())
        && stream_value(Source::new(text), &mut extent).is_ok()
        && extent.value == (0..text.len())
        && !text.starts_with(['"', '\'', '\u{feff}'])
        && Index::is_value(text)
}

/// Finds the extent of a value.
#[derive(Default)]
struct Extent {
    depth: usize,
    value: Range<usize>,
}

impl Extent {
    fn open(&mut self, span: Span) -> bool {
        if self.depth == 0 {
            self.value.start = span.start();
        }
        self.depth += 1;
        true
    }

    fn close(&mut self, span: Span) {
        self.depth = self.depth.saturating_sub(1);
        self.value.end = span.end();
    }
}

impl EventReceiver for Extent {
    fn scalar(&mut self, span: Span, _: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.open(span);
        self.close(span);
    }
    fn array_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span)
    }
    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }
    fn inline_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) -> bool {
        self.open(span)
    }
    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.close(span);
    }
}

struct Writer<'a> {
    text: &'a str,
    out: Zeroizing<String>,
    /// The separator that comes before the next element of each open array and inline table.
    between: Vec<&'static str>,
    in_key: bool,
}

impl Writer<'_> {
    /// Begins an element of an array, or the key of a table.
    fn separate(&mut self) {
        if let Some(between) = self.between.last_mut() {
            self.out.push_str(between);
            *between = ", ";
        }
    }

    /// Begins a value.
    fn begin(&mut self) {
        match std::mem::take(&mut self.in_key) {
            true => self.out.push_str(" = "),
            false => self.separate(),
        }
    }

    fn close(&mut self, empty: &str, end: &str) {
        let full = self.between.pop() == Some(", ");
        self.out.push_str(if full { end } else { empty });
        self.in_key = false;
    }
}

impl EventReceiver for Writer<'_> {
    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        let segment = decoded_key(raw, encoding, span, error).into_owned();
        match std::mem::replace(&mut self.in_key, true) {
            true => self.out.push('.'),
            false => self.separate(),
        }
        let _ = write!(*self.out, "{}", DottedKey(&[segment]));
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.begin();
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        match scalar_value(raw, encoding) {
            Some(Value::String(text)) => {
                self.out.push_str(&Zeroizing::new(quoted(&Zeroizing::new(text))));
            }
            // In full, 1e300 has three hundred digits.
            Some(Value::Float(_)) => self.out.push_str(raw),
            Some(other) => drop(write!(*self.out, "{other}")),
            None => {}
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.begin();
        self.out.push('[');
        self.between.push("");
        true
    }
    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close("]", "]");
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.begin();
        self.out.push('{');
        self.between.push(" ");
        true
    }
    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.close("}", " }");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::toml_value::to_value;
    use proptest::prelude::*;
    use toml::de::DeValue;

    /// Answers the same question with the `toml` crate.
    fn is_one_value_by_toml(text: &str) -> bool {
        let Ok(line) = Outline::of(&format!("v = {text}\n")) else { return false };
        match DeValue::parse(text) {
            Ok(value) => {
                line.entries.len() == 1
                    && !text.starts_with('\u{feff}')
                    && line.newer_toml.is_none()
                    && to_value(value.get_ref()).is_some()
                    && !matches!(value.get_ref(), DeValue::String(_))
            }
            Err(_) => false,
        }
    }

    fn agree(text: &str) {
        assert_eq!(is_one_value(text), is_one_value_by_toml(text), "{text:?}");
        if is_one_value(text) {
            let line = one_line(text).unwrap();
            assert!(is_one_value(&line), "{text:?} became {line:?}");
            assert_eq!(line.lines().count(), 1, "{line:?}");
            let read = |text: &str| to_value(DeValue::parse(text).unwrap().get_ref()).unwrap();
            assert_eq!(format!("{:?}", read(&line)), format!("{:?}", read(text)), "{text:?}");
        }
    }

    #[test]
    fn one_value_is_what_the_toml_crate_reads_as_one_value() {
        for text in [
            "443",
            " 443",
            "443 ",
            "\t443",
            "443\n",
            "\n443",
            "443 # c",
            "443#c",
            "443 444",
            "1, 2",
            "",
            " ",
            "\u{feff}443",
            "443\u{feff}",
            "'a'",
            r#""a""#,
            "'a' ",
            "[1,\n2]",
            "[1 # c\n]",
            "[]",
            "[,]",
            "[1,]",
            "[[[]]]",
            "{}",
            "{ a = 1 }",
            "{ a.b = 1, a.c = 2 }",
            "{ a = 1, a = 2 }",
            "{ a = 1, }",
            "{\na = 1 }",
            "{ a.b = 1, a = 2 }",
            "{ a = { b = 1 }, a.c = 2 }",
            "9223372036854775808",
            "1e999",
            "nan",
            "-inf",
            "0x10",
            "1979-05-27",
            "1979-13-27",
            "07:32",
            "07:32:00",
            "true",
            "tru",
            "v",
            "]",
            "1]",
            "1\nw = 2",
            r#"["a\e"]"#,
            r#"["\x41"]"#,
            "['''a\nb''', \"\"\"c\\\n  d\"\"\"]",
            r#"["\u0000"]"#,
            r#"{ 'a b' = [ { "" = 1 } ] }"#,
            "1\r",
            "1\r\n",
            "[1\r\n]",
            "\u{a0}1",
            "[\u{a0}1]",
            "{ a = [1, 'x', { b = [] }], c = {} }",
            "['sealed:x', 'secret:y']",
        ] {
            agree(text);
        }
        for depth in [1, 63, 64, 65] {
            agree(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
            agree(&format!("{}1{}", "{a=".repeat(depth), "}".repeat(depth)));
        }
        assert_eq!(*one_line("[ 1e300,1_0.5 , 0x1F ]").unwrap(), "[1e300, 1_0.5, 31]");
        agree(&format!("{{ {} = 1 }}", ["k"; 17].join(".")));
        agree(&format!("{{ {} = 1 }}", "k".repeat(2000)));
    }

    proptest! {
        #[test]
        fn pieces_in_any_order_are_one_value_as_for_the_toml_crate(
            pieces in proptest::collection::vec(prop_oneof![
                Just("["), Just("]"), Just("{"), Just("}"), Just(","), Just("a = "),
                Just("b.c = "), Just("1"), Just("'x'"), Just("\"y\\n\""), Just("\n"), Just(" "),
                Just("# c\n"), Just("[]"), Just("{}"), Just("1e5"), Just("2020-01-01"),
                Just("[1, 2]"), Just("{ a = 1 }"), Just("{ b.d = 1, "),
            ], 0..9)
        ) {
            agree(&pieces.concat());
        }
    }
}
