//! The data key, and the keys that are derived from it for values and credentials.

use crate::error::{Error, Kind, Result};
use crate::keys::random::{KEY_BYTES, random_key};
use crate::keys::vault_id::VaultId;
use bootseal_memory::{Secret, SecretBuf};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::collections::BTreeMap;

/// The data key, from which the keys for values and credentials are derived. Readers and writers
/// have it.
pub(crate) struct DataKey(pub(crate) Secret);

/// The key that values are sealed under. It is bound to one vault, so it never opens another
/// vault's value.
pub(crate) struct ValueKey(pub(crate) Secret);

impl DataKey {
    pub(crate) fn generate() -> Result<DataKey> {
        random_key().map(DataKey)
    }

    pub(crate) fn value_key(&self, vault: &VaultId) -> Result<ValueKey> {
        self.derived(vault, b"bootseal 1 value key").map(ValueKey)
    }

    pub(crate) fn credential_key(&self, vault: &VaultId) -> Result<CredentialKey> {
        self.derived(vault, b"bootseal 1 credential").map(CredentialKey)
    }

    /// HKDF-SHA256 (RFC 5869): salt = the vault id, info = the purpose.
    fn derived(&self, vault: &VaultId, purpose: &[u8]) -> Result<Secret> {
        let mut okm = SecretBuf::zeroed(KEY_BYTES)?;
        let done = self.0.expose(|key| {
            okm.expose_mut(|okm| {
                Hkdf::<Sha256>::new(Some(vault.as_bytes()), key).expand(purpose, okm)
            })
        });
        done.map_err(|_| Error::new(Kind::Io, "a key could not be derived"))?;
        Ok(okm.freeze())
    }
}

/// Computes an 8-byte digest that shows only whether two logins use the same profile and
/// credentials.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::login("url = \"https://auth.acme.example/\"\nbasic = true\n");
/// use bootseal_core::{Profile, Secret};
/// let vault = file.open(&[alice])?;
/// let profile = Profile::read(vault.file(), &"acme".parse()?)?;
/// let digest = |password: &[u8]| {
///     let password = Secret::copy_of(password)?;
///     vault.credential_key().digest(profile.canonical(), [("password", &password)])
/// };
/// assert_ne!(digest(b"hunter2")?, digest(b"hunter3")?);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct CredentialKey(Secret);

impl CredentialKey {
    /// The first 8 bytes of HMAC-SHA256 over the canonical profile and `values`, in which each name
    /// and each value is preceded by its length.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system has no guarded memory. See the example of [`CredentialKey`].
    pub fn digest<'a>(
        &self,
        canonical_profile: &str,
        values: impl IntoIterator<Item = (&'a str, &'a Secret)>,
    ) -> Result<[u8; 8]> {
        let mac = self.0.expose(<Hmac<Sha256> as KeyInit>::new_from_slice);
        let mut mac = mac.map_err(|_| Error::new(Kind::Io, "a key could not be used"))?;
        let mut add = |bytes: &[u8]| {
            mac.update(&(bytes.len() as u64).to_le_bytes());
            mac.update(bytes);
        };
        add(canonical_profile.as_bytes());
        let values: BTreeMap<&str, &Secret> = values.into_iter().collect();
        for (name, value) in values {
            add(name.as_bytes());
            value.expose(&mut add);
        }
        let mut digest = [0; 8];
        digest.copy_from_slice(&mac.finalize().into_bytes()[..8]);
        Ok(digest)
    }
}
