//! `bootseal set`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Seal one value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/set.txt").trim_end())]
pub(crate) struct Set {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-`: the value comes from stdin, as it does when stdin is no terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The value is what this file holds, every byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Set a readable value: everyone who has the file can read it
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with_all = ["stdin", "from_file"])]
    pub(crate) plain: Option<String>,
    /// Make up a value of letters and digits, 32 unless LENGTH says otherwise
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with_all = ["from_file", "plain"])]
    pub(crate) generate: Option<usize>,
    /// Take an empty value
    #[arg(long)]
    pub(crate) empty: bool,
    /// Put a readable value where a sealed one is
    #[arg(long)]
    pub(crate) force: bool,
}
