//! Which versions of a file are there, and which is the newest that can be trusted?

use crate::exit::Result;
use crate::git::Repository;
use crate::keys::Keys;
use crate::world::World;
use bootseal_core::{KnownVaults, Pin, Place, Reader, SealedFile, Vault, VerifiedFile};
use std::path::Path;

/// Versions as they are, unverified.
pub(crate) type Texts = Vec<Vec<u8>>;

/// Versions that verify, of one vault and those that it was before, the newest first.
#[derive(Default)]
pub(crate) struct Versions(Vec<VerifiedFile>);

impl Versions {
    /// Those of `texts` that verify under the pins, or by what this machine remembers of `path`; with neither, those that are of the
    /// same vault as the first that verifies.
    pub(crate) fn of(
        texts: Vec<Vec<u8>>,
        path: &Path,
        keys: &Keys,
        pins: &[Pin],
        world: &World<'_>,
    ) -> Result<Versions> {
        let plugins = &keys.plugins;
        let known = match world.known_vaults() {
            Ok(store) => Some((KnownVaults::load(&store)?, Place::of_path(path)?)),
            Err(_) => None,
        };
        let mut found: Vec<VerifiedFile> = Vec::new();
        for text in texts {
            let Ok(sealed) = SealedFile::parse(text) else { continue };
            let Ok(file) = sealed.verify(pins) else { continue };
            let mut file = file.with_plugins(plugins);
            if let Some((known, place)) = &known
                && known.recognise(&mut file, place).is_err()
            {
                continue;
            }
            found.push(file);
        }
        Ok(Versions::sorted(found))
    }

    /// Those whose signature holds, whoever made it: for a place that is trusted itself, as the branch that a change goes to.
    pub(crate) fn signed(texts: Vec<Vec<u8>>) -> Versions {
        let verified = texts.into_iter().filter_map(|text| SealedFile::parse(text).ok()?.verify(&[]).ok());
        Versions::sorted(verified.collect())
    }

    /// Those of the same line as `file`: of its vault, or of one that it was.
    pub(crate) fn of_line(texts: Vec<Vec<u8>>, file: &VerifiedFile) -> Versions {
        let former = file.former_ids();
        let mut versions = Versions(Vec::new());
        for text in texts {
            let verified = SealedFile::parse(text).ok().and_then(|sealed| sealed.verify(&[]).ok());
            versions
                .0
                .extend(verified.filter(|other| other.vault() == file.vault() || former.contains(&other.vault())));
        }
        versions
    }

    fn sorted(mut found: Vec<VerifiedFile>) -> Versions {
        let Some(first) = found.first() else { return Versions::default() };
        // From one line: the same vault, one that it was, or one that it became.
        let (vault, former) = (first.vault(), first.former_ids());
        let related = |file: &VerifiedFile| {
            file.vault() == vault || former.contains(&file.vault()) || file.former_ids().contains(&vault)
        };
        found.retain(related);
        // What was handed over counts as older whatever number it has: a former writer may go on counting.
        let dead: Vec<_> = found.iter().flat_map(VerifiedFile::former_ids).collect();
        found.sort_by_key(|file| (!dead.contains(&file.vault()), file.generation()));
        found.reverse();
        Versions(found)
    }

    /// The highest generation among them; 0 with none.
    pub(crate) fn highest(&self) -> u64 {
        self.0.iter().map(VerifiedFile::generation).max().unwrap_or_default()
    }

    /// The generation of the one that has this text.
    pub(crate) fn generation_of(&self, text: &str) -> Option<u64> {
        self.0.iter().find(|file| file.text() == text).map(VerifiedFile::generation)
    }

    /// Takes out the newest.
    pub(crate) fn take_newest(&mut self) -> Option<VerifiedFile> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// What the keys at hand open of them: those that a value of an older text may have been sealed in.
    pub(crate) fn opened(self, keys: &Keys) -> Vec<Vault<Reader>> {
        self.0.into_iter().filter_map(|file| file.open(&keys.identities).ok()).collect()
    }
}

/// The versions of the file that git has: on the way to HEAD, and anywhere.
pub(crate) fn in_git(path: &Path) -> (Texts, Texts) {
    let ask = || -> Result<(Texts, Texts)> {
        let repository = Repository::of(path)?;
        let name = repository.name_of(path)?;
        let here = repository.commit("HEAD").and_then(|head| repository.versions(Some(&head), &name))?;
        Ok((here, repository.versions(None, &name)?))
    };
    // Outside of a repository, or before its first commit, there is none.
    ask().unwrap_or_default()
}
