//! The signed versions of a file in git, read as a stream.
//!
//! Anyone who can push a branch decides how many versions there are, and how large they are. So
//! only the facts that order the versions are kept, versions without a valid signature are dropped
//! as they are read, and the work is limited.

use crate::git::blobs::{Answer, Blobs};
use crate::git::budget::{Budget, LONGEST, MOST_BYTES};
use crate::git::command::Running;
use crate::git::objects::is_sealed;
use crate::git::repository::Repository;
use crate::git::version::Version;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, SealedFile, Shown};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

/// The maximum number of versions that are checked, newest first.
const MOST_VERSIONS: usize = 20_000;

/// Why some versions were not checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Gap {
    /// A limit was reached.
    Limits,
    /// A partial clone lacks objects.
    Missing,
    /// A shallow clone lacks commits.
    Shallow,
}

impl Gap {
    /// The sentence with the command that fetches what is missing; empty if nothing is.
    pub(super) fn fetch(self) -> &'static str {
        match self {
            Gap::Limits => "",
            Gap::Missing => "Fetch them: git fetch --refetch --no-filter. ",
            Gap::Shallow => "Fetch them: git fetch --unshallow. ",
        }
    }
}

/// The signed versions of a file, each once, newest first.
#[derive(Clone, Default)]
pub(crate) struct History {
    pub(crate) versions: Vec<Version>,
    /// Why some versions were not checked, so that the newest trusted one may be missing.
    pub(crate) gap: Option<Gap>,
}

impl History {
    /// Refuses a history of which only a part was checked.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if a limit was reached, or if the clone lacks versions.
    pub(crate) fn require_complete(&self, name: &str) -> Result<()> {
        let Some(gap) = self.gap else { return Ok(()) };
        let name = Shown(name);
        let text = match gap {
            Gap::Limits => format!(
                "git has too many versions of {name}: at most {MOST_VERSIONS} versions and {} GiB are checked, for at most {} s",
                MOST_BYTES >> 30,
                LONGEST.as_secs()
            ),
            Gap::Missing => format!(
                "git does not have every version of {name} in this clone, which is partial, so the newest one may be missing"
            ),
            Gap::Shallow => format!(
                "git does not have the earlier versions of {name} in this clone, which is shallow, so the newest one may be missing"
            ),
        };
        Err(Failure::new(Kind::WrongVault, text).with_help(format!(
            "{}Name the version to continue from: bootseal sign --against VERSION (for example, origin/main)",
            gap.fetch()
        )))
    }
}

/// The files whose versions are wanted.
enum Files<'a> {
    Named(&'a str),
    /// Those that are sealed files by their name, and those with one of these names.
    Sealed(&'a [String]),
}

impl Files<'_> {
    /// Whether the file of a line of `git log --raw` is wanted. Git puts unusual names into quotes.
    fn contain(&self, line: &str) -> bool {
        let Files::Sealed(names) = self else { return true };
        let name = line.rsplit_once('\t').map_or("", |(_, name)| name.trim_matches('"'));
        is_sealed(name) || names.iter().any(|other| other == name)
    }
}

impl Repository {
    /// Reads the signed versions of a file in the history of `commit`.
    pub(crate) fn history(&self, commit: &str, name: &str) -> Result<History> {
        self.read_all(commit, &Files::Named(name))
    }

    /// Reads the signed versions of all files of all branches and tags that are sealed files by
    /// their name, or have one of these names: a branch can rename a file.
    pub(super) fn all_sealed(&self, names: &[String]) -> Result<History> {
        self.read_all("--all", &Files::Sealed(names))
    }

    fn read_all(&self, from: &str, files: &Files<'_>) -> Result<History> {
        let mut budget = Budget::new();
        let (ids, unlisted) = self.ids(from, files, &budget)?;
        let (versions, unread) = self.signed(ids, &mut budget)?;
        Ok(History { versions, gap: unlisted.or(unread) })
    }

    /// Reads the signed versions of a file in the history of `commit`, and those of all branches and
    /// tags, which include the former.
    pub(crate) fn histories(&self, commit: &str, name: &str) -> Result<(History, History)> {
        let mut budget = Budget::new();
        let (here, here_unlisted) = self.ids(commit, &Files::Named(name), &budget)?;
        let (all, all_unlisted) = self.ids("--all", &Files::Named(name), &budget)?;
        let (versions, here_unread) = self.signed(here.clone(), &mut budget)?;
        let here_history = History { versions, gap: here_unlisted.or(here_unread) };
        // Each version is checked once.
        let here: HashSet<String> = here.into_iter().collect();
        let others = all.into_iter().filter(|id| !here.contains(id)).collect();
        let (others, others_unread) = self.signed(others, &mut budget)?;
        let mut versions = here_history.versions.clone();
        versions.extend(others);
        let gap = here_history.gap.or(all_unlisted).or(others_unread);
        Ok((here_history, History { versions, gap }))
    }

    /// Reads these blobs, and keeps those that are signed versions.
    pub(crate) fn signed_among(&self, ids: Vec<String>) -> Result<History> {
        let (versions, gap) = self.signed(ids, &mut Budget::new())?;
        Ok(History { versions, gap })
    }

    /// Lists the ids of the versions. Also returns why the list is incomplete, if it is.
    fn ids(
        &self,
        from: &str,
        files: &Files<'_>,
        budget: &Budget,
    ) -> Result<(Vec<String>, Option<Gap>)> {
        let cannot = |error: std::io::Error| Failure::new(Kind::Io, format!("git log: {error}"));
        let mut gap = self.is_shallow()?.then_some(Gap::Shallow);
        // A version may be only in a merge commit, which the user's settings could hide.
        let log = [
            "log",
            "--full-history",
            "--diff-merges=separate",
            "--raw",
            "--no-abbrev",
            "--no-renames",
        ];
        let mut command = self.command(&log)?;
        command.args(["--format=", from, "--"]);
        if let Files::Named(name) = files {
            command.arg(name);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Running(command.spawn().map_err(cannot)?);
        let Some(out) = child.0.stdout.take() else { return Ok((Vec::new(), Some(Gap::Missing))) };
        let (mut seen, mut ids) = (HashSet::new(), Vec::new());
        for line in BufReader::new(out).split(b'\n') {
            let line = line.map_err(cannot)?;
            let line = String::from_utf8_lossy(&line);
            for id in versions_in(&line).filter(|_| files.contain(&line)) {
                if seen.insert(id.to_owned()) {
                    ids.push(id.to_owned());
                }
            }
            if ids.len() > MOST_VERSIONS || budget.is_late() {
                ids.truncate(MOST_VERSIONS);
                return Ok((ids, gap.or(Some(Gap::Limits))));
            }
        }
        // Git stops at a folder or a commit that this clone lacks.
        if !child.0.wait().map_err(cannot)?.success() {
            gap = gap.or(Some(Gap::Missing));
        }
        Ok((ids, gap))
    }

    /// Reads these versions, and keeps those with a valid signature. Also returns why some were not
    /// read, if so.
    fn signed(&self, ids: Vec<String>, budget: &mut Budget) -> Result<(Vec<Version>, Option<Gap>)> {
        let mut kept = Vec::new();
        let gap = self.each_blob(ids, budget, |id, blob| {
            if let Ok(signed) = SealedFile::parse(blob).and_then(SealedFile::verify_version) {
                kept.push(Version::blob(signed, self, id));
            }
        })?;
        Ok((kept, gap))
    }

    /// Reads these blobs, one after the other, except those that are larger than a sealed file.
    /// Returns why some were not read, if so.
    pub(super) fn each_blob(
        &self,
        ids: impl IntoIterator<Item = String>,
        budget: &mut Budget,
        mut take: impl FnMut(String, Vec<u8>),
    ) -> Result<Option<Gap>> {
        let (mut ids, mut gap) = (ids.into_iter().peekable(), None);
        if ids.peek().is_none() {
            return Ok(None);
        }
        let mut blobs = Blobs::of(self)?;
        for id in ids {
            match blobs.read(&id, budget)? {
                Answer::Blob(blob) => take(id, blob),
                Answer::TooLarge => {}
                Answer::Missing => gap = Some(Gap::Missing),
                Answer::Spent => return Ok(gap.or(Some(Gap::Limits))),
            }
        }
        Ok(gap)
    }
}

/// The signed versions of a file in git: those in the history of HEAD, and all of them. Outside a
/// repository, and before the first commit, there are none.
///
/// # Errors
/// If the file belongs to another repository than the current folder, or if git fails.
pub(crate) fn in_git(path: &Path) -> Result<(History, History)> {
    let repository = match Repository::of(path) {
        Ok(repository) => repository,
        Err(failure) if failure.kind() == Kind::NotFound => return Ok(Default::default()),
        Err(failure) => return Err(failure),
    };
    let name = repository.name_of(path)?;
    let Some(head) = repository.head()? else { return Ok(Default::default()) };
    let (mut here, all) = repository.histories(&head, &name)?;
    // A staged version may be newer than any commit.
    here.versions.extend(repository.blob(":0", &name)?.and_then(Version::of_text));
    Ok((here, all))
}

/// The ids of the files in a line of `git log --raw`, ":100644 100644 OLD NEW M\tname", the newer one
/// first. A submodule or a link is no version.
fn versions_in(line: &str) -> impl Iterator<Item = &str> {
    let mut words = line.trim_start_matches(':').split_ascii_whitespace();
    let (modes, ids) = ([words.next(), words.next()], [words.next(), words.next()]);
    let files = modes.into_iter().zip(ids).rev();
    files
        .filter(|(mode, _)| mode.is_some_and(|mode| mode.starts_with("100")))
        .filter_map(|one| one.1)
}

#[cfg(test)]
mod tests {
    use super::versions_in;

    #[test]
    fn links_and_submodules_are_no_versions() {
        for (line, expected) in [
            (":100644 100755 aa bb M\ta.toml", &["bb", "aa"][..]),
            (":000000 100644 00 bb A\ta.toml", &["bb"]),
            (":100644 160000 aa bb T\ta.toml", &["aa"]),
            (":120000 100644 aa bb T\ta.toml", &["bb"]),
            ("", &[]),
        ] {
            assert_eq!(versions_in(line).collect::<Vec<_>>(), expected, "{line}");
        }
    }
}
