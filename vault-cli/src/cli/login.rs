//! `bootseal login`: its arguments and help.

use clap::Args;

/// Log in to the vendor, and report the result
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/login.txt").trim_end())]
pub(crate) struct Login {
    /// The profile: `acme` for [acme.login]
    pub(crate) profile: String,
    /// Make one request with the token
    #[arg(long, value_name = "URL")]
    pub(crate) call: Option<String>,
    /// Print the token itself
    #[arg(long)]
    pub(crate) reveal: bool,
}
