//! `bootseal vaults`: its arguments and help.

use clap::{Args, Subcommand};

/// Show the vaults that this machine knows: for each file its id, generation and epoch, and its
/// former ids; and the handovers that it has only read
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/vaults.txt").trim_end())]
pub(crate) struct Vaults {
    #[command(subcommand)]
    pub(crate) change: Option<VaultsChange>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum VaultsChange {
    /// Add the file's vault to the known vaults, if it is pinned or you confirm it; run this once
    /// on a new machine
    #[command(after_help = include_str!("help/vaults_add.txt").trim_end())]
    Add,
    Forget(VaultsForget),
}

/// Forget a vault at every path, so that an older version of its file can be used again
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/vaults_forget.txt").trim_end())]
pub(crate) struct VaultsForget {
    /// The vault's id, or a former id: vault1…
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}
