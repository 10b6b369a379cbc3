//! `bootseal edit`: its arguments and help.

use clap::Args;

/// Edit the whole file in your editor, where sealed values are shown as "secret:…"
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/edit.txt").trim_end())]
pub(crate) struct Edit {
    /// Accept new readable values that the rules in seal.names would seal
    #[arg(long)]
    pub(crate) allow_plain: bool,
}
