//! The versions of a file that git has, and the newest one that can be trusted.

use crate::context::Context;
use crate::git::history::History;
use crate::git::repository::Repository;
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::ui::failure::Result;
use bootseal_core::{
    CanRead, Kind, Pin, Property, PropertyPath, SealedFile, Vault, VaultId, VerifiedFile,
};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::path::Path;

/// Versions that are not verified.
pub(crate) type Texts = Vec<Vec<u8>>;

/// The verified versions of one vault and of its former ids, newest first.
#[derive(Default)]
pub(crate) struct Versions(Vec<VerifiedFile>);

impl Versions {
    /// The versions that verify under the pins, or under the known vault of `path`. Without both,
    /// the versions of the same vault as the first one that verifies.
    pub(crate) fn of(
        texts: Texts,
        path: &Path,
        keys: &Keys,
        pins: &[Pin],
        context: &Context<'_>,
    ) -> Result<Versions> {
        let plugins = &keys.plugins;
        let memory = Memory::of(path, context)?;
        let mut found: Vec<VerifiedFile> = Vec::new();
        for file in verified(texts, pins) {
            let mut file = file.with_plugins(plugins);
            if memory.recognise(&mut file).is_ok() {
                found.push(file);
            }
        }
        if let Some((one, other)) = fork(&found) {
            let what = format!(
                "this vault was handed over twice, to {one} and to {other}: a former writer may have made one of them"
            );
            return Err(bootseal_core::Error::new(Kind::WrongVault, what)
                .in_file(path)
                .with_help("Choose the right one: --pin VAULT. Ask the person who removed the last writer.")
                .into());
        }
        Ok(Versions::sorted(found))
    }

    /// The versions with a valid signature of exactly this vault.
    pub(crate) fn signed_by(texts: Texts, vault: VaultId) -> Versions {
        Versions::sorted(
            verified(texts, &[vault.into()]).filter(|file| file.vault_id() == vault).collect(),
        )
    }

    /// The versions with a valid signature, by any vault: for a trusted source, such as the branch
    /// that receives a change.
    pub(crate) fn signed(texts: Texts) -> Versions {
        Versions::sorted(verified(texts, &[]).collect())
    }

    /// The versions with a valid signature whose vault is that of `basis`, one of its former ids,
    /// or a successor. A former id is no longer trusted: its values can be read, but nothing else
    /// relies on it.
    pub(crate) fn of_line(texts: Texts, basis: &VerifiedFile, keys: &Keys) -> Versions {
        let (vault, former) = (basis.vault_id(), basis.former_ids());
        let line = verified(texts, &[]).filter(|file| related(file, vault, &former));
        Versions::sorted(line.map(|file| file.with_plugins(&keys.plugins)).collect())
    }

    fn sorted(mut found: Vec<VerifiedFile>) -> Versions {
        let Some(first) = found.first() else { return Versions::default() };
        let (vault, former) = (first.vault_id(), first.former_ids());
        found.retain(|file| related(file, vault, &former));
        // A version of a former id counts as older, whatever its generation, because a former
        // writer can raise the generation. A version of an earlier epoch counts as older too,
        // because a branch can raise its generation. Of equal generations, the first one is newer:
        // git lists the newest first.
        let dead = handed_over(&found);
        found.sort_by_key(|file| {
            Reverse((!dead.contains(&file.vault_id()), file.epoch(), file.generation()))
        });
        Versions(found)
    }

    /// The highest generation of these versions, or 0. Former ids do not count: anyone who still
    /// has a former key could sign the highest possible generation.
    pub(crate) fn highest(&self) -> u64 {
        let dead = handed_over(&self.0);
        let alive = self.0.iter().filter(|file| !dead.contains(&file.vault_id()));
        alive.map(VerifiedFile::generation).max().unwrap_or_default()
    }

    /// Returns the generation of the version with this text.
    pub(crate) fn generation_of(&self, text: &str) -> Option<u64> {
        self.0.iter().find(|file| file.text() == text).map(VerifiedFile::generation)
    }

    /// Removes and returns the newest version.
    pub(crate) fn take_newest(&mut self) -> Option<VerifiedFile> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// Opens the versions that contain a ciphertext of `edited` that `basis` lacks. No others are
    /// opened, because each may require a touch of a hardware key.
    pub(crate) fn opened(self, keys: &Keys, edited: &str, basis: &str) -> Vec<Vault<CanRead>> {
        let mut found: HashSet<(PropertyPath, String)> = HashSet::new();
        let mut vaults = Vec::new();
        for file in self.0 {
            let sealed = file.properties().filter_map(|(path, property)| match property {
                Property::Sealed(text) => Some((path.clone(), text.clone())),
                Property::Readable(_) => None,
            });
            let missing = sealed.filter(|one| {
                edited.contains(&one.1) && !basis.contains(&one.1) && !found.contains(one)
            });
            let missing: Vec<_> = missing.collect();
            if !missing.is_empty()
                && let Ok(vault) = file.open(&keys.identities)
            {
                found.extend(missing);
                vaults.push(vault);
            }
        }
        vaults
    }
}

/// The texts with a valid signature under these pins.
fn verified(texts: Texts, pins: &[Pin]) -> impl Iterator<Item = VerifiedFile> {
    texts.into_iter().filter_map(move |text| SealedFile::parse(text).ok()?.verify(pins).ok())
}

/// The former ids of these files.
fn handed_over(found: &[VerifiedFile]) -> HashSet<VaultId> {
    found.iter().flat_map(VerifiedFile::former_ids).collect()
}

/// Finds two current ids that both succeed the same former id. One of the two handovers was made by
/// a removed writer.
fn fork(found: &[VerifiedFile]) -> Option<(VaultId, VaultId)> {
    let dead = handed_over(found);
    let mut live: Vec<&VerifiedFile> =
        found.iter().filter(|file| !dead.contains(&file.vault_id())).collect();
    live.dedup_by_key(|file| file.vault_id());
    let shares = |one: &VerifiedFile, other: &VerifiedFile| {
        one.vault_id() != other.vault_id()
            && one.former_ids().iter().any(|id| other.former_ids().contains(id))
    };
    live.iter().enumerate().find_map(|(at, one)| {
        let other = live[at + 1..].iter().find(|other| shares(one, other))?;
        Some((one.vault_id(), other.vault_id()))
    })
}

/// Returns whether a file and a vault share one lineage: the same id, a former id, or a successor.
fn related(file: &VerifiedFile, vault: VaultId, former: &[VaultId]) -> bool {
    file.vault_id() == vault
        || former.contains(&file.vault_id())
        || file.former_ids().contains(&vault)
}

/// The signed versions of a file in git: those in the history of HEAD, and all of them. Outside a
/// repository, and before the first commit, there are none.
///
/// # Errors
/// If the file belongs to another repository than the current folder, or if git fails.
pub(crate) fn in_git(path: &Path) -> Result<(History, History)> {
    let repository = match Repository::of(path) {
        Ok(repository) => repository,
        Err(failure) if failure.kind() == Kind::NotFound => {
            return Ok((History::none(), History::none()));
        }
        Err(failure) => return Err(failure),
    };
    let name = repository.name_of(path)?;
    let Ok(head) = repository.commit("HEAD") else {
        return Ok((History::none(), History::none()));
    };
    let mut here = repository.history(Some(&head), &name)?;
    // A staged version may be newer than any commit.
    here.versions.extend(repository.blob(":0", &name)?);
    Ok((here, repository.history(None, &name)?))
}
