//! `bootseal keygen`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Make an age identity, and print its recipient
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/keygen.txt").trim_end())]
pub(crate) struct Keygen {
    /// Where the identity goes [default: your own, bootseal/identity.txt in the configuration folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Lock it by a passphrase, which is asked for wherever it is to open something
    #[arg(long, conflicts_with = "of")]
    pub(crate) passphrase: bool,
    /// Put a new identity in the place of one that is there, which is set aside
    #[arg(long, conflicts_with = "of")]
    pub(crate) force: bool,
    /// Print the recipient of an identity that is there
    #[arg(short = 'y', long = "recipient", value_name = "FILE", conflicts_with = "output")]
    pub(crate) of: Option<PathBuf>,
}
