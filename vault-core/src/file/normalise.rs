//! Normalises a file's bytes to the text that is hashed and parsed, which is UTF-8 with LF at the
//! end of every line.

use crate::error::{Error, Result};
use crate::text::shared_text::with_lf;

/// The maximum size of a sealed file: 16 MiB.
///
/// ```
/// use bootseal_core::{MAX_FILE, SealedFile};
/// assert_eq!(MAX_FILE, 16 * 1024 * 1024);
/// assert!(SealedFile::parse(vec![b' '; MAX_FILE + 1]).is_err());
/// ```
pub const MAX_FILE: usize = 16 << 20;

/// The next step for a file with conflict markers.
pub(crate) const RESOLVE: &str =
    "Run `bootseal resolve FILE`: it merges the two sides from git into a valid file.";

/// Returns the text that is hashed and parsed, with LF at the end of every line, including the last
/// line.
pub(crate) fn text_of(bytes: Vec<u8>) -> Result<String> {
    if bytes.len() > MAX_FILE {
        return Err(Error::malformed("larger than 16 MiB, the limit of a sealed file"));
    }
    if bytes.is_empty() {
        return Err(Error::malformed("the file is empty")
            .with_help("Restore it from git or a backup, or create a new vault: bootseal init"));
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
        return Err(Error::malformed("contains a NUL byte").at_offset(&text, at));
    }
    let mut text = with_lf(text);
    if let Some(at) = text.find('\r') {
        return Err(
            Error::malformed("contains a carriage return without a line feed").at_offset(&text, at)
        );
    }
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

/// The offset of git's first conflict marker.
pub(crate) fn conflict_marker(text: &str) -> Option<usize> {
    let mut at = 0;
    text.split_inclusive('\n').find_map(|line| {
        let start = at;
        at += line.len();
        (line.starts_with("<<<<<<< ") || line.starts_with(">>>>>>> ")).then_some(start)
    })
}
