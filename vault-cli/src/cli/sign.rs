//! `bootseal sign`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Accept a manual edit: shows exactly what changes, asks for confirmation, and signs
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/sign.txt").trim_end())]
pub(crate) struct Sign {
    /// The edited file [default: the file that -f selects]
    #[arg(value_name = "FILE")]
    pub(crate) edited: Option<PathBuf>,
    /// The version to compare with, a file or REV:FILE [default: the newest one in git that
    /// verifies]
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Give the file a generation above N
    #[arg(long, value_name = "N")]
    pub(crate) above: Option<u64>,
    /// Accept sealed values that are older than those they replace
    #[arg(long)]
    pub(crate) older: bool,
}
