//! What does a command see of the world? Streams, environment, time, and perhaps someone at a terminal.

use crate::ui::prompt::Terminal;
use std::ffi::OsString;
use std::io::{Read, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// The surroundings of one run.
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
    /// Values come from here where no terminal asks.
    pub stdin: &'a mut dyn Read,
    /// Results, and nothing else.
    pub stdout: &'a mut dyn Write,
    /// Everything else.
    pub stderr: &'a mut dyn Write,
    /// Whether a person types there.
    pub stdin_is_terminal: bool,
    /// Whether a person reads there.
    pub stdout_is_terminal: bool,
    /// Whether what is written there stays on a disk.
    pub stdout_is_file: bool,
    /// Whether a person reads there.
    pub stderr_is_terminal: bool,
    /// Who answers questions.
    pub terminal: Option<&'a mut dyn Terminal>,
    /// Environment variables.
    pub env: &'a dyn Fn(&str) -> Option<OsString>,
    /// Seconds since 1970-01-01 UTC.
    pub now: &'a dyn Fn() -> u64,
    /// An identity was read from stdin; nothing else can be.
    pub stdin_taken: bool,
}

impl<'a> World<'a> {
    /// A world without a terminal and with an empty environment, at the system's time.
    ///
    /// ```
    /// let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
    /// let world = bootseal_cli::World::new(&mut input, &mut out, &mut err);
    /// assert!(world.terminal.is_none() && !world.stdin_is_terminal);
    /// ```
    pub fn new(stdin: &'a mut dyn Read, stdout: &'a mut dyn Write, stderr: &'a mut dyn Write) -> World<'a> {
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
            stdin_taken: false,
        }
    }

    /// A variable that is set to something.
    pub(crate) fn var(&self, name: &str) -> Option<OsString> {
        (self.env)(name).filter(|value| !value.is_empty())
    }
}

/// The system's clock, in seconds since 1970-01-01 UTC; 0 where it stands before that.
///
/// ```
/// assert!(bootseal_cli::system_time() > 1_700_000_000);
/// ```
pub fn system_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
