//! `bootseal completions`: its arguments and help.

use clap::{Args, ValueEnum};

/// Print a shell completion script, which completes commands, options, files and property names
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
