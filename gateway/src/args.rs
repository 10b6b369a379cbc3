//! What is said on the command line? Little: the rest is in the sealed file.

use bootseal_core::Listen;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Parser)]
#[command(
    name = "bootseal-gateway",
    version,
    about = "Puts a token on the calls of applications in any language, by configuration only",
    args_conflicts_with_subcommands = true,
    after_help = "Examples:\n  bootseal-gateway app.sealed.toml            serves the [….route] tables of the file\n  bootseal-gateway --check app.sealed.toml    says what would be served, and whether it could be\n  bootseal-gateway healthy app.sealed.toml    asks the running one: exit code 0 where it is ready\n\nThe key and the pin are found as by every application: $CREDENTIALS_DIRECTORY, /run/secrets, BOOTSEAL_IDENTITY, BOOTSEAL_PIN.\nSIGHUP reads the file again; SIGTERM takes no more calls and lets those in flight end."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) verb: Option<Verb>,
    #[command(flatten)]
    pub(crate) serve: Serve,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Asks a running gateway whether it is ready, for probes that run a program
    #[command(
        after_help = "Exit code 0: ready. 1: not ready, or nobody answers within 2 s.\n\nA probe should say --admin: then a broken file, which the running gateway does not take, does not end it.\n  bootseal-gateway healthy --admin 127.0.0.1:9300"
    )]
    Healthy {
        /// The file that it serves, for its `gateway.admin`
        #[arg(default_value = "app.sealed.toml", env = "BOOTSEAL_FILE", hide_env = true)]
        file: PathBuf,
        /// Its admin address, in place of the file: 127.0.0.1:9300 or unix:/run/…
        #[arg(long, value_parser = address)]
        admin: Option<Listen>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The sealed file; BOOTSEAL_FILE stands above it
    #[arg(default_value = "app.sealed.toml")]
    pub(crate) file: PathBuf,
    /// The key, in place of the places where it is looked for
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The vault that it must be
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// The folder in which it is remembered what was opened
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Says what would be served, tries each address, and ends; beside one that runs, too
    #[arg(long)]
    pub(crate) check: bool,
    /// Threads that pass calls on
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// Looks through its own memory for secrets outside their pages, each so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) audit: Option<Duration>,
    /// What is told on stderr
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug"])]
    pub(crate) log: String,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|_| "a whole number of seconds".to_owned())?;
    if seconds == 0 { Err("at least 1".into()) } else { Ok(Duration::from_secs(seconds)) }
}

fn address(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Listen::Unix(path.into()));
    }
    text.parse().map(Listen::Tcp).map_err(|_| "an address and a port, as 127.0.0.1:9300, or unix:/run/….sock".into())
}
