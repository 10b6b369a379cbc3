//! `bootseal init`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Create an empty vault, and print its id
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/init.txt").trim_end())]
pub(crate) struct Init {
    /// A member who may change the file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// A member who may open the values; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Copy the access list of this sealed file, which must be pinned or known on this machine
    #[arg(long, value_name = "FILE")]
    pub(crate) like: Option<PathBuf>,
}
