//! The one function that starts git. Nothing that a branch contains can make git run a program or
//! answer from another repository.

use crate::ui::failure::{Failure, Result};
use bootseal_core::Kind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// The first version that knows `safe.bareRepository`.
const OLDEST: (u32, u32) = (2, 38);

/// Settings on git's command line, which override those of every file.
const SETTINGS: [&str; 6] = [
    // A branch can contain a folder with `HEAD`, `objects` and `refs`, which looks like a
    // repository.
    "safe.bareRepository=explicit",
    // Programs that git would start while it reads: the monitor, and gpg for signatures.
    "core.fsmonitor=false",
    "log.showSignature=false",
    // The log lists the files of the first commit too, and does not follow a file to its old name.
    "log.showRoot=true",
    "log.follow=false",
    // A submodule is another repository, and is not looked into.
    "diff.ignoreSubmodules=all",
];

/// A git command in the working tree at `top`, with no input. It inherits the environment of this
/// process, so a hook's `GIT_DIR` and `GIT_INDEX_FILE` are kept.
///
/// # Errors
/// [`Kind::Io`] if git cannot be run, or is older than 2.38.
pub(crate) fn git(top: &Path) -> Result<Command> {
    static VERSION: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    if VERSION.get().is_none() {
        let output = Command::new("git").arg("--version").stdin(Stdio::null()).output();
        let output = output.map_err(cannot_run)?;
        VERSION.get_or_init(|| version(&String::from_utf8_lossy(&output.stdout)));
    }
    match VERSION.get().copied().flatten() {
        Some(found) if found >= OLDEST => {}
        found => {
            let found = found.map_or("of an unknown version".to_owned(), |(major, minor)| {
                format!("version {major}.{minor}")
            });
            let text = format!("git is {found}, and version 2.38 or newer is needed");
            return Err(Failure::new(Kind::Io, text).with_help(
                "Older versions can be made to read a repository that a branch contains. Update git.",
            ));
        }
    }
    let mut command = Command::new("git");
    // A name with `*` or `:` in it is a name, not a pattern.
    command.args(["--no-pager", "--literal-pathspecs", "-C"]).arg(top);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    // In a partial clone, git would fetch a missing object, and run any program that is named in
    // the settings of the remote.
    command.env("GIT_NO_LAZY_FETCH", "1");
    // Git would read a replacement object in place of a commit or of a signed version.
    command.env("GIT_NO_REPLACE_OBJECTS", "1").stdin(Stdio::null());
    Ok(command)
}

/// The failure to start git.
pub(crate) fn cannot_run(error: std::io::Error) -> Failure {
    Failure::new(Kind::Io, format!("git cannot be run: {error}"))
}

/// The error of content that git does not have in this clone.
pub(crate) fn not_here(what: &str) -> Failure {
    Failure::new(Kind::Io, format!("git does not have {what} in this clone")).with_help(
        "Fetch what a partial or shallow clone lacks: git fetch --refetch --no-filter, or git fetch --unshallow",
    )
}

/// Reads `git version 2.39.5 (Apple Git-154)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.strip_prefix("git version ")?.split(['.', ' ', '-', '\n']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// A git process that is ended when its output is no longer read: otherwise it would wait for a
/// reader of its pipe.
pub(super) struct Running(pub(super) std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_every_distribution_is_read() {
        for (text, expected) in [
            ("git version 2.47.3\n", Some((2, 47))),
            ("git version 2.39.5 (Apple Git-154)\n", Some((2, 39))),
            ("git version 2.45.1.windows.1\n", Some((2, 45))),
            ("git version 2.38-rc0\n", Some((2, 38))),
            ("git version 3.0\n", Some((3, 0))),
            ("git 2.47.3\n", None),
            ("", None),
        ] {
            assert_eq!(version(text), expected, "{text}");
        }
    }
}
