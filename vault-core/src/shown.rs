//! Makes untrusted text safe for a terminal or a log: escapes invisible characters, and leaves
//! private keys out.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};
use std::fmt;
use std::path::Path;

/// Text from a file that is printed safely to a terminal or a log, with characters escaped that are
/// invisible or change the writing direction.
///
/// ```
/// use bootseal_core::Shown;
/// assert_eq!(Shown("a\u{202e}b\u{1b}[2J").to_string(), r"a\u{202e}b\u{1b}[2J");
/// ```
pub struct Shown<'a>(pub &'a str);

impl Shown<'_> {
    /// Shows a path in the same way; bytes that are not UTF-8 are replaced.
    ///
    /// ```
    /// use bootseal_core::Shown;
    /// assert_eq!(Shown::path("a\u{200b}.toml".as_ref()).to_string(), r"a\u{200b}.toml");
    /// ```
    pub fn path(path: &Path) -> ShownPath<'_> {
        ShownPath(path)
    }
}

/// A path as [`Shown::path`] prints it.
pub struct ShownPath<'a>(&'a Path);

impl fmt::Display for ShownPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(&self.0.to_string_lossy()).fmt(f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if is_hidden(character) {
                write!(f, "\\u{{{:x}}}", u32::from(character))?;
            } else {
                fmt::Write::write_char(f, character)?;
            }
        }
        Ok(())
    }
}

/// A word of a shell command in a message, so that the command can be copied: unchanged if none of
/// its characters is special in a shell, else in single quotes. Hidden characters are escaped.
///
/// ```
/// use bootseal_core::shell_word;
/// assert_eq!(shell_word("acme.password"), "acme.password");
/// assert_eq!(shell_word("$(id) it's"), r"'$(id) it'\''s'");
/// ```
pub fn shell_word(text: impl fmt::Display) -> String {
    let text = text.to_string();
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./-=,+%@:".contains(letter);
    // Zsh expands a word that begins with `=`.
    match !text.is_empty() && !text.starts_with('=') && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", Shown(&text.replace('\'', "'\\''"))),
    }
}

/// A path as a word of a shell command: see [`shell_word`]. A path that begins with `-` would be
/// read as an option, so `./` is put before it.
///
/// ```
/// assert_eq!(bootseal_core::shell_path("-f b.toml".as_ref()), "'./-f b.toml'");
/// ```
pub fn shell_path(path: &Path) -> String {
    let text = path.to_string_lossy();
    shell_word(if text.starts_with('-') { format!("./{text}").into() } else { text })
}

/// The maximum number of names that one message shows.
pub const MOST_NAMES: usize = 20;

/// Names for a message, joined with commas. Of more than [`MOST_NAMES`], the rest is counted, so
/// that no file can make a message long.
///
/// ```
/// use bootseal_core::some_names;
/// assert_eq!(some_names(["a", "b"]), "a, b");
/// assert!(some_names(0..10_000).ends_with("18, 19, … and 9,980 more"));
/// ```
pub fn some_names<T: fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let mut names = names.into_iter();
    let mut shown: Vec<String> =
        names.by_ref().take(MOST_NAMES).map(|name| name.to_string()).collect();
    shown.extend(and_more(names.count()));
    shown.join(", ")
}

/// The end of a list that leaves out `count` names: `… and 9,980 more`. `None` if it leaves out
/// none.
///
/// ```
/// assert_eq!(bootseal_core::and_more(9980).as_deref(), Some("… and 9,980 more"));
/// assert_eq!(bootseal_core::and_more(0), None);
/// ```
pub fn and_more(count: usize) -> Option<String> {
    let digits = count.to_string();
    let parts = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    let grouped = parts.collect::<Vec<_>>().join(",");
    (count > 0).then(|| format!("… and {grouped} more"))
}

/// The first 80 characters of untrusted text, so that no file can make an error message long.
pub(crate) struct Brief<'a>(pub(crate) &'a str);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 80;
        match self.0.char_indices().nth(LONGEST) {
            Some((cut, _)) => write!(f, "{}…", Shown(&self.0[..cut])),
            None => Shown(self.0).fmt(f),
        }
    }
}

/// User input where a public value is expected. A private key entered by mistake is not echoed.
///
/// ```
/// use bootseal_core::Typed;
/// assert_eq!(Typed("bob").to_string(), "`bob`");
/// assert_eq!(Typed("AGE-SECRET-KEY-1…").to_string(), "a private key");
/// ```
pub struct Typed<'a>(pub &'a str);

impl Typed<'_> {
    /// Whether the text begins as a private key does.
    pub(crate) fn is_private(&self) -> bool {
        let start = self.0.get(..11).unwrap_or_default();
        start.eq_ignore_ascii_case("AGE-SECRET-") || start.eq_ignore_ascii_case("AGE-PLUGIN-")
    }
}

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_private() {
            f.write_str("a private key")
        } else {
            write!(f, "`{}`", Brief(self.0))
        }
    }
}

/// Whether a character is invisible, looks like a space, changes how its neighbours look, or has no
/// fixed look. By Unicode's own tables, these are the categories Cc, Cf, Zl, Zp, Cn and Co, every
/// space except U+0020, and the default-ignorable code points, such as fillers and variation
/// selectors.
///
/// ```
/// assert!(bootseal_core::is_hidden('\u{200B}')); // zero width space
/// assert!(!bootseal_core::is_hidden('ü'));
/// ```
pub fn is_hidden(character: char) -> bool {
    /// Braille pattern blank: Unicode counts it as a symbol, and every font draws nothing.
    const BRAILLE_BLANK: char = '\u{2800}';
    if character.is_ascii() {
        return character.is_ascii_control();
    }
    let unseen = matches!(
        CodePointMapData::<GeneralCategory>::new().get(character),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::Unassigned
            | GeneralCategory::PrivateUse
    );
    unseen
        || character == BRAILLE_BLANK
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_only_if_necessary() {
        for (text, expected) in [
            ("a/b-1.toml", "a/b-1.toml"),
            ("it's mine", "'it'\\''s mine'"),
            ("", "''"),
            ("$(id)", "'$(id)'"),
            ("=ls", "'=ls'"),
            ("~", "'~'"),
            ("a;b", "'a;b'"),
            ("a\nb", "'a\\u{a}b'"),
            ("grün", "'grün'"),
        ] {
            assert_eq!(shell_word(text), expected);
        }
    }

    #[test]
    fn a_long_list_is_cut_and_counted() {
        assert_eq!(some_names([""; 0]), "");
        assert_eq!(some_names(0..2), "0, 1");
        assert!(some_names(0..20).ends_with("18, 19"));
        assert!(some_names(0..21).ends_with("18, 19, … and 1 more"));
        for (count, shown) in [(999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(and_more(count), Some(format!("… and {shown} more")));
        }
    }

    /// The characters that were escaped before the tables of a crate decided: they stay escaped,
    /// whatever a new version of the tables says.
    fn was_hidden(character: char) -> bool {
        character.is_control()
            || matches!(u32::from(character),
                0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x890..=0x891 | 0x8E2 | 0x115F..=0x1160
                | 0x17B4..=0x17B5 | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164
                | 0xFE00..=0xFE0F | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x13430..=0x1343F
                | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A | 0xE0000..=0xE0FFF)
    }

    #[test]
    fn everything_that_was_escaped_before_stays_escaped() {
        for character in ('\0'..=char::MAX).filter(|character| was_hidden(*character)) {
            assert!(is_hidden(character), "U+{:04X}", u32::from(character));
        }
    }

    #[test]
    fn blanks_are_hidden_and_letters_of_every_script_are_not() {
        for hidden in "\u{a0}\u{2003}\u{3000}\u{2800}\u{e000}\u{378}\u{202e}\u{200d}".chars() {
            assert!(is_hidden(hidden), "U+{:04X}", u32::from(hidden));
        }
        for seen in " aZ~äßñжλא中あ한ไ€→…“😀\u{301}".chars() {
            assert!(!is_hidden(seen), "U+{:04X}", u32::from(seen));
        }
    }
}
