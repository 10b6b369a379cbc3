//! Damage that a curl command takes when it is copied from a web page, a chat or a document: other
//! quotes and dashes, invisible characters, and blanks behind the backslash that ends a line.

use crate::profile::curl::refusal::refused;
use crate::ui::failure::{Failure, Result};
use bootseal_core::is_hidden;

/// Refuses invisible characters and no-break spaces, which are not meant wherever they are.
pub(super) fn refuse_invisible(text: &str) -> Result<()> {
    let found = text.chars().enumerate().find(|(_, next)| {
        is_hidden(*next) && !"\n\t\r".contains(*next) || matches!(next, '\u{a0}' | '\u{202f}')
    });
    let Some((at, next)) = found else { return Ok(()) };
    let line = text.chars().take(at).filter(|next| *next == '\n').count() + 1;
    Err(refused(&format!("contains {} in line {line}", named(next))).with_help(
        "Remove it. If it is a part of a value, write it as an escape, for example $'\\u200b'",
    ))
}

/// Refuses a typographic quote or dash where one of the keyboard has a meaning. `before` is the
/// character before it, if it is in the same word.
pub(super) fn refuse_typographic(next: char, before: Option<char>, in_quotes: bool) -> Result<()> {
    let begins = before.is_none_or(|before| "{[,:=& ".contains(before));
    let quote =
        matches!(next, '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2032}' | '\u{2033}');
    let dash = matches!(next, '\u{2010}'..='\u{2015}' | '\u{2212}');
    match quote && (begins || !in_quotes) || dash && before.is_none() && !in_quotes {
        true => Err(refused(&format!("contains {}", named(next))).with_help(
            "A program for texts has replaced the quote or dash of the keyboard: write ' or \" or - instead",
        )),
        false => Ok(()),
    }
}

/// The error for a backslash that is followed by blanks at the end of its line.
pub(super) fn blank_after_backslash() -> Failure {
    refused(
        "has a blank behind a backslash at the end of a line, so that the line does not continue",
    )
    .with_help("Remove the blanks behind the backslash.")
}

/// The name of a character for messages.
fn named(next: char) -> String {
    let name = match next {
        '\u{a0}' => "a no-break space",
        '\u{202f}' => "a narrow no-break space",
        '\u{ad}' => "a soft hyphen",
        '\u{200b}' => "a zero-width space",
        '\u{200c}' => "a zero-width non-joiner",
        '\u{200d}' => "a zero-width joiner",
        '\u{2060}' => "a word joiner",
        '\u{feff}' => "a byte order mark",
        '\u{2010}'..='\u{2015}' | '\u{2212}' => "a typographic dash",
        '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{2032}' | '\u{2033}' => {
            "a typographic quote"
        }
        _ => "an invisible character",
    };
    match is_hidden(next) || matches!(next, '\u{a0}' | '\u{202f}') {
        true => format!("{name} (U+{:04X})", u32::from(next)),
        false => format!("{name} ({next}, U+{:04X})", u32::from(next)),
    }
}
