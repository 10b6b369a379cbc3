//! Records a confirmed file in the known vaults.

use crate::error::Result;
use crate::file::known_vaults::{Known, KnownFile, KnownVaults};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use std::collections::BTreeMap;
use std::path::Path;

impl KnownVaults {
    /// Records `file`, which has been confirmed. Returns the id that was known before, if it
    /// differs.
    ///
    /// As long as the vault is the same or was handed over, the generation only grows. For another
    /// vault, it starts again. The highest epoch of each id is kept in any case. An id that was
    /// handed over is not recorded as the file's id again.
    ///
    /// # Errors
    /// [`Kind::Io`](crate::Kind::Io) if the store cannot be locked or written; the errors of [`KnownVaults::load`].
    ///
    /// ```
    /// # let ((_folder, store), [first, other]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{KnownFile, KnownVaults};
    /// let place = KnownFile::named("app.sealed.toml");
    /// assert_eq!(KnownVaults::remember(&store, &place, &first)?, None);
    /// assert_eq!(KnownVaults::remember(&store, &place, &other)?, Some(first.vault_id()));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn remember(
        store: &Path,
        place: &KnownFile,
        file: &VerifiedFile,
    ) -> Result<Option<VaultId>> {
        let mut before = None;
        KnownVaults::update(store, |memory| {
            let learned = memory.learned(place, file);
            if learned.is_empty() {
                return false;
            }
            before = memory.vault_of(place);
            memory.known.extend(learned);
            memory.drop_confirmed();
            true
        })?;
        Ok(before.filter(|before| *before != file.vault_id()))
    }

    /// The entries that `file` adds or changes.
    fn learned(&self, place: &KnownFile, file: &VerifiedFile) -> Vec<(String, Known)> {
        let former = file.former_ids();
        let entries = place.keys.iter().map(|key| {
            let mut new = Known {
                vault: file.vault_id(),
                generation: file.generation(),
                text: Some(file.digest()),
                epochs: BTreeMap::from([(file.vault_id(), file.epoch())]),
                former: former.clone(),
            };
            let old = self.known.get(key);
            // If another process recorded a handover from this id in the meantime, the entry of
            // that process is kept.
            if old.is_some_and(|old| old.former.contains(&file.vault_id())) {
                return None;
            }
            if let Some(old) =
                old.filter(|old| old.vault == file.vault_id() || file.header.continues(&old.vault))
                && old.seen_by(file) >= new.generation
            {
                new.text = old.text.or(new.text.filter(|_| old.seen_by(file) == new.generation));
                new.generation = old.seen_by(file);
            }
            // Facts about ids are kept, whichever vault the file belongs to now. A handover stays
            // recorded even after the file's own chain, whose length is limited, has lost it.
            if let Some(old) = old {
                for (id, epoch) in &old.epochs {
                    let highest = new.epochs.entry(*id).or_default();
                    *highest = (*highest).max(*epoch);
                }
                new.former.extend(old.former.iter().filter(|id| !former.contains(id)));
                new.former.sort();
            }
            (old != Some(&new)).then(|| (key.clone(), new))
        });
        entries.flatten().collect()
    }
}
