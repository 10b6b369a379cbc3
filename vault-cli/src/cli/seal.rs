//! `bootseal seal`: its arguments and help.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Turn a plain-text settings file into a sealed file
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/seal.txt").trim_end())]
pub(crate) struct Seal {
    /// A .toml, .properties, .env, .json or .yaml file, or `-` for stdin with --format
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// The new sealed file [default: INPUT's name with .sealed.toml]; to add to an existing file,
    /// use -f instead
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Seal only matching properties; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Leave matching properties readable; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) plain: Vec<String>,
    /// Seal all properties; this is the default without a terminal, unless values are marked
    /// "secret:…"
    #[arg(long, conflicts_with_all = ["only", "suggested"])]
    pub(crate) all: bool,
    /// Seal what looks like a secret, by its name or by its shape
    #[arg(long, conflicts_with = "only")]
    pub(crate) suggested: bool,
    /// Allow --plain to leave values readable against the rules in seal.names
    #[arg(long)]
    pub(crate) allow_plain: bool,
    /// The input format, if the file name does not show it
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Seal values that another tool has encrypted as they are, without opening them
    #[arg(long)]
    pub(crate) keep_ciphertext: bool,
    /// A member who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// A member who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Overwrite and remove INPUT after everything has been sealed
    #[arg(long)]
    pub(crate) shred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Toml,
    Properties,
    Env,
    Json,
    Yaml,
}
