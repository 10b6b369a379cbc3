//! `bootseal exec`: its arguments and help.

use crate::cli::seal::EnvDialect;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Run a program with values in its environment, or in files in memory
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/exec.txt").trim_end())]
pub(crate) struct Exec {
    /// Pass only this property, or only the properties in this table; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Pass the property PATH as the environment variable NAME; repeatable
    #[arg(long, value_name = "NAME=PATH")]
    pub(crate) env: Vec<String>,
    /// Pass the variables of a .env file, in which NAME=bootseal:PATH refers to a property; nothing
    /// in the file is expanded
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
    /// Read the .env file as this program does
    #[arg(long, value_name = "PROGRAM", requires = "env_file")]
    pub(crate) dialect: Option<EnvDialect>,
    /// Write each value to a file below DIR, in a memory file system; the program finds DIR in
    /// BOOTSEAL_FILES [default: a new folder in $XDG_RUNTIME_DIR, else /dev/shm]
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) files: Option<Option<PathBuf>>,
    /// Put all files into one folder, with names such as acme_password, instead of one folder per
    /// table
    #[arg(long, requires = "files")]
    pub(crate) flat: bool,
    /// The reaction to a change of values in the sealed file: restart the program, or rewrite the
    /// files and send SIGHUP to the program
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
