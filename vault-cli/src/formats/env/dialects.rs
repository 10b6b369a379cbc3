//! `.env` files as other programs read them, by their own patterns; nothing is expanded or run.
//!
//! These programs disagree about escapes, backticks and comments. A pattern is copied from the
//! program, so that both read the same.

use crate::cli::EnvDialect;
use crate::formats::env::Pair;
use bootseal_core::{Error, Kind};
use regex::{Captures, Regex};
use zeroize::Zeroizing;

/// All dialects, with the names of the programs.
pub(super) const ALL: [(EnvDialect, &str); 4] = [
    (EnvDialect::PythonDotenv, "python-dotenv"),
    (EnvDialect::Node, "dotenv for Node"),
    (EnvDialect::Compose, "Docker Compose"),
    (EnvDialect::Dotenvx, "dotenvx"),
];

/// Parses a file of dotenvx, or of its keys.
pub(crate) fn dotenvx_pairs(text: &str) -> Result<Vec<Pair>, Error> {
    parse(text, EnvDialect::Dotenvx)
}

/// Parses all pairs in order, including duplicate names.
pub(crate) fn parse(text: &str, dialect: EnvDialect) -> Result<Vec<Pair>, Error> {
    match dialect {
        EnvDialect::PythonDotenv => python(text),
        EnvDialect::Node => node(text, |quote, value| match quote {
            Some('"') => value.replace("\\n", "\n").replace("\\r", "\r"),
            _ => value.to_owned(),
        }),
        EnvDialect::Dotenvx => node(text, |quote, value| match quote {
            Some('"') => {
                let value = value.replace("\\n", "\n").replace("\\r", "\r");
                value.replace("\\t", "\t").replace("\\$", "$")
            }
            Some('\'') => value.replace("\\'", "'"),
            Some(_) => value.to_owned(),
            None => value.replace("\\$", "$"),
        }),
        EnvDialect::Compose => compose(text),
    }
}

fn pattern(text: &str) -> Result<Regex, Error> {
    Regex::new(text).map_err(|_| Error::new(Kind::Malformed, "a pattern cannot be compiled"))
}

fn pair(name: &str, value: String, line: usize) -> Pair {
    Pair { name: name.to_owned(), value: Zeroizing::new(value), line, comment_cut: false }
}

/// Counts lines up to increasing positions.
struct Lines<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl Lines<'_> {
    fn at(&mut self, position: usize) -> usize {
        self.line += self.text[self.at..position].matches('\n').count();
        self.at = position;
        self.line
    }
}

fn wrong(line: usize) -> Error {
    Error::new(Kind::Malformed, "is not NAME=value, or its value cannot be read").at_line(line, 1)
}

/// python-dotenv 1.2; a statement that it skips with a warning is an error here.
fn python(text: &str) -> Result<Vec<Pair>, Error> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let statement = pattern(
        r#"(?x) ^ (?: \#[^\r\n]* | (?:export[^\S\r\n]+)? (?:'([^']+)'|([^=\#\s]+)) [^\S\r\n]* (?:
            (=) [^\S\r\n]+ (?:\#[^\r\n]*)
            | (=) [^\S\r\n]* (?: '((?:\\(?s:.)|[^'\\])*)' | "((?:\\(?s:.)|[^"\\])*)" | ([^\s'"][^\r\n]*)? )
        )? (?:[^\S\r\n]*\#[^\r\n]*)? ) [^\S\r\n]* (?:\r\n|\n|\r|$)"#,
    )?;
    let (mut pairs, mut lines) = (Vec::new(), Lines { text, at: 0, line: 1 });
    let comment = pattern(r"\s+#.*")?;
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(pairs);
        }
        let line = lines.at(text.len() - rest.len());
        let found = statement.captures(rest).ok_or_else(|| wrong(line))?;
        let of = |group: usize| found.get(group).map(|part| part.as_str());
        // A name without `=` has no value.
        let has_value = of(3).or(of(4)).is_some();
        if let Some(name) = of(1).or(of(2)).filter(|_| has_value) {
            let value = match (of(5), of(6), of(7)) {
                (Some(single), ..) => unescaped(single, &[('\\', '\\'), ('\'', '\'')]),
                (_, Some(double), _) => unescaped(double, &PYTHON_ESCAPES),
                (.., Some(bare)) => comment.replace_all(bare, "").trim_end().to_owned(),
                _ => String::new(),
            };
            pairs.push(pair(name, value, line));
        }
        rest = &rest[found.get(0).map_or(rest.len(), |whole| whole.end().max(1))..];
    }
}

const PYTHON_ESCAPES: [(char, char); 10] = [
    ('\\', '\\'),
    ('\'', '\''),
    ('"', '"'),
    ('a', '\u{7}'),
    ('b', '\u{8}'),
    ('f', '\u{c}'),
    ('n', '\n'),
    ('r', '\r'),
    ('t', '\t'),
    ('v', '\u{b}'),
];

/// Replaces the escapes, and keeps every other backslash.
fn unescaped(text: &str, escapes: &[(char, char)]) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        let escape = rest.clone().next().filter(|_| next == '\\');
        match escape.and_then(|after| escapes.iter().find(|(escape, _)| *escape == after)) {
            Some((_, meant)) => {
                plain.push(*meant);
                rest.next();
            }
            None => plain.push(next),
        }
    }
    plain
}

/// dotenv 18 for Node, and dotenvx, which differ in the escapes. Both skip a line that is no
/// statement, which is an error here.
fn node(text: &str, unescape: impl Fn(Option<char>, &str) -> String) -> Result<Vec<Pair>, Error> {
    let text = Zeroizing::new(text.replace("\r\n", "\n").replace('\r', "\n"));
    let line = pattern(
        r#"(?m)^\s*(?:export\s+)?([0-9A-Za-z_.-]+)(?:\s*=\s*?|:\s+?)(\s*'(?:\\'|[^'])*'|\s*"(?:\\"|[^"])*"|\s*`(?:\\`|[^`])*`|[^#\r\n]+)?\s*(?:#.*)?$"#,
    )?;
    let mut lines = Lines { text: &text, at: 0, line: 1 };
    let (mut pairs, mut end) = (Vec::new(), 0);
    for found in line.captures_iter(&text) {
        let (Some(whole), Some(name)) = (found.get(0), found.get(1)) else { continue };
        refuse_skipped(&text, end, whole.start())?;
        end = whole.end();
        let raw = found.get(2).map_or("", |value| value.as_str()).trim();
        let quote = raw.chars().next().filter(|first| "'\"`".contains(*first));
        let inner = quote.and_then(|quote| raw.strip_prefix(quote)?.strip_suffix(quote));
        let value = unescape(quote, inner.unwrap_or(raw));
        pairs.push(pair(name.as_str(), value, lines.at(name.start())));
    }
    refuse_skipped(&text, end, text.len())?;
    Ok(pairs)
}

/// Refuses a line between two statements that is neither empty nor a comment.
fn refuse_skipped(text: &str, from: usize, to: usize) -> Result<(), Error> {
    let mut at = from;
    for line in text[from..to].split_inclusive('\n') {
        let content = line.trim();
        if !content.is_empty() && !content.starts_with('#') {
            return Err(wrong(text[..at].matches('\n').count() + 1));
        }
        at += line.len();
    }
    Ok(())
}

/// Docker Compose, by the parser of compose-go.
fn compose(text: &str) -> Result<Vec<Pair>, Error> {
    let name = pattern(
        r"^(?:export\s+)?([\p{L}\p{N}_.\[\]-]+)[\t\x0b\x0c\r \u{85}\u{a0}]*[=:][\t\x0b\x0c\r \u{85}\u{a0}]*",
    )?;
    let escape = pattern(r#"\\(?:[abcfnrtv$"\\]|0\d{0,3})"#)?;
    let (mut pairs, mut lines) = (Vec::new(), Lines { text, at: 0, line: 1 });
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(pairs);
        }
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
            continue;
        }
        let line = lines.at(text.len() - rest.len());
        let found = name.captures(rest).ok_or_else(|| wrong(line))?;
        let key = found.get(1).map_or("", |name| name.as_str());
        rest = &rest[found.get(0).map_or(0, |whole| whole.end())..];
        let Some(quote) = rest.chars().next().filter(|first| "'\"".contains(*first)) else {
            let (value, after) = rest.split_once('\n').unwrap_or((rest, ""));
            let value = value.split_once(" #").map_or(value, |(value, _)| value);
            pairs.push(pair(key, value.trim_end().to_owned(), line));
            rest = after;
            continue;
        };
        let (value, length) = compose_quoted(&rest[1..], quote).ok_or_else(|| wrong(line))?;
        let value = match quote {
            '"' => {
                escape.replace_all(&value, |found: &Captures<'_>| go_escape(&found[0])).into_owned()
            }
            _ => value,
        };
        pairs.push(pair(key, value, line));
        rest = &rest[1 + length..];
    }
}

/// The text up to the closing quote, in which only that quote is unescaped, and its length with the
/// quote.
fn compose_quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let (mut value, mut escaped) = (String::with_capacity(text.len().min(256)), false);
    for (at, next) in text.char_indices() {
        match (next, escaped) {
            (next, false) if next == quote => return Some((value, at + 1)),
            ('\\', false) => escaped = true,
            (next, true) if next == quote => {
                value.push(next);
                escaped = false;
            }
            (next, true) => {
                value.extend(['\\', next]);
                escaped = false;
            }
            (next, false) => value.push(next),
        }
    }
    None
}

/// The meaning of an escape in Go, or the escape itself.
fn go_escape(escape: &str) -> String {
    let meant = match escape.as_bytes().get(1) {
        Some(b'a') => '\u{7}',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'v') => '\u{b}',
        Some(b'$') => '$',
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'0') if escape.len() == 5 => match u8::from_str_radix(&escape[2..], 8) {
            Ok(byte) => char::from(byte),
            Err(_) => return escape.to_owned(),
        },
        _ => return escape.to_owned(),
    };
    meant.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(text: &str, dialect: EnvDialect) -> Option<String> {
        let pairs = parse(text, dialect).ok()?;
        Some(pairs.iter().rfind(|pair| pair.name == "A")?.value.to_string())
    }

    #[test]
    fn each_dialect_has_its_own_reading() {
        use EnvDialect::{Compose, Node, PythonDotenv};
        for (text, python, node, compose) in [
            ("A=b", "b", "b", "b"),
            ("A=pass#word", "pass#word", "pass", "pass#word"),
            ("A=`b c`", "`b c`", "b c", "`b c`"),
            ("A='C:\\\\new\\\\'\nB=1", "C:\\new\\", "C:\\\\new\\\\", "C:\\\\new\\\\"),
            ("A=\"a\\$b\\\\n\"", "a\\$b\\n", "a\\$b\\\n", "a$b\\n"),
            ("A=\"t\\tx\"", "t\tx", "t\\tx", "t\tx"),
            ("A: b", "", "b", "b"),
            ("A= # none", "", "", "# none"),
        ] {
            for (dialect, wanted) in [(PythonDotenv, python), (Node, node), (Compose, compose)] {
                let got = value(text, dialect).unwrap_or_default();
                assert_eq!(got, wanted, "{text:?} {dialect:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([A-C=:#'\"`\\\\ \n\r\t$\u{e4}]|export ){0,40}") {
            for (dialect, _) in ALL {
                let _ = parse(&text, dialect);
            }
        }
    }
}
