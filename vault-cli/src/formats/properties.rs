//! Java `.properties` files, by the rules of `java.util.Properties.load`; nothing is expanded or
//! run.

use crate::ui::failure::{Failure, Result};
use bootseal_core::Kind;
use zeroize::Zeroizing;

/// One `key = value`.
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: Zeroizing<String>,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
    /// Whether it contains letters that are neither ASCII nor escaped.
    pub(crate) beyond_ascii: bool,
}

/// Parses all pairs in order, including duplicate keys.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>> {
    let mut pairs = Vec::new();
    let mut lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .flat_map(|line| line.split('\r'))
        .enumerate();
    while let Some((index, line)) = lines.next() {
        let first = line.trim_start_matches(BLANKS);
        if first.is_empty() || first.starts_with(['#', '!']) {
            continue;
        }
        let mut logical = Zeroizing::new(first.to_owned());
        while continues(&logical) {
            logical.pop();
            let Some((_, next)) = lines.next() else { break };
            logical.push_str(next.trim_start_matches(BLANKS));
        }
        let (key, value) = split(&logical);
        let unescape = |part: &str| {
            unescape(part).ok_or_else(|| {
                Failure::new(
                    Kind::Malformed,
                    format!(
                        "line {}: `\\u` is not followed by four hexadecimal digits that make a character",
                        index + 1
                    ),
                )
            })
        };
        pairs.push(Pair {
            key: unescape(key)?.to_string(),
            value: unescape(value)?,
            line: index + 1,
            beyond_ascii: !logical.is_ascii(),
        });
    }
    Ok(pairs)
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

/// Whether the line ends in an odd number of backslashes, and so continues on the next line.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Splits at the first unescaped `=`, `:` or blank; blanks and one `=` or `:` are skipped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line.find(|character| {
        let ends =
            !escaped && (BLANKS.contains(&character) || character == '=' || character == ':');
        escaped = character == '\\' && !escaped;
        ends
    });
    let (key, rest) = line.split_at(end.unwrap_or(line.len()));
    let rest = rest.trim_start_matches(BLANKS);
    (key, rest.strip_prefix(['=', ':']).unwrap_or(rest).trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let mut plain = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.chars();
    // A character beyond U+FFFF is written as two escapes.
    let mut high: Option<u32> = None;
    while let Some(character) = characters.next() {
        let unit = match (character, high) {
            ('\\', _) => match characters.next() {
                Some('u') => {
                    let digits: String = characters.by_ref().take(4).collect();
                    let valid =
                        digits.len() == 4 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
                    valid.then(|| u32::from_str_radix(&digits, 16).ok()).flatten()?
                }
                Some('t') => 9,
                Some('n') => 10,
                Some('r') => 13,
                Some('f') => 12,
                Some(other) => u32::from(other),
                None => continue,
            },
            (other, _) => u32::from(other),
        };
        match (high.take(), unit) {
            (None, 0xD800..0xDC00) => high = Some(unit),
            (Some(high), 0xDC00..0xE000) => {
                plain.push(char::from_u32(0x10000 + ((high - 0xD800) << 10) + (unit - 0xDC00))?)
            }
            (Some(_), _) => return None,
            (None, unit) => plain.push(char::from_u32(unit)?),
        }
    }
    if high.is_some() { None } else { Some(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Escapes a text as `java.util.Properties.store` does.
    fn escaped(text: &str, key: bool) -> String {
        let mut out = String::new();
        for (at, unit) in text.encode_utf16().enumerate() {
            match char::from_u32(unit.into()) {
                Some(' ') if key || at == 0 => out.push_str("\\ "),
                Some(next @ ('=' | ':' | '#' | '!' | '\\')) => out.extend(['\\', next]),
                Some(next @ ' '..='~') => out.push(next),
                _ => out.push_str(&format!("\\u{unit:04x}")),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn properties_written_by_java_are_read_back(key in any::<String>(), value in any::<String>()) {
            let text = format!("{}={}\n", escaped(&key, true), escaped(&value, false));
            prop_assert_eq!(pairs(&text), [(key, value)]);
        }

        #[test]
        fn no_text_makes_it_panic(text in "[ -~\\\\\n\r\u{e4}]{0,80}") {
            let _ = parse(&text);
        }
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|pair| (pair.key, pair.value.to_string())).collect()
    }

    #[test]
    fn the_rules_of_java_util_properties() {
        for (text, key, value) in [
            ("a=b", "a", "b"),
            ("  a : b  ", "a", "b  "),
            ("a b=c", "a", "b=c"),
            ("a", "a", ""),
            ("a==b", "a", "=b"),
            ("a\\=b\\:c\\ d = e", "a=b:c d", "e"),
            ("a = one\\\n    two", "a", "onetwo"),
            ("a = one\\\\", "a", "one\\"),
            ("a = tab\\there\\u00e4\\ud83d\\ude00\\q", "a", "tab\there\u{e4}\u{1f600}q"),
            ("a = b # no comment", "a", "b # no comment"),
            ("a\t=\u{c} b", "a", "b"),
            ("a = ${not} $(run)", "a", "${not} $(run)"),
            ("a = b\\", "a", "b"),
            ("= b", "", "b"),
        ] {
            assert_eq!(pairs(text), [(key.to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(pairs("# x\n! y\n\n  # z\r\na=1\rb=2\r\n").len(), 2);
        assert_eq!(pairs("# no \\\na=1").len(), 1);
    }

    #[test]
    fn the_error_of_an_invalid_escape_contains_the_line_but_not_the_value() {
        for text in [
            "x=1\na=hunter2\\u12",
            "\na=hunter2\\uzzzz",
            "\na=hunter2\\ud83d",
            "\na=hunter2\\ude00x",
        ] {
            let error = parse(text).err().unwrap();
            assert!(
                error.text().starts_with("line 2") && !error.text().contains("hunter2"),
                "{}",
                error.text()
            );
        }
    }
}
