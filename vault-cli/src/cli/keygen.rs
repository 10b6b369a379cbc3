//! `bootseal keygen`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Create an age identity, and print its recipient
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/keygen.txt").trim_end())]
pub(crate) struct Keygen {
    /// The file for the identity [default: bootseal/identity.txt in your configuration folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Protect the identity with a passphrase, which is asked for at each use
    #[arg(long, conflicts_with = "of")]
    pub(crate) passphrase: bool,
    /// Replace an existing identity; the old identity is kept under another name
    #[arg(long, conflicts_with = "of")]
    pub(crate) force: bool,
    /// Print the recipient of an existing identity [default: your own]
    #[arg(short = 'y', long = "recipient", value_name = "FILE", conflicts_with = "output", num_args = 0..=1)]
    pub(crate) of: Option<Option<PathBuf>>,
}
