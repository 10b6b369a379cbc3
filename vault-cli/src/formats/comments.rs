//! The comments of an input, in every format, each with the property that it is about: the one on
//! its line, or the next one below.

use crate::cli::Format;
use crate::formats::properties;
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::HashMap;

/// A comment, without the sign that begins it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Comment {
    /// Its line, from 1.
    pub(crate) line: usize,
    pub(crate) text: String,
    /// The segments of the property that it is about; `None` below the last one.
    pub(crate) about: Option<Vec<String>>,
}

/// The comments of a text that was parsed without an error. A TOML document has its own.
pub(crate) fn comments(text: &str, format: Format) -> Vec<Comment> {
    let (mut comments, properties) = match format {
        Format::Toml | Format::Json => return Vec::new(),
        Format::Env => of_env(text),
        Format::Properties => of_properties(text),
        Format::Yaml => of_yaml(text),
    };
    for comment in &mut comments {
        let next = properties.partition_point(|(line, _)| *line < comment.line);
        comment.about = properties.get(next).map(|(_, path)| path.clone());
    }
    comments
}

/// Whether some line of a text is a comment; not for TOML, whose document knows.
pub(crate) fn has_comments(text: &str, format: Format) -> bool {
    let signs: &[char] = match format {
        Format::Properties => &['#', '!'],
        Format::Env | Format::Yaml => &['#'],
        Format::Toml | Format::Json => return false,
    };
    let text = text.trim_start_matches('\u{feff}');
    text.lines().any(|line| line.trim_start().starts_with(signs))
}

/// Comments, and the line of each property in the order of the text.
type Found = (Vec<Comment>, Vec<(usize, Vec<String>)>);

fn comment(line: usize, text: &str) -> Comment {
    let text = text.trim_start_matches(['#', '!']).trim().replace(char::is_control, " ");
    Comment { line, text, about: None }
}

fn of_env(text: &str) -> Found {
    let (mut comments, mut properties) = (Vec::new(), Vec::new());
    let (mut rest, mut line) = (text, 1);
    // Takes bytes off the rest, and counts their lines.
    let mut take = |rest: &mut &str, length: usize| {
        let (taken, left) = rest.split_at(length.min(rest.len()));
        line += taken.matches('\n').count();
        *rest = left;
        line
    };
    loop {
        let blank = rest.len() - rest.trim_start().len();
        let here = take(&mut rest, blank);
        let end = rest.find('\n').unwrap_or(rest.len());
        if rest.is_empty() {
            return (comments, properties);
        }
        if rest.starts_with('#') {
            comments.push(comment(here, &rest[..end]));
            take(&mut rest, end);
            continue;
        }
        let equals = rest[..end].find('=').map_or(end, |at| at + 1);
        let name = rest[..equals].trim_end_matches('=').trim();
        let name = name
            .strip_prefix("export")
            .map_or(name, |name| if name.starts_with([' ', '\t']) { name.trim() } else { name });
        properties.push((here, vec![name.to_owned()]));
        take(&mut rest, equals);
        let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        let is_blank = blanks > 0;
        take(&mut rest, blanks);
        if let Some(quote) = rest.chars().next().filter(|next| "\"'`".contains(*next)) {
            let length = closing(rest, quote);
            take(&mut rest, length);
        }
        let end = rest.find('\n').unwrap_or(rest.len());
        let value = &rest[..end];
        let begins = |at: usize| match at {
            0 => is_blank,
            at => value[..at].ends_with([' ', '\t']),
        };
        let at = value.match_indices('#').map(|(at, _)| at).find(|at| begins(*at));
        let here = take(&mut rest, 0);
        if let Some(at) = at {
            comments.push(comment(here, &value[at..]));
        }
        take(&mut rest, end);
    }
}

/// The length of a quoted value, with its quotes.
fn closing(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, next)| {
        let ends = *next == quote && !escaped;
        escaped = quote == '"' && *next == '\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |(at, _)| at + 1)
}

fn of_properties(text: &str) -> Found {
    let pairs = properties::parse(text).unwrap_or_default();
    let pairs =
        pairs.into_iter().map(|pair| (pair.line, pair.key.split('.').map(str::to_owned).collect()));
    let lines = text
        .split('\n')
        .map(|line| line.strip_suffix('\r').unwrap_or(line))
        .flat_map(|line| line.split('\r'));
    let (mut comments, mut continued) = (Vec::new(), false);
    for (at, line) in lines.enumerate() {
        let first = line.trim_start_matches([' ', '\t', '\u{c}']);
        let is_comment = !continued && first.starts_with(['#', '!']);
        if is_comment {
            comments.push(comment(at + 1, first));
        }
        let slashes = line.bytes().rev().take_while(|byte| *byte == b'\\').count();
        continued = !is_comment && !first.is_empty() && slashes % 2 == 1;
    }
    (comments, pairs.collect())
}

/// The parser has no events for comments, so they are looked for between its scalars.
fn of_yaml(text: &str) -> Found {
    let lines: Vec<&str> = text.lines().collect();
    let mut names = Names { lines, ..Names::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(Ok((event, span))) = parser.next_event() {
        names.take(&event, &span);
    }
    let comments = text.lines().enumerate().filter_map(|(at, line)| {
        let mut previous = ' ';
        let mut columns = line.chars().enumerate();
        let (column, _) = columns.find(|(column, next)| {
            let begins = *next == '#' && previous.is_whitespace();
            previous = *next;
            begins && !names.covers(at + 1, *column)
        })?;
        let start = line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
        Some(comment(at + 1, &line[start..]))
    });
    (comments.collect(), names.properties)
}

/// The names of the properties of a YAML text, and the places of its scalars.
#[derive(Default)]
struct Names<'a> {
    lines: Vec<&'a str>,
    path: Vec<String>,
    open: Vec<Open>,
    properties: Vec<(usize, Vec<String>)>,
    /// For each line, the columns of scalars.
    covered: HashMap<usize, Vec<(usize, usize)>>,
}

enum Open {
    Array,
    /// A mapping; whether a key was read, and its value comes next.
    Table(bool),
}

impl Names<'_> {
    fn take(&mut self, event: &Event<'_>, span: &Span) {
        match event {
            Event::Scalar(text, style, ..) => {
                match style {
                    ScalarStyle::SingleQuoted => self.cover_quoted(span, '\''),
                    ScalarStyle::DoubleQuoted => self.cover_quoted(span, '"'),
                    _ => self.cover(span),
                }
                match self.open.last_mut() {
                    Some(Open::Table(has_key)) if !*has_key => {
                        *has_key = true;
                        self.path.push(text.clone().into_owned());
                    }
                    _ => {
                        self.property(span);
                        self.end_value();
                    }
                }
            }
            Event::SequenceStart(..) => {
                self.property(span);
                self.open.push(Open::Array);
            }
            Event::MappingStart(..) => self.open.push(Open::Table(false)),
            Event::SequenceEnd | Event::MappingEnd => {
                self.open.pop();
                self.end_value();
            }
            Event::Alias(_) => self.end_value(),
            _ => {}
        }
    }

    /// Begins a value: outside of arrays, it is a property.
    fn property(&mut self, span: &Span) {
        if !self.open.iter().any(|open| matches!(open, Open::Array)) {
            self.properties.push((span.start.line(), self.path.clone()));
        }
    }

    fn end_value(&mut self) {
        if let Some(Open::Table(has_key)) = self.open.last_mut()
            && std::mem::take(has_key)
        {
            self.path.pop();
        }
    }

    fn cover(&mut self, span: &Span) {
        let (first, last) = (span.start.line(), span.end.line());
        for line in first..=last {
            let start = if line == first { span.start.col() } else { 0 };
            let end = if line == last { span.end.col() } else { usize::MAX };
            self.covered.entry(line).or_default().push((start, end));
        }
    }

    /// The span of a quoted scalar ends behind the blanks after it, so its end is looked for.
    fn cover_quoted(&mut self, span: &Span, quote: char) {
        let (first, mut column) = (span.start.line(), span.start.col());
        let mut is_open = false;
        for line in first..=span.end.line() {
            let text = self.lines.get(line - 1).copied().unwrap_or_default();
            let mut characters = text.chars().enumerate().skip(column).peekable();
            let start = std::mem::take(&mut column);
            let mut end = usize::MAX;
            while let Some((at, next)) = characters.next() {
                let is_doubled = quote == '\''
                    && is_open
                    && next == quote
                    && characters.peek().is_some_and(|(_, next)| *next == quote);
                if is_doubled || quote == '"' && next == '\\' {
                    characters.next();
                } else if next == quote && std::mem::replace(&mut is_open, true) {
                    end = at + 1;
                    break;
                }
            }
            self.covered.entry(line).or_default().push((start, end));
            if end != usize::MAX {
                return;
            }
        }
    }

    fn covers(&self, line: usize, column: usize) -> bool {
        let spans = self.covered.get(&line);
        spans.is_some_and(|spans| spans.iter().any(|(start, end)| (*start..*end).contains(&column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, format: Format) -> Vec<String> {
        let shown = |comment: Comment| {
            let about = comment.about.map_or("-".into(), |path| path.join("."));
            format!("{} {} {about}", comment.line, comment.text)
        };
        comments(text, format).into_iter().map(shown).collect()
    }

    #[test]
    fn comments_of_a_yaml_file_are_told_from_values() {
        let text = "# top\na: \"#no\" # of a\ndb: # the db\n  # pw\n  password: 'x # no' # yes\n  text: |\n    # no\n    more\n  url: http://x/#no\nlist: # of list\n  - a # one\n  - b#c\n  # inside\nlast: plain # text\n# end\n";
        assert_eq!(
            found(text, Format::Yaml),
            [
                "1 top a",
                "2 of a a",
                "3 the db db.password",
                "4 pw db.password",
                "5 yes db.password",
                "10 of list list",
                "11 one list",
                "13 inside last",
                "14 text last",
                "15 end -"
            ]
        );
    }

    #[test]
    fn a_quoted_value_of_a_yaml_file_may_contain_quotes_and_lines() {
        let text = "a: 'it''s # no' # of a\nb: \"one\n  # no \\\" # no\" # of b\nc: [ 'x # no', y ] # of c\n";
        assert_eq!(found(text, Format::Yaml), ["1 of a a", "3 of b c", "4 of c c"]);
    }

    #[test]
    fn comments_of_an_env_file_are_told_from_values() {
        let text = "# top\nexport A='x # no' # of a\nB=b#no # of b\n\nC=\"one\n# no\n\\\"#\" # of c\nD= # empty\nE=#no\n  # end";
        assert_eq!(
            found(text, Format::Env),
            ["1 top A", "2 of a A", "3 of b B", "7 of c D", "8 empty D", "10 end -"]
        );
    }

    #[test]
    fn comments_of_a_properties_file_are_told_from_values() {
        let text = "# top\na.b = x # no\n! second\nc = one \\\n  # no\n#third \\\nd = 1\n";
        assert_eq!(found(text, Format::Properties), ["1 top a.b", "3 second c", "6 third \\ d"]);
    }

    #[test]
    fn json_has_no_comments() {
        assert_eq!(found("{\"a\": \"# no\"}", Format::Json), [""; 0]);
    }
}
