//! `bootseal verify --since REV`: checks that each file is the successor of its version at a
//! revision. CI runs it for a pull request, without a key.

use crate::basis::versions::{Versions, is_related};
use crate::commands::verify::base::Base;
use crate::git::objects::{Entry, is_sealed};
use crate::git::repository::Repository;
use crate::ui::change_report;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    Changes, Error, HandEdit, Kind, SealedFile, Shown, SignedVersion, VaultId, VerifiedFile,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A trusted revision: the branch into which a change is to be merged.
pub(crate) struct Since {
    repository: Repository,
    revision: String,
    base: Base,
}

/// The sealed files of a revision and of the index.
pub(crate) struct Files {
    pub(crate) there: Vec<PathBuf>,
    /// Those that no longer exist.
    pub(crate) gone: Vec<PathBuf>,
    /// New links and submodules, which may contain any file.
    pub(crate) unexamined: Vec<PathBuf>,
}

/// The change of one file since the revision.
pub(crate) struct Became {
    headline: String,
    changes: Changes,
    before: Option<u64>,
}

impl Since {
    pub(crate) fn of(revision: &str, near: &Path) -> Result<Since> {
        let repository = Repository::of(near)?;
        let commit = repository.commit(revision)?;
        Since::at(repository, revision, commit)
    }

    /// Compares with HEAD; `None` before the first commit.
    pub(crate) fn head(repository: &Repository) -> Result<Option<Since>> {
        let head = repository.head()?;
        head.map(|head| Since::at(repository.clone(), "HEAD", head)).transpose()
    }

    fn at(repository: Repository, revision: &str, commit: String) -> Result<Since> {
        let base = Base::of(repository.clone(), commit)?;
        Ok(Since { repository, revision: Shown(revision).to_string(), base })
    }

    /// The sealed files of the revision and the index.
    pub(crate) fn files(&self) -> Result<Files> {
        let mut names = self.base.sealed_names();
        let list = self.repository.ask(&["ls-files", "-z"])?;
        let here = list.split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
        names.extend(here.filter(|name| is_sealed(name)).map(str::to_owned));
        // A branch can hide a copy under a name that does not look like a sealed file.
        let changed = self.base.changed()?;
        names.extend(changed.sealed);
        let here = std::env::current_dir().unwrap_or_default();
        let named = |name: &String| {
            let path = self.repository.top().join(name);
            path.strip_prefix(&here).map(Path::to_path_buf).unwrap_or(path)
        };
        let mut paths: Vec<PathBuf> = names.iter().map(named).collect();
        paths.sort();
        paths.dedup();
        let (there, gone) = paths.into_iter().partition(|path| path.exists());
        Ok(Files { there, gone, unexamined: changed.unexamined.iter().map(named).collect() })
    }

    /// Compares the file with its version at the revision: it must be the same vault, or one that
    /// the vault was handed over to. If the file differs, it must have a higher generation and,
    /// under the same id, no older epoch.
    pub(crate) fn check(&self, path: &Path, file: &VerifiedFile) -> Result<Became> {
        // If a link replaced a folder, the file is compared with the old file at the given path,
        // without following the link.
        let mut name = self.repository.name_of(path)?;
        if let Some(written) = self.repository.name_as_written(path)
            && self.base.has(&written)
        {
            name = written;
        }
        self.check_named(&name, path, file)
    }

    /// Whether the revision has a sealed file of this name, or in a folder of this name.
    pub(crate) fn had_sealed(&self, name: &str) -> Result<bool> {
        self.base.has_sealed(name)
    }

    /// Whether the file of this name is the one of the revision: it has the same content, or the
    /// revision has the same entry, whose content a filter has changed.
    pub(crate) fn is_same(&self, name: &str, now: Option<&Entry>, content: &[u8]) -> Result<bool> {
        let Some(old) = self.base.read(name)? else { return Ok(false) };
        let is_entry = now.is_some_and(|now| self.base.has_same(name, now));
        Ok(old == content || (is_entry && SealedFile::parse(old).is_err()))
    }

    /// The version at the revision, if it verifies.
    pub(crate) fn before(&self, name: &str) -> Result<Option<VerifiedFile>> {
        Ok(self.base.read(name)?.and_then(verified))
    }

    /// The version at the revision of a file that the index has under another name: the names of the
    /// index for which `is_here` holds are those of other files.
    pub(crate) fn before_rename(
        &self,
        file: &VerifiedFile,
        is_here: impl Fn(&str) -> bool,
    ) -> Result<Option<VerifiedFile>> {
        let former = file.former_ids();
        for name in self.base.sealed_names().iter().filter(|name| !is_here(name)) {
            let old = self.before(name)?.filter(|old| {
                old.vault_id() == file.vault_id() || former.contains(&old.vault_id())
            });
            if old.is_some() {
                return Ok(old);
            }
        }
        Ok(None)
    }

    /// Does the same as [`Since::check`], with the name that the file has in git.
    pub(crate) fn check_named(
        &self,
        name: &str,
        path: &Path,
        file: &VerifiedFile,
    ) -> Result<Became> {
        let Some(bytes) = self.base.read(name)? else {
            // A renamed or copied file must still be newer than the original.
            let former = file.former_ids();
            for old in self.base.sealed()?.iter().map(|version| &version.signed) {
                if is_related(old, file.vault_id(), &former) {
                    self.successor(file, &Old::from(old)).map_err(|error| error.in_file(path))?;
                }
            }
            let headline = format!("new since {}", self.revision);
            return Ok(Became { headline, changes: Changes::default(), before: None });
        };
        let old = match verified(bytes.clone()) {
            Some(old) => old,
            // The version at the revision does not verify, so the file must be the successor of the
            // last version of the same vault that verifies.
            None => self.last_good(&bytes, name)?.ok_or_else(|| {
                let text = format!(
                    "at {} this file does not verify, and neither does any earlier version of the vault that it names",
                    self.revision
                );
                Failure::from(Error::new(Kind::Malformed, text).in_file(path))
            })?,
        };
        self.successor(file, &Old::from(&old)).map_err(|error| error.in_file(path))?;
        let same = HandEdit::parse(bytes).is_ok_and(|edit| edit.text() == file.text());
        if same {
            let headline = format!("unchanged since {}", self.revision);
            return Ok(Became {
                headline,
                changes: Changes::default(),
                before: Some(old.generation()),
            });
        }
        let headline = format!(
            "generation {} → {} since {}",
            old.generation(),
            file.generation(),
            self.revision
        );
        Ok(Became {
            headline,
            changes: Changes::between(&old, file),
            before: Some(old.generation()),
        })
    }

    /// Finds the last version that verifies and belongs to the vault that the broken text names.
    /// Someone may have committed another vault in between.
    fn last_good(&self, broken: &[u8], name: &str) -> Result<Option<VerifiedFile>> {
        let text = String::from_utf8_lossy(broken);
        let named = text
            .lines()
            .rev()
            .find_map(|line| line.strip_prefix("vault = \"")?.strip_suffix('"')?.parse().ok());
        let Some(vault): Option<VaultId> = named else { return Ok(None) };
        let history = self.repository.history(self.base.commit(), name)?;
        history.require_complete(name)?;
        Versions::signed_by(history.versions, vault).newest(&[vault.into()], None)
    }

    fn successor(&self, file: &VerifiedFile, old: &Old) -> Result<(), Error> {
        let revision = &self.revision;
        if file.vault_id() != old.vault && !file.former_ids().contains(&old.vault) {
            let what = if old.former.contains(&file.vault_id()) {
                format!(
                    "this file is signed by {}, which was handed over to {} by {revision}: a former writer may have made it",
                    file.vault_id(),
                    old.vault
                )
            } else {
                format!(
                    "this is a different vault, {}; at {revision} it was {}",
                    file.vault_id(),
                    old.vault
                )
            };
            let help = match old.former.contains(&file.vault_id()) {
                true => format!(
                    "Restore the file: git checkout {revision} -- FILE. To undo a removal, give the member access again in the restored file: bootseal access add NAME RECIPIENT; `bootseal access list` shows the recipients in the older file"
                ),
                false => "Someone may have replaced it with a vault of their own. Restore the file: git checkout".to_owned(),
            };
            return Err(Error::new(Kind::WrongVault, what).with_help(help));
        }
        // Each vault id has its own numbers. Of an id that was handed over, only the generations up
        // to the handover count.
        let same_id = file.vault_id() == old.vault;
        let handed_over = file.handed_over_at(&old.vault).filter(|_| !same_id);
        let generation = handed_over.map_or(old.generation, |at| at.min(old.generation));
        let what = if file.digest() == old.digest {
            return Ok(());
        } else if file.generation() <= generation {
            format!(
                "this is generation {}, but at {revision} it was {}: an older or a different file was added",
                file.generation(),
                generation
            )
        } else if same_id && file.epoch() < old.epoch {
            let what = format!(
                "this file has the data key of epoch {}, but at {revision} it was epoch {}: it is based on a version with older keys",
                file.epoch(),
                old.epoch
            );
            // Without new keys, whoever was removed in between could read what is sealed next.
            return Err(Error::new(Kind::OldGeneration, what).with_help(format!(
                "To restore older content on purpose, a writer must sign it again: bootseal sign. To undo a removal, also with new keys: bootseal sign --against VERSION, with the version from before it, or bootseal access add in the file of {revision}"
            )));
        } else {
            return Ok(());
        };
        Err(Error::new(Kind::OldGeneration, what).with_help(
            "To restore older content on purpose, a writer must sign it again: bootseal sign",
        ))
    }
}

/// The version with this text, if its signature is valid: the branch that receives the change is
/// trusted, so any vault is accepted.
fn verified(text: Vec<u8>) -> Option<VerifiedFile> {
    SealedFile::parse(text).ok()?.verify(&[]).ok()
}

/// The facts of a version at the revision that its successor is compared with.
struct Old {
    vault: VaultId,
    former: Vec<VaultId>,
    generation: u64,
    epoch: u64,
    digest: [u8; 32],
}

impl From<&VerifiedFile> for Old {
    fn from(file: &VerifiedFile) -> Old {
        Old {
            vault: file.vault_id(),
            former: file.former_ids(),
            generation: file.generation(),
            epoch: file.epoch(),
            digest: file.digest(),
        }
    }
}

impl From<&SignedVersion> for Old {
    fn from(version: &SignedVersion) -> Old {
        Old {
            vault: version.vault_id(),
            former: version.former_ids().to_vec(),
            generation: version.generation(),
            epoch: version.epoch(),
            digest: version.digest(),
        }
    }
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
