//! `bootseal verify --since REV`: is each file the successor of the one that it was there? What CI asks of a pull request, with no key.

use crate::git::repository::Repository;
use crate::git::versions::Versions;
use crate::trust::keyring::Keys;
use crate::ui::change_report;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Changes, Error, HandEdit, Kind, Shown, VaultId, VerifiedFile};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A revision that is trusted: the branch that a change goes to.
pub(crate) struct Since {
    repository: Repository,
    revision: String,
    commit: String,
}

/// What became of one file.
pub(crate) struct Became {
    headline: String,
    changes: Changes,
    before: Option<u64>,
}

impl Since {
    pub(crate) fn of(revision: &str, near: &Path) -> Result<Since> {
        let repository = Repository::of(near)?;
        let commit = repository.commit(revision)?;
        Ok(Since { repository, revision: Shown(revision).to_string(), commit })
    }

    /// Every sealed file that the revision or the index has, and whether it is still there.
    pub(crate) fn files(&self) -> Result<(Vec<PathBuf>, Vec<PathBuf>)> {
        let mut names = self.names_then()?;
        names.extend(sealed_names(&self.repository.ask(&["ls-files", "-z"])?));
        let here = std::env::current_dir().unwrap_or_default();
        let named = |path: PathBuf| path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path);
        let mut paths: Vec<PathBuf> = names.iter().map(|name| named(self.repository.top().join(name))).collect();
        paths.sort();
        paths.dedup();
        Ok(paths.into_iter().partition(|path| path.exists()))
    }

    /// Holds the file against what it was: the same vault or one that it was handed over to, with a higher generation where it
    /// differs, and not from before new keys.
    pub(crate) fn check(&self, path: &Path, file: &VerifiedFile) -> Result<Became> {
        // A folder may have become a link to another one: the file is held against what was at its path.
        let mut name = self.repository.name_of(path)?;
        if let Some(written) = self.repository.name_as_written(path)
            && self.repository.blob(&self.commit, &written)?.is_some()
        {
            name = written;
        }
        self.check_named(&name, path, file)
    }

    /// Whether the revision has a file of this name.
    pub(crate) fn had(&self, name: &str) -> bool {
        self.repository.blob(&self.commit, name).is_ok_and(|found| found.is_some())
    }

    /// The same for a file by git's own name, wherever it lies now.
    pub(crate) fn check_named(&self, name: &str, path: &Path, file: &VerifiedFile) -> Result<Became> {
        let Some(bytes) = self.repository.blob(&self.commit, name)? else {
            // A file that was renamed, or copied beside itself, is still to be newer than what it was.
            for other in self.names_then()? {
                let there = self.repository.blob(&self.commit, &other)?.unwrap_or_default();
                let Some(old) = Versions::of_line(vec![there], file, &Keys::default()).take_newest() else { continue };
                self.successor(file, &old).map_err(|error| error.in_file(path))?;
            }
            let headline = format!("new since {}", self.revision);
            return Ok(Became { headline, changes: Changes::default(), before: None });
        };
        let old = match Versions::signed(vec![bytes.clone()]).take_newest() {
            Some(old) => old,
            // What lay there was broken; the file must still be the successor of the last one of that vault that was not.
            None => self.last_good(&bytes, name)?.ok_or_else(|| {
                let text = format!(
                    "at {} this file does not verify, and no version before it of the vault that it says to be does",
                    self.revision
                );
                Failure::from(Error::new(Kind::Malformed, text).in_file(path))
            })?,
        };
        self.successor(file, &old).map_err(|error| error.in_file(path))?;
        let same = HandEdit::parse(bytes).is_ok_and(|edit| edit.text() == file.text());
        if same {
            let headline = format!("unchanged since {}", self.revision);
            return Ok(Became { headline, changes: Changes::default(), before: Some(old.generation()) });
        }
        let headline = format!("generation {} → {} since {}", old.generation(), file.generation(), self.revision);
        Ok(Became { headline, changes: Changes::between(&old, file), before: Some(old.generation()) })
    }

    /// Anyone can have committed a vault of theirs in between: the one that the broken text names is meant.
    fn last_good(&self, broken: &[u8], name: &str) -> Result<Option<VerifiedFile>> {
        let text = String::from_utf8_lossy(broken);
        let named =
            text.lines().rev().find_map(|line| line.strip_prefix("vault = \"")?.strip_suffix('"')?.parse().ok());
        let Some(vault): Option<VaultId> = named else { return Ok(None) };
        let versions = self.repository.versions(Some(&self.commit), name)?;
        Ok(Versions::signed_by(versions, vault).take_newest())
    }

    fn names_then(&self) -> Result<Vec<String>> {
        let there = self.repository.ask(&["ls-tree", "-r", "-z", "--name-only", "--full-tree", &self.commit])?;
        Ok(sealed_names(&there).collect())
    }

    fn successor(&self, file: &VerifiedFile, old: &VerifiedFile) -> Result<(), Error> {
        let revision = &self.revision;
        if file.vault_id() != old.vault_id() && !file.former_ids().contains(&old.vault_id()) {
            let what = if old.former_ids().contains(&file.vault_id()) {
                format!(
                    "this file is signed by {}, which was handed over to {} by {revision}: a former writer may have made it",
                    file.vault_id(),
                    old.vault_id()
                )
            } else {
                format!("another vault is here: {}; at {revision} it was {}", file.vault_id(), old.vault_id())
            };
            return Err(Error::new(Kind::WrongVault, what)
                .with_help("Someone may have put a vault of theirs in its place. Bring the file back: git checkout"));
        }
        let what = if file.text() == old.text() {
            return Ok(());
        } else if file.generation() <= old.generation() {
            format!(
                "this is generation {}, at {revision} it was {}: an older or another file was brought in",
                file.generation(),
                old.generation()
            )
        } else if file.epoch() < old.epoch() {
            format!(
                "this file has the data key of epoch {}, at {revision} it was epoch {}: it goes on from before new keys",
                file.epoch(),
                old.epoch()
            )
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::OldGeneration, what)
            .with_help("To bring an older content back on purpose, a writer signs it anew: bootseal sign"))
    }
}

/// The sealed files in a list of git's, of names that each end in NUL.
fn sealed_names(list: &[u8]) -> impl Iterator<Item = String> {
    let names = list.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    names.filter(|name| name.ends_with(".sealed.toml")).map(str::to_owned)
}

impl Became {
    pub(crate) fn text(&self) -> String {
        let changes = change_report::text(&self.changes);
        let indented: String = changes.lines().map(|line| format!("\n  {line}")).collect();
        format!("  {}{indented}", self.headline)
    }

    pub(crate) fn markdown(&self, file: &str) -> String {
        change_report::markdown(file, &self.headline, &self.changes)
    }

    pub(crate) fn document(&self) -> Value {
        json!({ "generation_before": self.before, "new": self.before.is_none(), "changes": change_report::document(&self.changes) })
    }
}
