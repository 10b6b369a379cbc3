//! The opened vault. `Vault<CanRead>` opens values, and `Vault<CanWrite>` also changes values and
//! signs the file.

pub(crate) mod open;
pub(crate) mod open_by_passphrase;

pub(crate) mod members;
pub(crate) mod rekey;
pub(crate) mod removed;
pub(crate) mod replace_table;
pub(crate) mod sign;
pub(crate) mod unusable;
pub(crate) mod write;

pub(crate) mod value;

use crate::error::{Error, Kind, Result};
use crate::file::verified::VerifiedFile;
use crate::keys::derive::{CredentialKey, DataKey, ValueKey};
use crate::keys::signing::SigningSeed;
use crate::shown::shell_word;
use crate::text::document::Property;
use crate::text::path::PropertyPath;
use crate::vault::value::OpenedValue;

/// The right to open values.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::file("");
/// use bootseal_core::{CanRead, Vault};
/// let vault: Vault<CanRead> = file.open(&[alice])?;
/// assert!(vault.open_all()?.is_empty());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct CanRead {
    credential: CredentialKey,
}

/// The right to seal values and to sign the file.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::file("");
/// use bootseal_core::{CanWrite, Vault};
/// let mut vault: Vault<CanWrite> = file.open_for_writing(&[alice])?;
/// vault.set_readable(&"timeout".parse()?, &"10s".into())?;
/// let next_generation = vault.sign()?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct CanWrite {
    pub(crate) seed: SigningSeed,
    pub(crate) data_key: DataKey,
}

/// An opened vault. `Vault<CanRead>` opens values, and `Vault<CanWrite>` also changes them.
///
/// ```
/// # let (alice, file) = bootseal_fixtures::file("[acme]\nuser = \"bob\"\n");
/// use bootseal_core::{SealedFile, Secret, ValueKind};
/// let mut vault = file.open_for_writing(&[alice.clone()])?;
/// let path = "acme.password".parse()?;
/// vault.set(&path, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
///
/// let vault = SealedFile::parse(vault.sign()?.into_bytes())?.verify(&[])?.open(&[alice])?;
/// assert_eq!(vault.open(&path)?.secret.len(), 7);
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct Vault<Mode> {
    pub(crate) file: VerifiedFile,
    pub(crate) key: ValueKey,
    pub(crate) mode: Mode,
}

impl<Mode> std::fmt::Debug for Vault<Mode> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({:?})", self.file)
    }
}

impl Vault<CanRead> {
    /// The key that compares the credentials of two logins. See the example of [`CredentialKey`].
    pub fn credential_key(&self) -> &CredentialKey {
        &self.mode.credential
    }

    pub(crate) fn for_reader(file: VerifiedFile, key: DataKey) -> Result<Vault<CanRead>> {
        // Dropping the data key here wipes it. Opening values needs only the value key.
        let mode = CanRead { credential: key.credential_key(&file.vault_id())? };
        Ok(Vault { key: key.value_key(&file.vault_id())?, file, mode })
    }
}

impl Vault<CanWrite> {
    pub(crate) fn for_writer(
        file: VerifiedFile,
        seed: SigningSeed,
        data_key: DataKey,
    ) -> Result<Vault<CanWrite>> {
        Ok(Vault {
            key: data_key.value_key(&file.vault_id())?,
            file,
            mode: CanWrite { seed, data_key },
        })
    }
}

impl<Mode> Vault<Mode> {
    /// The verified file.
    pub fn file(&self) -> &VerifiedFile {
        &self.file
    }

    /// Returns the verified file alone, and wipes the keys.
    pub fn into_file(self) -> VerifiedFile {
        self.file
    }

    /// Opens one value, in place on a guarded page.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such property, with similar names; [`Kind::Conflict`] if
    /// it is readable, so that a readable value is never taken for a secret; [`Kind::MovedValue`]
    /// and [`Kind::Malformed`] if it does not open.
    ///
    /// ```
    /// # let (alice, file) = bootseal_fixtures::with_password("timeout = \"10s\"\n");
    /// use bootseal_core::Kind;
    /// let vault = file.open(&[alice])?;
    /// let password = vault.open(&"acme.password".parse()?)?.secret;
    /// assert_eq!(password.len(), 7);
    /// assert_eq!(vault.open(&"timeout".parse()?).unwrap_err().kind(), Kind::Conflict); // readable
    /// assert_eq!(vault.open(&"acme.pasword".parse()?).unwrap_err().kind(), Kind::NotFound);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn open(&self, path: &PropertyPath) -> Result<OpenedValue> {
        let opened = match self.file.document.get(path) {
            Some(Property::Sealed(sealed)) => {
                value::open(&self.key, &self.file.vault_id(), path, &sealed)
            }
            Some(Property::Readable(_)) => Err(Error::new(
                Kind::Conflict,
                "this property is readable, not sealed; a secret was requested",
            )
            .at(path)
            .with_help(format!("Seal it: bootseal set {}", shell_word(path)))),
            None => Err(self.file.not_found(path)),
        };
        opened.map_err(|error| self.placed(error))
    }

    /// Opens every sealed value, in the order of the file.
    ///
    /// # Errors
    /// The error of [`Vault::open`] for the first value that does not open.
    pub fn open_all(&self) -> Result<Vec<(PropertyPath, OpenedValue)>> {
        let sealed = self.file.names().filter(|(_, sealed)| *sealed).map(|(path, _)| path);
        sealed.map(|path| self.open(&path).map(|opened| (path, opened))).collect()
    }

    pub(crate) fn placed(&self, error: Error) -> Error {
        error.in_file_if(self.file.path())
    }
}
