//! `bootseal profile`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Write how to log in at a vendor: from a preset, another vault, or the vendor's own curl line
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/profile.txt").trim_end())]
pub(crate) struct Profile {
    /// What the profile is called: `acme` for [acme.login]
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// What kind of vendor it is; --list shows them
    #[arg(long, value_name = "KIND", conflicts_with_all = ["from", "from_curl"])]
    pub(crate) preset: Option<String>,
    /// Where the vendor is; asked for where it is not said
    #[arg(long, value_name = "URL", conflicts_with = "from_curl")]
    pub(crate) url: Option<String>,
    /// Take over the profile of that name from another sealed file; its secrets stay there
    #[arg(long, value_name = "FILE", conflicts_with = "from_curl")]
    pub(crate) from: Option<PathBuf>,
    /// Make it of a curl line, which is read from stdin
    #[arg(long, value_name = "-")]
    pub(crate) from_curl: Option<String>,
    /// Certificates (PEM) to trust there instead of the system's; they are written into the profile
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Of a curl line: the field that holds the user
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) username_field: Option<String>,
    /// Of a curl line: the field that holds the password
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) password_field: Option<String>,
    /// Of a curl line: write the profile without a login, so without a look at what comes back
    #[arg(long, requires = "from_curl")]
    pub(crate) no_login: bool,
    /// Put it in the place of a profile that is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Show the presets
    #[arg(long, conflicts_with_all = ["name", "preset", "url", "from", "from_curl", "force"])]
    pub(crate) list: bool,
}
