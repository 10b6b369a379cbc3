//! The files that are checked, and their content: of the index, or of the working tree.

use crate::commands::git::read;
use crate::commands::verify::since::Since;
use crate::git::batch::Batch;
use crate::git::objects::{Entry, is_sealed, staged};
use crate::git::repository::Repository;
use crate::ui::failure::Result;
use std::collections::{HashMap, HashSet};

/// The place that is checked.
pub(super) struct Files<'a> {
    repository: &'a Repository,
    /// The index as git lists it: "MODE ID STAGE\tNAME", each ended by a zero byte.
    list: Vec<u8>,
    /// The files in the index.
    index: HashMap<String, Entry>,
    /// The git process that reads the staged files, if these are checked.
    staged: Option<Batch>,
}

impl<'a> Files<'a> {
    pub(super) fn of(repository: &'a Repository, is_staged: bool) -> Result<Files<'a>> {
        let list = repository.ask(&["ls-files", "--stage", "-z"])?;
        let files = staged(&list).into_iter().filter(|(_, stage, _)| stage == "0");
        let index = files.map(|(name, _, entry)| (name, entry)).collect();
        let staged = is_staged.then(|| Batch::of(repository)).transpose()?;
        Ok(Files { repository, list, index, staged })
    }

    /// Whether the index is checked, and not the working tree.
    pub(super) fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// The regular files to check: those that a commit would change, or all files in git.
    pub(super) fn names(&self) -> Result<Vec<String>> {
        if self.staged.is_none() {
            return Ok(self.regular());
        }
        let changed = ["diff", "--cached", "--name-only", "-z", "--diff-filter=d", "--no-renames"];
        let regular: HashSet<String> = self.regular().into_iter().collect();
        let names = split(&self.repository.ask(&changed)?).into_iter();
        Ok(names.filter(|name| regular.contains(name)).collect())
    }

    pub(super) fn all_sealed(&self) -> Vec<String> {
        self.regular().into_iter().filter(|name| is_sealed(name)).collect()
    }

    /// The sealed files of the working tree whose content is not checked: all of them if the index is
    /// checked, else those that git does not have. An ignored folder is not looked into.
    pub(super) fn sealed_here(&self) -> Result<Vec<String>> {
        let mut names = if self.staged.is_some() { self.all_sealed() } else { Vec::new() };
        let new = ["ls-files", "--others", "--exclude-standard", "-z"];
        names.extend(split(&self.repository.ask(&new)?));
        let ignored = ["--ignored", "--directory"];
        names.extend(split(&self.repository.ask(&[&new[..], &ignored[..]].concat())?));
        names.retain(|name| is_sealed(name));
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// The regular files that a commit would not change, if the index is checked.
    pub(super) fn unchanged(&self, changed: &[String]) -> Vec<String> {
        if self.staged.is_none() {
            return Vec::new();
        }
        let changed: HashSet<&String> = changed.iter().collect();
        self.regular().into_iter().filter(|name| !changed.contains(name)).collect()
    }

    /// All regular files in git, without links and submodules: a link to a sealed file is not a
    /// second vault, and may point anywhere.
    fn regular(&self) -> Vec<String> {
        let mut names: Vec<String> = split(&self.list)
            .iter()
            .filter(|entry| entry.starts_with("100"))
            .filter_map(|entry| Some(entry.split_once('\t')?.1.to_owned()))
            .collect();
        names.dedup();
        names
    }

    /// Finds entries that cannot be checked and must not pass silently: names that are not UTF-8, and
    /// links and submodules that replaced a sealed file, or a folder that contains one.
    pub(super) fn odd(&self, since: Option<&Since>) -> Result<Vec<(String, &'static str)>> {
        let mut odd = Vec::new();
        for entry in self.list.split(|byte| *byte == 0) {
            let shown = String::from_utf8_lossy(entry);
            let Some((mode, name)) = shown.split_once('\t') else { continue };
            if std::str::from_utf8(entry).is_err() {
                odd.push((
                    name.to_owned(),
                    "the name is not UTF-8, so the file was not checked; rename it",
                ));
                continue;
            }
            let what = match mode.get(..3).unwrap_or_default() {
                "120" => "a link replaced a sealed file; restore the file: git checkout",
                "160" => "a submodule replaced a sealed file; restore the file: git checkout",
                _ => continue,
            };
            if let Some(since) = since
                && since.had_sealed(name)?
            {
                odd.push((name.to_owned(), what));
            }
        }
        Ok(odd)
    }

    /// The file in the index.
    pub(super) fn entry(&self, name: &str) -> Option<&Entry> {
        self.index.get(name)
    }

    /// The content that would be committed, or the content in the working tree.
    pub(super) fn content(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        if let Some(batch) = &mut self.staged {
            let Some(entry) = self.index.get(name) else { return Ok(None) };
            return match batch.read(entry)? {
                Some(bytes) => Ok(Some(bytes)),
                None => self.repository.content(entry, name).map(Some),
            };
        }
        self.content_here(name)
    }

    /// The content of a staged file that the commit does not change; `None` if this clone lacks it,
    /// or if too much was read.
    pub(super) fn unchanged_content(&mut self, name: &str) -> Result<Option<Vec<u8>>> {
        let (Some(batch), Some(entry)) = (&mut self.staged, self.index.get(name)) else {
            return Ok(None);
        };
        Ok(match batch.read(entry)? {
            Some(bytes) => Some(bytes),
            None if batch.is_spent() => None,
            None => self.repository.content(entry, name).ok(),
        })
    }

    /// The content in the working tree, if it is a file there.
    pub(super) fn content_here(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let path = self.repository.top().join(name);
        if !std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()) {
            return Ok(None);
        }
        Ok(read(&path).ok())
    }
}

fn split(list: &[u8]) -> Vec<String> {
    let names = list.split(|byte| *byte == 0).filter(|name| !name.is_empty());
    names.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}
