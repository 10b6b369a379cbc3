//! Forgets an id at every path, so that an older file of the vault can be confirmed again.

use crate::error::Result;
use crate::file::known_vaults::KnownVaults;
use crate::keys::vault_id::VaultId;
use std::path::Path;

impl KnownVaults {
    /// Forgets everything about `id`: the records of the files that belong to it and, in all other
    /// records, its epochs and handovers. If a file that belongs to it has former ids, the store
    /// still knows that these were handed over. Returns the number of records that changed.
    ///
    /// Afterwards, a file with this id must be confirmed or pinned again. A version of it from before
    /// the removal of a member is then no longer refused.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) if the store cannot be locked or written; the errors of
    /// [`KnownVaults::load`].
    ///
    /// ```
    /// # let ((_folder, store), [file, _]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{KnownFile, KnownVaults};
    /// KnownVaults::remember(&store, &KnownFile::named("app.sealed.toml"), &file)?;
    /// assert_eq!(KnownVaults::forget(&store, &file.vault_id())?, 1);
    /// assert_eq!(KnownVaults::load(&store)?.files().count(), 0);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn forget(store: &Path, id: &VaultId) -> Result<usize> {
        let mut changed = 0;
        KnownVaults::update(store, |known| {
            changed = known.drop_id(id);
            changed > 0
        })?;
        Ok(changed)
    }

    /// Removes this id from all records; returns the number of those that changed.
    fn drop_id(&mut self, id: &VaultId) -> usize {
        let mut changed = usize::from(self.seen.remove(id).is_some());
        self.seen.retain(|_, seen| {
            let before = seen.successors.len();
            seen.successors.retain(|other| other != id);
            changed += usize::from(seen.successors.len() < before);
            seen.epoch > 0 || !seen.successors.is_empty()
        });
        self.known.retain(|_, known| {
            let (present, former) = (known.vault == *id, known.former.len());
            known.former.retain(|other| other != id);
            let had_epoch = known.epochs.remove(id).is_some();
            changed += usize::from(present || had_epoch || known.former.len() < former);
            if !present {
                return true;
            }
            // The record of the former ids is kept, because their former writers can still sign.
            let Some(left) = known.former.last() else { return false };
            (known.vault, known.generation, known.text) = (*left, 0, None);
            true
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::known_vaults::{Known, KnownFile};
    use crate::keys::signing::{SigningSeed, id_of};
    use std::collections::BTreeMap;

    #[test]
    fn an_id_is_forgotten_in_every_record_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("known_vaults");
        let id = || id_of(&SigningSeed::generate().unwrap());
        let (one, two, three) = (id(), id(), id());
        let known = |vault, former: &[VaultId]| Known {
            vault,
            generation: 7,
            text: Some([9; 32]),
            epochs: former.iter().chain([&vault]).map(|id| (*id, 4)).collect(),
            former: former.to_vec(),
        };
        let all = BTreeMap::from([
            ("/a".to_owned(), known(one, &[])),
            ("/b".to_owned(), known(two, &[one, three])),
            ("/c".to_owned(), known(three, &[])),
        ]);
        let memory = KnownVaults { known: all.clone(), seen: BTreeMap::new() };
        std::fs::write(&store, memory.to_text()).unwrap();
        assert_eq!(KnownVaults::forget(&store, &one).unwrap(), 2);
        let left = KnownVaults::load(&store).unwrap().known;
        assert_eq!(left.keys().collect::<Vec<_>>(), ["/b", "/c"]);
        assert_eq!((&left["/b"], &left["/c"]), (&known(two, &[three]), &all["/c"]));
        assert_eq!(KnownVaults::forget(&store, &one).unwrap(), 0);
        // The former ids of a forgotten file stay former, until they are forgotten themselves.
        assert_eq!(KnownVaults::forget(&store, &two).unwrap(), 1);
        let left = KnownVaults::load(&store).unwrap();
        assert_eq!(left.vault_of(&KnownFile::named("/b")), None);
        let b = &left.known["/b"];
        assert_eq!((b.generation, b.text, &b.former[..]), (0, None, &[three][..]));
        assert_eq!(KnownVaults::forget(&store, &two).unwrap(), 0);
        assert_eq!(KnownVaults::forget(&store, &three).unwrap(), 2);
        assert_eq!(KnownVaults::load(&store).unwrap().files().count(), 0);
        assert_eq!(KnownVaults::forget(&folder.path().join("none"), &one).unwrap(), 0);
    }
}
