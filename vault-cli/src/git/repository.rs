//! A git repository, queried through the git binary with plumbing commands that run no filter,
//! driver or hook.

use crate::git::command::{cannot_run, git};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Shown, shell_path};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;

/// A working tree.
#[derive(Clone)]
pub(crate) struct Repository {
    top: Rc<Path>,
}

/// The error of a git command that failed.
fn failed(what: &str, output: &[u8]) -> Failure {
    let message = String::from_utf8_lossy(output);
    let message =
        message.lines().next().unwrap_or_default().trim_start_matches("fatal: ").to_owned();
    Failure::new(Kind::Io, format!("git {what}: {}", Shown(&message)))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The nearest of this folder and those above it that has a `.git`; git never tracks anything of
/// that name. A folder that only looks like a bare repository does not count: any branch can
/// contain one.
pub(crate) fn nearest(folder: &Path) -> Option<PathBuf> {
    folder.ancestors().find(|folder| is_start(folder)).map(Path::to_path_buf)
}

fn is_start(folder: &Path) -> bool {
    folder.join(".git").symlink_metadata().is_ok()
}

/// The working tree that git assigns to a folder; the inner error is git's message.
fn toplevel(folder: &Path) -> Result<std::result::Result<PathBuf, Vec<u8>>> {
    let output =
        git(folder)?.args(["rev-parse", "--show-toplevel"]).output().map_err(cannot_run)?;
    if !output.status.success() {
        return Ok(Err(output.stderr));
    }
    let top = String::from_utf8_lossy(&output.stdout);
    Ok(Ok(PathBuf::from(top.trim_end_matches('\n'))))
}

impl Repository {
    /// The repository that contains the current folder; `path` must not belong to another one.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is none; [`Kind::Usage`] if its working tree is elsewhere, or if
    /// `path` belongs to another one: a branch can contain a repository, as a submodule or as
    /// tracked files, and its answers would be those of whoever made the branch.
    pub(crate) fn of(path: &Path) -> Result<Repository> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::new(Kind::Io, format!("the current folder is not known: {error}"))
        })?;
        let missing = || {
            let text = format!("{} is not in a git repository", Shown::path(path));
            Failure::new(Kind::NotFound, text)
        };
        // A hook's GIT_DIR says where the repository is.
        if std::env::var_os("GIT_DIR").is_some() {
            let top = toplevel(&here)?.map_err(|_| missing())?;
            return Ok(Repository { top: top.into() });
        }
        let folder = if path.is_dir() { path } else { folder_of(path) };
        let owner = folder.canonicalize().ok().and_then(|folder| nearest(&folder));
        let start = nearest(&here);
        let real = |path: &Path| path.canonicalize().ok();
        if let Some(owner) =
            owner.filter(|owner| start.as_deref().and_then(real).as_ref() != Some(owner))
        {
            let text = format!(
                "{} belongs to the git repository {}, and the current folder does not",
                Shown::path(path),
                Shown::path(&owner)
            );
            let help = format!("To ask that repository: cd {}", shell_path(&owner));
            return Err(Failure::new(Kind::Usage, text).with_help(help));
        }
        let start = start.ok_or_else(missing)?;
        let top = toplevel(&start)?.map_err(|message| failed("rev-parse", &message))?;
        if real(&top) != real(&start) {
            let text = format!(
                "the git repository at {} has its working tree elsewhere, at {}",
                Shown::path(&start),
                Shown::path(&top)
            );
            return Err(Failure::new(Kind::Usage, text)
                .with_help("Remove the setting core.worktree: git config --unset core.worktree"));
        }
        Ok(Repository { top: top.into() })
    }

    /// All repositories that contain a file, or the link to it: its own one, and those around that
    /// one, since a branch can turn a folder into a submodule. The current folder does not matter.
    ///
    /// # Errors
    /// [`Kind::Io`] if git cannot be run, or refuses one of them.
    pub(super) fn around(path: &Path) -> Result<Vec<Repository>> {
        if std::env::var_os("GIT_DIR").is_some() {
            return Ok(vec![Repository::of(path)?]);
        }
        let real = path.canonicalize().ok();
        let folders = [
            folder_of(path).canonicalize().ok(),
            real.as_deref().map(|real| folder_of(real).to_path_buf()),
        ];
        let mut starts: Vec<PathBuf> = Vec::new();
        for folder in folders.into_iter().flatten() {
            for above in folder.ancestors().filter(|above| is_start(above)) {
                if !starts.iter().any(|other| other == above) {
                    starts.push(above.to_path_buf());
                }
            }
        }
        let opened = starts.iter().map(|start| {
            let top = toplevel(start)?.map_err(|message| failed("rev-parse", &message))?;
            Ok(Repository { top: top.into() })
        });
        opened.collect()
    }

    pub(crate) fn top(&self) -> &Path {
        &self.top
    }

    pub(super) fn command(&self, args: &[&str]) -> Result<Command> {
        let mut command = git(&self.top)?;
        command.args(args);
        Ok(command)
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
        let output = self.command(args)?.output().map_err(cannot_run)?;
        Ok(if output.status.success() { Ok(output.stdout) } else { Err(output.stderr) })
    }

    /// The text of a file of git's own for this working tree, such as `MERGE_HEAD`; `None` if there
    /// is none.
    ///
    /// # Errors
    /// [`Kind::Io`] if git cannot say where it is, or if it cannot be read.
    pub(crate) fn own_file(&self, name: &str) -> Result<Option<String>> {
        let place = self.ask(&["rev-parse", "--git-path", name])?;
        let place = self.top.join(String::from_utf8_lossy(&place).trim_end_matches('\n'));
        match std::fs::read_to_string(&place) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                let text = format!("{} cannot be read: {error}", Shown::path(&place));
                Err(Failure::new(Kind::Io, text))
            }
        }
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
        let folder = folder_of(path).canonicalize().map_err(|_| outside())?;
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
}
