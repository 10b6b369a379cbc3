//! A git repository, queried through the git binary with plumbing commands that run no filter,
//! driver or hook.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown};
use std::collections::HashSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The maximum number of versions of one file that are read, newest first.
const MOST_VERSIONS: usize = 2000;
/// The maximum number of bytes of all versions together: anyone who can push a branch can add
/// versions.
const MOST_BYTES: u64 = 256 << 20;
/// The maximum number of bytes of one version, which is the limit of a sealed file.
const LARGEST: u64 = 16 << 20;

/// A working tree.
pub(crate) struct Repository {
    top: PathBuf,
}

/// The error of a git command that failed.
fn failed(what: &str, output: &[u8]) -> Failure {
    let message = String::from_utf8_lossy(output);
    let message =
        message.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
    Failure::new(Kind::Io, format!("git {what}: {}", Shown(&message)))
}

impl Repository {
    /// Finds the repository that contains `path`.
    pub(crate) fn of(path: &Path) -> Result<Repository> {
        let folder = match path.is_dir() {
            true => path,
            false => path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty())
                .unwrap_or(Path::new(".")),
        };
        let output = Command::new("git")
            .arg("-C")
            .arg(folder)
            .args(["rev-parse", "--show-toplevel"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| Failure::new(Kind::Io, format!("git cannot be run: {error}")))?;
        if !output.status.success() {
            let text = format!("{} is not in a git repository", Shown::path(path));
            return Err(Failure::new(Kind::NotFound, text));
        }
        let top = String::from_utf8_lossy(&output.stdout);
        Ok(Repository { top: PathBuf::from(top.trim_end_matches('\n')) })
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new("git");
        // A name with `*` or `:` is taken literally, not as a pattern.
        command.arg("--literal-pathspecs").arg("-C").arg(&self.top).args(args).stdin(Stdio::null());
        command
    }

    /// Returns the output of a git command.
    ///
    /// # Errors
    /// If the command fails.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = self.try_ask(args)?;
        output.map_err(|message| failed(args.first().unwrap_or(&""), &message))
    }

    /// Does the same as [`Repository::ask`], but returns a failed command as an inner error with
    /// its message.
    pub(crate) fn try_ask(&self, args: &[&str]) -> Result<std::result::Result<Vec<u8>, Vec<u8>>> {
        let output = self.command(args).output();
        let output = output
            .map_err(|error| Failure::new(Kind::Io, format!("git cannot be run: {error}")))?;
        Ok(if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) })
    }

    /// Returns a file's path within the repository, with slashes. The file itself need not exist.
    pub(crate) fn name_of(&self, path: &Path) -> Result<String> {
        let outside = || {
            let text = format!(
                "{} is not in the repository {}",
                Shown::path(path),
                Shown::path(&self.top)
            );
            Failure::new(Kind::Usage, text)
        };
        let name = path.file_name().ok_or_else(outside)?;
        let folder =
            path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(|_| outside())?;
        let top = self.top.canonicalize().map_err(|_| outside())?;
        let inside = folder.strip_prefix(&top).map_err(|_| outside())?.join(name);
        let parts: Option<Vec<&str>> =
            inside.components().map(|part| part.as_os_str().to_str()).collect();
        Ok(parts.ok_or_else(outside)?.join("/"))
    }

    /// Does the same as [`Repository::name_of`] without following links: returns the name of a file
    /// that a link may have replaced.
    pub(crate) fn name_as_written(&self, path: &Path) -> Option<String> {
        let mut written = PathBuf::new();
        for part in std::path::absolute(path).ok()?.components() {
            match part {
                std::path::Component::ParentDir => drop(written.pop()),
                other => written.push(other),
            }
        }
        let inside = written.strip_prefix(&self.top).ok()?;
        let parts: Option<Vec<&str>> =
            inside.components().map(|part| part.as_os_str().to_str()).collect();
        Some(parts?.join("/"))
    }

    /// Returns the commit of a revision.
    pub(crate) fn commit(&self, revision: &str) -> Result<String> {
        let wanted = format!("{revision}^{{commit}}");
        let answer =
            self.try_ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted])?;
        let text = answer.map_err(|_| {
            Failure::new(
                Kind::NotFound,
                format!("git has no revision {}", bootseal_core::Typed(revision)),
            )
        })?;
        Ok(String::from_utf8_lossy(&text).trim().to_owned())
    }

    /// Returns the bytes of `name` in a commit or an index stage (`:1`); `None` if it is not there.
    pub(crate) fn blob(&self, place: &str, name: &str) -> Result<Option<Vec<u8>>> {
        Ok(self.try_ask(&["cat-file", "blob", &format!("{place}:{name}")])?.ok())
    }

    /// Returns every version of a file in the history of `commit` (with `None`, of all branches and
    /// tags), each once, newest first.
    pub(crate) fn versions(&self, commit: Option<&str>, name: &str) -> Result<Vec<Vec<u8>>> {
        let from = commit.unwrap_or("--all");
        let log = [
            "log",
            "--full-history",
            "-m",
            "--raw",
            "--no-abbrev",
            "--no-renames",
            "--format=",
            from,
            "--",
            name,
        ];
        // A repository without a commit has no versions.
        let Ok(log) = self.try_ask(&log)? else { return Ok(Vec::new()) };
        let mut seen = HashSet::new();
        let mut ids = Vec::new();
        for line in String::from_utf8_lossy(&log).lines() {
            // ":100644 100644 OLD NEW M\tname"
            let mut words = line.split_ascii_whitespace().skip(2);
            for id in [words.next(), words.next()].into_iter().rev().flatten() {
                if id.bytes().any(|byte| byte != b'0') && seen.insert(id.to_owned()) {
                    ids.push(id.to_owned());
                }
            }
        }
        ids.truncate(MOST_VERSIONS);
        self.contents(&ids)
    }

    fn contents(&self, ids: &[String]) -> Result<Vec<Vec<u8>>> {
        let cannot =
            |error: std::io::Error| Failure::new(Kind::Io, format!("git cat-file: {error}"));
        let mut child = self
            .command(&["cat-file", "--batch"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let (Some(mut to), Some(from)) = (child.stdin.take(), child.stdout.take()) else {
            return Ok(Vec::new());
        };
        let mut from = BufReader::new(from);
        let mut read = || -> std::io::Result<Vec<Vec<u8>>> {
            let (mut blobs, mut total) = (Vec::new(), 0);
            for id in ids {
                // Read after each request, so that no pipe fills up on either side.
                writeln!(to, "{id}")?;
                to.flush()?;
                let mut header = String::new();
                from.read_line(&mut header)?;
                let Some(size) = header
                    .split_ascii_whitespace()
                    .nth(2)
                    .and_then(|size| size.parse::<u64>().ok())
                else {
                    continue;
                };
                let mut blob = Vec::new();
                total += size;
                if total > MOST_BYTES {
                    break;
                }
                if size <= LARGEST {
                    (&mut from).take(size).read_to_end(&mut blob)?;
                    blobs.push(blob);
                } else {
                    std::io::copy(&mut (&mut from).take(size), &mut std::io::sink())?;
                }
                from.read_exact(&mut [0])?;
            }
            Ok(blobs)
        };
        let blobs = read().map_err(cannot);
        drop(to);
        let _ = child.wait();
        blobs
    }
}
