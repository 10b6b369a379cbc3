//! `bootseal import`: its arguments and help.

use crate::cli::seal::{Encoding, Format, Null, document};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Decrypt another tool's file, and seal its values
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/import.txt").trim_end())]
pub(crate) struct Import {
    /// The tool that wrote FILE
    #[arg(long, value_name = "TOOL")]
    pub(crate) from: Tool,
    /// The other tool's file
    #[arg(value_name = "FILE")]
    pub(crate) input: PathBuf,
    /// The new sealed file [default: FILE's name with .sealed.toml]; to add to an existing file,
    /// use -f instead
    #[arg(short, long, value_name = "OUT", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Put all properties into this table
    #[arg(long = "as", value_name = "PREFIX")]
    pub(crate) below: Option<String>,
    /// A file with the other tool's key or password; repeatable
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Vec<PathBuf>,
    /// Read the other tool's key or password from this file descriptor (the whole input); 0 is
    /// stdin
    #[arg(long, value_name = "N")]
    pub(crate) key_fd: Option<u32>,
    /// Jasypt's algorithm [default: the common algorithm that decrypts every value]
    #[arg(long, value_name = "NAME")]
    pub(crate) algorithm: Option<String>,
    /// Jasypt's IV generator: NoIvGenerator or RandomIvGenerator [default: the one that fits]
    #[arg(long, value_name = "NAME")]
    pub(crate) iv_generator: Option<String>,
    /// Jasypt's key-obtention-iterations [default: 1000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) iterations: Option<u32>,
    /// Spring's encrypt.salt, in hexadecimal, or jasypt-spring-boot's gcm-secret-key-salt; not a
    /// secret
    #[arg(long, value_name = "SALT")]
    pub(crate) salt: Option<String>,
    /// The format of FILE [default: as its name and content show]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// In JSON and YAML, leave out properties that are null [default], or make them empty strings
    #[arg(long, value_name = "WHAT")]
    pub(crate) null: Option<Null>,
    /// Read only the Nth document of a YAML file that has several [default: all]
    #[arg(long, value_name = "N", value_parser = document)]
    pub(crate) document: Option<usize>,
    /// The encoding of FILE [default: utf-8, or as its byte order mark says]
    #[arg(long, value_name = "NAME")]
    pub(crate) encoding: Option<Encoding>,
    /// In .properties, keep names with dots whole, instead of making tables of them
    #[arg(long)]
    pub(crate) flat: bool,
    /// Keep values that cannot be opened in place, such as ENC(…) inside a URL, as they are
    #[arg(long)]
    pub(crate) keep_ciphertext: bool,
    /// A member who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// A member who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    Sops,
    #[value(alias = "ansible")]
    AnsibleVault,
    Jasypt,
    Dotenvx,
    Spring,
}
