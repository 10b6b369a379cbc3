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
        let list = self.repository.ask(&["ls-files", "--stage", "-z"])?;
        let here: BTreeMap<String, String> =
            staged(&list).into_iter().map(|(name, _, entry)| (name, entry.id)).collect();
        let is_candidate = |name: &String, entry: &Entry| {
            name.to_lowercase().ends_with(".toml") || here.get(name) != Some(&entry.id)
        };
        let candidates = self
            .files
            .iter()
            .filter(|(name, entry)| entry.is_regular() && is_candidate(name, entry));
        let ids: HashSet<String> = candidates.map(|(_, entry)| entry.id.clone()).collect();
        let found = self.repository.signed_among(ids.into_iter().collect())?;
        match found.gap {
            None => Ok(self.sealed.get_or_init(|| found.versions)),
            Some(Gap::Limits) => Err(Failure::new(
                Kind::WrongVault,
                format!(
                    "the files of {} are too large to compare a new file with all of them",
                    Shown(&self.commit)
                ),
            )),
            Some(_) => Err(not_here(&format!("every file of {}", self.commit))),
        }
    }
}
