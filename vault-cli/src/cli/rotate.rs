//! `bootseal rotate`: its arguments and help.

use clap::Args;

/// New keys: every value is sealed anew, and old key blocks open nothing new
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/rotate.txt").trim_end())]
pub(crate) struct Rotate {
    /// A new signing key too, and so a new vault id, to which the old one hands over
    #[arg(long)]
    pub(crate) signing_key: bool,
}
