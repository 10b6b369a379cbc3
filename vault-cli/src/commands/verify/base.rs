//! The files of a trusted commit, each read once from git.

use crate::git::command::not_here;
use crate::git::history::Gap;
use crate::git::objects::{Entry, is_sealed, staged};
use crate::git::repository::Repository;
use crate::git::version::Version;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

/// The files of a commit.
pub(super) struct Base {
    repository: Repository,
    commit: String,
    files: BTreeMap<String, Entry>,
    sealed: OnceCell<Vec<Version>>,
}

impl Base {
    /// Lists the files of `commit`.
    ///
    /// # Errors
    /// [`Kind::Io`] if the clone lacks folders of the commit.
    pub(super) fn of(repository: Repository, commit: String) -> Result<Base> {
        let files = repository.entries(&commit)?;
        Ok(Base { repository, commit, files, sealed: OnceCell::new() })
    }

    pub(super) fn commit(&self) -> &str {
        &self.commit
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.files.get(name).is_some_and(Entry::is_blob)
    }

    /// The files that are sealed files by their name.
    pub(super) fn sealed_names(&self) -> Vec<String> {
        self.files.keys().filter(|name| is_sealed(name)).cloned().collect()
    }

    /// Reads a file; `None` if the commit does not have it.
    ///
    /// # Errors
    /// [`Kind::Io`] if git does not have its content in this clone.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let entry = self.files.get(name).filter(|entry| entry.is_blob());
        entry.map(|entry| self.repository.content(entry, name)).transpose()
    }

    /// Whether there is a sealed file of this name, or in a folder of this name.
    ///
    /// # Errors
    /// The errors of [`Base::sealed`].
    pub(super) fn has_sealed(&self, name: &str) -> Result<bool> {
        let below = format!("{name}/");
        let in_folder = self.files.range(below.clone()..);
        let in_folder = in_folder.take_while(|(other, _)| other.starts_with(&below));
        let there = self.files.get_key_value(name).into_iter().chain(in_folder);
        let mut there = there.filter(|(_, entry)| entry.is_regular()).peekable();
        if there.peek().is_none() {
            return Ok(false);
        }
        let sealed: HashSet<&str> = self.sealed()?.iter().filter_map(Version::blob_id).collect();
        Ok(there.any(|(other, entry)| is_sealed(other) || sealed.contains(entry.id.as_str())))
    }

    /// The signed versions that a new file may be a copy of: those in files that end in `.toml`, and
    /// in files that are gone or changed in the index, whatever their names are.
    ///
    /// # Errors
    /// [`Kind::Io`] if git does not have one of these files in this clone; [`Kind::WrongVault`] if
    /// they are too large to be read.
    pub(super) fn sealed(&self) -> Result<&[Version]> {
        if let Some(known) = self.sealed.get() {
            return Ok(known);
        }
        let here = self.index()?;
        let is_candidate = |name: &String, entry: &Entry| {
            name.to_lowercase().ends_with(".toml")
                || here.get(name).is_none_or(|now| now.id != entry.id)
        };
        let candidates = self
            .files
            .iter()
            .filter(|(name, entry)| entry.is_regular() && is_candidate(name, entry));
        let ids: HashSet<String> = candidates.map(|(_, entry)| entry.id.clone()).collect();
        let versions = self.signed(ids, &self.commit)?;
        Ok(self.sealed.get_or_init(|| versions))
    }

    /// The names of the files in the index that the commit lacks or has with other content, and that
    /// are signed sealed files by their content, whatever their names are.
    ///
    /// # Errors
    /// As for [`Base::sealed`].
    pub(super) fn new_sealed(&self) -> Result<Vec<String>> {
        let mut here = self.index()?;
        here.retain(|name, entry| {
            entry.is_regular() && self.files.get(name).is_none_or(|old| old.id != entry.id)
        });
        let ids = here.values().map(|entry| entry.id.clone()).collect();
        let signed = self.signed(ids, "the index")?;
        let signed: HashSet<&str> = signed.iter().filter_map(Version::blob_id).collect();
        here.retain(|_, entry| signed.contains(entry.id.as_str()));
        Ok(here.into_keys().collect())
    }

    /// The files in the index, by their names.
    fn index(&self) -> Result<BTreeMap<String, Entry>> {
        let list = self.repository.ask(&["ls-files", "--stage", "-z"])?;
        Ok(staged(&list).into_iter().map(|(name, _, entry)| (name, entry)).collect())
    }

    /// Reads these blobs of `place`, and keeps those that are signed versions.
    fn signed(&self, ids: HashSet<String>, place: &str) -> Result<Vec<Version>> {
        let found = self.repository.signed_among(ids.into_iter().collect())?;
        match found.gap {
            None => Ok(found.versions),
            Some(Gap::Limits) => Err(Failure::new(
                Kind::WrongVault,
                format!(
                    "the files of {} are too large to find all sealed files among them",
                    Shown(place)
                ),
            )),
            Some(_) => Err(not_here(&format!("every file of {place}"))),
        }
    }
}
