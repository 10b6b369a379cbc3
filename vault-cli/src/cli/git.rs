//! `bootseal git`: its arguments and help.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Git {
    /// Set up the diff and merge drivers, the pre-commit check, and .gitattributes
    #[command(after_help = include_str!("help/git_setup.txt").trim_end())]
    Setup,
    Check(GitCheck),
    #[command(hide = true)]
    Textconv(GitTextconv),
    #[command(hide = true)]
    Merge(GitMerge),
}

/// Find secrets in the clear and vaults that do not verify; for the pre-commit hook and for CI
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/git_check.txt").trim_end())]
pub(crate) struct GitCheck {
    /// Check what is staged, not the working tree
    #[arg(long)]
    pub(crate) staged: bool,
}

/// Called by git's diff driver
#[derive(Debug, Args)]
pub(crate) struct GitTextconv {
    pub(crate) file: PathBuf,
}

/// Called by git's merge driver
#[derive(Debug, Args)]
pub(crate) struct GitMerge {
    pub(crate) base: PathBuf,
    pub(crate) ours: PathBuf,
    pub(crate) theirs: PathBuf,
    /// The file's path in the tree
    pub(crate) path: PathBuf,
    #[arg(long, value_name = "N")]
    pub(crate) marker_size: Option<u32>,
}
