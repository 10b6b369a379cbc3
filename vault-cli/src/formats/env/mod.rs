//! `.env` files, read as data: unlike in a shell, nothing is expanded or run.
//!
//! Lines are `NAME=value`, optionally after `export`. `'…'` is literal; in `"…"` the escapes `\n \r
//! \t \" \\ \$ \`` are replaced, and every other backslash is kept; both may span several lines. An
//! unquoted value ends before ` #`, and is trimmed.

pub(crate) mod dialects;
pub(super) mod differences;

use bootseal_core::{Error, Kind};
use zeroize::Zeroizing;

/// One `NAME=value`.
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: Zeroizing<String>,
    /// The line on which it begins, from 1.
    pub(crate) line: usize,
    /// Whether ` #` ended an unquoted value, so that a part of it may have been lost as a comment.
    pub(crate) comment_cut: bool,
}

/// Parses all pairs in order, including duplicate names. An error contains line and column, but no
/// part of the text.
pub(super) fn parse(text: &str) -> Result<Vec<Pair>, Error> {
    let mut source = Source { text, at: 0, counted: (0, 1) };
    let mut pairs = Vec::new();
    loop {
        source.skip(|next| next.is_whitespace());
        match source.peek() {
            None => return Ok(pairs),
            Some('#') => source.skip(|next| next != '\n'),
            Some(_) => pairs.push(source.pair()?),
        }
    }
}

struct Source<'a> {
    text: &'a str,
    at: usize,
    /// The position up to which lines were counted, and its line, so that each line is counted
    /// once.
    counted: (usize, usize),
}

fn is_blank(next: char) -> bool {
    next == ' ' || next == '\t'
}

impl<'a> Source<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|next| !wanted(next)).unwrap_or(rest.len());
    }

    fn line(&mut self) -> usize {
        let (from, line) = self.counted;
        self.counted = (self.at, line + self.text[from..self.at].matches('\n').count());
        self.counted.1
    }

    /// An error at the current position.
    fn error(&self, what: &str) -> Error {
        let column =
            self.text[..self.at].chars().rev().take_while(|before| *before != '\n').count() + 1;
        let line = self.text[..self.at].matches('\n').count() + 1;
        Error::new(Kind::Malformed, what).at_line(line, column)
    }

    fn pair(&mut self) -> Result<Pair, Error> {
        let line = self.line();
        if self.rest().strip_prefix("export").is_some_and(|rest| rest.starts_with(is_blank)) {
            self.at += "export".len();
            self.skip(is_blank);
        }
        let name = self.name()?;
        self.skip(is_blank);
        if self.peek() != Some('=') {
            return Err(self.error("a name is not followed by `=`"));
        }
        self.at += 1;
        self.skip(is_blank);
        let (value, comment_cut) = match self.peek() {
            Some(quote @ ('"' | '\'')) => (self.quoted(quote)?, false),
            _ => self.bare(),
        };
        Ok(Pair { name, value, line, comment_cut })
    }

    fn name(&mut self) -> Result<String, Error> {
        let from = self.at;
        if !self.peek().is_some_and(|first| first.is_ascii_alphabetic() || first == '_') {
            return Err(self.error("no name begins here: a name begins with a letter or `_`"));
        }
        self.skip(|next| next.is_ascii_alphanumeric() || "_.-".contains(next));
        Ok(self.text[from..self.at].to_owned())
    }

    /// Reads to the end of the line, or to a `#` after a blank.
    fn bare(&mut self) -> (Zeroizing<String>, bool) {
        let rest = self.rest();
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        self.at += line.len();
        // The blanks after `=` were skipped already. If there were any, a `#` here begins a comment.
        let before = if self.text[..self.at - line.len()].ends_with(is_blank) { ' ' } else { '=' };
        let mut previous = before;
        let comment = line.char_indices().find(|(_, next)| {
            let begins = *next == '#' && is_blank(previous);
            previous = *next;
            begins
        });
        let end = comment.map_or(line.len(), |(at, _)| at);
        let value = line[..end].trim_end_matches(|next: char| is_blank(next) || next == '\r');
        (Zeroizing::new(value.to_owned()), end < line.len() && !value.is_empty())
    }

    fn quoted(&mut self, quote: char) -> Result<Zeroizing<String>, Error> {
        let open = self.at;
        self.at += 1;
        let rest = self.rest();
        let mut escaped = false;
        let end = rest.find(|next| {
            let ends = next == quote && !escaped;
            escaped = quote == '"' && next == '\\' && !escaped;
            ends
        });
        let Some(end) = end else {
            self.at = open;
            return Err(self.error("an unterminated quote"));
        };
        let raw = &rest[..end];
        self.at += end + 1;
        let value =
            if quote == '"' { unescaped(raw) } else { Zeroizing::new(raw.replace("\r\n", "\n")) };
        self.skip(|next| is_blank(next) || next == '\r');
        match self.peek() {
            None | Some('\n') => {}
            Some('#') => self.skip(|next| next != '\n'),
            Some(_) => return Err(self.error("there is text after the closing quote")),
        }
        Ok(value)
    }
}

fn unescaped(raw: &str) -> Zeroizing<String> {
    // Allocated at its maximum size, because growth would leave copies in memory.
    let mut value = Zeroizing::new(String::with_capacity(raw.len()));
    let mut characters = raw.chars().peekable();
    while let Some(next) = characters.next() {
        match next {
            '\r' if characters.peek() == Some(&'\n') => {}
            '\\' => match characters.next() {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(plain @ ('"' | '\\' | '$' | '`')) => value.push(plain),
                Some(other) => value.extend(['\\', other]),
                None => value.push('\\'),
            },
            other => value.push(other),
        }
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|pair| (pair.name, pair.value.to_string())).collect()
    }

    #[test]
    fn values_are_read_as_data_and_never_expanded() {
        for (text, name, value) in [
            ("A=b", "A", "b"),
            ("export A=b", "A", "b"),
            ("  export\tA = b c  \r\n", "A", "b c"),
            ("exported=1", "exported", "1"),
            ("A=", "A", ""),
            ("A= # none", "A", ""),
            ("A=#hash", "A", "#hash"),
            ("A=pass#word # note", "A", "pass#word"),
            ("A=$(touch x) `id` ${HOME} $B", "A", "$(touch x) `id` ${HOME} $B"),
            ("A='$(x) \\n \"q\" # x' # note", "A", "$(x) \\n \"q\" # x"),
            ("A=\"a\\n\\t\\\"b\\\\ \\$c \\q #x\"", "A", "a\n\t\"b\\ $c \\q #x"),
            ("A=\"one\r\n# two\n\"", "A", "one\n# two\n"),
            ("A='one\ntwo'", "A", "one\ntwo"),
            ("A=it's", "A", "it's"),
            ("A=a\\nb", "A", "a\\nb"),
            ("a.b-c=1", "a.b-c", "1"),
            ("A==b=c", "A", "=b=c"),
            ("A=\"\"", "A", ""),
        ] {
            assert_eq!(pairs(text), [(name.to_owned(), value.to_owned())], "{text:?}");
        }
        assert_eq!(pairs("# x\n\nA=1\n  # y\nB=2 \nA=3").len(), 3);
        let cut = |text: &str| parse(text).unwrap()[0].comment_cut;
        assert!(
            cut("A=pass #word") && !cut("A=pass#word") && !cut("A= # none") && !cut("A='a' # b")
        );
        assert_eq!(parse("A=\"1\n2\n\"\nB=1").unwrap()[1].line, 4);
    }

    #[test]
    fn errors_contain_the_position_and_no_text() {
        for (text, words) in [
            ("hunter2", "line 1, column 8: a name is not followed"),
            ("A=1\nhunter2 x=1", "line 2, column 9: a name is not followed"),
            ("A=1\n  B=\"hunter2", "line 2, column 5: an unterminated quote"),
            ("A='hunter2\nB=1", "line 1, column 3: an unterminated quote"),
            ("A=\"hunter2\\\"", "line 1, column 3: an unterminated quote"),
            ("A='x'hunter2", "line 1, column 6: there is text after"),
            ("\n=hunter2", "line 2, column 1: no name"),
            ("1A=hunter2", "line 1, column 1: no name"),
            ("é=hunter2", "line 1, column 1: no name"),
            ("export A", "line 1, column 9: a name is not followed"),
        ] {
            let error = parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string();
            assert!(error.contains(words) && !error.contains("hunter2"), "{text:?}: {error}");
        }
    }

    fn double_quoted(text: &str) -> String {
        let mut quoted = String::from("\"");
        for next in text.chars() {
            match next {
                '"' | '\\' | '$' | '`' => quoted.extend(['\\', next]),
                '\r' => quoted.push_str("\\r"),
                other => quoted.push(other),
            }
        }
        quoted + "\""
    }

    proptest! {
        #[test]
        fn double_quoted_values_round_trip(name in "[A-Za-z_][A-Za-z0-9_.-]{0,8}", values in prop::collection::vec(any::<String>(), 1..5), comment in "( # [ -~]{0,9})?") {
            let text: String = values.iter().map(|value| format!("{name} = {}{comment}\n", double_quoted(value))).collect();
            let wanted: Vec<_> = values.into_iter().map(|value| (name.clone(), value)).collect();
            prop_assert_eq!(pairs(&text), wanted);
        }

        #[test]
        fn single_quoted_and_unquoted_values_are_literal(value in "[ -&(-~\u{e4}\n]{0,30}", bare in "[!$-&(-~\u{e4}]([ -\"$-~]{0,20}[!-\"$-~])?") {
            let text = format!("A='{value}'\nB={bare}\nC='end'");
            prop_assert_eq!(pairs(&text), [("A".to_owned(), value), ("B".to_owned(), bare), ("C".to_owned(), "end".to_owned())]);
        }

        #[test]
        fn parsing_never_panics(text in "([A-C_=#'\"\\\\ \n\r\t$(){}`\u{e4}]|export ){0,40}") {
            let _ = parse(&text);
        }
    }
}
