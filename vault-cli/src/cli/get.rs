//! `bootseal get`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Print one value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/get.txt").trim_end())]
pub(crate) struct Get {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// Write the value to a new file that only you can read
    #[arg(long, value_name = "FILE", conflicts_with = "clip")]
    pub(crate) out: Option<PathBuf>,
    /// Put the value into the clipboard; cleared after 30 seconds where it still holds it
    #[arg(long)]
    pub(crate) clip: bool,
    /// Another time than the 30 seconds, for tests
    #[arg(long, value_name = "SECONDS", hide = true, default_value_t = 30, requires = "clip")]
    pub(crate) clear_after: u64,
}
