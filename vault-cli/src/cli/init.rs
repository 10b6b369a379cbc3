//! `bootseal init`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Make an empty vault, and print its id
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/init.txt").trim_end())]
pub(crate) struct Init {
    /// Someone who may change the file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Take over the access list of this sealed file, which a pin or this machine must know
    #[arg(long, value_name = "FILE")]
    pub(crate) like: Option<PathBuf>,
}
