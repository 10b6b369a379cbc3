//! The versions of a file that git has, and the newest one that can be trusted.

use crate::git::budget::Budget;
use crate::git::forks::Fork;
use crate::git::version::{Version, handed_over};
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::ui::failure::Result;
use bootseal_core::{
    CanRead, MAX_REAL, Pin, Property, PropertyPath, SealedFile, SignedVersion, Vault, VaultId,
    VerifiedFile,
};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

/// The signed versions of one vault and of its former ids, newest first.
pub(crate) struct Versions(Vec<Version>);

impl Versions {
    /// The versions that the pins accept or, if there are no pins, the known vault of `path`. If no
    /// vault is known either, the versions of the same vault as the first version.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if the vault was handed over to two different ids.
    pub(crate) fn trusted(
        mut found: Vec<Version>,
        path: &Path,
        pins: &[Pin],
        memory: &Memory,
    ) -> Result<Versions> {
        found.retain(|version| match pins {
            [] => memory.accepts(&version.signed),
            pins => version.signed.is_accepted(pins),
        });
        if let Some(fork) = Fork::among(&found) {
            return Err(fork.error(path));
        }
        let first = found.first().map(|first| first.signed.clone());
        Ok(Versions(first.map_or(Vec::new(), |first| line_of(&first, found))))
    }

    /// The versions of exactly this vault.
    pub(crate) fn signed_by(mut found: Vec<Version>, vault: VaultId) -> Versions {
        found.retain(|version| version.signed.vault_id() == vault);
        let first = found.first().map(|first| first.signed.clone());
        Versions(first.map_or(Vec::new(), |first| line_of(&first, found)))
    }

    /// The versions whose vault is that of `basis`, one of its former ids, or a successor. A former
    /// id is no longer trusted: its values can be read, but nothing else relies on it.
    pub(crate) fn of_line(found: Vec<Version>, basis: &VerifiedFile) -> Versions {
        let (vault, former) = (basis.vault_id(), basis.former_ids());
        let related =
            found.into_iter().filter(|version| is_related(&version.signed, vault, &former));
        Versions(newest_first(related.collect()))
    }

    /// The generations of these versions. Former ids do not count: anyone who still has a former key
    /// could sign the highest possible generation.
    pub(crate) fn generations(&self) -> impl Iterator<Item = u64> {
        let dead = handed_over(&self.0);
        let alive = self.0.iter().filter(move |one| !dead.contains(&one.signed.vault_id()));
        alive.map(|one| one.signed.generation())
    }

    /// The highest generation of these versions, or 0.
    pub(crate) fn highest(&self) -> u64 {
        self.generations().max().unwrap_or_default()
    }

    /// The highest epoch of the versions of this id, or 0. An epoch that no honest file reaches does
    /// not count.
    pub(crate) fn highest_epoch(&self, id: &VaultId) -> u64 {
        let own = self.0.iter().filter(|one| one.signed.vault_id() == *id);
        let epochs = own.map(|one| one.signed.epoch()).filter(|epoch| *epoch <= MAX_REAL);
        epochs.max().unwrap_or_default()
    }

    /// Whether the same text is among these versions.
    pub(crate) fn contains(&self, signed: &SignedVersion) -> bool {
        self.0.iter().any(|one| one.signed == *signed)
    }

    /// Reads the newest version that verifies under the pins, and that the known vaults do not
    /// refuse.
    ///
    /// # Errors
    /// The errors of git.
    pub(crate) fn newest(
        &self,
        pins: &[Pin],
        memory: Option<&Memory>,
    ) -> Result<Option<VerifiedFile>> {
        let budget = Budget::new();
        for version in &self.0 {
            // Only a version that breaks a rule of the format, though its signature is valid, makes
            // this loop go on.
            if budget.is_late() {
                break;
            }
            let file = SealedFile::parse(version.text()?).and_then(|file| file.verify(pins));
            let Ok(mut file) = file else { continue };
            if memory.is_none_or(|memory| memory.recognise(&mut file).is_ok()) {
                return Ok(Some(file));
            }
        }
        Ok(None)
    }

    /// Opens the versions that contain a ciphertext of `edited` that `basis` lacks. No others are
    /// opened, because each may require a touch of a hardware key.
    ///
    /// # Errors
    /// The errors of git.
    pub(crate) fn opened(
        self,
        keys: &Keys,
        edited: &str,
        basis: &str,
    ) -> Result<Vec<Vault<CanRead>>> {
        let here: HashSet<&str> = ciphertexts(basis).collect();
        let mut missing: HashSet<&str> =
            ciphertexts(edited).filter(|one| !here.contains(one)).collect();
        let (mut found, mut vaults) = (HashSet::new(), Vec::new());
        let budget = Budget::new();
        for version in self.0 {
            if missing.is_empty() || budget.is_late() {
                break;
            }
            let text = version.text()?;
            // Few versions contain such a ciphertext, so only those are parsed.
            if !ciphertexts(&String::from_utf8_lossy(&text)).any(|one| missing.contains(one)) {
                continue;
            }
            let Ok(file) = SealedFile::parse(text).and_then(|file| file.verify(&[])) else {
                continue;
            };
            let file = file.with_plugins(&keys.plugins);
            let sealed = file.properties().filter_map(|(path, property)| match property {
                Property::Sealed(text) => Some((path.clone(), text.clone())),
                Property::Readable(_) => None,
            });
            let new: Vec<(PropertyPath, String)> = sealed
                .filter(|one| missing.contains(one.1.as_str()) && !found.contains(one))
                .collect();
            if !new.is_empty()
                && let Ok(vault) = file.open(&keys.identities)
            {
                for (_, text) in &new {
                    missing.remove(text.as_str());
                }
                found.extend(new);
                vaults.push(vault);
            }
        }
        Ok(vaults)
    }
}

/// The ciphertexts in a text, without parsing it.
fn ciphertexts(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("sealed:").map(|(at, start)| {
        let rest = &text[at + start.len()..];
        let other = |byte: u8| !byte.is_ascii_alphanumeric() && byte != b'-' && byte != b'_';
        let end = rest.bytes().position(other).unwrap_or(rest.len());
        &text[at..at + start.len() + end]
    })
}

/// The versions that are related to `first`, newest first.
fn line_of(first: &SignedVersion, mut found: Vec<Version>) -> Vec<Version> {
    let former = first.former_ids();
    found.retain(|version| is_related(&version.signed, first.vault_id(), former));
    newest_first(found)
}

/// Sorts the versions of one lineage. A version of a former id counts as older, whatever its
/// numbers, because a former writer can raise them. A version of an earlier epoch counts as older
/// too, because a branch can raise its generation. Of equal generations, the first one is newer:
/// git lists the newest first.
fn newest_first(mut found: Vec<Version>) -> Vec<Version> {
    let dead = handed_over(&found);
    found.sort_by_key(|version| {
        let signed = &version.signed;
        Reverse((!dead.contains(&signed.vault_id()), signed.epoch(), signed.generation()))
    });
    found
}

/// Whether a version and a vault share one lineage: the same id, a former id, or a successor.
pub(crate) fn is_related(version: &SignedVersion, vault: VaultId, former: &[VaultId]) -> bool {
    version.vault_id() == vault
        || former.contains(&version.vault_id())
        || version.former_ids().contains(&vault)
}
