//! The bytes of a file as the one text that is hashed and parsed: UTF-8, LF ends every line.

use crate::error::{Error, Result};

/// The most bytes that a sealed file may have: 16 MiB.
///
/// ```
/// use bootseal_core::{MAX_FILE, SealedFile};
/// assert_eq!(MAX_FILE, 16 * 1024 * 1024);
/// assert!(SealedFile::parse(vec![b' '; MAX_FILE + 1]).is_err());
/// ```
pub const MAX_FILE: usize = 16 << 20;

/// The next step for a file with conflict markers.
pub(crate) const RESOLVE: &str =
    "`bootseal resolve FILE` makes a valid file of it, from the two sides that git has.";

/// The one text that is hashed and parsed: LF ends every line, the last one too.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String> {
    if bytes.len() > MAX_FILE {
        return Err(Error::malformed("larger than 16 MiB, the most that a sealed file may have"));
    }
    if bytes.is_empty() {
        return Err(Error::malformed("the file is empty")
            .with_help("Bring it back from git or a backup, or make a new vault: bootseal init"));
    }
    if bytes.starts_with(b"\xEF\xBB\xBF") {
        return Err(Error::malformed("begins with a byte order mark")
            .with_help("Save it as UTF-8 without one."));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].iter().filter(|byte| **byte == b'\n').count() + 1;
        Error::malformed(format!("line {line} is not UTF-8"))
    })?;
    if let Some(at) = text.find('\0') {
        return Err(Error::malformed("holds a NUL byte").at_offset(&text, at));
    }
    let mut text = if text.contains('\r') { text.replace("\r\n", "\n") } else { text };
    if let Some(at) = text.find('\r') {
        return Err(Error::malformed("holds a carriage return that no line feed follows")
            .at_offset(&text, at));
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The offset of the first conflict marker of git.
pub(crate) fn conflict_marker(text: &str) -> Option<usize> {
    let mut at = 0;
    text.split_inclusive('\n').find_map(|line| {
        let start = at;
        at += line.len();
        (line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")).then_some(start)
    })
}
