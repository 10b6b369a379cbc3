//! `bootseal profile`: its arguments and help.

use clap::Args;
use std::path::PathBuf;

/// Create a login profile from a preset, from another vault, or from the vendor's curl command
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/profile.txt").trim_end())]
pub(crate) struct Profile {
    /// The name of the profile: `acme` for [acme.login]
    #[arg(required_unless_present = "list")]
    pub(crate) name: Option<String>,
    /// The preset for this kind of vendor; --list shows all presets
    #[arg(long, value_name = "KIND", conflicts_with_all = ["from", "from_curl"])]
    pub(crate) preset: Option<String>,
    /// The vendor's address [default: you are asked for it]
    #[arg(long, value_name = "URL", conflicts_with = "from_curl")]
    pub(crate) url: Option<String>,
    /// Copy the profile NAME from another sealed file, without its secrets
    #[arg(long, value_name = "FILE", conflicts_with = "from_curl")]
    pub(crate) from: Option<PathBuf>,
    /// Create the profile from a curl command on stdin
    #[arg(long, value_name = "-")]
    pub(crate) from_curl: Option<String>,
    /// CA certificates (PEM) to trust instead of the system's; they are written into the profile
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// The field of the curl command that contains the user name
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) username_field: Option<String>,
    /// The field of the curl command that contains the password
    #[arg(long, value_name = "FIELD", requires = "from_curl")]
    pub(crate) password_field: Option<String>,
    /// With --from-curl, write the profile without trying a login
    #[arg(long, requires = "from_curl")]
    pub(crate) no_login: bool,
    /// Replace an existing profile as a whole
    #[arg(long)]
    pub(crate) force: bool,
    /// Show the presets
    #[arg(long, conflicts_with_all = ["name", "preset", "url", "from", "from_curl", "force"])]
    pub(crate) list: bool,
}
