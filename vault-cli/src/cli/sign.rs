//! `bootseal sign`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Show exactly what a manual edit changes, ask for confirmation, and sign the file
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/sign.txt").trim_end())]
pub(crate) struct Sign {
    /// The edited file [default: the file that -f selects]
    #[arg(value_name = "FILE")]
    pub(crate) edited: Option<PathBuf>,
    /// Continue from this version: a file, REV:FILE or REV [default: the newest version in git that
    /// verifies]
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Give the file a generation number greater than N
    #[arg(long, value_name = "N")]
    pub(crate) above: Option<u64>,
    /// Accept new readable values that the rules in seal.names would seal
    #[arg(long)]
    pub(crate) allow_plain: bool,
    /// Accept sealed values that are older than those they replace
    #[arg(long)]
    pub(crate) older: bool,
}
