//! `bootseal export`: its arguments and help.

use clap::{Args, ValueEnum};

/// Print all values in the clear to a pipe; to print to a terminal or a file, add --force
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/export.txt").trim_end())]
pub(crate) struct Export {
    /// The output format [default: toml; json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// Print only this property, or only the properties in this table; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Print even if stdout is a terminal or a file
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    Toml,
    Properties,
    Env,
    Sh,
    Json,
    Yaml,
}
