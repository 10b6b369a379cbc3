//! `bootseal clear-clipboard`: its arguments and help.

use clap::Args;

/// What `get --clip` leaves behind
#[derive(Debug, Args)]
pub(crate) struct ClearClipboard {
    pub(crate) seconds: u64,
}
