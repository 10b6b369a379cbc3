//! `bootseal man`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Print the manual page, or write the pages of all verbs
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/man.txt").trim_end())]
pub(crate) struct Man {
    /// Write a page for every verb into this folder [default: the main page goes to stdout]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
