//! `bootseal access`: its arguments and help.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// List who has access
    #[command(after_help = include_str!("help/access_list.txt").trim_end())]
    List,
    Add(AccessAdd),
    Remove(AccessRemove),
    Rename(AccessRename),
    Request(AccessRequest),
    Pin(AccessPin),
}

/// Give someone access, after showing the resulting access list and asking for confirmation
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_add.txt").trim_end())]
pub(crate) struct AccessAdd {
    /// Their name in the access list
    pub(crate) name: String,
    /// Their recipient (public key): age1… or an SSH public key
    #[arg(required_unless_present_any = ["new_key", "passphrase"], conflicts_with_all = ["new_key", "passphrase"])]
    pub(crate) recipient: Option<String>,
    /// Create an identity for them in this file, together with this vault's pin; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// Give access by a passphrase, which is prompted for twice or read from --passphrase-fd
    #[arg(long, conflicts_with = "new_key")]
    pub(crate) passphrase: bool,
    /// With --passphrase, require 64 MiB of memory instead of 256 MiB to open the vault, for a
    /// service in a small container
    #[arg(long, requires = "passphrase", conflicts_with_all = ["recipient", "new_key"])]
    pub(crate) small: bool,
    /// Allow them to change the file as well
    #[arg(long)]
    pub(crate) writer: bool,
    /// Give an existing member another role or recipient (a removal and an addition in one step)
    #[arg(long)]
    pub(crate) replace: bool,
}

/// Remove members, replace the keys for everyone else, and list the values that the removed members
/// knew
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_remove.txt").trim_end())]
pub(crate) struct AccessRemove {
    /// Their names in the access list; several are removed in one step
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// Confirm, with your own name, that you remove yourself; --yes is not enough for that
    #[arg(long, value_name = "NAME")]
    pub(crate) myself: Option<String>,
}

/// Give a member another name; nobody's access changes
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_rename.txt").trim_end())]
pub(crate) struct AccessRename {
    /// The current name in the access list
    #[arg(value_name = "OLD")]
    pub(crate) member: String,
    /// The new name
    #[arg(value_name = "NEW")]
    pub(crate) new_name: String,
}

/// Print the command with which a writer gives you access, after creating your identity if you have
/// none
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_request.txt").trim_end())]
pub(crate) struct AccessRequest {
    /// Your name in the access list [default: USER, else git's user.name, else the name of this
    /// machine]
    pub(crate) name: Option<String>,
    /// Ask to be allowed to change the file as well
    #[arg(long)]
    pub(crate) writer: bool,
}

/// Write this vault's id into key files as their only pin, so that they open no other vault
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/access_pin.txt").trim_end())]
pub(crate) struct AccessPin {
    /// Key files (age identities)
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}
