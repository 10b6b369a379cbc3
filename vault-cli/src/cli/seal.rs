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
    /// Allow --plain for values that the rules in seal.names would seal
    #[arg(long)]
    pub(crate) allow_plain: bool,
    /// Keep the comments of the input in the new file, in the clear
    #[arg(long)]
    pub(crate) keep_comments: bool,
    /// The input format [default: as the file's name and content show]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// In JSON and YAML, leave out properties that are null, or make them empty strings
    #[arg(long, value_name = "WHAT")]
    pub(crate) null: Option<Null>,
    /// Read only the Nth document of a YAML file that has several
    #[arg(long, value_name = "N", value_parser = document)]
    pub(crate) document: Option<usize>,
    /// The encoding of INPUT [default: utf-8, or as its byte order mark says]
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<Encoding>,
    /// Read a .env file as this program does
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) dialect: Option<EnvDialect>,
    /// In .properties, keep names with dots whole, instead of making tables of them
    #[arg(long)]
    pub(crate) flat: bool,
    /// Seal values that another tool has encrypted as they are, without opening them
    #[arg(long)]
    pub(crate) keep_ciphertext: bool,
    /// A member who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// A member who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Overwrite and remove INPUT after everything has been sealed; asks first if the sealed file
    /// does not contain a part of it, such as a comment
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

impl Format {
    /// The argument of `--format`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Format::Toml => "toml",
            Format::Properties => "properties",
            Format::Env => "env",
            Format::Json => "json",
            Format::Yaml => "yaml",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Null {
    Skip,
    Empty,
}

/// An encoding that `--encoding` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Encoding {
    #[value(name = "utf-8")]
    Utf8,
    /// Western European, as Java reads .properties files
    #[value(name = "iso-8859-1", alias = "latin1")]
    Latin1,
    /// Western European on Windows
    #[value(name = "windows-1252", alias = "cp1252")]
    Windows1252,
    /// With a byte order mark
    #[value(name = "utf-16")]
    Utf16,
    #[value(name = "utf-16le")]
    Utf16Le,
    #[value(name = "utf-16be")]
    Utf16Be,
}

/// A program that reads `.env` files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EnvDialect {
    PythonDotenv,
    /// The package dotenv of npm
    Node,
    Compose,
    Dotenvx,
}

/// Parses the number of a document, which is counted from 1.
pub(super) fn document(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|number| *number > 0).ok_or("documents are counted from 1")
}
