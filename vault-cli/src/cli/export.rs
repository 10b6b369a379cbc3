//! `bootseal export`: its arguments and help.

use clap::{Args, ValueEnum};

/// Print every value in clear, into a pipe: to a terminal or a file only with --force
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/export.txt").trim_end())]
pub(crate) struct Export {
    /// How values are written [default: toml; json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// Only what lies below this name; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Also to a terminal, or into a file on a disk
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
