//! The text of an identity file, unencrypted or passphrase-protected, in the format of age's own
//! tools.

use crate::access::identity::{Identity, SECRET_PREFIX};
use crate::access::locked::as_typed;
use crate::error::{Error, Kind, Result};
use crate::keys::pin::Pin;
use age::armor::{ArmoredWriter, Format};
use age::{Encryptor, scrypt};
use bech32::Bech32;
use bootseal_memory::{Secret, SecretBuf};
use std::io::Write;

/// The base-2 logarithm of scrypt's cost. This cost needs 256 MiB, as `age -p` does.
const WORK: u8 = 18;

impl Identity {
    /// The text of an identity file in the form that `age-keygen` writes, with each of `pins` in a
    /// comment line.
    ///
    /// # Errors
    /// [`Kind::Io`] if the system has no guarded memory; [`Kind::Usage`] for an SSH key or a plugin
    /// identity, which have their own file formats.
    ///
    /// ```
    /// use bootseal_core::{Identity, IdentityFile};
    /// let identity = Identity::generate()?;
    /// let text = identity.to_file_text(&[])?;
    /// let again = text.expose(|mut bytes| IdentityFile::from_reader(&mut bytes))?;
    /// assert_eq!(again.identities[0].recipient(), identity.recipient());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn to_file_text(&self, pins: &[Pin]) -> Result<Secret> {
        let Some((key, recipient)) = self.age_key() else {
            return Err(Error::new(Kind::Usage, "only an age identity can be written to a file"));
        };
        let mut text = SecretBuf::with_capacity(512)?;
        for pin in pins {
            text.push(format!("# vault: {pin}\n").as_bytes())?;
        }
        text.push(format!("# public key: {}\n", recipient).as_bytes())?;
        // Encodes Bech32 character by character, directly onto the page.
        let mut line = SecretBuf::with_capacity(96)?;
        key.expose(|key| {
            use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
            let characters =
                key.iter().copied().bytes_to_fes().with_checksum::<Bech32>(&SECRET_PREFIX).chars();
            characters
                .into_iter()
                .try_for_each(|character| line.push(&[character.to_ascii_uppercase() as u8]))
        })?;
        line.push(b"\n")?;
        line.expose(|line| text.push(line))?;
        Ok(text.freeze())
    }

    /// The text of a passphrase-protected identity file: the recipient in the clear, then an
    /// armored age file that `age -d` decrypts.
    ///
    /// # Errors
    /// [`Kind::Usage`] for anything but an age identity, and for an empty passphrase.
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
        let passphrase =
            as_typed(passphrase).ok_or_else(|| refused("the passphrase is not UTF-8"))?;
        if secrecy::ExposeSecret::expose_secret(&passphrase).is_empty() {
            return Err(refused("the passphrase is empty"));
        }
        let mut recipient = scrypt::Recipient::new(passphrase);
        recipient.set_work_factor(WORK);
        let failed = |what: String| {
            Error::new(Kind::Io, format!("the identity cannot be encrypted: {what}"))
        };
        let encryptor =
            Encryptor::with_recipients(std::iter::once(&recipient as &dyn age::Recipient))
                .map_err(|error| failed(error.to_string()))?;
        let plain = self.to_file_text(&[])?;
        let write = || -> std::io::Result<Vec<u8>> {
            let mut writer = encryptor
                .wrap_output(ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?)?;
            plain.expose(|bytes| writer.write_all(bytes))?;
            writer.finish()?.finish()
        };
        let armored = write().map_err(|error| failed(error.to_string()))?;
        let armored = String::from_utf8(armored).map_err(|error| failed(error.to_string()))?;
        Ok(format!("# public key: {self}\n{armored}"))
    }
}
