//! Quotes a word of a shell command in a message, so that the user can copy the command.

use bootseal_core::Shown;

/// Returns `text` unchanged if none of its characters is special in a shell, else in single quotes.
pub(crate) fn word(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_./-=,+%@:".contains(letter);
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", Shown(&text.replace('\'', "'\\''"))),
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn a_word_is_quoted_only_if_necessary() {
        assert_eq!(word("a/b-1.toml"), "a/b-1.toml");
        assert_eq!(word("it's mine"), "'it'\\''s mine'");
        assert_eq!(word(""), "''");
        assert_eq!(word("$(id)"), "'$(id)'");
    }
}
