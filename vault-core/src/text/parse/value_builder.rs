//! Builds the value of one property from its text, which was checked when the document was read.

use crate::text::parse::scalar::scalar_value;
use crate::text::parse::stream::{stream_document, stream_value};
use crate::text::parse::tree::decoded_key;
use std::ops::Range;
use toml::{Table, Value};
use toml_parser::decoder::Encoding;
use toml_parser::parser::EventReceiver;
use toml_parser::{ErrorSink, Source, Span};

/// The value that `text` consists of.
pub(in crate::text) fn value_of(text: &str) -> Option<Value> {
    let mut builder = Builder::of(text, 0);
    stream_value(Source::new(text), &mut builder).ok()?;
    builder.value
}

/// The value of `[[blocks]]` whose name has `above` segments, from the sections that belong to it.
pub(in crate::text) fn blocks_value(
    text: &str,
    above: usize,
    sections: impl Iterator<Item = Range<usize>>,
) -> Value {
    let mut blocks = Vec::new();
    for section in sections {
        let text = text.get(section).unwrap_or_default();
        let mut builder = Builder { blocks, ..Builder::of(text, above) };
        let _ = stream_document(Source::new(text), &mut builder);
        blocks = builder.blocks;
    }
    Value::Array(blocks)
}

/// A container that is open.
enum Open {
    Array(Vec<Value>),
    /// A table, and the key of the value that comes next.
    Table(Table, Vec<String>),
}

struct Builder<'a> {
    text: &'a str,
    open: Vec<Open>,
    /// The value, if the text is one.
    value: Option<Value>,
    /// The elements of `[[blocks]]`.
    blocks: Vec<Value>,
    /// The number of segments in the name of the blocks.
    above: usize,
    /// The table of the section, below an element of the blocks.
    section: Vec<String>,
    key: Vec<String>,
    in_key: bool,
}

impl<'a> Builder<'a> {
    fn of(text: &'a str, above: usize) -> Builder<'a> {
        Builder {
            text,
            open: Vec::new(),
            value: None,
            blocks: Vec::new(),
            above,
            section: Vec::new(),
            key: Vec::new(),
            in_key: false,
        }
    }

    fn add(&mut self, value: Value) {
        match self.open.last_mut() {
            Some(Open::Array(array)) => array.push(value),
            Some(Open::Table(table, key)) => insert(table, std::mem::take(key), value),
            None if self.above == 0 => self.value = Some(value),
            None => {
                let key = std::mem::take(&mut self.key);
                if let Some(table) = inner(self.blocks.last_mut(), &self.section) {
                    insert(table, key, value);
                }
            }
        }
    }

    fn begin_section(&mut self, array: bool) {
        let key = std::mem::take(&mut self.key);
        let mut below: Vec<String> = key.into_iter().skip(self.above).collect();
        self.in_key = false;
        if !array {
            inner(self.blocks.last_mut(), &below);
            self.section = below;
            return;
        }
        let new = Value::Table(Table::new());
        match below.pop() {
            None => self.blocks.push(new),
            Some(last) => {
                if let Some(table) = inner(self.blocks.last_mut(), &below) {
                    let empty = || Value::Array(Vec::new());
                    if let Value::Array(array) = table.entry(last.clone()).or_insert_with(empty) {
                        array.push(new);
                    }
                }
                below.push(last);
            }
        }
        self.section = below;
    }
}

/// The table at `path`, in which the name of an array stands for its last element.
fn inner<'a>(value: Option<&'a mut Value>, path: &[String]) -> Option<&'a mut Table> {
    let mut value = value?;
    for key in path {
        let table = last_table(value)?;
        value = table.entry(key.clone()).or_insert_with(|| Value::Table(Table::new()));
    }
    last_table(value)
}

fn last_table(value: &mut Value) -> Option<&mut Table> {
    match value {
        Value::Table(table) => Some(table),
        Value::Array(array) => array.last_mut()?.as_table_mut(),
        _ => None,
    }
}

fn insert(table: &mut Table, mut key: Vec<String>, value: Value) {
    let Some(last) = key.pop() else { return };
    let mut table = table;
    for name in key {
        let inner = table.entry(name).or_insert_with(|| Value::Table(Table::new()));
        match inner.as_table_mut() {
            Some(inner) => table = inner,
            None => return,
        }
    }
    table.insert(last, value);
}

impl EventReceiver for Builder<'_> {
    fn std_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.begin_section(false);
    }
    fn array_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.begin_section(true);
    }

    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        let segment = decoded_key(raw, encoding, span, error).into_owned();
        let key = match self.open.last_mut() {
            Some(Open::Table(_, key)) => key,
            _ => &mut self.key,
        };
        if !self.in_key {
            self.in_key = true;
            key.clear();
        }
        key.push(segment);
    }
    fn key_val_sep(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.in_key = false;
    }

    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        let raw = self.text.get(span.start()..span.end()).unwrap_or_default();
        if let Some(value) = scalar_value(raw, encoding) {
            self.add(value);
        }
    }

    fn array_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Array(Vec::new()));
        true
    }
    fn array_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        if let Some(Open::Array(mut array)) = self.open.pop() {
            array.shrink_to_fit();
            self.add(Value::Array(array));
        }
    }

    fn inline_table_open(&mut self, _: Span, _: &mut dyn ErrorSink) -> bool {
        self.open.push(Open::Table(Table::new(), Vec::new()));
        true
    }
    fn inline_table_close(&mut self, _: Span, _: &mut dyn ErrorSink) {
        self.in_key = false;
        if let Some(Open::Table(table, _)) = self.open.pop() {
            self.add(Value::Table(table));
        }
    }
}
