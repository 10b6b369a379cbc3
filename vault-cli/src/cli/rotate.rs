//! `bootseal rotate`: its arguments and help.

use clap::Args;

/// Renew the data key: every value is re-encrypted, and old key blocks do not open the new file
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/rotate.txt").trim_end())]
pub(crate) struct Rotate {
    /// Renew the signing key as well, and with it the vault id; the old key signs the change to the
    /// new id
    #[arg(long)]
    pub(crate) signing_key: bool,
}
