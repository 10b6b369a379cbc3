//! The signed versions of a file in git, read as a stream.
//!
//! Anyone who can push a branch decides how many versions there are, and how large they are. So
//! only the facts that order the versions are kept, versions without a valid signature are dropped
//! as they are read, and the work is limited.

use crate::git::blobs::Blobs;
use crate::git::budget::{Budget, LONGEST, MOST_BYTES};
use crate::git::command::Running;
use crate::git::repository::Repository;
use crate::git::version::Version;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, SealedFile, Shown};
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// The maximum number of versions that are checked, newest first.
const MOST_VERSIONS: usize = 20_000;

/// The signed versions of a file, each once, newest first.
#[derive(Clone, Default)]
pub(crate) struct History {
    pub(crate) versions: Vec<Version>,
    /// Whether some versions were not checked, so that the newest trusted one may be missing.
    pub(crate) cut: bool,
}

impl History {
    /// Refuses a history of which only a part was checked.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if a limit was reached.
    pub(crate) fn require_complete(&self, name: &str) -> Result<()> {
        if !self.cut {
            return Ok(());
        }
        let text = format!(
            "git has too many versions of {}: at most {MOST_VERSIONS} versions and {} GiB are checked, for at most {} s",
            Shown(name),
            MOST_BYTES >> 30,
            LONGEST.as_secs()
        );
        Err(Failure::new(Kind::WrongVault, text).with_help(
            "Name the version to continue from: bootseal sign --against VERSION (for example, origin/main)",
        ))
    }
}

impl Repository {
    /// Reads the signed versions of a file in the history of `commit`.
    pub(crate) fn history(&self, commit: &str, name: &str) -> Result<History> {
        let mut budget = Budget::new();
        let (ids, all_listed) = self.ids(commit, name, &budget)?;
        let (versions, all_read) = self.signed(ids, &mut budget)?;
        Ok(History { versions, cut: !(all_listed && all_read) })
    }

    /// Reads the signed versions of a file in the history of `commit`, and those of all branches and
    /// tags, which include the former.
    pub(crate) fn histories(&self, commit: &str, name: &str) -> Result<(History, History)> {
        let mut budget = Budget::new();
        let (here, here_listed) = self.ids(commit, name, &budget)?;
        let (all, all_listed) = self.ids("--all", name, &budget)?;
        let (versions, here_read) = self.signed(here.clone(), &mut budget)?;
        let here_history = History { versions, cut: !(here_listed && here_read) };
        // Each version is checked once.
        let here: HashSet<String> = here.into_iter().collect();
        let others = all.into_iter().filter(|id| !here.contains(id)).collect();
        let (others, others_read) = self.signed(others, &mut budget)?;
        let mut versions = here_history.versions.clone();
        versions.extend(others);
        let cut = here_history.cut || !(all_listed && others_read);
        Ok((here_history, History { versions, cut }))
    }

    /// Lists the ids of the versions. Returns also whether the list is complete.
    fn ids(&self, from: &str, name: &str, budget: &Budget) -> Result<(Vec<String>, bool)> {
        let cannot = |error: std::io::Error| Failure::new(Kind::Io, format!("git log: {error}"));
        let log = ["log", "--full-history", "-m", "--raw", "--no-abbrev", "--no-renames"];
        let mut command = self.command(&log)?;
        command.args(["--format=", from, "--", name]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Running(command.spawn().map_err(cannot)?);
        let Some(out) = child.0.stdout.take() else { return Ok((Vec::new(), false)) };
        let (mut seen, mut ids) = (HashSet::new(), Vec::new());
        for line in BufReader::new(out).split(b'\n') {
            let line = line.map_err(cannot)?;
            let line = String::from_utf8_lossy(&line);
            // ":100644 100644 OLD NEW M\tname"
            let mut words = line.split_ascii_whitespace().skip(2);
            for id in [words.next(), words.next()].into_iter().rev().flatten() {
                if id.bytes().any(|byte| byte != b'0') && seen.insert(id.to_owned()) {
                    ids.push(id.to_owned());
                }
            }
            if ids.len() > MOST_VERSIONS || budget.is_late() {
                ids.truncate(MOST_VERSIONS);
                return Ok((ids, false));
            }
        }
        Ok((ids, true))
    }

    /// Reads these versions, and keeps those with a valid signature. Returns also whether all were
    /// read.
    fn signed(&self, ids: Vec<String>, budget: &mut Budget) -> Result<(Vec<Version>, bool)> {
        let mut kept = Vec::new();
        if ids.is_empty() {
            return Ok((kept, true));
        }
        let mut blobs = Blobs::of(self)?;
        for id in ids {
            let Some(blob) = blobs.read(&id, budget)? else { return Ok((kept, false)) };
            if let Ok(signed) = SealedFile::parse(blob).and_then(SealedFile::verify_version) {
                kept.push(Version::blob(signed, self, id));
            }
        }
        Ok((kept, true))
    }
}
