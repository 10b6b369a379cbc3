//! Refuses what a former writer may have signed: a file whose id was handed over, and a second
//! handover of an id, to another id than the one seen.

use crate::error::{Error, Kind, Result};
use crate::file::known_vaults::{Known, KnownFile, KnownVaults};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::shown::Shown;

impl KnownVaults {
    /// Refuses a file that a former writer may have made. The id of such a file was handed over, at
    /// this path or at any other; or the file hands a former id over to another id than the one
    /// seen at any path. A pin of the old id makes no difference. A handover that was only read
    /// counts too.
    ///
    /// # Errors
    /// [`Kind::WrongVault`]; [`Kind::OldGeneration`] for an id that was handed over at another path, or
    /// in a version that was only read: this file may belong to a branch that has not merged the
    /// handover yet.
    ///
    /// ```
    /// # let ((_folder, store), (alice, [old, file])) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::file_twice(""));
    /// use bootseal_core::{Kind, KnownFile, KnownVaults};
    /// let mut vault = file.open_for_writing(&[alice])?;
    /// vault.rotate(true)?; // a new vault id
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &vault.sign_above(0)?.1)?;
    ///
    /// let error = KnownVaults::load(&store)?.refuse_handed_over(&old, &place).unwrap_err();
    /// assert_eq!(error.kind(), Kind::WrongVault);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn refuse_handed_over(&self, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
        for known in self.all(place) {
            refuse_former(known, file, place)?;
        }
        for (path, known) in self.elsewhere(place) {
            if known.former.contains(&file.vault_id()) {
                let seen = match known.is_forgotten() {
                    true => "and this handover".to_owned(),
                    false => {
                        let epoch = known.epochs.get(&known.vault).copied().unwrap_or_default();
                        format!("and epoch {epoch} of the latter")
                    }
                };
                let what = format!(
                    "this file is signed by {}, which was handed over to {}, {seen} was seen at {}: a former writer may have signed it, and members removed since could read what is sealed into it",
                    file.vault_id(),
                    known.successor(),
                    Shown(path)
                );
                return Err(older_than_elsewhere(what, place));
            }
        }
        self.refuse_second_handover(file, place)?;
        self.refuse_before_reading(file, place)
    }

    /// Whether exactly this text is the newest that was seen at this path.
    ///
    /// ```
    /// # let ((_folder, store), [file, other]) = (bootseal_fixtures::path("known_vaults"), bootseal_fixtures::two_vaults());
    /// use bootseal_core::{KnownFile, KnownVaults};
    /// let place = KnownFile::named("app.sealed.toml");
    /// KnownVaults::remember(&store, &place, &file)?;
    /// let known = KnownVaults::load(&store)?;
    /// assert!(known.was_seen(&file, &place) && !known.was_seen(&other, &place));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn was_seen(&self, file: &VerifiedFile, place: &KnownFile) -> bool {
        self.asked(place).is_some_and(|known| known.text == Some(file.digest()))
    }

    /// Refuses a file that hands a former id over to another id than the one seen at any path. The
    /// first handover counts, because anyone with an old key can sign more. Only a pin of the new
    /// id itself decides otherwise.
    pub(super) fn refuse_second_handover(
        &self,
        file: &VerifiedFile,
        place: &KnownFile,
    ) -> Result<()> {
        if file.is_pinned_itself() {
            return Ok(());
        }
        let id = file.vault_id();
        let Some((path, known, old)) = self.second_handover(&id, &file.former_ids()) else {
            return Ok(());
        };
        let what = format!(
            "this file hands {old} over to {id}, but that id was handed over to {} in the file known as {}: a former writer may have signed this file",
            known.successor(),
            Shown(path)
        );
        let newest = match known.is_forgotten() {
            true => String::new(),
            false => format!("Take the newest file of {}. ", known.vault),
        };
        Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
            "{newest}If {id} is the right vault, confirm it: --pin {id}; to forget the other handover: bootseal vaults forget {old}"
        )))
    }

    /// Finds a record in which one of `former` was handed over to another id. `former`, followed by
    /// `id`, is an unbroken chain of handovers. Returns the path of the record, the record, and the
    /// id that was handed over twice.
    pub(super) fn second_handover(
        &self,
        id: &VaultId,
        former: &[VaultId],
    ) -> Option<(&String, &Known, VaultId)> {
        let judge = |known: &Known| {
            // The newest former id that both know decides, because earlier handovers lead to it.
            let at = former.iter().rposition(|old| known.former.contains(old))?;
            let same = |next: &VaultId| {
                *next == known.vault
                    || known.former.contains(next)
                    // Another vault may be known at the path now; the epochs of earlier ids remain.
                    || known.epochs.contains_key(next)
            };
            Some((former[at], former[at + 1..].iter().chain([id]).any(same)))
        };
        let confirmed = |old: VaultId| {
            self.known.values().any(|known| judge(known).is_some_and(|other| other == (old, true)))
        };
        self.known.iter().find_map(|(path, known)| {
            let (old, continued) = judge(known)?;
            // If the current id of a record was forgotten, the record does not say to which id the
            // newest former id was handed over.
            let agrees = continued || known.is_forgotten() && confirmed(old);
            (!agrees).then_some((path, known, old))
        })
    }
}

/// Refuses a file whose id was handed over at this path.
pub(super) fn refuse_former(known: &Known, file: &VerifiedFile, place: &KnownFile) -> Result<()> {
    let id = file.vault_id();
    if !known.former.contains(&id) {
        return Ok(());
    }
    let what = format!(
        "this file is signed by {id}, which was handed over to {}: a former writer may have signed it",
        known.successor()
    );
    let pin = match known.is_forgotten() {
        true => String::new(),
        false => format!("; replace a pin of the old id with {}", known.vault),
    };
    Err(Error::new(Kind::WrongVault, what).in_file(&place.shown).with_help(format!(
        "Merge or deploy the newest file: git merge BRANCH, or git pull. To restore older content, sign it again with `bootseal sign`{pin}."
    )))
}

/// The error for a file that lacks a removal seen at another path.
pub(super) fn older_than_elsewhere(what: String, place: &KnownFile) -> Error {
    Error::new(Kind::OldGeneration, what).in_file(&place.shown).with_help(
        "Merge the newer version into this one first: git merge BRANCH, or git pull. The old values can still be read.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::signing::{SigningSeed, id_of};
    use std::collections::BTreeMap;

    #[test]
    fn only_another_successor_than_the_one_seen_is_a_second_handover() {
        let ids: Vec<VaultId> = (0..6).map(|_| id_of(&SigningSeed::generate().unwrap())).collect();
        let [first, old, new, next, evil, other] = ids[..] else { panic!() };
        let known = |vault: VaultId, seen: &[VaultId], former: &[VaultId]| Known {
            vault,
            generation: 1,
            text: None,
            epochs: seen.iter().map(|id| (*id, 1)).collect(),
            former: former.to_vec(),
        };
        let chain = known(new, &[old, new], &[first, old]);
        // The path got another vault, but the handovers are still known.
        let replaced = known(other, &[old, new, other], &[first, old]);
        let earlier = known(old, &[old], &[first]);
        for (record, former, id, refused) in [
            (&chain, &[old][..], new, None),
            (&chain, &[first, old], new, None),
            (&chain, &[first, old, new], next, None),
            (&chain, &[first], old, None),
            (&chain, &[old], evil, Some(old)),
            (&chain, &[first, old], evil, Some(old)),
            (&chain, &[first], evil, Some(first)),
            (&chain, &[old, evil], next, Some(old)),
            (&chain, &[], evil, None),
            (&replaced, &[first, old], new, None),
            (&replaced, &[old, new], next, None),
            (&replaced, &[old], evil, Some(old)),
            (&earlier, &[first, old], new, None),
            (&earlier, &[first], evil, Some(first)),
        ] {
            let all = BTreeMap::from([
                ("/x".to_owned(), known(other, &[other], &[])),
                ("/y".to_owned(), record.clone()),
            ]);
            let memory = KnownVaults { known: all, seen: BTreeMap::new() };
            let found = memory.second_handover(&id, former).map(|(_, _, old)| old);
            assert_eq!(found, refused, "{former:?} {id}");
        }
    }
}
