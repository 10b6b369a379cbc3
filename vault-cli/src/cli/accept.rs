//! `bootseal accept`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Look at a proposed value's name and note, and seal it
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/accept.txt").trim_end())]
pub(crate) struct Accept {
    /// What `bootseal propose` made, `-` for stdin
    pub(crate) proposal: PathBuf,
}
