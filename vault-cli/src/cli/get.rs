//! `bootseal get`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Print one value, or several
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/get.txt").trim_end())]
pub(crate) struct Get {
    /// The properties as TOML dotted keys: acme.password
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<String>,
    /// Write the value to a new file that only you can read
    #[arg(long, value_name = "FILE", conflicts_with = "clip")]
    pub(crate) out: Option<PathBuf>,
    /// Copy the value to the clipboard, which is cleared after 30 seconds if it still contains the
    /// value
    #[arg(long)]
    pub(crate) clip: bool,
    /// Clear after this time instead of 30 seconds, for tests
    #[arg(long, value_name = "SECONDS", hide = true, default_value_t = 30, requires = "clip")]
    pub(crate) clear_after: u64,
}
