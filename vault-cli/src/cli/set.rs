//! `bootseal set`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Seal one value
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/set.txt").trim_end())]
pub(crate) struct Set {
    /// The property as a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-` to read the value from stdin, which is the default if stdin is not a terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// Read the value from this file, byte for byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Set a readable value, which anyone who has the file can read
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with_all = ["stdin", "from_file"])]
    pub(crate) plain: Option<String>,
    /// Generate a random value of letters and digits [default length: 32]
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with_all = ["from_file", "plain"])]
    pub(crate) generate: Option<usize>,
    /// The type of the value [default: that of the value that is replaced, else text, or bytes if
    /// it is not UTF-8]
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) sort: Option<TypeOption>,
    /// Allow an empty value
    #[arg(long)]
    pub(crate) empty: bool,
    /// Allow --plain for a value that the rules in seal.names would seal
    #[arg(long)]
    pub(crate) allow_plain: bool,
    /// Allow --plain to replace a sealed value
    #[arg(long)]
    pub(crate) force: bool,
}

/// The type of a value in the file. `toml` is any value that TOML has, except a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeOption {
    Text,
    Integer,
    Float,
    Boolean,
    Toml,
    Bytes,
}
