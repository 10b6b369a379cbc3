//! The input of a command besides its options: `World` comes from the process, and each verb
//! receives a `Context`.
//!
//! [`World`] is the input of [`run`](crate::run): streams, environment, clock and terminal, so that
//! the same code runs in the binary, in tests and in the quickstart. With the parsed global options
//! it becomes the `Context` that each verb receives.

use crate::cli::{GlobalOptions, When};
use crate::ui::terminal::Terminal;
use crate::ui::{Style, Ui};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

/// The streams, environment, clock and terminal of one run of the command line.
///
/// ```
/// use bootseal_cli::{World, run};
///
/// let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
/// let env = |name: &str| (name == "BOOTSEAL_FILE").then(|| "/nonexistent.sealed.toml".into());
/// let mut world = World { env: &env, ..World::new(&mut input, &mut out, &mut err) };
/// assert_eq!(run(["bootseal", "list"], &mut world), 1); // no such file
/// ```
pub struct World<'a> {
    /// The source of values that are not typed at a terminal.
    pub stdin: &'a mut dyn Read,
    /// Receives results only.
    pub stdout: &'a mut dyn Write,
    /// Receives all other output.
    pub stderr: &'a mut dyn Write,
    /// Whether stdin is a terminal.
    pub stdin_is_terminal: bool,
    /// Whether stdout is a terminal.
    pub stdout_is_terminal: bool,
    /// Whether stdout is a regular file, so that output remains on a disk.
    pub stdout_is_file: bool,
    /// Whether stderr is a terminal.
    pub stderr_is_terminal: bool,
    /// Prompts the user; `None` if there is no terminal.
    pub terminal: Option<&'a mut dyn Terminal>,
    /// Looks up an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Returns the time in seconds since 1970-01-01 UTC.
    pub now: &'a dyn Fn() -> u64,
}

impl<'a> World<'a> {
    /// Creates a world without a terminal and with an empty environment, at the system's time.
    pub fn new(
        stdin: &'a mut dyn Read,
        stdout: &'a mut dyn Write,
        stderr: &'a mut dyn Write,
    ) -> World<'a> {
        World {
            stdin,
            stdout,
            stderr,
            stdin_is_terminal: false,
            stdout_is_terminal: false,
            stdout_is_file: false,
            stderr_is_terminal: false,
            terminal: None,
            env: &|_| None,
            now: &system_time,
        }
    }
}

/// Returns the system's time in seconds since 1970-01-01 UTC, or 0 if its clock is set to an
/// earlier time.
pub fn system_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The input that each verb receives in addition to its own options.
pub(crate) struct Context<'a> {
    /// The options that every verb takes.
    pub(crate) options: &'a GlobalOptions,
    /// `--passphrase-fd`. The passphrase that opens files is read from it. `keygen` reads the new
    /// identity's passphrase from it, and `access add --passphrase` the new member's.
    pub(crate) passphrase_fd: Option<u32>,
    pub(crate) ui: Ui<'a>,
    /// Whether a clock that is behind was reported in this run.
    pub(crate) clock_reported: bool,
    env: &'a dyn Fn(&str) -> Option<OsString>,
    now: &'a dyn Fn() -> u64,
}

impl<'a> Context<'a> {
    pub(crate) fn new<'w: 'a>(options: &'a GlobalOptions, world: &'a mut World<'w>) -> Context<'a> {
        let GlobalOptions { json, quiet, verbose, yes, .. } = *options;
        let style = Style { json, quiet, verbose, colour: wants_colour(options, world) };
        let ui = Ui {
            style,
            yes,
            stdin: &mut *world.stdin,
            stdout: &mut *world.stdout,
            stderr: &mut *world.stderr,
            stdin_is_terminal: world.stdin_is_terminal,
            stdout_is_terminal: world.stdout_is_terminal,
            stdout_is_file: world.stdout_is_file,
            stderr_is_terminal: world.stderr_is_terminal,
            terminal: match &mut world.terminal {
                Some(terminal) => Some(&mut **terminal),
                None => None,
            },
            stdin_taken: false,
        };
        Context {
            options,
            passphrase_fd: options.passphrase_fd,
            ui,
            clock_reported: false,
            env: world.env,
            now: world.now,
        }
    }

    /// Returns an environment variable, if it is set and not empty.
    pub(crate) fn var(&self, name: &str) -> Option<OsString> {
        set_variable(self.env, name)
    }

    /// Returns the time in seconds since 1970-01-01 UTC.
    pub(crate) fn now(&self) -> u64 {
        (self.now)()
    }

    /// Returns the user's home folder.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.var("HOME").or_else(|| self.var("USERPROFILE")).map(PathBuf::from)
    }

    /// Returns a folder of the user, from an environment variable or below the home folder. A
    /// relative path in an XDG variable is ignored, as the XDG specification requires.
    pub(crate) fn user_folder(
        &self,
        windows: &str,
        xdg: &str,
        below_home: &str,
    ) -> Option<PathBuf> {
        if cfg!(windows) {
            return self.var(windows).map(PathBuf::from);
        }
        let named = self.var(xdg).map(PathBuf::from).filter(|folder| folder.is_absolute());
        named.or_else(|| self.var("HOME").map(|home| PathBuf::from(home).join(below_home)))
    }
}

fn wants_colour(options: &GlobalOptions, world: &World<'_>) -> bool {
    match options.color {
        When::Always => true,
        When::Never => false,
        When::Auto => {
            let dumb = set_variable(world.env, "TERM").is_some_and(|kind| kind == "dumb");
            world.stderr_is_terminal && set_variable(world.env, "NO_COLOR").is_none() && !dumb
        }
    }
}

fn set_variable(env: &dyn Fn(&str) -> Option<OsString>, name: &str) -> Option<OsString> {
    env(name).filter(|value| !value.is_empty())
}
