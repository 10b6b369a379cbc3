//! `bootseal accept`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Show the name and note of a proposal, and seal its value after a confirmation
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/accept.txt").trim_end())]
pub(crate) struct Accept {
    /// A proposal made by `bootseal propose`; `-` for stdin
    pub(crate) proposal: PathBuf,

    /// Accept a name that the file does not have yet
    #[arg(long)]
    pub(crate) new: bool,
}
