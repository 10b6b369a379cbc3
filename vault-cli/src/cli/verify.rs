//! `bootseal verify`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Check signature, pin and shape; with an identity also every value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/verify.txt").trim_end())]
pub(crate) struct Verify {
    /// Sealed files [default: as with -f]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Fail unless the file is of generation N or later
    #[arg(long, value_name = "N")]
    pub(crate) min_generation: Option<u64>,
    /// Hold each file against what it was at this revision: the same vault, or one that it was handed over to, and newer; no key is needed
    #[arg(long, value_name = "REV", conflicts_with = "as_loader")]
    pub(crate) since: Option<String>,
    /// How --since says what changed
    #[arg(long, value_name = "FORMAT", requires = "since")]
    pub(crate) format: Option<SinceFormat>,
    /// Look for file, key, pin and state as the loader does at a start, and say what came from where; no login
    #[arg(long)]
    pub(crate) as_loader: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SinceFormat {
    Text,
    Markdown,
}
