//! `bootseal doctor`: its arguments and help.

use clap::Args;

/// Look for common mistakes, and print for each finding the command that fixes it
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/doctor.txt").trim_end())]
pub(crate) struct Doctor {}
