//! The files of a trusted commit, each read once from git.

use crate::git::command::not_here;
use crate::git::history::Gap;
use crate::git::objects::{Entry, is_sealed};
use crate::git::repository::Repository;
use crate::git::version::Version;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};
use std::cell::OnceCell;
use std::collections::{BTreeMap, HashSet};

/// The files of a commit.
pub(super) struct Base {
    pub(super) repository: Repository,
    commit: String,
    pub(super) files: BTreeMap<String, Entry>,
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

    /// Whether the commit has this entry under this name.
    pub(super) fn has_same(&self, name: &str, entry: &Entry) -> bool {
        self.files.get(name).is_some_and(|old| old.is_same(entry))
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

    /// The signed versions that a new file may be a copy of: those in all files, whatever their names
    /// are.
    ///
    /// # Errors
    /// [`Kind::Io`] if git does not have one of these files in this clone; [`Kind::WrongVault`] if
    /// they are too large to be read.
    pub(super) fn sealed(&self) -> Result<&[Version]> {
        if let Some(known) = self.sealed.get() {
            return Ok(known);
        }
        let candidates = self.files.values().filter(|entry| entry.may_be_sealed());
        let ids: HashSet<String> = candidates.map(|entry| entry.id.clone()).collect();
        let found = self.repository.signed_among(ids.into_iter().collect())?;
        complete(found.gap, &self.commit)?;
        Ok(self.sealed.get_or_init(|| found.versions))
    }
}

/// Refuses to go on if some files of `place` were not read.
pub(super) fn complete(gap: Option<Gap>, place: &str) -> Result<()> {
    match gap {
        None => Ok(()),
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
