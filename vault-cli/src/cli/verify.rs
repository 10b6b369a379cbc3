//! `bootseal verify`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Check the signature, the pin and the structure and, with an identity, every value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/verify.txt").trim_end())]
pub(crate) struct Verify {
    /// The sealed files [default: those that -f selects]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Fail unless the file is at generation N or later
    #[arg(long, value_name = "N")]
    pub(crate) min_generation: Option<u64>,
    /// Fail unless each file is unchanged since this revision, or a newer version of the same vault
    /// or of its successor; needs no key
    #[arg(long, value_name = "REV", conflicts_with = "as_loader")]
    pub(crate) since: Option<String>,
    /// The output format of --since
    #[arg(long, value_name = "FORMAT", requires = "since")]
    pub(crate) format: Option<SinceFormat>,
    /// Find the file, key, pin and state as the loader does at startup, and report where each was
    /// found, without logging in
    #[arg(long)]
    pub(crate) as_loader: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinceFormat {
    Text,
    Markdown,
}
