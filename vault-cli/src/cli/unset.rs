//! `bootseal unset`: its arguments and help.

use clap::Args;

/// Remove properties, or tables with all properties in them
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/unset.txt").trim_end())]
pub(crate) struct Unset {
    /// The properties and tables, as TOML dotted keys: acme.password
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
}
