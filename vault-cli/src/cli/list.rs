//! `bootseal list`: its arguments and help.

use clap::Args;

/// List the properties and, with an identity, when each value was set; sealed values are never
/// shown
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/list.txt").trim_end())]
pub(crate) struct List {
    /// Show only this property, or only the properties in this table
    pub(crate) prefix: Option<String>,
    /// Also show the values of readable properties
    #[arg(long)]
    pub(crate) values: bool,
}
