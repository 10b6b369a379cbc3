//! `bootseal rotate`: its arguments and help.

use clap::Args;

/// Replace the data key and re-encrypt every value, so that the old data key does not open the new
/// file
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/rotate.txt").trim_end())]
pub(crate) struct Rotate {
    /// Replace the signing key as well, which changes the vault id; the old key signs the change of
    /// id
    #[arg(long)]
    pub(crate) signing_key: bool,
}
