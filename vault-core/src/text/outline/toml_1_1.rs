//! Finds syntax inside a scalar that only TOML 1.1 allows: escapes, and times without seconds.

use toml_parser::decoder::Encoding;

/// Finds the escapes `\e` and `\x`, which TOML 1.1 introduced.
pub(super) fn newer_escape(
    raw: &str,
    start: usize,
    encoding: Option<Encoding>,
) -> Option<(usize, &'static str)> {
    if !matches!(encoding, Some(Encoding::BasicString | Encoding::MlBasicString)) {
        return None;
    }
    let mut bytes = raw.bytes().enumerate();
    while let Some((_, byte)) = bytes.next() {
        if byte == b'\\' {
            // The escaped byte is consumed too, because in `\\e` the backslash is escaped, not the
            // `e`.
            match bytes.next() {
                Some((offset, b'e')) => return Some((start + offset - 1, "the escape \\e")),
                Some((offset, b'x')) => return Some((start + offset - 1, "the escape \\x")),
                _ => {}
            }
        }
    }
    None
}

/// Whether a value is a time without seconds, which TOML 1.1 introduced.
pub(super) fn time_without_seconds(raw: &str) -> bool {
    // HH:MM without a second colon. The only other colon in a bare value is in an offset, which
    // follows the time.
    raw.find(':').is_some_and(|colon| raw.as_bytes().get(colon + 3) != Some(&b':'))
}
