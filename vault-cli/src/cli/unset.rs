//! `bootseal unset`: its arguments and help.

use clap::Args;

/// Take a property out
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/unset.txt").trim_end())]
pub(crate) struct Unset {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
}
