//! `bootseal list`: its arguments and help.

use clap::Args;

/// Show names, and when each value was set; never a value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/list.txt").trim_end())]
pub(crate) struct List {
    /// Show only the properties below this name
    pub(crate) prefix: Option<String>,
}
