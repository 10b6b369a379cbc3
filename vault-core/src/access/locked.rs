//! What of a key that a passphrase locks? Whose it is stands beside it in clear, so nobody is asked for a passphrase that is not wanted.

use crate::access::identity::{Identity, IdentityFile};
use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::SecretString;
use age::{DecryptError, Decryptor, Encryptor, scrypt};
use bootseal_memory::{Secret, SecretBuf};
use std::fmt;
use std::io::Write;
use std::sync::Arc;

pub(crate) const BEGIN: &str = "-----BEGIN AGE ENCRYPTED FILE-----";
pub(crate) const END: &str = "-----END AGE ENCRYPTED FILE-----";
/// 256 MiB, as `age -p` has it; a quick machine's `rage -p` takes up to four times that.
const WORK: u8 = 18;
const MAX_WORK: u8 = 20;
const MAX_IDENTITY: usize = 4096;

/// A key that a passphrase locks: an age identity, or an SSH key. Whether it is wanted at all is known before the passphrase is.
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
    lock: Lock,
    recipient: Recipient,
}

#[derive(Clone)]
enum Lock {
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

    /// The public side, which stands in the file in clear. See the example of [`LockedKey`].
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

    /// The identity, unlocked. See the example of [`LockedKey`].
    ///
    /// # Errors
    /// [`Kind::WrongPassphrase`]; [`Kind::Malformed`] where what is locked is no identity, or another one than is written beside it.
    pub fn unlock(&self, passphrase: &Secret) -> Result<Identity> {
        let wrong = || Error::new(Kind::WrongPassphrase, format!("not the passphrase of {}", self.recipient));
        let passphrase = as_typed(passphrase).ok_or_else(wrong)?;
        match &self.lock {
            Lock::Age(armored) => {
                let page = decrypt(armored, passphrase)?.ok_or_else(wrong)?;
                let mut inside = IdentityFile::parse(&page)?;
                match (inside.identities.pop(), inside.identities.is_empty() && inside.locked.is_empty()) {
                    (Some(identity), true) if identity.recipient().as_ref() == Some(&self.recipient) => Ok(identity),
                    _ => Err(Error::malformed(format!(
                        "what the passphrase opens is not the identity of {}, as the line above it says",
                        self.recipient
                    ))),
                }
            }
            #[cfg(feature = "ssh")]
            Lock::Ssh(key) => crate::access::ssh::unlock(key, passphrase, &self.recipient).ok_or_else(wrong),
        }
    }
}

impl fmt::Debug for LockedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LockedKey({})", self.recipient)
    }
}

/// As age and ssh-keygen take it from a terminal: without the one newline that ends it in a file.
fn as_typed(passphrase: &Secret) -> Option<SecretString> {
    let typed = |text: &str| SecretString::from(text.strip_suffix('\n').unwrap_or(text).to_owned());
    passphrase.expose_str(typed).ok()
}

/// What is locked, onto a guarded page; `None` where the passphrase is another.
fn decrypt(armored: &str, passphrase: SecretString) -> Result<Option<SecretBuf>> {
    let broken = || Error::malformed("an encrypted identity that is cut or was changed");
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(armored.as_bytes())).map_err(|_| broken())?;
    if !decryptor.is_scrypt() {
        return Err(Error::malformed("an identity that is encrypted to a recipient, and not by a passphrase"));
    }
    let mut identity = scrypt::Identity::new(passphrase);
    identity.set_max_work_factor(MAX_WORK);
    let mut plain = match decryptor.decrypt(std::iter::once(&identity as &dyn age::Identity)) {
        Ok(plain) => plain,
        Err(DecryptError::ExcessiveWork { .. }) => {
            return Err(Error::malformed("an encrypted identity that takes more than 1 GiB of memory to open"));
        }
        Err(DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed | DecryptError::NoMatchingKeys) => {
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

impl Identity {
    /// The text of an identity file that `passphrase` locks: the recipient in clear, then what `age -d` and a passphrase open.
    ///
    /// # Errors
    /// [`Kind::Usage`] for what is no age identity, and for an empty passphrase.
    ///
    /// ```no_run
    /// # use bootseal_core::{Identity, IdentityFile, Secret};
    /// let (identity, passphrase) = (Identity::generate()?, Secret::copy_of(b"correct horse battery staple")?);
    /// let text = identity.to_locked_text(&passphrase)?;
    /// let file = IdentityFile::from_reader(&mut text.as_bytes())?;
    /// assert_eq!(file.locked[0].unlock(&passphrase)?.recipient(), identity.recipient());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn to_locked_text(&self, passphrase: &Secret) -> Result<String> {
        let refused = |what: &str| Error::new(Kind::Usage, what.to_owned());
        let passphrase = as_typed(passphrase).ok_or_else(|| refused("the passphrase is not UTF-8"))?;
        if age::secrecy::ExposeSecret::expose_secret(&passphrase).is_empty() {
            return Err(refused("the passphrase is empty"));
        }
        let mut recipient = scrypt::Recipient::new(passphrase);
        recipient.set_work_factor(WORK);
        let failed = |what: String| Error::new(Kind::Io, format!("the identity cannot be encrypted: {what}"));
        let encryptor = Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
            .map_err(|error| failed(error.to_string()))?;
        let plain = self.to_file_text(&[])?;
        let write = || -> std::io::Result<Vec<u8>> {
            let mut writer = encryptor.wrap_output(ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?)?;
            plain.expose(|bytes| writer.write_all(bytes))?;
            writer.finish()?.finish()
        };
        let armored = write().map_err(|error| failed(error.to_string()))?;
        let armored = String::from_utf8(armored).map_err(|error| failed(error.to_string()))?;
        Ok(format!("# public key: {self}\n{armored}"))
    }
}
