//! `bootseal sign`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Accept what was edited by hand: shows exactly what changes, asks, signs
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/sign.txt").trim_end())]
pub(crate) struct Sign {
    /// The edited file [default: as with -f]
    #[arg(value_name = "FILE")]
    pub(crate) edited: Option<PathBuf>,
    /// The version to begin from, a file or REV:FILE [default: the newest that verifies, in git]
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Number the file above this generation as well
    #[arg(long, value_name = "N")]
    pub(crate) above: Option<u64>,
    /// Take sealed values that are older than what they replace
    #[arg(long)]
    pub(crate) older: bool,
}
