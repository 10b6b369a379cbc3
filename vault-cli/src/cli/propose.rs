//! `bootseal propose`: its arguments and help.

use crate::cli::set::TypeOption;
use clap::Args;
use std::path::PathBuf;

/// Propose a value to the writers of a vault; you need no access to the vault yourself
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/propose.txt").trim_end())]
pub(crate) struct Propose {
    /// The property as a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-` to read the value from stdin, which is the default if stdin is not a terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The sealed file for which the value is meant
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) to: PathBuf,
    /// A note for the writer who accepts the proposal; it is not secret, and its author is not
    /// verified
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Write the proposal to this new file, which only you can read [default: stdout]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Read the value from this file, byte for byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Generate a random value of letters and digits [default length: 32]
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with = "from_file")]
    pub(crate) generate: Option<usize>,
    /// The type of the value [default: text, or bytes if it is not UTF-8]
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) sort: Option<TypeOption>,
    /// Allow an empty value
    #[arg(long)]
    pub(crate) empty: bool,
}
