//! The versions of a file that git has, and the newest one that can be trusted.

use crate::context::Context;
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

/// Versions as they are, unverified.
pub(crate) type Texts = Vec<Vec<u8>>;

/// Versions that verify, of one vault and those that it was before, the newest first.
#[derive(Default)]
pub(crate) struct Versions(Vec<VerifiedFile>);

impl Versions {
    /// Those of `texts` that verify under the pins, or by what this machine remembers of `path`;
    /// with neither, those that are of the same vault as the first that verifies.
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
                "what is known of this vault goes on in two ways, as {one} and as {other}: a former writer may have made one of them"
            );
            return Err(bootseal_core::Error::new(Kind::WrongVault, what)
                .in_file(path)
                .with_help("Say which it is: --pin VAULT. Whoever removed the last writer knows.")
                .into());
        }
        Ok(Versions::sorted(found))
    }

    /// Those whose signature holds and that are this very vault's.
    pub(crate) fn signed_by(texts: Texts, vault: VaultId) -> Versions {
        Versions::sorted(
            verified(texts, &[vault.into()]).filter(|file| file.vault_id() == vault).collect(),
        )
    }

    /// Those whose signature holds, whoever made it: for a place that is trusted itself, as the
    /// branch that a change goes to.
    pub(crate) fn signed(texts: Texts) -> Versions {
        Versions::sorted(verified(texts, &[]).collect())
    }

    /// Those whose signature holds and that are `basis`, what it was, or what it became; ids that
    /// were handed over included, which nothing vouches for any more: what they hold can be read,
    /// and nothing else goes by them.
    pub(crate) fn of_line(texts: Texts, basis: &VerifiedFile, keys: &Keys) -> Versions {
        let (vault, former) = (basis.vault_id(), basis.former_ids());
        let line = verified(texts, &[]).filter(|file| related(file, vault, &former));
        Versions::sorted(line.map(|file| file.with_plugins(&keys.plugins)).collect())
    }

    fn sorted(mut found: Vec<VerifiedFile>) -> Versions {
        let Some(first) = found.first() else { return Versions::default() };
        let (vault, former) = (first.vault_id(), first.former_ids());
        found.retain(|file| related(file, vault, &former));
        // What was handed over counts as older whatever number it has: a former writer may go on
        // counting. So does what is from before new keys, for a branch may go on counting too. Of
        // two of the same number the first is the newer: they come newest first.
        let dead = handed_over(&found);
        found.sort_by_key(|file| {
            Reverse((!dead.contains(&file.vault_id()), file.epoch(), file.generation()))
        });
        Versions(found)
    }

    /// The highest generation among them; 0 with none. Ids that were handed over do not count:
    /// whoever still has the key could use up the numbers.
    pub(crate) fn highest(&self) -> u64 {
        let dead = handed_over(&self.0);
        let alive = self.0.iter().filter(|file| !dead.contains(&file.vault_id()));
        alive.map(VerifiedFile::generation).max().unwrap_or_default()
    }

    /// The generation of the one that has this text.
    pub(crate) fn generation_of(&self, text: &str) -> Option<u64> {
        self.0.iter().find(|file| file.text() == text).map(VerifiedFile::generation)
    }

    /// Takes out the newest.
    pub(crate) fn take_newest(&mut self) -> Option<VerifiedFile> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// Those of them, opened by the keys at hand, that know a sealed text which `edited` has and
    /// `basis` has not. No others: each opening may be a touch of a hardware key.
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

/// Those of the texts whose signature holds, under these pins.
fn verified(texts: Texts, pins: &[Pin]) -> impl Iterator<Item = VerifiedFile> {
    texts.into_iter().filter_map(move |text| SealedFile::parse(text).ok()?.verify(pins).ok())
}

/// The ids that one of these files was handed over from.
fn handed_over(found: &[VerifiedFile]) -> HashSet<VaultId> {
    found.iter().flat_map(VerifiedFile::former_ids).collect()
}

/// Two ids that nothing was handed over from, and that both go on from one that was: of two
/// handovers one was made by who had to go.
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

/// Whether a file is of one line with this vault: the same, one that it was, or one that it became.
fn related(file: &VerifiedFile, vault: VaultId, former: &[VaultId]) -> bool {
    file.vault_id() == vault
        || former.contains(&file.vault_id())
        || file.former_ids().contains(&vault)
}

/// The versions of the file that git has: on the way to HEAD, and anywhere.
pub(crate) fn in_git(path: &Path) -> (Texts, Texts) {
    let ask = || -> Result<(Texts, Texts)> {
        let repository = Repository::of(path)?;
        let name = repository.name_of(path)?;
        let mut here =
            repository.commit("HEAD").and_then(|head| repository.versions(Some(&head), &name))?;
        // What is staged may be newer than any commit.
        here.extend(repository.blob(":0", &name)?);
        Ok((here, repository.versions(None, &name)?))
    };
    // Outside of a repository, or before its first commit, there is none.
    ask().unwrap_or_default()
}
