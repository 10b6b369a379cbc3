//! `bootseal list`: its arguments and help.

use clap::Args;

/// Show names, and when each value was given; never a value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/list.txt").trim_end())]
pub(crate) struct List {
    /// Only what lies below this name
    pub(crate) prefix: Option<String>,
}
