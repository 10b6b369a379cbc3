//! What can be typed? Verbs and options, with the texts of `--help`.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Seals credentials into a file that can lie in git: names readable, values encrypted one by one, the whole signed.
#[derive(Debug, Parser)]
#[command(
    name = "bootseal",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
#[command(
    after_help = "Begin with: bootseal init, bootseal set acme.password, bootseal access add web1 --new-key web1.key"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) everywhere: Everywhere,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// Options that every verb takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Everywhere {
    /// The sealed file [default: BOOTSEAL_FILE, else the one *.sealed.toml in this folder]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A file with an age identity, a plugin's, or an SSH key; `-` for stdin; repeatable [default: BOOTSEAL_IDENTITY, else your own, then ~/.ssh]
    #[arg(short, long, global = true, value_name = "FILE")]
    pub(crate) identity: Vec<PathBuf>,
    /// Fail unless the file is this vault's (at generation N or later); repeatable
    #[arg(long, global = true, value_name = "VAULT[@N]")]
    pub(crate) pin: Vec<String>,
    /// Answer yes to what would be asked
    #[arg(long, global = true)]
    pub(crate) yes: bool,
    /// One JSON document on stdout; errors too, on stderr
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Only warnings and errors on stderr
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Colours on stderr
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Make an age identity, and print its recipient
    #[command(
        after_help = "Examples:\n  bootseal keygen\n  bootseal keygen -o web1.key\n  bootseal keygen -y web1.key"
    )]
    Keygen(Keygen),
    /// Make an empty vault, and print its id
    #[command(
        after_help = "Examples:\n  bootseal init\n  bootseal init -f app.sealed.toml --writer alice=age1… --reader web1=age1…"
    )]
    Init(Init),
    /// Turn a settings file in clear into a sealed one
    #[command(
        after_help = "Examples:\n  bootseal seal app.properties --plain '*.url'\n  bootseal seal app.toml                    (seals what is written \"secret:…\", or all)\n  bootseal seal more.properties -f app.sealed.toml   (adds to a file that is there)"
    )]
    Seal(Seal),
    /// Seal one value
    #[command(
        after_help = "Examples:\n  bootseal set acme.password                (asks, without echo)\n  pass show acme | bootseal set acme.password\n  bootseal set tls.key --from-file server.key\n  bootseal set acme.timeout --plain 10s"
    )]
    Set(Set),
    /// Print one value
    #[command(after_help = "Examples:\n  bootseal get acme.password | psql …\n  bootseal get tls.key --out server.key")]
    Get(Get),
    /// Show names, and when each value was given; never a value
    List(List),
    /// Check signature, pin and shape; with an identity also every value
    #[command(after_help = "Examples:\n  bootseal verify\n  bootseal verify --pin vault1…@41 deploy/*.sealed.toml")]
    Verify(Verify),
    /// Who may: show and change it
    #[command(subcommand, arg_required_else_help = true)]
    Access(Access),
    /// Log in for real, and say what came back
    #[command(
        after_help = "Examples:\n  bootseal login acme\n  bootseal login acme --call https://api.acme.example/v1/orders"
    )]
    Login(Login),
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where the identity goes [default: your own, bootseal/identity.txt in the configuration folder]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Put a new identity in the place of one that is there, which is set aside
    #[arg(long, conflicts_with = "of")]
    pub(crate) force: bool,
    /// Print the recipient of an identity that is there
    #[arg(short = 'y', long = "recipient", value_name = "FILE", conflicts_with = "output")]
    pub(crate) of: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Someone who may change the file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Seal {
    /// A .toml or .properties file, or `-` for stdin with --format
    #[arg(value_name = "INPUT")]
    pub(crate) input: PathBuf,
    /// The new sealed file [default: INPUT's name with .sealed.toml]; -f names one that is there, to add to it
    #[arg(short, long, value_name = "FILE", conflicts_with = "file")]
    pub(crate) output: Option<PathBuf>,
    /// Seal only what matches; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) only: Vec<String>,
    /// Keep readable what matches; repeatable
    #[arg(long, value_name = "GLOB")]
    pub(crate) plain: Vec<String>,
    /// What stdin is
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Someone who may change the new file; repeatable [default: you]
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) writer: Vec<String>,
    /// Someone who may open the values of the new file; repeatable
    #[arg(long, value_name = "NAME=RECIPIENT")]
    pub(crate) reader: Vec<String>,
    /// Overwrite and remove INPUT when all is sealed
    #[arg(long)]
    pub(crate) shred: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Toml,
    Properties,
}

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// `-`: the value comes from stdin, as it does when stdin is no terminal
    #[arg(value_name = "-", hide_possible_values = true)]
    pub(crate) stdin: Option<String>,
    /// The value is what this file holds, every byte
    #[arg(long, value_name = "FILE", conflicts_with = "stdin")]
    pub(crate) from_file: Option<PathBuf>,
    /// Set a readable value: everyone who has the file can read it
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, conflicts_with_all = ["stdin", "from_file"])]
    pub(crate) plain: Option<String>,
    /// Make up a value of letters and digits, 32 unless LENGTH says otherwise
    #[arg(long, value_name = "LENGTH", num_args = 0..=1, require_equals = true, default_missing_value = "32", conflicts_with_all = ["from_file", "plain"])]
    pub(crate) generate: Option<usize>,
    /// Take an empty value
    #[arg(long)]
    pub(crate) empty: bool,
    /// Put a readable value where a sealed one is
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// The property, a TOML dotted key: acme.password
    pub(crate) path: String,
    /// Write the value to a new file that only you can read
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only what lies below this name
    pub(crate) prefix: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Sealed files [default: as with -f]
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Access {
    /// Who may
    List,
    /// Let someone in: shows the resulting list, and asks
    #[command(
        after_help = "Examples:\n  bootseal access add bob age1… --writer\n  bootseal access add web1 --new-key web1.key\n  bootseal access add web1 --new-key - | ssh web1 'install -m 600 /dev/stdin /etc/payments/bootseal.key'"
    )]
    Add(AccessAdd),
}

#[derive(Debug, Args)]
pub(crate) struct AccessAdd {
    /// What the access list calls them
    pub(crate) name: String,
    /// To whom the keys are wrapped: age1…
    #[arg(required_unless_present = "new_key", conflicts_with = "new_key")]
    pub(crate) recipient: Option<String>,
    /// Make their identity too, with this vault's pin in it; `-` for stdout
    #[arg(long, value_name = "FILE")]
    pub(crate) new_key: Option<PathBuf>,
    /// They may also change the file
    #[arg(long)]
    pub(crate) writer: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The profile: `acme` for [acme.login]
    pub(crate) profile: String,
    /// Make one call with the token
    #[arg(long, value_name = "URL")]
    pub(crate) call: Option<String>,
    /// Print the token itself
    #[arg(long)]
    pub(crate) reveal: bool,
}
