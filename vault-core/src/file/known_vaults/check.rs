//! Checks a file against the known vaults. Refuses another vault, an id that was handed over, and
//! an epoch or generation older than one seen before.

use crate::error::{Error, Kind, Result};
use crate::file::known_vaults::{Known, KnownFile, KnownVaults};
use crate::file::verified::{Trust, VerifiedFile};
use crate::shown::Shown;

impl KnownVaults {
    /// Checks a file without a pin against the known vaults, and marks it [`Trust::Remembered`] if
    /// it is known.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if another id is known and none of its handovers leads to the id of
    /// this file, or if the id of this file was handed over.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = || -> Result<_> { Ok(vec![Access::new("me", Role::Writer, Identity::generate()?.recipient())?]) };
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &read(Vault::create(me()?, "")?.sign()?)?)?;
    ///
    /// let mut foreign = read(Vault::create(me()?, "")?.sign()?)?;
    /// let error = KnownVaults::load(&store)?.recognise(&mut foreign, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn recognise(&self, file: &mut VerifiedFile, place: &KnownFile) -> Result<()> {
        if file.trust() == Trust::Pinned {
            return Ok(());
        }
        for known in self.all(place) {
            self.refuse_former(known, file, place)?;
            if known.vault != file.vault_id() && !file.header.continues(&known.vault) {
                let what = format!(
                    "this is a different vault: its id is {}, but the file is known as {}",
                    file.vault_id(),
                    known.vault
                );
                return Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
                    "Someone may have replaced the file with their own vault. If a new vault was created on purpose, confirm it: --pin {}",
                    file.vault_id()
                )));
            }
        }
        if self.asked(place).is_some() {
            file.trusted_by(Trust::Remembered);
        }
        Ok(())
    }

    fn refuse_former(&self, known: &Known, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        // A pin on an old id accepts any chain that starts from it, and a former writer can make a
        // chain to their own id.
        let by_chain = file.handed_over_from().is_some();
        let elsewhere =
            by_chain && known.vault != file.vault_id() && !file.header.continues(&known.vault);
        let chain = if elsewhere { file.former_ids() } else { Vec::new() };
        let what = if known.former.contains(&file.vault_id()) {
            format!(
                "this file is signed by {}, which was handed over to {}: a former writer may have signed it",
                file.vault_id(),
                known.vault
            )
        } else if let Some(old) = chain.iter().find(|id| known.former.contains(id)) {
            format!(
                "this file hands {old} over to {}, but an earlier file handed it over to {}: a former writer may have signed it",
                file.vault_id(),
                known.vault
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
            "Deploy the newest file. To restore older content, sign it again with `bootseal sign`; replace a pin of the old id with {}.",
            known.vault
        )))
    }

    /// Refuses a file, pinned or not, whose epoch is older than one seen here, because members
    /// removed since then could read the values sealed into it.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over, or if the file hands a former id over
    /// to another id than the one seen here; [`Kind::OldGeneration`] if the epoch is lower than the
    /// highest one seen.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = Identity::generate()?;
    /// # let list = vec![Access::new("me", Role::Writer, me.recipient())?];
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// # let before = Vault::create(list, "")?.sign()?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// let mut vault = read(before.clone())?.open_for_writing(&[me])?;
    /// vault.rotate(false)?;
    /// KnownVaults::remember(&store, &place, &read(vault.sign()?)?)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_epoch(&read(before)?, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_epoch(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        // If this path is unknown, the epochs of its vault at other paths are used, because moving
        // an old file does not make it newer.
        let elsewhere = !self.known.keys().any(|key| place.keys.contains(key));
        for (path, known) in
            self.known.iter().filter(|(path, _)| elsewhere || place.keys.contains(path))
        {
            self.refuse_former(known, file, place)?;
            let Some(epoch) =
                known.epochs.get(&file.vault_id()).filter(|epoch| **epoch > file.epoch())
            else {
                continue;
            };
            let seen = if elsewhere { format!("as {}", Shown(path)) } else { "here".to_owned() };
            let what = format!(
                "this file has the data key of epoch {}, and epoch {epoch} was seen {seen}: members removed since could read what is sealed into it",
                file.epoch()
            );
            return Err(Error::new(Kind::OldGeneration, what)
                .in_file(&place.shown)
                .with_help("Restore the newest file (git pull, git checkout). To use older content on purpose: bootseal sign"));
        }
        Ok(())
    }

    /// Refuses a file that is older than one seen here, or that differs from one seen with the same
    /// generation.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] for an id that was handed over; [`Kind::OldGeneration`] for a lower
    /// generation, or for the same generation with a different text.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let store = folder.path().join("known_vaults");
    /// # let me = Identity::generate()?;
    /// # let list = vec![Access::new("me", Role::Writer, me.recipient())?];
    /// # let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    /// # let first = Vault::create(list, "")?.sign()?;
    /// let place = KnownFile::named("app.sealed.toml");
    /// let second = read(first.clone())?.open_for_writing(&[me])?.sign()?;
    /// KnownVaults::remember(&store, &place, &read(second)?)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_older_generation(&read(first)?, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::OldGeneration);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_older_generation(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        for known in self.all(place) {
            self.refuse_former(known, file, place)?;
            let (generation, seen) = (file.generation(), known.seen_by(file));
            // The pin now names another vault, of which nothing is known.
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
        Ok(())
    }
}
