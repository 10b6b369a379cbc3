//! `bootseal diff`: its arguments and help.

use clap::Args;

/// What changed between two versions, by name
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/diff.txt").trim_end())]
pub(crate) struct Diff {
    /// OLD: a file, REV:FILE or REV; NEW: a file [default: HEAD, and the file as with -f]
    #[arg(value_name = "OLD] [NEW", num_args = 0..=2)]
    pub(crate) versions: Vec<String>,
    /// Compare names only; 1 where they differ, 2 for an error
    #[arg(long)]
    pub(crate) names: bool,
    /// Print the sealed values that changed
    #[arg(long, conflicts_with = "names")]
    pub(crate) reveal: bool,
}
