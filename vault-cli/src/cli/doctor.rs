//! `bootseal doctor`: its arguments and help.

use clap::Args;

/// Look for what is easily overlooked; each finding with the command that mends it
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/doctor.txt").trim_end())]
pub(crate) struct Doctor {}
