//! The program that `exec` runs: its command line, environment and files, and the exit codes for a
//! program that does not start.

use crate::commands::exec::memory_folder::MemoryFolder;
use crate::commands::exec::selection::{Slot, Values};
use crate::ui::child_environment::without_keys;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Secret, Shown};
use std::ffi::OsString;
use std::process::{Command, Stdio};

/// The exit codes of `env` for its own failures; any other code is the program's.
pub(crate) const OWN_FAILURE: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// The exit code and the reason if the program was not started.
pub(super) struct NotStarted(pub(super) u8, pub(super) Failure);

impl<E: Into<Failure>> From<E> for NotStarted {
    fn from(error: E) -> NotStarted {
        let failure = error.into();
        let code = if failure.is_interrupt() { failure.exit_code() } else { OWN_FAILURE };
        NotStarted(code, failure)
    }
}

/// The program to run, and the folder of its files.
pub(super) struct Program<'a> {
    pub(super) command: &'a [OsString],
    /// Whether the program receives no stdin, because a key was read from it.
    pub(super) no_stdin: bool,
    pub(super) folder: Option<MemoryFolder>,
}

impl Program<'_> {
    /// Writes the files of `values`, and removes those of `before` that are no longer wanted.
    pub(super) fn put(&self, values: &Values, before: &[(Slot, Secret)]) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for (slot, value) in values {
            let Slot::File(name) = slot else { continue };
            if let Some(table) = name.parent() {
                folder.make_table(table)?;
            }
            folder.write(name, |out| value.expose(|bytes| Ok(out.write_all(bytes)?)))?;
        }
        for (slot, _) in
            before.iter().filter(|(slot, _)| !values.iter().any(|(other, _)| other == slot))
        {
            if let Slot::File(name) = slot {
                folder.remove(name);
            }
        }
        Ok(())
    }

    pub(super) fn command(&self, values: &Values) -> Command {
        let mut command =
            Command::new(self.command.first().map_or_else(Default::default, OsString::clone));
        command.args(self.command.iter().skip(1));
        without_keys(&mut command);
        if let Some(folder) = &self.folder {
            command.env("BOOTSEAL_FILES", folder.path());
        }
        for (slot, value) in values {
            if let Slot::Variable(name) = slot {
                value.expose(|bytes| command.env(name, os_string(bytes)));
            }
        }
        if self.no_stdin {
            command.stdin(Stdio::null());
        }
        command
    }

    pub(super) fn not_started(&self, error: &std::io::Error) -> NotStarted {
        let name = self
            .command
            .first()
            .map(|name| Shown::path(name.as_ref()).to_string())
            .unwrap_or_default();
        let (code, kind, what, help) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                NOT_FOUND,
                Kind::NotFound,
                "is not found",
                "Check that it is in PATH and, if it is a script, that the program in its first line exists.",
            ),
            std::io::ErrorKind::ArgumentListTooLong => (
                OWN_FAILURE,
                Kind::Conflict,
                "cannot receive an environment of this size",
                "Pass files with --files, or fewer values with --only.",
            ),
            _ => (
                NOT_EXECUTABLE,
                Kind::Io,
                "cannot be run",
                "Check that it is a program, and that you have the permission to run it.",
            ),
        };
        let text = match kind {
            Kind::NotFound => format!("{name} {what}"),
            _ => format!("{name} {what}: {error}"),
        };
        NotStarted(code, Failure::new(kind, text).with_help(help))
    }

    /// Replaces this process with the program: signals, terminal, job control and exit code are
    /// then the program's.
    #[cfg(unix)]
    pub(super) fn become_it(&self, values: &Values) -> Result<u8, NotStarted> {
        let error = std::os::unix::process::CommandExt::exec(&mut self.command(values));
        Err(self.not_started(&error))
    }

    #[cfg(not(unix))]
    pub(super) fn become_it(&self, values: &Values) -> Result<u8, NotStarted> {
        match self.command(values).status() {
            Ok(status) => Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
            Err(error) => Err(self.not_started(&error)),
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
