//! `bootseal resolve`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Make a valid file of a merge that git could not do; the sides come from git
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/resolve.txt").trim_end())]
pub(crate) struct Resolve {
    /// The file with the markers
    pub(crate) file: PathBuf,
    /// Where both sides changed a property, take this side's
    #[arg(long, value_name = "SIDE")]
    pub(crate) take: Option<Which>,
    /// The revision that is our side [default: what git has of the merge]
    #[arg(long, value_name = "REV", requires = "theirs")]
    pub(crate) ours: Option<String>,
    /// The revision that is their side
    #[arg(long, value_name = "REV", requires = "ours")]
    pub(crate) theirs: Option<String>,
    /// Take sealed values that are older than what they replace, from a side that does not verify
    #[arg(long)]
    pub(crate) older: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    Ours,
    Theirs,
}
