//! Splits a curl command into words as a POSIX shell would, including quotes and continued lines.
//! Command substitutions are refused.

use crate::ui::failure::{Failure, Result};
use bootseal_core::Kind;
use std::iter::Peekable;
use std::str::Chars;
use zeroize::Zeroizing;

pub(crate) type Word = Zeroizing<String>;

/// Splits the first command in `text` into words.
pub(crate) fn split(text: &str) -> Result<Vec<Word>> {
    let text = Zeroizing::new(text.replace("\r\n", "\n"));
    if text.contains("^\"") || text.lines().any(|line| line.trim_end().ends_with('^')) {
        return Err(refused("is quoted for cmd.exe")
            .with_help("Copy it for a POSIX shell: \"Copy as cURL (bash)\"."));
    }
    let mut words = sh(&text)?;
    // The prompt may have been copied together with the command.
    while words.first().is_some_and(|word| ["$", "%", "#", ">"].contains(&word.as_str())) {
        words.remove(0);
    }
    Ok(words)
}

pub(super) fn refused(what: &str) -> Failure {
    Failure::new(Kind::Usage, format!("the curl command {what}"))
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
            '$' if rest.peek() == Some(&'(') => return Err(runs()),
            '`' => return Err(runs()),
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
            other => words.push(other),
        }
    }
    words.end();
    Ok(words.done)
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
            other => words.push(other),
        }
    }
}

fn double_quoted(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    loop {
        match rest.next().ok_or_else(open)? {
            '"' => return Ok(()),
            '`' => return Err(runs()),
            '$' if rest.peek() == Some(&'(') => return Err(runs()),
            '\\' => match rest.next().ok_or_else(open)? {
                '\n' => {}
                escaped @ ('"' | '\\' | '$' | '`') => words.push(escaped),
                other => {
                    words.push('\\');
                    words.push(other);
                }
            },
            other => words.push(other),
        }
    }
}

/// Reads `$'…'`, which browsers use for text with quotes or line breaks.
fn ansi_quoted(rest: &mut Peekable<Chars<'_>>, words: &mut Words) -> Result<()> {
    let wrong = || refused("has an invalid escape in $'…'");
    loop {
        match rest.next().ok_or_else(open)? {
            '\'' => return Ok(()),
            '\\' => {
                let (digits, radix, first) = match rest.next().ok_or_else(open)? {
                    'n' => {
                        words.push('\n');
                        continue;
                    }
                    't' => {
                        words.push('\t');
                        continue;
                    }
                    'r' => {
                        words.push('\r');
                        continue;
                    }
                    'x' => (2, 16, None),
                    'u' => (4, 16, None),
                    'U' => (8, 16, None),
                    octal @ '0'..='7' => (2, 8, Some(octal)),
                    escaped @ ('\\' | '\'' | '"' | '?' | '`' | '$' | '!') => {
                        words.push(escaped);
                        continue;
                    }
                    _ => return Err(wrong()),
                };
                let mut code = Zeroizing::new(String::from_iter(first));
                for _ in 0..digits {
                    code.extend(rest.next_if(|next| next.is_digit(radix)));
                }
                let code = u32::from_str_radix(&code, radix).ok();
                // Above 127, `\x` is one byte of a longer character, which is not supported.
                let code = code.filter(|code| digits != 2 || *code < 128);
                words.push(code.and_then(char::from_u32).ok_or_else(wrong)?);
            }
            other => words.push(other),
        }
    }
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
        for line in ["curl ^\"https://a.example/^\"", "curl https://a.example/ ^\n  -s"] {
            assert!(split(line).unwrap_err().text().contains("cmd.exe"), "{line}");
        }
    }
}
