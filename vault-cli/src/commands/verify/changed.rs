//! The files that differ between a trusted commit and the index, and that are sealed files by their
//! content. Whoever pushes a branch chooses the name of each file, and the filters that git
//! applies to it.

use crate::commands::verify::base::{Base, complete};
use crate::git::objects::{Entry, staged};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, MAX_FILE, SealedFile, Shown};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// The file that assigns filters and encodings to other files.
const ATTRIBUTES: &str = ".gitattributes";

/// What differs between the commit and the index.
#[derive(Default)]
pub(super) struct Changed {
    /// The files that have the form of a sealed file: in the commit, in the index, or in the working
    /// tree, where a filter may have written something else.
    pub(super) sealed: Vec<String>,
    /// The new links and submodules whose content is not examined.
    pub(super) unexamined: Vec<String>,
}

impl Base {
    /// Compares the commit with the index and the working tree.
    ///
    /// # Errors
    /// [`Kind::Io`] if git does not have one of these files in this clone; [`Kind::WrongVault`] if
    /// they are too large to be read; [`Kind::Conflict`] if the name of a sealed file is not UTF-8.
    pub(super) fn changed(&self) -> Result<Changed> {
        let list = self.repository.ask(&["ls-files", "--stage", "-z"])?;
        let index: BTreeMap<String, Entry> =
            staged(&list).into_iter().map(|(name, _, entry)| (name, entry)).collect();
        let before: Vec<(&String, &Entry)> = (self.files.iter())
            .filter(|(name, old)| index.get(*name).is_none_or(|now| !now.is_same(old)))
            .collect();
        let now: Vec<(&String, &Entry)> = (index.iter())
            .filter(|(name, now)| self.files.get(*name).is_none_or(|old| !old.is_same(now)))
            .collect();
        let in_commit = self.in_form(&before, self.commit())?;
        let in_index = self.in_form(&now, "the index")?;
        if let Some(name) = in_index.iter().find(|name| name.contains('\u{fffd}')) {
            let text = format!(
                "{}: the name of this sealed file is not UTF-8, so it was not checked; rename it",
                Shown(name)
            );
            return Err(Failure::new(Kind::Conflict, text));
        }
        // New attributes can change what git writes for any file.
        let attributes =
            |(name, _): &(&String, &Entry)| name.rsplit('/').next() == Some(ATTRIBUTES);
        let on_disk: Vec<(&String, &Entry)> = match before.iter().chain(&now).any(attributes) {
            true => index.iter().collect(),
            false => now.clone(),
        };
        let top = self.repository.top();
        let mut changed = Changed::default();
        changed.sealed.extend(in_commit);
        changed.sealed.extend(in_index);
        for (name, entry) in on_disk.into_iter().filter(|(_, entry)| entry.is_blob()) {
            let path = top.join(name);
            if (entry.is_regular() || is_inside(&path, top)) && has_form(&path) {
                changed.sealed.push(name.clone());
            }
        }
        let is_closed = |(name, entry): &(&String, &Entry)| {
            entry.is_submodule() || (entry.is_link() && !is_inside(&top.join(name), top))
        };
        let closed = now.into_iter().filter(is_closed);
        changed.unexamined = closed.map(|(name, _)| name.clone()).collect();
        Ok(changed)
    }

    /// The names of those files that have the form of a sealed file.
    fn in_form(&self, files: &[(&String, &Entry)], place: &str) -> Result<Vec<String>> {
        let candidates = files.iter().filter(|(_, entry)| entry.may_be_sealed());
        let ids: HashSet<String> = candidates.clone().map(|(_, entry)| entry.id.clone()).collect();
        let (found, gap) = self.repository.sealed_in_form(ids)?;
        complete(gap, place)?;
        let of_form = candidates.filter(|(_, entry)| found.contains(&entry.id));
        Ok(of_form.map(|(name, _)| (*name).clone()).collect())
    }
}

/// Whether the path leads to a file in the working tree.
fn is_inside(path: &Path, top: &Path) -> bool {
    let real = (path.canonicalize(), top.canonicalize());
    matches!(real, (Ok(path), Ok(top)) if path.starts_with(&top) && path.is_file())
}

/// Whether the file on disk has the form of a sealed file.
fn has_form(path: &Path) -> bool {
    let may_be = |found: std::fs::Metadata| found.is_file() && found.len() <= MAX_FILE as u64;
    path.metadata().is_ok_and(may_be) && SealedFile::read(path).is_ok()
}
