//! Output: results go to stdout, everything else to stderr, and invisible characters are escaped in
//! both.

use crate::ui::failure::{Failure, Result};
use crate::ui::{Style, Ui};
use bootseal_core::{MOST_NAMES, Shown, and_more, is_hidden};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use serde_json::{Value, json};
use std::io::Write;

impl Ui<'_> {
    /// Prints one line of the result.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<()> {
        unless_closed(writeln!(self.stdout, "{text}"))
    }

    /// Prints the one document of a `--json` run.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<()> {
        self.json(document)?;
        self.text("\n")
    }

    /// Prints a part of the document of a `--json` run. It is written while it is made, so that a
    /// long one does not have to fit into memory.
    pub(crate) fn json(&mut self, part: &impl Serialize) -> Result<()> {
        unless_closed(write_json(&mut self.stdout, part).map_err(std::io::Error::from))
    }

    /// Prints text without a line end.
    pub(crate) fn text(&mut self, text: &str) -> Result<()> {
        unless_closed(self.stdout.write_all(text.as_bytes()))
    }

    /// Prints the result: the document with `--json`, else the text.
    pub(crate) fn answer(
        &mut self,
        document: &impl Serialize,
        text: impl std::fmt::Display,
    ) -> Result<()> {
        if self.style.json { self.document(document) } else { self.line(text) }
    }

    /// Prints a note for the user; not with `--quiet` or `--json`.
    pub(crate) fn note(&mut self, text: impl std::fmt::Display) {
        if !self.style.quiet && !self.style.json {
            self.record(format_args!("bootseal: {text}"));
        }
    }

    /// Prints a detail, with `--verbose` only.
    pub(crate) fn detail(&mut self, text: impl std::fmt::Display) {
        if self.style.verbose && !self.style.json {
            self.record(format_args!("bootseal: {text}"));
        }
    }

    /// Prints a warning, even with `--quiet`.
    pub(crate) fn warn(&mut self, text: impl std::fmt::Display) {
        match self.style.json {
            true => self.record(ascii_safe(&json!({ "warning": text.to_string() }))),
            false => {
                let warning = paint(self.style, "33", "warning");
                self.record(format_args!("bootseal: {warning}: {text}"));
            }
        }
    }

    /// Prints the first warnings of a kind, and the number of the others. A script gets all of them.
    pub(crate) fn warn_each<T: std::fmt::Display>(&mut self, texts: impl IntoIterator<Item = T>) {
        let mut texts = texts.into_iter();
        let most = if self.style.json { usize::MAX } else { MOST_NAMES };
        texts.by_ref().take(most).for_each(|text| self.warn(text));
        if let Some(more) = and_more(texts.count()) {
            self.warn(format_args!("{more} warnings of this kind; --json prints all of them"));
        }
    }

    /// Prints the first notes of a kind, and the number of the others.
    pub(crate) fn note_each<T: std::fmt::Display>(&mut self, texts: impl IntoIterator<Item = T>) {
        let mut texts = texts.into_iter();
        texts.by_ref().take(MOST_NAMES).for_each(|text| self.note(text));
        if let Some(more) = and_more(texts.count()) {
            self.note(format_args!("{more} notes of this kind"));
        }
    }

    /// Prints the error of the command.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        match self.style.json {
            true => self.record(ascii_safe(&json!({ "error": failure.json() }))),
            false => {
                let name = paint(self.style, "31", "bootseal");
                self.record(format_args!("{name}: {}", failure.text()));
            }
        }
    }

    /// Writes one record to stderr with one system call: the program that `exec` runs, or another
    /// process, may write there too, and must not tear the record.
    fn record(&mut self, text: impl std::fmt::Display) {
        let _ = self.stderr.write_all(format!("{text}\n").as_bytes());
    }
}

fn paint(style: Style, code: &str, word: &str) -> String {
    if style.colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
}

/// The reader, `head` for example, may close the pipe early.
pub(crate) fn unless_closed(written: std::io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Writes JSON with invisible characters as escapes: the same document, but it cannot manipulate a
/// terminal.
pub(crate) fn write_json(out: impl Write, part: &impl Serialize) -> serde_json::Result<()> {
    part.serialize(&mut Serializer::with_formatter(out, AsciiSafe))
}

fn ascii_safe(document: &Value) -> String {
    let mut safe = Vec::new();
    let _ = write_json(&mut safe, document);
    String::from_utf8(safe).unwrap_or_default()
}

/// Compact JSON in which invisible characters are escaped.
struct AsciiSafe;

impl Formatter for AsciiSafe {
    fn write_string_fragment<W: Write + ?Sized>(
        &mut self,
        out: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut done = 0;
        for (at, next) in fragment.char_indices().filter(|(_, next)| is_hidden(*next)) {
            out.write_all(&fragment.as_bytes()[done..at])?;
            for unit in next.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            done = at + next.len_utf8();
        }
        out.write_all(&fragment.as_bytes()[done..])
    }
}

/// Formats seconds since 1970-01-01 UTC as RFC 3339.
pub(crate) fn timestamp(seconds: u64) -> String {
    let time =
        i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("@{seconds}"), |time| time.to_string())
}

/// Escapes the invisible characters of a value for a terminal, except line breaks and tabs.
pub(crate) fn shown_value(text: &str) -> String {
    let lines = text.split('\n').map(|line| {
        line.split('\t').map(|part| Shown(part).to_string()).collect::<Vec<_>>().join("\t")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Converts a TOML value to the JSON value that scripts expect.
pub(crate) fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(integer) => json!(integer),
        toml::Value::Float(float) if float.is_finite() => json!(float),
        toml::Value::Boolean(boolean) => json!(boolean),
        toml::Value::Array(array) => array.iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
        other => json!(other.to_string()),
    }
}

/// A number with its noun: "1 property", "2 properties".
pub(crate) fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}
