//! `bootseal exec`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Run a program with values in its environment, or as files in memory
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/exec.txt").trim_end())]
pub(crate) struct Exec {
    /// Pass what lies below this name; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Pass this property as the variable NAME; repeatable
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) env: Vec<String>,
    /// Pass the variables of a .env file, in which NAME=bootseal:PATH stands for a property; nothing is expanded
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// One file a value, in a memory file system; BOOTSEAL_FILES names the folder [default: a new one in $XDG_RUNTIME_DIR, else /dev/shm]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) files: Option<Option<PathBuf>>,
    /// Files side by side, as acme_password, instead of folders as tables
    #[arg(long, requires = "files")]
    pub(crate) flat: bool,
    /// When values change in the sealed file: start the program anew, or write the files anew and send it SIGHUP
    #[arg(long, value_name = "WHAT")]
    pub(crate) on_change: Option<OnChange>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<std::ffi::OsString>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnChange {
    Restart,
    Signal,
}
