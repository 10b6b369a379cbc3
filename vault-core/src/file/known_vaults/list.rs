//! Lists the known vaults: what is remembered of each file.

use crate::file::known_vaults::KnownVaults;
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// What is remembered of one file.
///
/// ```
/// # let ((_folder, store), [file, _]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
/// use bootseal_core::{KnownFile, KnownVaults};
/// KnownVaults::remember(&store, &KnownFile::named("app.sealed.toml"), &file)?;
/// let known = KnownVaults::load(&store)?;
/// let remembered = known.files().next().unwrap();
/// assert_eq!((remembered.key.as_str(), remembered.vault), ("app.sealed.toml", file.vault_id()));
/// assert!(remembered.mentions(&file.vault_id()));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RememberedFile {
    /// The path or name of the file, as recorded.
    pub key: String,
    /// Its vault, as last confirmed; one of its former ids, if this vault was forgotten.
    pub vault: VaultId,
    /// The highest generation seen.
    pub generation: u64,
    /// The highest epoch seen of each id.
    pub epochs: BTreeMap<VaultId, u64>,
    /// Its former ids, which were handed over.
    pub former: Vec<VaultId>,
}

impl RememberedFile {
    /// The path of the file; a path that is not UTF-8 is recorded in hexadecimal.
    pub fn path(&self) -> PathBuf {
        let bytes = self.key.strip_prefix("bytes:").and_then(|digits| {
            let byte = |at| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
            (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
        });
        bytes.and_then(from_bytes).unwrap_or_else(|| PathBuf::from(&self.key))
    }

    /// Whether anything is remembered of this id.
    pub fn mentions(&self, id: &VaultId) -> bool {
        self.vault == *id || self.epochs.contains_key(id) || self.former.contains(id)
    }
}

/// What was read of one id in trusted files, and is not confirmed.
///
/// ```
/// # let ((_folder, store), (alice, [_, file])) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::file_twice(""));
/// use bootseal_core::KnownVaults;
/// let mut vault = file.open_for_writing(&[alice])?;
/// vault.rotate(false)?; // a new epoch
/// let (_, file) = vault.sign_above(0)?;
/// KnownVaults::record_reading(&store, &file)?;
/// let known = KnownVaults::load(&store)?;
/// let read = known.readings().next().unwrap();
/// assert_eq!((read.vault, read.epoch, read.successors.len()), (file.vault_id(), file.epoch(), 0));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadVault {
    /// The id.
    pub vault: VaultId,
    /// Its highest epoch; 0 if none was read.
    pub epoch: u64,
    /// The ids that it was handed over to: at most two.
    pub successors: Vec<VaultId>,
}

impl ReadVault {
    /// Whether anything is remembered of this id.
    pub fn mentions(&self, id: &VaultId) -> bool {
        self.vault == *id || self.successors.contains(id)
    }
}

#[cfg(unix)]
fn from_bytes(bytes: Vec<u8>) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    Some(std::ffi::OsString::from_vec(bytes).into())
}

#[cfg(not(unix))]
fn from_bytes(_: Vec<u8>) -> Option<PathBuf> {
    None
}

impl KnownVaults {
    /// What is remembered, file by file, in the order of their keys.
    pub fn files(&self) -> impl Iterator<Item = RememberedFile> {
        self.known.iter().map(|(key, known)| RememberedFile {
            key: key.clone(),
            vault: known.vault,
            generation: known.generation,
            epochs: known.epochs.clone(),
            former: known.former.clone(),
        })
    }

    /// What was only read, id by id.
    pub fn readings(&self) -> impl Iterator<Item = ReadVault> {
        self.seen.iter().map(|(vault, seen)| ReadVault {
            vault: *vault,
            epoch: seen.epoch,
            successors: seen.successors.clone(),
        })
    }

    /// Whether something newer than `file` is remembered of its id, at any path: a higher epoch, or
    /// a handover to another id. [`KnownVaults::forget`] is the way back to such a file.
    pub fn has_newer_keys(&self, file: &VerifiedFile) -> bool {
        let id = file.vault_id();
        self.epoch_of(&id) > file.epoch()
            || self.is_former(&id)
            || self.seen.get(&id).is_some_and(|seen| !seen.successors.is_empty())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::file::known_vaults::key;
    use crate::keys::signing::{SigningSeed, id_of};
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn every_recorded_path_is_found_again() {
        for path in [&b"/srv/app.toml"[..], b"/srv/\xff\x00.toml", b"/srv/bytes:41"] {
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            let file = RememberedFile {
                key: key(&path),
                vault: id_of(&SigningSeed::generate().unwrap()),
                generation: 1,
                epochs: BTreeMap::new(),
                former: Vec::new(),
            };
            assert_eq!(file.path(), path);
        }
    }
}
