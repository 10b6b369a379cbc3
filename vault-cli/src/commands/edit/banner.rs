//! The lines that `edit` adds above the text: the error, and a line to delete as a confirmation.

use crate::commands::edit::text::Text;
use crate::ui::failure::Failure;
use bootseal_core::Error;
use std::ops::Range;

/// The error that makes the editor open again.
pub(super) struct Mistake {
    pub(super) failure: Failure,
    /// Line and column in the text.
    pub(super) place: Option<(usize, usize)>,
    /// The change that the user confirms by deleting the line [`CONFIRM`].
    pub(super) asks: Option<Ask>,
    /// A text that replaces the edited text and contains all of it.
    pub(super) instead: Option<Text>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ask {
    /// Sealed values become readable.
    Readable,
    /// The text is written as it is.
    Unchanged,
}

impl Mistake {
    /// Where the mistake is, in the text below bootseal's own lines.
    pub(super) fn place_in_text(&self) -> Option<String> {
        self.place.map(|(line, column)| format!("line {line}, column {column} of the edited text"))
    }
}

impl From<Failure> for Mistake {
    fn from(failure: Failure) -> Mistake {
        Mistake { failure, place: None, asks: None, instead: None }
    }
}

impl From<Error> for Mistake {
    fn from(error: Error) -> Mistake {
        let place = error.line();
        let what = match error.property() {
            Some(property) => format!("{property}: {}", error.what()),
            None => error.what().to_owned(),
        };
        let failure = Failure::new(error.kind(), what);
        let failure = match error.help() {
            Some(help) => failure.with_help(help),
            None => failure,
        };
        Mistake { place, ..failure.into() }
    }
}

pub(super) const CONFIRM: &str = "To confirm, delete this line.";

/// Formats the error as lines above the text. Its line number includes these lines, as in the
/// editor.
pub(super) fn on_top(mistake: &Mistake) -> Vec<String> {
    let mut lines: Vec<String> =
        mistake.failure.text().lines().map(|line| line.trim().to_owned()).collect();
    if mistake.asks.is_some() {
        lines.push(CONFIRM.to_owned());
    }
    lines.push(
        "Nothing is written yet. To cancel, close the editor without a change; your text is kept, encrypted."
            .to_owned(),
    );
    if let (Some((line, column)), Some(first)) = (mistake.place, lines.first().cloned()) {
        lines[0] = format!("line {}, column {column}: {first}", line + lines.len());
    }
    lines
}

/// Finds the range of bootseal's own lines, which were written as `head`. They are at the top, or
/// below lines that the user typed above them, but never within a multi-line string.
pub(super) fn own_lines(text: &[u8], mark: &[u8], head: &[u8]) -> Range<usize> {
    let (mut start, mut end) = (0, 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let continues = end > start || start == 0;
        if line.starts_with(mark) && (continues || head.windows(line.len()).any(|own| own == line))
        {
            end += line.len();
            continue;
        }
        let opens = |quotes: &[u8]| line.windows(3).any(|three| three == quotes);
        if end > start || opens(b"\"\"\"") || opens(b"'''") {
            break;
        }
        end += line.len();
        start = end;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_lines_are_found_below_typed_lines_and_nowhere_else() {
        for (text, left) in [
            ("#: a\n#: b\nx = 1\n", "x = 1\n"),
            ("y = 2\n#: a\n#: b\nx = 1\n", "y = 2\nx = 1\n"),
            ("#: a\nx = 1\n#: typed\n", "x = 1\n#: typed\n"),
            ("x = \"\"\"\n#: typed\n\"\"\"\n", "x = \"\"\"\n#: typed\n\"\"\"\n"),
            ("x = '''\n#: typed\n'''\n", "x = '''\n#: typed\n'''\n"),
            ("x = 1\n#: typed\n", "x = 1\n#: typed\n"),
            ("x = 1\n", "x = 1\n"),
            ("x = 1", "x = 1"),
            ("#: a", ""),
            ("", ""),
        ] {
            let ours = own_lines(text.as_bytes(), b"#:", b"#: a\n#: b\n");
            assert_eq!([&text[..ours.start], &text[ours.end..]].concat(), left, "{text:?}");
        }
    }
}
