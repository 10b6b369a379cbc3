//! `bootseal diff`: its arguments and help.

use clap::Args;

/// Show the changes between two versions of a file, without the sealed values
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/diff.txt").trim_end())]
pub(crate) struct Diff {
    /// OLD is a file, REV:FILE or REV, and NEW is a file [default: HEAD and the file that -f
    /// selects]
    #[arg(value_name = "OLD] [NEW", num_args = 0..=2)]
    pub(crate) versions: Vec<String>,
    /// Compare only the names; the exit code is 1 if they differ and 2 after an error
    #[arg(long)]
    pub(crate) names: bool,
    /// Also print the sealed values that changed, in the clear
    #[arg(long, conflicts_with = "names")]
    pub(crate) reveal: bool,
    /// Print every change, not only the first 20 of each kind
    #[arg(long)]
    pub(crate) all: bool,
}
