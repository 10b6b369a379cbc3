//! `bootseal rename`: its arguments and help.

use clap::Args;

/// Give a property another name; a sealed value keeps its date
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/rename.txt").trim_end())]
pub(crate) struct Rename {
    /// The property as it is called now
    pub(crate) old: String,
    /// What it will be called
    pub(crate) new: String,
    /// Replace a property that has the new name already
    #[arg(long)]
    pub(crate) force: bool,
}
