//! `bootseal resolve`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Resolve a git merge conflict in a sealed file; both sides are read from git
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/resolve.txt").trim_end())]
pub(crate) struct Resolve {
    /// The file with the conflict markers [default: as for -f]
    pub(crate) file: Option<PathBuf>,
    /// If both sides changed a property, take the value of this side: `ours` or `theirs` for all such
    /// properties, or NAME=ours, NAME=theirs for one of them; the same for a member whom both sides
    /// renamed, by the former name
    #[arg(long, value_name = "[NAME=]SIDE", value_parser = take)]
    pub(crate) take: Vec<Take>,
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

/// The side to take, for one property or for all others.
#[derive(Clone, Debug)]
pub(crate) struct Take {
    pub(crate) property: Option<String>,
    pub(crate) side: Which,
}

fn take(text: &str) -> Result<Take, String> {
    // A name may contain `=` in quotes.
    let (property, side) = match text.rsplit_once('=') {
        Some((property, side)) => (Some(property.to_owned()), side),
        None => (None, text),
    };
    let side = Which::from_str(side, false)?;
    Ok(Take { property, side })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Which {
    Ours,
    Theirs,
}
