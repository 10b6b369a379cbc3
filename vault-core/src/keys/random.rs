//! Random bytes from the operating system, for keys, nonces and salts.

use crate::error::{Error, Kind, Result};
use bootseal_memory::{Secret, SecretBuf};

/// The length of each key of the format, in bytes.
pub(crate) const KEY_BYTES: usize = 32;

/// A new key, filled in place on its guarded page.
pub(crate) fn random_key() -> Result<Secret> {
    let mut key = SecretBuf::zeroed(KEY_BYTES)?;
    key.expose_mut(random)?;
    Ok(key.freeze())
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(Kind::Io, format!("no random numbers from the system: {error}"))
    })
}
