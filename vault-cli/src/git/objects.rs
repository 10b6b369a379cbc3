//! The files of a commit and of the index, and their content. Content that this clone lacks is an
//! error, not an absent file: a partial clone lacks objects, and a shallow clone lacks commits.

use crate::git::command::not_here;
use crate::git::repository::Repository;
use crate::ui::failure::Result;
use bootseal_core::{MAX_FILE, Shown};
use std::collections::BTreeMap;

/// A file of a commit or of the index.
#[derive(Clone)]
pub(crate) struct Entry {
    mode: String,
    pub(crate) id: String,
    /// The size in bytes of a file of a commit, if git has it in this clone.
    size: Option<u64>,
}

impl Entry {
    /// Whether it is a file, and not a link or a submodule.
    pub(crate) fn is_regular(&self) -> bool {
        self.mode.starts_with("100")
    }

    /// Whether it has content here: a file or a link.
    pub(crate) fn is_blob(&self) -> bool {
        self.is_regular() || self.is_link()
    }

    pub(crate) fn is_link(&self) -> bool {
        self.mode.starts_with("120")
    }

    pub(crate) fn is_submodule(&self) -> bool {
        self.mode.starts_with("160")
    }

    /// Whether it is a file that is not too large for a sealed file.
    pub(crate) fn may_be_sealed(&self) -> bool {
        self.is_regular() && self.size.is_none_or(|size| size <= MAX_FILE as u64)
    }

    /// Whether it has the same content as `other`, and the same type: file, link or submodule.
    pub(crate) fn is_same(&self, other: &Entry) -> bool {
        self.id == other.id && self.mode.get(..3) == other.mode.get(..3)
    }
}

/// Whether a file of this name is a sealed file. Ignores case, as some file systems do.
pub(crate) fn is_sealed(name: &str) -> bool {
    name.to_lowercase().ends_with(".sealed.toml")
}

impl Repository {
    /// Finds `name` in a commit, or in a stage of the index (`:1`); `None` if it is not there.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) if git cannot say, for example because the clone lacks a folder of the commit.
    pub(crate) fn entry(&self, place: &str, name: &str) -> Result<Option<Entry>> {
        let Some(stage) = place.strip_prefix(':') else {
            let found =
                self.listed(place, &["ls-tree", "-l", "-z", "--full-tree", place, "--", name])?;
            return Ok(found
                .into_iter()
                .find_map(|(other, entry)| (other == name).then_some(entry)));
        };
        let list = self.ask(&["ls-files", "--stage", "-z", "--", name])?;
        Ok(staged(&list)
            .into_iter()
            .find_map(|(other, at, entry)| (other == name && at == stage).then_some(entry)))
    }

    /// All files of a commit, by their names.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) as for [`Repository::entry`].
    pub(crate) fn entries(&self, commit: &str) -> Result<BTreeMap<String, Entry>> {
        let all = ["ls-tree", "-r", "-l", "-z", "--full-tree", commit];
        Ok(self.listed(commit, &all)?.into_iter().collect())
    }

    /// The files of `git ls-tree -l -z`: "MODE TYPE ID SIZE\tNAME". A submodule, and a file that this
    /// clone lacks, have no size.
    fn listed(&self, commit: &str, args: &[&str]) -> Result<Vec<(String, Entry)>> {
        let list = self.try_ask(args)?.map_err(|_| not_here(&format!("the files of {commit}")))?;
        let entry = |row: &[u8]| {
            let row = String::from_utf8_lossy(row);
            let (facts, name) = row.split_once('\t')?;
            let mut facts = facts.split_ascii_whitespace();
            let (mode, id) = (facts.next()?.to_owned(), facts.nth(1)?.to_owned());
            let size = facts.next().and_then(|size| size.parse().ok());
            Some((name.to_owned(), Entry { mode, id, size }))
        };
        Ok(list.split(|byte| *byte == 0).filter_map(entry).collect())
    }

    /// Reads the content of the entry of `name`.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) if git does not have it in this clone.
    pub(crate) fn content(&self, entry: &Entry, name: &str) -> Result<Vec<u8>> {
        let content = self.try_ask(&["cat-file", "blob", &entry.id])?;
        content.map_err(|_| not_here(&format!("the content of {} ({})", Shown(name), entry.id)))
    }

    /// Returns the bytes of `name` in a commit or an index stage (`:1`); `None` if it is not there.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) if git does not have them in this clone.
    pub(crate) fn blob(&self, place: &str, name: &str) -> Result<Option<Vec<u8>>> {
        let entry = self.entry(place, name)?.filter(Entry::is_blob);
        entry.map(|entry| self.content(&entry, name)).transpose()
    }

    /// The common ancestor of two commits; `None` if they have none.
    ///
    /// # Errors
    /// [`Kind::Io`](bootseal_core::Kind::Io) if the clone lacks commits, so that git cannot say.
    pub(crate) fn merge_base(&self, one: &str, other: &str) -> Result<Option<String>> {
        match self.try_ask(&["merge-base", one, other])? {
            Ok(base) => Ok(Some(String::from_utf8_lossy(&base).trim().to_owned())),
            // Git's message is empty if there is no common ancestor.
            Err(message) if message.is_empty() && !self.is_shallow()? => Ok(None),
            Err(_) => Err(not_here("the common version of both sides")),
        }
    }

    /// Whether the history of this clone was cut off when it was fetched.
    pub(crate) fn is_shallow(&self) -> Result<bool> {
        Ok(self.ask(&["rev-parse", "--is-shallow-repository"])?.starts_with(b"true"))
    }
}

/// The rows of `git ls-files --stage -z`, "MODE ID STAGE\tNAME", as name, stage and entry.
pub(crate) fn staged(list: &[u8]) -> Vec<(String, String, Entry)> {
    let entry = |row: &[u8]| {
        let row = String::from_utf8_lossy(row);
        let (facts, name) = row.split_once('\t')?;
        let mut facts = facts.split(' ').map(str::to_owned);
        let (mode, id, stage) = (facts.next()?, facts.next()?, facts.next()?);
        Some((name.to_owned(), stage, Entry { mode, id, size: None }))
    };
    list.split(|byte| *byte == 0).filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_spaces_and_tabs_are_read_whole() {
        let rows = staged(b"100644 aa 0\ta b\tc.toml\x00120000 bb 2\tlink\x00\x00");
        let facts: Vec<_> = rows
            .iter()
            .map(|(name, stage, entry)| {
                (name.as_str(), stage.as_str(), entry.id.as_str(), entry.is_regular())
            })
            .collect();
        assert_eq!(facts, [("a b\tc.toml", "0", "aa", true), ("link", "2", "bb", false)]);
    }

    #[test]
    fn sealed_files_are_recognised_in_any_case() {
        for (name, expected) in
            [("a/app.SEALED.toml", true), ("app.sealed.toml", true), ("vault.toml", false)]
        {
            assert_eq!(is_sealed(name), expected, "{name}");
        }
    }
}
