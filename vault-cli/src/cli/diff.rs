//! `bootseal diff`: its arguments and help.

use clap::Args;

/// Show what changed between two versions, by name
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/diff.txt").trim_end())]
pub(crate) struct Diff {
    /// OLD: a file, REV:FILE or REV; NEW: a file [default: HEAD, and the file that -f selects]
    #[arg(value_name = "OLD] [NEW", num_args = 0..=2)]
    pub(crate) versions: Vec<String>,
    /// Compare names only; the exit code is 1 if they differ and 2 for an error
    #[arg(long)]
    pub(crate) names: bool,
    /// Print the sealed values that changed, in clear
    #[arg(long, conflicts_with = "names")]
    pub(crate) reveal: bool,
}
