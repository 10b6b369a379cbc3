//! The log on stderr: one record in one line, as text or as JSON.

use crate::args::LogFormat;
use std::io::{self, Write};
use tracing_subscriber::fmt::MakeWriter;

/// Begins the log. `level` is a level of `tracing`.
pub(crate) fn start(level: &str, format: LogFormat) {
    let level = level.parse().unwrap_or(tracing::Level::INFO);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(Stderr).with_ansi(false);
    // The journal adds the time itself.
    let timed = std::env::var_os("JOURNAL_STREAM").is_none();
    match (format, timed) {
        (LogFormat::Text, true) => log.init(),
        (LogFormat::Text, false) => log.without_time().init(),
        (LogFormat::Json, true) => log.json().flatten_event(true).init(),
        (LogFormat::Json, false) => log.json().flatten_event(true).without_time().init(),
    }
}

struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = OneLine<io::Stderr>;

    fn make_writer(&'a self) -> OneLine<io::Stderr> {
        OneLine(io::stderr())
    }
}

/// Writes each record as one line: line feeds and other control characters inside it are escaped, so
/// that no text in a record can look like a record of its own.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    /// Takes a whole record, which is how `tracing_subscriber` writes.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(record);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        match text.chars().any(char::is_control) {
            false => self.0.write_all(record)?,
            true => {
                let escape = |character: char| match character.is_control() {
                    true => character.escape_default().to_string(),
                    false => character.to_string(),
                };
                let line: String = text.chars().map(escape).collect();
                self.0.write_all(format!("{line}\n").as_bytes())?;
            }
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_is_one_line() {
        for (record, expected) in [
            ("INFO ready\n", "INFO ready\n"),
            ("WARN a\n  help\n", "WARN a\\n  help\n"),
            ("WARN a\r\nINFO forged\u{1b}[0m\n", "WARN a\\r\\nINFO forged\\u{1b}[0m\n"),
            ("ä\n", "ä\n"),
        ] {
            let mut written = OneLine(Vec::new());
            written.write_all(record.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(written.0).unwrap(), expected);
        }
    }
}
