//! How does a result reach its reader? stdout for results, stderr for all else; nothing unseen in either.

use crate::ui::failure::{Failure, Result};
use crate::ui::{Style, Ui};
use bootseal_core::{Shown, is_hidden};
use serde_json::{Value, json};

impl Ui<'_> {
    /// One line of result.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<()> {
        match writeln!(self.stdout, "{text}") {
            // Who reads our output may have seen enough.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => Ok(other?),
        }
    }

    /// The one document of a `--json` run.
    pub(crate) fn document(&mut self, document: &Value) -> Result<()> {
        self.line(ascii_safe(document))
    }

    /// The result: the document with `--json`, else the text.
    pub(crate) fn answer(&mut self, document: &Value, text: impl std::fmt::Display) -> Result<()> {
        if self.style.json { self.document(document) } else { self.line(text) }
    }

    /// What a person should know; not with `--quiet`, and not where a script reads.
    pub(crate) fn note(&mut self, text: impl std::fmt::Display) {
        if !self.style.quiet && !self.style.json {
            let _ = writeln!(self.stderr, "bootseal: {text}");
        }
    }

    /// What only `--verbose` tells.
    pub(crate) fn detail(&mut self, text: impl std::fmt::Display) {
        if self.style.verbose && !self.style.json {
            let _ = writeln!(self.stderr, "bootseal: {text}");
        }
    }

    /// What a person must know, even with `--quiet`.
    pub(crate) fn warn(&mut self, text: impl std::fmt::Display) {
        let _ = match self.style.json {
            true => writeln!(self.stderr, "{}", ascii_safe(&json!({ "warning": text.to_string() }))),
            false => writeln!(self.stderr, "bootseal: {}: {text}", paint(self.style, "33", "warning")),
        };
    }

    pub(crate) fn failure(&mut self, failure: &Failure) {
        let _ = match self.style.json {
            true => writeln!(self.stderr, "{}", ascii_safe(&json!({ "error": failure.json() }))),
            false => writeln!(self.stderr, "{}: {}", paint(self.style, "31", "bootseal"), failure.text()),
        };
    }
}

fn paint(style: Style, code: &str, word: &str) -> String {
    if style.colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() }
}

/// JSON in which whatever is invisible is written as an escape: the same document, and nothing that plays with a terminal.
fn ascii_safe(document: &Value) -> String {
    let mut safe = String::new();
    for next in document.to_string().chars() {
        match is_hidden(next) {
            true => next.encode_utf16(&mut [0; 2]).iter().for_each(|unit| safe.push_str(&format!("\\u{unit:04x}"))),
            false => safe.push(next),
        }
    }
    safe
}

/// Seconds since 1970 as RFC 3339.
pub(crate) fn timestamp(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("@{seconds}"), |time| time.to_string())
}

/// A value on a terminal: line breaks and tabs stay, all else that is unseen is escaped.
pub(crate) fn shown_value(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| line.split('\t').map(|part| Shown(part).to_string()).collect::<Vec<_>>().join("\t"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A TOML value as the JSON value that scripts expect.
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
