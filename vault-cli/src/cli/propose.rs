//! `bootseal propose`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Propose a value for a vault that you need not be able to open; one of its writers accepts it
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/propose.txt").trim_end())]
pub(crate) struct Propose {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-`: the value comes from stdin, as it does when stdin is no terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The sealed file that it is for
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) to: PathBuf,
    /// What whoever accepts it should know; it is no secret, and nobody can tell who wrote it
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Where the proposal goes, a new file that only you can read [default: stdout]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// The value is what this file holds, every byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Make up a value of letters and digits, 32 unless LENGTH says otherwise
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with = "from_file")]
    pub(crate) generate: Option<usize>,
    /// Take an empty value
    #[arg(long)]
    pub(crate) empty: bool,
}
