//! `bootseal resolve`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Resolve a git merge conflict in a sealed file; both sides are read from git
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/resolve.txt").trim_end())]
pub(crate) struct Resolve {
    /// The file with the conflict markers
    pub(crate) file: PathBuf,
    /// If both sides changed a property, take this side's value
    #[arg(long, value_name = "SIDE")]
    pub(crate) take: Option<Which>,
    /// The revision of our side [default: from git's merge state]
    #[arg(long, value_name = "REV", requires = "theirs")]
    pub(crate) ours: Option<String>,
    /// The revision of their side
    #[arg(long, value_name = "REV", requires = "ours")]
    pub(crate) theirs: Option<String>,
    /// Accept sealed values that are older than those they replace, even if a side is not trusted
    /// or the sides have no signed common version
    #[arg(long)]
    pub(crate) older: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    Ours,
    Theirs,
}
