//! `bootseal export`: its arguments and help.

use clap::{Args, ValueEnum};

/// Print every value in clear, into a pipe; to a terminal or a file only with --force
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/export.txt").trim_end())]
pub(crate) struct Export {
    /// The output format [default: toml; json with --json]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<ExportFormat>,
    /// Print only the properties below this name; repeatable
    #[arg(long, value_name = "PREFIX")]
    pub(crate) only: Vec<String>,
    /// Print to a terminal, or into a file on a disk, as well
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
