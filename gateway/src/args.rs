//! The command line: it names the file and the key; all other settings are in the sealed file.

use bootseal_core::Listen;
use clap::{Args, Parser, Subcommand};
use std::path::{Path, PathBuf};
use std::time::Duration;

const AFTER_HELP: &str = "\
Examples:
  bootseal-gateway app.sealed.toml            serves the [….route] tables of the file
  bootseal-gateway --check app.sealed.toml    prints the routes, and checks that they can be served
  bootseal-gateway --check --login -f app.sealed.toml   also tries each login once
  bootseal-gateway healthy app.sealed.toml    exit code 0 if the running gateway is ready

The key and the pin are found as by every application: $CREDENTIALS_DIRECTORY, /run/secrets, BOOTSEAL_IDENTITY, BOOTSEAL_PIN.
SIGHUP reloads the file. SIGTERM stops the gateway once the calls in flight have ended.
Exit codes: 0 stopped, or a check without an error; 1 an error; 2 a mistake on the command line; 3 not authentic; 4 no key; 5 a refused login; 6 a vendor that is down.
The manual page: bootseal-gateway man | man -l -";

const HEALTHY_AFTER_HELP: &str = "\
Exit code 0: ready. 1: not ready, or no response within 2 s.

Use --admin in a probe: it then works even if the file on disk is broken and the gateway still serves the previous one.
  bootseal-gateway healthy --admin 127.0.0.1:9300";

#[derive(Debug, Parser)]
#[command(
    name = "bootseal-gateway",
    version,
    about = "Adds a token to the calls of applications in any language, by configuration only",
    args_conflicts_with_subcommands = true,
    after_help = AFTER_HELP
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
    #[command(after_help = HEALTHY_AFTER_HELP)]
    Healthy {
        #[command(flatten)]
        file: FileArg,
        /// The admin address, instead of the file: 127.0.0.1:9300 or unix:/run/…
        #[arg(long, value_parser = address)]
        admin: Option<Listen>,
    },
    /// Prints a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Prints the manual page
    Man,
}

/// The sealed file, with or without `-f`.
#[derive(Args, Debug)]
pub(crate) struct FileArg {
    /// The sealed file [default: BOOTSEAL_FILE, else app.sealed.toml in this folder]
    #[arg(value_name = "FILE", conflicts_with = "file")]
    positional: Option<PathBuf>,
    /// The sealed file, as an option of bootseal names it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl FileArg {
    /// The file on the command line.
    pub(crate) fn named(&self) -> Option<&Path> {
        self.positional.as_deref().or(self.file.as_deref())
    }
}

#[derive(Args, Debug)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) file: FileArg,
    /// The key, instead of searching the usual places
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The id of the vault that the file must contain
    #[arg(long)]
    pub(crate) pin: Option<String>,
    /// The folder that stores which files were opened, for rollback protection
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Prints the routes, tries each address, and exits; works beside a running gateway too
    #[arg(long)]
    pub(crate) check: bool,
    /// With --check, also logs in once with each profile that a route uses
    #[arg(long, requires = "check")]
    pub(crate) login: bool,
    /// Threads that forward calls
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: u16,
    /// Searches the gateway's own memory for secrets outside their pages, once per interval
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) audit: Option<Duration>,
    /// Replaces a time limit on callers, for tests
    #[arg(long, hide = true, value_name = "NAME=MILLISECONDS", value_parser = time_limit)]
    pub(crate) time_limit: Vec<(TimeLimit, Duration)>,
    /// The log level for stderr
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["error", "warn", "info", "debug"])]
    pub(crate) log: String,
    /// The form of the log: text for people, or one JSON object per line
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        value_enum,
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    /// Text for people
    Text,
    /// One JSON object per line
    Json,
}

/// A time limit on callers that a test may replace.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TimeLimit {
    FirstByte,
    Head,
    Body,
    Idle,
    Unread,
}

fn time_limit(text: &str) -> Result<(TimeLimit, Duration), String> {
    let (name, limit) = text.split_once('=').ok_or("expected NAME=MILLISECONDS")?;
    let name = match name {
        "first-byte" => TimeLimit::FirstByte,
        "head" => TimeLimit::Head,
        "body" => TimeLimit::Body,
        "idle" => TimeLimit::Idle,
        "unread" => TimeLimit::Unread,
        _ => return Err("no such time limit".into()),
    };
    let limit = limit.parse().map_err(|_| "expected a whole number of milliseconds".to_owned())?;
    Ok((name, Duration::from_millis(limit)))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: u64 = text.parse().map_err(|_| "expected a whole number of seconds".to_owned())?;
    if seconds == 0 { Err("expected at least 1".into()) } else { Ok(Duration::from_secs(seconds)) }
}

fn address(text: &str) -> Result<Listen, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Listen::Unix(path.into()));
    }
    let expected = "expected an address and a port, such as 127.0.0.1:9300, or unix:/run/….sock";
    text.parse().map(Listen::Tcp).map_err(|_| expected.into())
}
