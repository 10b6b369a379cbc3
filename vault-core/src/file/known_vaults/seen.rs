//! What was read in trusted files, but not confirmed: handovers and epochs. It is checked before a
//! value is sealed into a file or passed on, but not if the file is only read.

use crate::error::{Error, Kind, Result};
use crate::file::known_vaults::handovers::older_than_elsewhere;
use crate::file::known_vaults::{KnownFile, KnownVaults, Seen};
use crate::file::verified::VerifiedFile;
use crate::file::version::SignedVersion;
use crate::keys::vault_id::VaultId;
use std::path::Path;

impl KnownVaults {
    /// Records that `file` was read: the epoch of its id, and its handovers. This makes no vault
    /// known. A file with an older epoch, or without these handovers, can still be read, but
    /// nothing is sealed into it. Call this function only for a trusted file.
    ///
    /// # Errors
    /// [`Kind::Io`] if the store cannot be locked or written; the errors of [`KnownVaults::load`].
    ///
    /// ```
    /// # let ((_folder, store), (alice, [old, file])) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::file_twice(""));
    /// use bootseal_core::{Kind, KnownFile, KnownVaults};
    /// let mut vault = file.open_for_writing(&[alice])?;
    /// vault.rotate(true)?; // a new vault id
    /// KnownVaults::record_reading(&store, &vault.sign_above(0)?.1)?;
    ///
    /// let place = KnownFile::named("app.sealed.toml");
    /// let error = KnownVaults::load(&store)?.refuse_older_epoch(&old, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn record_reading(store: &Path, file: &VerifiedFile) -> Result<()> {
        let (id, former) = (file.vault_id(), file.former_ids());
        KnownVaults::update(store, |known| {
            let learned = known.learn_epoch(&id, file.epoch());
            known.learn_handovers(&former, &id) || learned
        })
    }

    /// Records the handovers of a version in git that contradicts a trusted file, as
    /// [`KnownVaults::record_reading`] records those of the file. From then on, nothing is sealed
    /// into either of them.
    ///
    /// # Errors
    /// As for [`KnownVaults::record_reading`].
    pub fn record_contradiction(store: &Path, version: &SignedVersion) -> Result<()> {
        let id = version.vault_id();
        KnownVaults::update(store, |known| known.learn_handovers(version.former_ids(), &id))
    }

    /// Whether a file contains a handover that was neither confirmed nor read on this machine.
    pub fn is_new_handover(&self, file: &VerifiedFile) -> bool {
        let (former, id) = (file.former_ids(), file.vault_id());
        handovers(&former, &id).any(|(from, to)| {
            let read = self.seen.get(from).is_some_and(|seen| seen.successors.contains(to));
            !read && !self.is_former(from)
        })
    }

    fn learn_epoch(&mut self, id: &VaultId, epoch: u64) -> bool {
        // Epoch 1 is not recorded, because no version of the id can have an older one.
        let is_new = epoch > self.epoch_of(id).max(1);
        if is_new {
            self.seen.entry(*id).or_default().epoch = epoch;
        }
        is_new
    }

    fn learn_handovers(&mut self, former: &[VaultId], id: &VaultId) -> bool {
        let mut learned = false;
        for (from, to) in handovers(former, id) {
            if self.is_former(from) {
                continue;
            }
            let successors = &mut self.seen.entry(*from).or_default().successors;
            if successors.len() < 2 && !successors.contains(to) {
                successors.push(*to);
                learned = true;
            }
        }
        learned
    }

    /// Removes the handovers and epochs that confirmed records contain too.
    pub(super) fn drop_confirmed(&mut self) {
        let mut seen = std::mem::take(&mut self.seen);
        seen.retain(|id, one| {
            if self.is_former(id) {
                one.successors.clear();
            }
            if one.epoch <= self.epoch_of(id) {
                one.epoch = 0;
            }
            one.epoch > 0 || !one.successors.is_empty()
        });
        self.seen = seen;
    }

    /// Whether a confirmed record, of a file at any path, states that the id was handed over.
    pub fn is_former(&self, id: &VaultId) -> bool {
        self.known.values().any(|known| known.former.contains(id))
    }

    /// Refuses a file whose id was handed over in a version that was only read on this machine, and
    /// a file that contradicts a handover in such a version. Only a pin of the file's own id
    /// decides between two handovers.
    pub(super) fn refuse_before_reading(
        &self,
        file: &VerifiedFile,
        place: &KnownFile,
    ) -> Result<()> {
        let (id, former) = (file.vault_id(), file.former_ids());
        let seen = |id: &VaultId| self.seen.get(id).filter(|_| !self.is_former(id));
        if let Some(next) = seen(&id).and_then(|seen| seen.successors.first()) {
            let what = format!(
                "this file is signed by {id}, but another version, read on this machine or found in git, hands that id over to {next}: if that handover is right, a former writer may have signed this file, and members removed since could read what is sealed into it"
            );
            return Err(Error::new(Kind::OldGeneration, what).in_file(&place.shown).with_help(format!(
                "If that handover is right, merge it into this file first: git merge BRANCH, or git pull. If not, forget it: bootseal vaults forget {next}. The old values can still be read."
            )));
        }
        if file.is_pinned_itself() {
            return Ok(());
        }
        let other = handovers(&former, &id).find_map(|(from, to)| {
            let other = seen(from)?.successors.iter().find(|other| *other != to)?;
            Some((from, to, other))
        });
        let Some((from, to, other)) = other else { return Ok(()) };
        let what = format!(
            "this file hands {from} over to {to}, but another version, read on this machine or found in git, hands it over to {other}: a former writer may have made one of the two"
        );
        Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
            "Ask the person who removed the last writer. If {id} is the right vault, confirm it: --pin {id}"
        )))
    }

    /// Refuses a file with an older data key than one that was only read on this machine.
    pub(super) fn refuse_older_than_read(
        &self,
        file: &VerifiedFile,
        place: &KnownFile,
    ) -> Result<()> {
        let seen = self.seen.get(&file.vault_id()).filter(|seen| seen.epoch > file.epoch());
        let Some(Seen { epoch, .. }) = seen else { return Ok(()) };
        let what = format!(
            "this file has the data key of epoch {}, but epoch {epoch} was read on this machine: members removed since could read what is sealed into this file",
            file.epoch()
        );
        Err(older_than_elsewhere(what, place))
    }
}

/// The handovers of a chain that ends in `id`, oldest first.
fn handovers<'a>(
    former: &'a [VaultId],
    id: &'a VaultId,
) -> impl Iterator<Item = (&'a VaultId, &'a VaultId)> {
    former.iter().zip(former.iter().skip(1).chain([id]))
}
