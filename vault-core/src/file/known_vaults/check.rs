//! Checks of a file against the known vaults: another vault, an id that was handed over, and an
//! epoch or generation older than one seen before are refused.

use crate::error::{Error, Kind, Result};
use crate::file::known_vaults::handovers::{older_than_elsewhere, refuse_former};
use crate::file::known_vaults::{Known, KnownFile, KnownVaults};
use crate::file::sealed::SignedFile;
use crate::file::verified::{Trust, VerifiedFile};
use crate::file::version::SignedVersion;
use crate::keys::vault_id::VaultId;
use crate::shown::Shown;

impl KnownVaults {
    /// Checks a file without a pin against the known vaults, and marks it [`Trust::Remembered`] if
    /// it is known. If a pin names a former id of the file, only the handovers are checked. If a
    /// pin names the file's own id, nothing is checked.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if another id is known and none of its handovers leads to this one, if
    /// this id was handed over, or if a former id of the file was handed over to another id in a
    /// file at any path.
    ///
    /// ```
    /// # let ((_folder, store), [file, mut foreign]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{Kind, KnownFile, KnownVaults};
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &file)?;
    ///
    /// let error = KnownVaults::load(&store)?.recognise(&mut foreign, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn recognise(&self, file: &mut VerifiedFile, place: &KnownFile) -> Result<()> {
        if file.trust() == Trust::Pinned {
            // A pin of an old id accepts any chain that starts from it.
            return self.refuse_second_handover(file, place);
        }
        for known in self.all(place) {
            refuse_former(known, file, place)?;
            if known.vault != file.vault_id() && !file.header.continues(&known.vault) {
                return Err(different(&file.vault_id(), known, place));
            }
        }
        self.refuse_second_handover(file, place)?;
        if self.asked(place).is_some() {
            file.trusted_by(Trust::Remembered);
        }
        Ok(())
    }

    /// Whether a version without a pin may be a version of the file at `place`. Three conditions
    /// apply. A vault that is known at `place` must be the vault of the version, or must have been
    /// handed over to it. The id of the version must not have been handed over at `place`. No
    /// former id of the version may have been handed over to another id in a file at any path.
    /// [`KnownVaults::recognise`] gives the reason for a refusal.
    ///
    /// ```
    /// # let ((_folder, store), [file, foreign]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{KnownFile, KnownVaults, SealedFile};
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &file)?;
    /// let foreign = SealedFile::parse(foreign.text().into_bytes())?.verify_version()?;
    /// assert!(!KnownVaults::load(&store)?.accepts(&foreign, &place));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn accepts(&self, version: &SignedVersion, place: &KnownFile) -> bool {
        let id = version.vault_id();
        let here = self.all(place).all(|known| {
            !known.former.contains(&id)
                && (known.vault == id || version.former_ids().contains(&known.vault))
        });
        here && self.second_handover(&id, version.former_ids()).is_none()
    }

    /// Refuses another vault than the known one before the file is parsed, as a pin does. Without
    /// this, anyone could make a file that takes much memory and time before it is refused. Only
    /// the table `[bootseal]` is read, to follow the handovers.
    ///
    /// # Errors
    /// [`Kind::WrongVault`], as [`KnownVaults::recognise`].
    ///
    /// ```
    /// # let ((_folder, store), [file, foreign]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{Kind, KnownFile, KnownVaults, SealedFile};
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &file)?;
    ///
    /// let signed = SealedFile::parse(foreign.text().into_bytes())?.verify_signature()?;
    /// let error = KnownVaults::load(&store)?.refuse_other_vault(&signed, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_other_vault(&self, file: &SignedFile, place: &KnownFile) -> Result<()> {
        let id = file.vault_id();
        // A file whose id was handed over is refused later, with an error of its own.
        let other = |known: &&Known| {
            known.vault != id && !known.former.contains(&id) && !file.continues(&known.vault)
        };
        match self.all(place).find(other) {
            Some(known) => Err(different(&id, known, place)),
            None => Ok(()),
        }
    }

    /// Refuses a file from before the removal of a member if the removal was seen in a file at
    /// another path: in another worktree or clone, or under another name. Files with the same vault
    /// id belong together.
    fn refuse_removed_elsewhere(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        for (path, known) in self.elsewhere(place) {
            if let Some(epoch) =
                known.epochs.get(&file.vault_id()).filter(|epoch| **epoch > file.epoch())
            {
                let what = format!(
                    "this file has the data key of epoch {}, but epoch {epoch} was seen at {}: members removed since could read what is sealed into this file",
                    file.epoch(),
                    Shown(path)
                );
                return Err(older_than_elsewhere(what, place));
            }
        }
        self.refuse_older_than_read(file, place)
    }

    pub(super) fn elsewhere<'a>(
        &'a self,
        place: &'a KnownFile,
    ) -> impl Iterator<Item = (&'a String, &'a Known)> {
        self.known.iter().filter(|(path, _)| !place.keys.contains(path))
    }

    /// Refuses a file, pinned or not, whose epoch is older than one seen of the same vault, at this
    /// path or at any other: members removed since then could read the values sealed into it.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over at this path, or if the file hands a
    /// former id over to another id than the one seen; [`Kind::OldGeneration`] for an epoch lower
    /// than known, or for an id that was handed over at another path.
    ///
    /// ```
    /// # let ((_folder, store), (alice, [old, file])) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::file_twice(""));
    /// use bootseal_core::{Kind, KnownFile, KnownVaults};
    /// let mut vault = file.open_for_writing(&[alice])?;
    /// vault.rotate(false)?; // a new epoch
    /// let (_, new) = vault.sign_above(0)?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &new)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_epoch(&old, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_epoch(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        self.refuse_handed_over(file, place)?;
        for known in self.all(place) {
            let seen = known.epochs.get(&file.vault_id());
            let Some(epoch) = seen.filter(|epoch| **epoch > file.epoch()) else { continue };
            let what = format!(
                "this file has the data key of epoch {}, and epoch {epoch} was seen here: members removed since could read what is sealed into it",
                file.epoch()
            );
            return Err(Error::new(Kind::OldGeneration, what).in_file(&place.shown).with_help(
                "Restore the newest file: git pull, or git checkout of the newest commit.",
            ));
        }
        self.refuse_removed_elsewhere(file, place)
    }

    /// Refuses a file that is older than one seen here, that differs from one seen with the same
    /// generation, or that is from before a removal seen in a file of the same vault elsewhere.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over; [`Kind::OldGeneration`] for a lower
    /// generation, for the same generation with a different text, and for an epoch lower than one
    /// known at another place. Generations of other places do not count.
    ///
    /// ```
    /// # let ((_folder, store), (alice, [old, file])) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::file_twice(""));
    /// use bootseal_core::{Kind, KnownFile, KnownVaults};
    /// let (_, new) = file.open_for_writing(&[alice])?.sign_above(0)?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &new)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_generation(&old, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_generation(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        self.refuse_handed_over(file, place)?;
        for known in self.all(place) {
            let (generation, seen) = (file.generation(), known.seen_by(file));
            // If this is false, a pin now names another vault, of which nothing is known.
            let same_line = known.vault == file.vault_id() || file.header.continues(&known.vault);
            let what = match generation.cmp(&seen) {
                _ if !same_line => continue,
                std::cmp::Ordering::Less => {
                    format!(
                        "this is generation {generation} of the file, and generation {seen} was seen here"
                    )
                }
                std::cmp::Ordering::Equal
                    if known.text.is_some_and(|text| text != file.digest()) =>
                {
                    format!(
                        "this is generation {generation} of the file, and another text was seen here as generation {seen}"
                    )
                }
                _ => continue,
            };
            return Err(Error::new(Kind::OldGeneration, what).in_file(&place.shown).with_help(
                "The file is an older copy. Deploy the newest one; to go back on purpose, a writer signs the old content again: bootseal sign",
            ));
        }
        self.refuse_removed_elsewhere(file, place)
    }
}

fn different(id: &VaultId, known: &Known, place: &KnownFile) -> Error {
    let what = format!(
        "this is a different vault: its id is {id}, but the file is known as {}",
        known.vault
    );
    Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
        "Someone may have replaced the file with their own vault. If a new vault was created on purpose, confirm it: --pin {id}"
    ))
}
