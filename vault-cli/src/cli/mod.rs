//! The command line: verbs and options, with the texts of `--help`.
//!
//! Each verb has one file; the longer help texts are in `help/`.

mod accept;
mod access;
mod clear_clipboard;
mod completions;
mod diff;
mod doctor;
mod edit;
mod exec;
mod export;
mod get;
mod git;
pub(crate) mod help_verb;
mod import;
mod init;
mod keygen;
mod list;
mod login;
mod man;
pub(crate) mod other_words;
mod profile;
mod propose;
pub(crate) mod reference;
mod rename;
mod resolve;
mod rotate;
mod route;
mod seal;
mod set;
mod sign;
mod unset;
mod vaults;
mod vendor;
mod verify;

pub(crate) use accept::Accept;
pub(crate) use access::{Access, AccessAdd, AccessPin, AccessRemove, AccessRename, AccessRequest};
pub(crate) use clear_clipboard::ClearClipboard;
pub(crate) use completions::{Completions, Shell};
pub(crate) use diff::Diff;
pub(crate) use doctor::Doctor;
pub(crate) use edit::Edit;
pub(crate) use exec::{Exec, OnChange};
pub(crate) use export::{Export, ExportFormat};
pub(crate) use get::Get;
pub(crate) use git::{Git, GitCheck, GitMerge, GitTextconv};
pub(crate) use import::{Import, Tool};
pub(crate) use init::Init;
pub(crate) use keygen::Keygen;
pub(crate) use list::List;
pub(crate) use login::Login;
pub(crate) use man::Man;
pub(crate) use profile::Profile;
pub(crate) use propose::Propose;
pub(crate) use rename::Rename;
pub(crate) use resolve::{Resolve, Take, Which};
pub(crate) use rotate::Rotate;
pub(crate) use route::Route;
pub(crate) use seal::{Encoding, EnvDialect, Format, Null, Seal};
pub(crate) use set::{Set, TypeOption};
pub(crate) use sign::Sign;
pub(crate) use unset::Unset;
pub(crate) use vaults::{Vaults, VaultsChange, VaultsForget};
pub(crate) use vendor::Vendor;
pub(crate) use verify::{SinceFormat, Verify};

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Seals credentials into a file that can be kept in git: names stay readable, each value is
/// encrypted, and the whole file is signed
#[derive(Debug, Parser)]
#[command(
    name = "bootseal",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(after_help = reference::main_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalOptions,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalOptions {
    /// The sealed file; some commands accept several files or a glob pattern [default:
    /// BOOTSEAL_FILE, else the only *.sealed.toml in this folder, else in the nearest folder above
    /// it that has one, up to the root of the git repository]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) file: Vec<PathBuf>,
    /// A file with an age identity, a plugin identity or an SSH key; `-` for stdin; repeatable
    /// [default: BOOTSEAL_IDENTITY, else your own identity and ~/.ssh]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Read the passphrase from this file descriptor (the whole input) instead of prompting; 0 is
    /// stdin
    #[arg(long, global = true, value_name = "N")]
    pub(crate) passphrase_fd: Option<u32>,
    /// Fail unless the file belongs to this vault and, with @N, is at generation N or later;
    /// repeatable
    #[arg(long, global = true, value_name = "VAULT[@N]")]
    pub(crate) pin: Vec<String>,
    /// Answer yes to every confirmation
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// Print one JSON document on stdout; errors are JSON too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only warnings and errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Print more details
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// When to use colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Keygen(Keygen),
    Init(Init),
    Seal(Seal),
    Set(Set),
    Unset(Unset),
    Rename(Rename),
    Propose(Propose),
    Accept(Accept),
    Get(Get),
    List(List),
    Edit(Edit),
    Verify(Verify),
    /// Show and change who has access
    #[command(subcommand, arg_required_else_help = true)]
    Access(Access),
    Vaults(Vaults),
    Rotate(Rotate),
    Diff(Diff),
    Sign(Sign),
    Resolve(Resolve),
    /// Set up git to diff and merge sealed files, and check a repository for secrets
    #[command(subcommand, arg_required_else_help = true)]
    Git(Git),
    Profile(Profile),
    Route(Route),
    Login(Login),
    Export(Export),
    Import(Import),
    Vendor(Vendor),
    Doctor(Doctor),
    Completions(Completions),
    Man(Man),
    #[command(hide = true)]
    ClearClipboard(ClearClipboard),
    Exec(Exec),
    /// Remove a folder in memory when the process that uses it has ended
    #[command(hide = true)]
    Sweep,
}
