//! `bootseal clear-clipboard`: its arguments and help.

use clap::Args;

/// Clear the clipboard after `get --clip`
#[derive(Debug, Args)]
pub(crate) struct ClearClipboard {
    pub(crate) seconds: u64,
}
