//! Which keys are there, and how does one follow from another? The data key, the signing seed, the value key.

use crate::error::{Error, Kind, Result};
use crate::signature::VaultId;
use bootseal_memory::{Secret, SecretBuf};
use hkdf::Hkdf;
use sha2::Sha256;

pub(crate) const KEY_BYTES: usize = 32;

/// Opens and seals values; readers and writers have it.
pub(crate) struct DataKey(pub(crate) Secret);

/// Signs the file; writers have it.
pub(crate) struct SigningSeed(pub(crate) Secret);

/// What values are sealed under: bound to one vault, so that a value of another one never opens here.
pub(crate) struct ValueKey(pub(crate) Secret);

impl DataKey {
    pub(crate) fn generate() -> Result<DataKey> {
        random_key().map(DataKey)
    }

    /// HKDF-SHA256 (RFC 5869): salt = the vault id, info = the purpose.
    pub(crate) fn value_key(&self, vault: &VaultId) -> Result<ValueKey> {
        let mut okm = SecretBuf::zeroed(KEY_BYTES)?;
        let done = self.0.expose(|key| {
            okm.expose_mut(|okm| Hkdf::<Sha256>::new(Some(vault.as_bytes()), key).expand(b"bootseal 1 value key", okm))
        });
        done.map_err(|_| Error::new(Kind::Io, "a key could not be derived"))?;
        Ok(ValueKey(okm.freeze()))
    }
}

impl SigningSeed {
    pub(crate) fn generate() -> Result<SigningSeed> {
        random_key().map(SigningSeed)
    }
}

fn random_key() -> Result<Secret> {
    let mut key = SecretBuf::zeroed(KEY_BYTES)?;
    key.expose_mut(random)?;
    Ok(key.freeze())
}

/// Fills `bytes` from the operating system's generator.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| Error::new(Kind::Io, format!("no random numbers from the system: {error}")))
}
