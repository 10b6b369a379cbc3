//! `bootseal completions`: its arguments and help.

use clap::{Args, ValueEnum};

/// Print the script that completes verbs, options, files, and names out of the sealed file
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/completions.txt").trim_end())]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shell {
    Bash,
    Zsh,
    Fish,
    Powershell,
}
