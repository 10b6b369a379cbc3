//! The form of the text of a sealed value, `sealed:BASE64URL`, which is checked without a key.

use crate::error::{Error, Result};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// The prefix of a value to be sealed, in an input file; it never occurs in a sealed file.
pub(crate) const SECRET_PREFIX: &str = "secret:";

/// The prefix of a sealed value.
pub(crate) const SEALED_PREFIX: &str = "sealed:";
/// The length of the nonce, which is before the ciphertext.
pub(crate) const NONCE: usize = 24;
/// The length of the authentication tag, which is after the ciphertext.
pub(crate) const TAG: usize = 16;
/// Plaintexts are padded to multiples of this length, so that a sealed value reveals the length
/// only roughly.
pub(crate) const STEP: usize = 64;

/// Checks that `sealed` has the form of a sealed value: the prefix, and canonical base64url of
/// whole padding steps. Returns the base64url part.
pub(crate) fn check_shape(sealed: &str) -> Result<&str> {
    let text = sealed.strip_prefix(SEALED_PREFIX).ok_or_else(not_canonical)?;
    let bytes = text.len() / 4 * 3 + (text.len() % 4).saturating_sub(1);
    let whole = bytes >= NONCE + STEP + TAG
        && (bytes - NONCE - TAG).is_multiple_of(STEP)
        && text.len() % 4 != 1;
    let alphabet =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    // The unused bits of the last character must be zero. Otherwise, one value would have several
    // written forms.
    let tail = BASE64_URL_SAFE_NO_PAD.decode(&text.as_bytes()[text.len() / 4 * 4..]).is_ok();
    if whole && alphabet && tail { Ok(text) } else { Err(not_canonical()) }
}

/// The error for a sealed value whose text is truncated or not canonical.
pub(crate) fn not_canonical() -> Error {
    Error::malformed("a sealed value that is truncated, or not canonical base64url")
        .with_help("Restore the line from git, or set the value again: bootseal set")
}
