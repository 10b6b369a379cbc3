//! Quotes a path as one word of a shell command that is shown, so that it can be copied.

use bootseal_core::Shown;

/// `text` as it is where no shell takes a letter of it for its own, else in single quotes.
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
    fn only_what_needs_it_is_quoted() {
        assert_eq!(word("a/b-1.toml"), "a/b-1.toml");
        assert_eq!(word("it's mine"), "'it'\\''s mine'");
        assert_eq!(word(""), "''");
        assert_eq!(word("$(id)"), "'$(id)'");
    }
}
