//! `bootseal route`: its arguments and help.

use clap::Args;

/// Create a route of the gateway, which adds the token of a login profile to the calls of other
/// applications
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/route.txt").trim_end())]
pub(crate) struct Route {
    /// The name of the profile: `acme` for [acme.login] and [acme.route]
    pub(crate) name: String,
    /// The address on which the gateway accepts calls: 127.0.0.1:9301 or unix:/run/acme.sock
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: String,
    /// The address to which the gateway forwards calls: https://api.acme.example/v1
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: String,
    /// Forward only calls whose path begins with this prefix, which is removed: /acme
    #[arg(long, value_name = "PREFIX")]
    pub(crate) prefix: Option<String>,
    /// Require a key of the callers (Authorization: Bearer): the value NAME.caller_key, which is
    /// generated and sealed if the file does not have it
    #[arg(long)]
    pub(crate) bearer: bool,
    /// Replace an existing route as a whole
    #[arg(long)]
    pub(crate) force: bool,
}
