//! `bootseal unset`: its arguments and help.

use clap::Args;

/// Remove a property, or a table with all properties in it
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/unset.txt").trim_end())]
pub(crate) struct Unset {
    /// The property, or the table, as a TOML dotted key: acme.password
    pub(crate) path: String,
}
