//! `bootseal vendor`: its arguments and help.

use clap::Args;

/// Simulate a profile's vendor on this machine, for development without credentials
#[derive(Debug, Args)]
#[command(after_help = include_str!("help/vendor.txt").trim_end())]
pub(crate) struct Vendor {
    /// The profile: `acme` for [acme.login]
    pub(crate) profile: String,
    /// The port on 127.0.0.1 [default: the profile's port if the profile names this machine, else a
    /// free port]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// The lifetime of the tokens [default: as in the profile, else 15m]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) life: Option<std::time::Duration>,
    /// Revoke all tokens at this interval, for example 30s or 5m
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) revoke_every: Option<std::time::Duration>,
    /// Refuse every login, as if the password were wrong
    #[arg(long)]
    pub(crate) refuse: bool,
    /// Respond to every request with status 503
    #[arg(long)]
    pub(crate) down: bool,
    /// Delay every response by TIME, or by 3 s if no TIME is given
    #[arg(long, value_name = "TIME", value_parser = time, num_args = 0..=1, require_equals = true, default_missing_value = "3s")]
    pub(crate) slow: Option<std::time::Duration>,
}

/// Parses a time such as `500ms`, `30s` or `5m`.
fn time(text: &str) -> Result<std::time::Duration, String> {
    let span: Option<jiff::SignedDuration> = text.parse().ok();
    span.filter(jiff::SignedDuration::is_positive)
        .map(|span| span.unsigned_abs())
        .ok_or_else(|| "a time must be positive and have a unit, as in 500ms, 30s or 5m".into())
}
