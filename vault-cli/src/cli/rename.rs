//! `bootseal rename`: its arguments and help.

use clap::Args;

/// Rename a property; a sealed value keeps its date
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/rename.txt").trim_end())]
pub(crate) struct Rename {
    /// The current name of the property
    pub(crate) old: String,
    /// The new name
    pub(crate) new: String,
    /// Replace an existing property that has the new name
    #[arg(long)]
    pub(crate) force: bool,
}
