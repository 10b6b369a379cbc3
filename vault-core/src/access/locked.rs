//! Passphrase-protected keys. The public key is stored in the clear beside them, so the passphrase
//! is requested only when the key is needed.

use crate::access::recipient::Recipient;
use crate::error::{Error, Result};
use age::armor::ArmoredReader;
use age::{DecryptError, Decryptor, scrypt};
use bootseal_memory::{Secret, SecretBuf};
use secrecy::SecretString;
use std::fmt;
use std::sync::Arc;

pub(crate) const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
pub(crate) const END: &str = "-----END AGE ENCRYPTED FILE-----";
/// The base-2 logarithm of the highest accepted cost. On a fast machine, `rage -p` uses up to four
/// times the cost of `age -p`, which is 1 GiB of memory.
const MAX_WORK: u8 = 20;
const MAX_IDENTITY: usize = 4096;

/// A passphrase-protected key: an age identity or an SSH key. Its recipient is known without the
/// passphrase.
///
/// ```no_run
/// # fn ask(what: &str) -> bootseal_core::Secret { bootseal_core::Secret::copy_of(what.as_bytes()).unwrap() }
/// let file = bootseal_core::IdentityFile::read("id_ed25519".as_ref())?;
/// for key in &file.locked {
///     let identity = key.unlock(&ask(&format!("Passphrase of {}: ", key.recipient())))?;
///     assert_eq!(identity.recipient().as_ref(), Some(key.recipient()));
/// }
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone)]
pub struct LockedKey {
    pub(super) lock: Lock,
    pub(super) recipient: Recipient,
}

#[derive(Clone)]
pub(super) enum Lock {
    /// An armored age file.
    Age(Arc<str>),
    #[cfg(feature = "ssh")]
    Ssh(Arc<age::ssh::EncryptedKey>),
}

impl LockedKey {
    pub(crate) fn of_age(armored: &str, recipient: Recipient) -> LockedKey {
        LockedKey { lock: Lock::Age(armored.into()), recipient }
    }

    #[cfg(feature = "ssh")]
    pub(crate) fn of_ssh(key: age::ssh::EncryptedKey, recipient: Recipient) -> LockedKey {
        LockedKey { lock: Lock::Ssh(Arc::new(key)), recipient }
    }

    /// The recipient, which the file contains in the clear. See the example of [`LockedKey`].
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    /// "SSH key" or "identity", for a prompt. See the example of [`LockedKey`].
    pub fn what(&self) -> &'static str {
        match self.lock {
            Lock::Age(_) => "identity",
            #[cfg(feature = "ssh")]
            Lock::Ssh(_) => "SSH key",
        }
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedKey({})", self.recipient)
    }
}

/// Decrypts the key onto a guarded page. Returns `None` if the passphrase is wrong.
pub(super) fn decrypt(armored: &str, passphrase: SecretString) -> Result<Option<SecretBuf>> {
    let broken = || Error::malformed("an encrypted identity that is truncated or corrupted");
    let decryptor =
        Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).map_err(|_| broken())?;
    if !decryptor.is_scrypt() {
        return Err(Error::malformed(
            "an identity that is encrypted to a recipient instead of with a passphrase",
        ));
    }
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK);
    let mut plain = match decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)) {
        Ok(plain) => plain,
        Err(DecryptError::ExcessiveWork { .. }) => {
            return Err(Error::malformed(
                "an encrypted identity that needs more than 1 GiB of memory to open",
            ));
        }
        Err(
            DecryptError::DecryptionFailed
            | DecryptError::KeyDecryptionFailed
            | DecryptError::NoMatchingKeys,
        ) => {
            return Ok(None);
        }
        Err(_) => return Err(broken()),
    };
    let mut page = SecretBuf::with_capacity(MAX_IDENTITY + 1)?;
    match page.read_to_end(&mut plain, MAX_IDENTITY) {
        Ok(true) => Ok(Some(page)),
        _ => Err(broken()),
    }
}

/// The passphrase without the newline at the end of a file, as if it were typed at a terminal.
pub(super) fn as_typed(passphrase: &Secret) -> Option<SecretString> {
    let typed = |text: &str| SecretString::from(text.strip_suffix('\n').unwrap_or(text).to_owned());
    passphrase.expose_str(typed).ok()
}
