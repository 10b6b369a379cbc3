//! `bootseal access`: its arguments and help.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Who may
    #[command(after_help = include_str!("help/access_list.txt").trim_end())]
    List,
    Add(AccessAdd),
    Remove(AccessRemove),
    Pin(AccessPin),
}

/// Let someone in: shows the resulting list, and asks
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_add.txt").trim_end())]
pub(crate) struct AccessAdd {
    /// What the access list calls them
    pub(crate) name: String,
    /// To whom the keys are wrapped: age1…
    #[arg(required_unless_present_any = ["new_key", "passphrase"], conflicts_with_all = ["new_key", "passphrase"])]
    pub(crate) recipient: Option<String>,
    /// Make their identity too, with this vault's pin in it; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// They open by passphrase: asked for twice, or read from --passphrase-fd
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) passphrase: bool,
    /// With --passphrase: opening takes 64 MiB of memory instead of 256, for a service in a small container
    #[arg(long, requires = "passphrase", conflicts_with_all = ["recipient", "new_key"])]
    pub(crate) small: bool,
    /// They may also change the file
    #[arg(long)]
    pub(crate) writer: bool,
    /// Give someone who is there another role or recipient: a removal and an addition in one
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Let someone go: new keys for all others, and a list of what the removed one knew
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_remove.txt").trim_end())]
pub(crate) struct AccessRemove {
    /// What the access list calls them
    pub(crate) name: String,
}

/// Write this vault's id into key files, so that they open nothing else; old lines go
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_pin.txt").trim_end())]
pub(crate) struct AccessPin {
    /// Key files (age identities)
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}
