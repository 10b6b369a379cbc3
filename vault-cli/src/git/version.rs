//! One signed version of a file: the facts that order it, and the place of its text.

use crate::git::repository::Repository;
use crate::ui::failure::Result;
use bootseal_core::{SealedFile, SignedVersion, VaultId};
use std::collections::HashSet;

/// A version whose signature is valid. Its text is read again when it is needed: thousands of
/// versions would not fit into memory.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) signed: SignedVersion,
    place: Place,
}

#[derive(Clone)]
enum Place {
    Blob(Repository, String),
    Text(Vec<u8>),
}

impl Version {
    pub(super) fn blob(signed: SignedVersion, repository: &Repository, id: String) -> Version {
        Version { signed, place: Place::Blob(repository.clone(), id) }
    }

    /// A version that is not in git, or only staged. `None` if its signature is not valid.
    pub(crate) fn of_text(text: Vec<u8>) -> Option<Version> {
        let signed = SealedFile::parse(text.clone()).and_then(SealedFile::verify_version).ok()?;
        Some(Version { signed, place: Place::Text(text) })
    }

    /// The id of its blob, if it is in git.
    pub(crate) fn blob_id(&self) -> Option<&str> {
        match &self.place {
            Place::Blob(_, id) => Some(id),
            Place::Text(_) => None,
        }
    }

    /// Reads the text of the version.
    ///
    /// # Errors
    /// If git cannot be run, or no longer has the version.
    pub(crate) fn text(&self) -> Result<Vec<u8>> {
        match &self.place {
            Place::Text(text) => Ok(text.clone()),
            Place::Blob(repository, id) => repository.ask(&["cat-file", "blob", id]),
        }
    }
}

/// The former ids of these versions.
pub(crate) fn handed_over(found: &[Version]) -> HashSet<VaultId> {
    found.iter().flat_map(|version| version.signed.former_ids()).copied().collect()
}
