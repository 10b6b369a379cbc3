//! `bootseal doctor`: its arguments and help.

use clap::Args;

/// Check for common mistakes, and print the command that fixes each of them
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/doctor.txt").trim_end())]
pub(crate) struct Doctor {}
