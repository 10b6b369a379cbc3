//! One generation of the file: its values on guarded pages, and its login profiles.

use crate::error::{Error, Result};
#[cfg(feature = "client")]
use bootseal_core::CredentialKey;
use bootseal_core::{CanRead, OpenedValue, Profile, PropertyPath, Vault, VerifiedFile};
use std::collections::HashMap;

pub(crate) struct Snapshot {
    pub(crate) file: VerifiedFile,
    pub(crate) values: HashMap<PropertyPath, OpenedValue>,
    pub(crate) profiles: HashMap<PropertyPath, Profile>,
    #[cfg(feature = "client")]
    pub(crate) credentials: CredentialKey,
}

impl Snapshot {
    /// Opens every value, then wipes the data key. Reads the profiles in `only`, or all profiles if
    /// `only` is empty.
    ///
    /// # Errors
    /// Fails if a value cannot be decrypted, or if a profile cannot work. An invalid profile is
    /// thus reported at startup, not at its first login.
    pub(crate) fn new(vault: Vault<CanRead>, only: &[PropertyPath]) -> Result<Snapshot> {
        let values = vault.open_all()?;
        #[cfg(feature = "client")]
        let credentials = vault.credential_key().clone();
        let file = vault.into_file();
        let profiles: bootseal_core::Result<HashMap<_, _>> = file
            .profiles()
            .into_iter()
            .filter(|table| only.is_empty() || only.contains(table))
            .map(|table| Ok((table.clone(), Profile::read(&file, &table)?)))
            .collect();
        Ok(Snapshot {
            values: values.into_iter().collect(),
            profiles: profiles?,
            file,
            #[cfg(feature = "client")]
            credentials,
        })
    }

    /// The names of the properties that differ.
    pub(crate) fn changes(&self, newer: &Snapshot) -> Vec<String> {
        let same = |path: &PropertyPath| match (self.values.get(path), newer.values.get(path)) {
            (Some(old), Some(new)) => old.kind == new.kind && old.secret.same_as(&new.secret),
            (None, None) => self.file.has_same(path, &newer.file),
            _ => false,
        };
        let old = self.file.names().map(|(path, _)| path);
        let added = newer
            .file
            .names()
            .map(|(path, _)| path)
            .filter(|path| self.file.is_sealed(path).is_none());
        old.chain(added).filter(|path| !same(path)).map(|path| path.to_string()).collect()
    }

    /// Adds the path of the file to the error.
    pub(crate) fn placed(&self, error: impl Into<Error>) -> Error {
        match self.file.path() {
            Some(path) => error.into().in_file(path),
            None => error.into(),
        }
    }
}
