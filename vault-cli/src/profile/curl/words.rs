//! Splits a curl command into words as a POSIX shell would, including quotes and continued lines.
//! Command substitutions are refused.

use crate::profile::curl::copy_damage::{
    blank_after_backslash, refuse_invisible, refuse_typographic,
};
use crate::profile::curl::refusal::refused;
use crate::ui::failure::{Failure, Result};
use std::iter::Peekable;
use std::str::Chars;
use zeroize::Zeroizing;

pub(crate) type Word = Zeroizing<String>;

/// Stands in a word before a `$` that a shell would expand, so that it is not taken for a part of a
/// value. The character is for private use, and is refused in a command.
pub(super) const EXPANSION: char = '\u{f8fe}';

/// Splits the first command in `text` into words.
pub(crate) fn split(text: &str) -> Result<Vec<Word>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = Zeroizing::new(text.replace("\r\n", "\n"));
    if text.contains("^\"") || text.lines().any(|line| line.trim_end().ends_with('^')) {
        return Err(refused("is quoted for cmd.exe").with_help(
            "Copy it for a POSIX shell (\"Copy as cURL (bash)\"), in which a line that continues ends with a backslash, without a blank behind it.",
        ));
    }
    refuse_invisible(&text)?;
    let mut words = sh(&text)?;
    // The prompt may have been copied together with the command.
    while words.first().is_some_and(|word| ["$", "%", "#", ">"].contains(&word.as_str())) {
        words.remove(0);
    }
    Ok(words)
}

/// The words read so far. Empty quotes are a word too.
#[derive(Default)]
struct Words {
    done: Vec<Word>,
    word: Option<Word>,
}

impl Words {
    fn push(&mut self, next: char) {
        let word = self.word.get_or_insert_with(|| Zeroizing::new(String::with_capacity(256)));
        if word.len() + 4 > word.capacity() {
            // Grows without leaving a copy behind.
            let mut larger = Zeroizing::new(String::with_capacity(word.capacity() * 4));
            larger.push_str(word);
            *word = larger;
        }
        word.push(next);
    }

    /// The last character of the word.
    fn last(&self) -> Option<char> {
        self.word.as_ref().and_then(|word| word.chars().next_back())
    }

    fn begin(&mut self) {
        self.word.get_or_insert_with(|| Zeroizing::new(String::with_capacity(256)));
    }

    fn end(&mut self) {
        self.done.extend(self.word.take());
    }
}

fn sh(text: &str) -> Result<Vec<Word>> {
    let mut words = Words::default();
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        match next {
            '\'' => {
                words.begin();
                quoted(&mut rest, &mut words)?;
            }
            '"' => {
                words.begin();
                double_quoted(&mut rest, &mut words)?;
            }
            '$' if rest.peek() == Some(&'\'') => {
                rest.next();
                words.begin();
                ansi_quoted(&mut rest, &mut words)?;
            }
            '$' if rest.peek() == Some(&'"') => {}
            '$' => expansion(&mut rest, &mut words)?,
            '`' if ends_line(&rest) => {
                return Err(refused("is quoted for PowerShell: its lines end with a backtick").with_help(
                    "Copy it for a POSIX shell (\"Copy as cURL (bash)\"), in which a line that continues ends with a backslash.",
                ));
            }
            '`' => return Err(runs()),
            '\\' if rest.peek().is_some_and(|next| " \t".contains(*next)) && ends_line(&rest) => {
                return Err(blank_after_backslash());
            }
            '\\' => match rest.next() {
                Some('\n') | None => {}
                Some(escaped) => words.push(escaped),
            },
            '\n' => {
                words.end();
                // Documentation often breaks lines without a backslash, so a line that begins with
                // an option continues the command.
                let continues =
                    rest.clone().find(|next| !next.is_whitespace()).is_some_and(|next| next == '-');
                if !words.done.is_empty() && !continues {
                    break;
                }
            }
            '#' if words.word.is_none() && !words.done.is_empty() => {
                while rest.next_if(|next| *next != '\n').is_some() {}
            }
            '|' | ';' | '&' | '>' | '<' if !words.done.is_empty() || words.word.is_some() => break,
            blank if blank.is_whitespace() => words.end(),
            other => {
                refuse_typographic(other, words.last(), false)?;
                words.push(other);
            }
        }
    }
    words.end();
    Ok(words.done)
}

/// Whether only blanks are left in this line.
fn ends_line(rest: &Peekable<Chars<'_>>) -> bool {
    rest.clone().find(|next| !" \t".contains(*next)).is_none_or(|next| next == '\n')
}

/// Reads a `$` outside of single quotes, and marks it if a shell would expand it.
fn expansion(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    match rest.peek() {
        Some('(') => return Err(runs()),
        Some(next) if next.is_ascii_alphanumeric() || "_{?$!#@*-".contains(*next) => {
            words.push(EXPANSION);
        }
        _ => {}
    }
    words.push('$');
    Ok(())
}

fn runs() -> Failure {
    refused("has `$(…)` or a backtick, which a shell would run; bootseal runs nothing")
        .with_help("Replace it with its output.")
}

fn open() -> Failure {
    refused("ends within quotes: a part of it is missing")
}

fn quoted(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    loop {
        match rest.next().ok_or_else(open)? {
            '\'' => return Ok(()),
            other => {
                refuse_typographic(other, words.last(), true)?;
                words.push(other);
            }
        }
    }
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    loop {
        match rest.next().ok_or_else(open)? {
            '"' => return Ok(()),
            '`' => return Err(runs()),
            '$' => expansion(rest, words)?,
            '\\' => match rest.next().ok_or_else(open)? {
                '\n' => {}
                escaped @ ('"' | '\\' | '$' | '`') => words.push(escaped),
                other => {
                    words.push('\\');
                    words.push(other);
                }
            },
            other => {
                refuse_typographic(other, words.last(), true)?;
                words.push(other);
            }
        }
    }
}

/// Reads `$'…'`, which browsers use for text with quotes, line breaks and other characters. Escapes
/// above 127 are single bytes of a text in UTF-8.
fn ansi_quoted(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    let wrong = || refused("has an invalid escape in $'…'");
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    loop {
        let next = rest.next().ok_or_else(open)?;
        let escape = if next == '\\' { Some(rest.next().ok_or_else(open)?) } else { None };
        let (digits, radix, first) = match escape {
            Some('x') => (2, 16, None),
            Some('u') => (4, 16, None),
            Some('U') => (8, 16, None),
            Some(octal @ '0'..='7') => (2, 8, Some(octal)),
            _ => (0, 0, None),
        };
        if digits > 0 {
            let mut code = Zeroizing::new(String::from_iter(first));
            for _ in 0..digits {
                code.extend(rest.next_if(|next| next.is_digit(radix)));
            }
            let code = u32::from_str_radix(&code, radix).map_err(|_| wrong())?;
            if digits == 2 && code >= 128 {
                // An octal escape above 377 is cut to one byte, as in bash.
                bytes.push(code.to_le_bytes()[0]);
                continue;
            }
            take_bytes(&mut bytes, words)?;
            words.push(char::from_u32(code).ok_or_else(wrong)?);
            continue;
        }
        take_bytes(&mut bytes, words)?;
        match (next, escape) {
            (_, Some('n')) => words.push('\n'),
            (_, Some('t')) => words.push('\t'),
            (_, Some('r')) => words.push('\r'),
            (_, Some(escaped @ ('\\' | '\'' | '"' | '?' | '`' | '$' | '!'))) => words.push(escaped),
            (_, Some(_)) => return Err(wrong()),
            ('\'', None) => return Ok(()),
            (other, None) => words.push(other),
        }
    }
}

/// Adds the text of the collected bytes.
fn take_bytes(bytes: &mut Zeroizing<Vec<u8>>, words: &mut Words) -> Result<()> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| refused("has bytes in $'…' that are not text in UTF-8"))?;
    text.chars().for_each(|next| words.push(next));
    bytes.clear();
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn words(text: &str) -> Vec<String> {
        split(text).unwrap().iter().map(|word| word.to_string()).collect()
    }

    #[test]
    fn words_are_split_as_by_a_shell() {
        for (line, expected) in [
            (r"curl -u 'a b':c", vec!["curl", "-u", "a b:c"]),
            ("$ curl \\\n  -s \\\r\n 'x'", vec!["curl", "-s", "x"]),
            (
                "curl https://a.example\n  -H 'A: b'\necho done",
                vec!["curl", "https://a.example", "-H", "A: b"],
            ),
            (
                r#"curl -d "{\"p\":\"a\\b \$x'\"}" u | jq ."#,
                vec!["curl", "-d", r#"{"p":"a\b $x'"}"#, "u"],
            ),
            (r"curl -d $'it\'s\n\u00fc\x21\041' ''", vec!["curl", "-d", "it's\nü!!", ""]),
            (r"curl -d $'M\303\274ller\xc3\xbc\U0001f511'", vec!["curl", "-d", "Müllerü🔑"]),
            ("\u{feff}curl 'it’s'", vec!["curl", "it’s"]),
            ("curl a # b\n", vec!["curl", "a"]),
            (r"curl -d a\&b\ c", vec!["curl", "-d", "a&b c"]),
        ] {
            assert_eq!(words(line), expected, "{line}");
        }
    }

    #[test]
    fn commands_that_a_shell_would_run_are_refused() {
        for line in ["curl $(cat x)", "curl \"`id`\"", "curl \"$(id)\"", "curl `id`"] {
            assert!(split(line).unwrap_err().text().contains("would run"), "{line}");
        }
        for line in ["curl 'a", "curl \"a", "curl $'a"] {
            assert!(split(line).unwrap_err().text().contains("within quotes"), "{line}");
        }
        for (line, words) in [
            ("curl a \\ \n -d x", "a blank behind a backslash"),
            ("curl a \\\t\n -d x", "a blank behind a backslash"),
            ("curl a -d x \\ ", "a blank behind a backslash"),
            ("curl a `\n -d x", "PowerShell"),
            ("curl a ` \n -d x", "PowerShell"),
            ("curl a –d x", "a typographic dash (–, U+2013)"),
            ("curl a −u x", "a typographic dash (−, U+2212)"),
            ("curl a -d “x”", "a typographic quote (“, U+201C)"),
            ("curl a -d '{“user”:1}'", "a typographic quote (“, U+201C)"),
            ("curl a -d \"p=‘x’\"", "a typographic quote (‘, U+2018)"),
            ("curl a -d 'x\u{200b}'", "a zero-width space (U+200B) in line 1"),
            ("curl a \\\n -d\u{a0}'x'", "a no-break space (U+00A0) in line 2"),
            ("curl a -d $'\\303'", "bytes in $'…' that are not text"),
            ("curl a -d '\u{f8fe}'", "U+F8FE"),
        ] {
            let failure = split(line).unwrap_err();
            assert!(failure.text().contains(words), "{line}: {}", failure.text());
        }
        for line in ["curl ^\"https://a.example/^\"", "curl https://a.example/ ^\n  -s"] {
            assert!(split(line).unwrap_err().text().contains("cmd.exe"), "{line}");
        }
    }
}
