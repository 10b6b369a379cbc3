//! `bootseal man`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Print the manual page, or write the pages of all commands
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/man.txt").trim_end())]
pub(crate) struct Man {
    /// Write a page for every command into this folder [default: print the main page on stdout]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}
