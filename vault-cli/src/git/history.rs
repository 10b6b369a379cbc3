//! The signed versions of a file in git, read as a stream.
//!
//! Anyone who can push a branch decides how many versions there are, and how large they are. So
//! versions without a valid signature are dropped as they are read, and the work is limited.

use crate::git::repository::Repository;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, MAX_FILE, SealedFile, Shown};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The maximum number of versions that are checked, newest first.
const MOST_VERSIONS: usize = 20_000;
/// The maximum number of bytes that are read from all versions together.
const MOST_BYTES: u64 = 4 << 30;
/// The maximum number of bytes of the signed versions, which are kept in memory.
const MOST_KEPT: usize = 512 << 20;
/// The maximum time for all versions of one file.
const LONGEST: Duration = Duration::from_secs(30);

/// The signed versions of a file, each once, newest first.
pub(crate) struct History {
    pub(crate) versions: Vec<Vec<u8>>,
    /// Whether every version was checked. If not, the newest trusted version may be missing.
    pub(crate) complete: bool,
}

impl History {
    /// The history of a file that git does not know.
    pub(crate) fn none() -> History {
        History { versions: Vec::new(), complete: true }
    }

    /// Refuses a history of which only a part was checked.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] if a limit was reached.
    pub(crate) fn require_complete(&self, name: &str) -> Result<()> {
        if self.complete {
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
    /// Reads the signed versions of a file in the history of `commit` or, with `None`, of all
    /// branches and tags.
    pub(crate) fn history(&self, commit: Option<&str>, name: &str) -> Result<History> {
        let until = Instant::now() + LONGEST;
        let (ids, all_listed) = self.ids(commit.unwrap_or("--all"), name, until)?;
        let (versions, all_read) = self.signed(&ids, until)?;
        Ok(History { versions, complete: all_listed && all_read })
    }

    /// Lists the ids of the versions. Returns also whether the list is complete.
    fn ids(&self, from: &str, name: &str, until: Instant) -> Result<(Vec<String>, bool)> {
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
            if ids.len() > MOST_VERSIONS || Instant::now() > until {
                ids.truncate(MOST_VERSIONS);
                return Ok((ids, false));
            }
        }
        Ok((ids, true))
    }

    /// Reads these versions, and keeps those with a valid signature. Returns also whether all were
    /// read.
    fn signed(&self, ids: &[String], until: Instant) -> Result<(Vec<Vec<u8>>, bool)> {
        let cannot =
            |error: std::io::Error| Failure::new(Kind::Io, format!("git cat-file: {error}"));
        let mut command = self.command(&["cat-file", "--batch"])?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Running(command.spawn().map_err(cannot)?);
        let (Some(mut to), Some(from)) = (child.0.stdin.take(), child.0.stdout.take()) else {
            return Ok((Vec::new(), false));
        };
        let mut from = BufReader::new(from);
        let (mut kept, mut kept_bytes, mut total) = (Vec::new(), 0, 0);
        let mut read = || -> std::io::Result<bool> {
            for id in ids {
                // The answer is read after each request, so that neither pipe fills up.
                writeln!(to, "{id}")?;
                to.flush()?;
                let mut header = String::new();
                from.read_line(&mut header)?;
                let size = header.split_ascii_whitespace().nth(2);
                let Some(size) = size.and_then(|size| size.parse::<u64>().ok()) else { continue };
                total += size;
                if total > MOST_BYTES || kept_bytes > MOST_KEPT || Instant::now() > until {
                    return Ok(false);
                }
                if size <= MAX_FILE as u64 {
                    let mut blob = Vec::new();
                    (&mut from).take(size).read_to_end(&mut blob)?;
                    if is_signed(&blob) {
                        kept_bytes += blob.len();
                        kept.push(blob);
                    }
                } else {
                    std::io::copy(&mut (&mut from).take(size), &mut std::io::sink())?;
                }
                from.read_exact(&mut [0])?;
            }
            Ok(true)
        };
        let complete = read().map_err(cannot)?;
        Ok((kept, complete))
    }
}

fn is_signed(blob: &[u8]) -> bool {
    SealedFile::parse(blob.to_vec()).and_then(SealedFile::verify_signature).is_ok()
}

/// A git process that is ended when its output is no longer read: otherwise it would wait for a
/// reader of its pipe.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
