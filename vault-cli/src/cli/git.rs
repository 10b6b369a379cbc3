//! `bootseal git`: its arguments and help.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum Git {
    /// Set up the diff and merge drivers, the check at commit, and .gitattributes
    #[command(after_help = include_str!("help/git_setup.txt").trim_end())]
    Setup,
    Check(GitCheck),
    #[command(hide = true)]
    Textconv(GitTextconv),
    #[command(hide = true)]
    Merge(GitMerge),
}

/// No plain secrets and no vault that does not verify: for the hook and for CI
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/git_check.txt").trim_end())]
pub(crate) struct GitCheck {
    /// What is about to be committed, instead of the working tree
    #[arg(long)]
    pub(crate) staged: bool,
}

/// What git's diff driver calls
#[derive(Debug, Args)]
pub(crate) struct GitTextconv {
    pub(crate) file: PathBuf,
}

/// What git's merge driver calls
#[derive(Debug, Args)]
pub(crate) struct GitMerge {
    pub(crate) base: PathBuf,
    pub(crate) ours: PathBuf,
    pub(crate) theirs: PathBuf,
    /// What the file is called in the tree
    pub(crate) path: PathBuf,
    #[arg(long, value_name = "N")]
    pub(crate) marker_size: Option<u32>,
}
