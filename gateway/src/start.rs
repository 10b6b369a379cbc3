//! The start of the gateway: it hardens the process, opens the file, gives up other files and
//! system calls, listens, and serves until a signal.

use crate::admin::{endpoints, probe};
use crate::args::{Cli, FileArg, Serve, TimeLimit, Verb};
use crate::framing::strict_stream::Timeouts;
use crate::man;
use crate::rules::callers::CallerCheck;
use crate::server::addresses::Addresses;
use crate::server::reload;
use crate::server::table::{DiskState, Running};
use crate::startup::harden::{self, FileAccess};
use crate::startup::signals::{Signal, Signals};
use crate::startup::sockets::Sockets;
use crate::startup::{audit, log, systemd};
use crate::stats::latency::BUCKETS;
use bootseal::{Error, Kind, Loader, Result, Secrets};
use clap::Parser;
use clap::error::ErrorKind;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The file that is served if none is named.
const DEFAULT_FILE: &str = "app.sealed.toml";

/// The interval at which the exporter sums up the values recorded by logins, freed memory is
/// returned, and failures that no log line contains yet are logged.
const UPKEEP: Duration = Duration::from_secs(10);

/// Runs the gateway until a signal stops it. Returns the exit code: 0, or 1 to 6 with the same
/// meaning as for `bootseal`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let cli = match Cli::try_parse_from(&args) {
        Ok(cli) => cli,
        Err(error) => {
            if error.use_stderr() {
                drop(error.print());
                return u8::try_from(error.exit_code()).unwrap_or(2);
            }
            let long = args.iter().any(|arg| arg == "--help");
            let text = error.to_string();
            let is_short = error.kind() == ErrorKind::DisplayHelp && !long;
            let text = if is_short { short(&text) } else { text };
            return ended(print(text.as_bytes()));
        }
    };
    let result = match cli.verb {
        Some(Verb::Healthy { file, admin }) => {
            probe::ask(&served(&file), admin).map_err(|why| (why, 1))
        }
        Some(Verb::Completions { shell }) => print(&man::completions(shell)),
        Some(Verb::Man) => man::page().map_err(not_printed).and_then(|page| print(&page)),
        None => start(&cli.serve).map_err(|error| (error.to_string(), error.exit_code())),
    };
    ended(result)
}

/// An error message, and the exit code.
type Failed = (String, u8);

/// Prints text at once. It is no error if the reader has closed the pipe.
fn print(text: &[u8]) -> std::result::Result<(), Failed> {
    let mut stdout = std::io::stdout();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(not_printed(error)),
        _ => Ok(()),
    }
}

fn not_printed(error: std::io::Error) -> Failed {
    (format!("stdout: {error}"), 1)
}

/// Reports the error, if there is one, and returns the exit code.
fn ended(result: std::result::Result<(), Failed>) -> u8 {
    match result {
        Ok(()) => 0,
        Err((why, code)) => {
            let _ = writeln!(std::io::stderr(), "bootseal-gateway: {why}");
            code
        }
    }
}

/// The text of `-h`: that of `--help` without the examples and everything below them.
fn short(help: &str) -> String {
    let kept = ["\nExamples:\n", "\nExit code 0"]
        .iter()
        .find_map(|below| help.split_once(below))
        .map_or(help, |(kept, _)| kept);
    format!("{kept}\nExamples, exit codes and more: --help\n")
}

/// The file that a gateway with these arguments serves.
fn served(file: &FileArg) -> PathBuf {
    let variable = || std::env::var_os("BOOTSEAL_FILE").filter(|name| !name.is_empty());
    let named = file.named().map(Path::to_path_buf).or_else(|| variable().map(PathBuf::from));
    named.unwrap_or_else(|| DEFAULT_FILE.into())
}

fn start(serve: &Serve) -> Result<()> {
    if serve.workers == 1 {
        // glibc honours this only before a second thread exists.
        bootseal::one_heap();
    }
    let hardened = harden::process();
    let connections = harden::connections();
    log::start(&serve.log, serve.log_format);
    let metrics = install_recorder()?;

    let sockets = Sockets::handed_over().map_err(|error| {
        io_error(format!("the sockets that systemd handed over cannot be used: {error}"))
    })?;
    let addresses = Arc::new(Addresses::new(sockets, serve.check));
    let vetting = addresses.clone();
    let loader = loader(serve)?.validate_with(move |file| vetting.vet(file));
    let folders = loader.clone();
    let vault = loader.load()?;
    if serve.check {
        check(&vault, &addresses)?;
        return if serve.login { try_logins(&vault) } else { Ok(()) };
    }
    tracing::info!("{hardened}");
    // After everything that needs other files, and before the first byte of a caller.
    let gateway = vault.gateway()?;
    let listens = gateway.routes.iter().map(|route| &route.listen).chain(&gateway.admin);
    for (name, what) in harden::seal_off(&FileAccess::of(&folders, listens)) {
        tracing::info!("{name}: {what}");
    }
    let running = Running::new(vault, addresses, connections, timeouts(serve));
    let mut builder = match serve.workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    // A current-thread runtime ignores the number of workers.
    let runtime = builder
        .worker_threads(serve.workers.into())
        .enable_all()
        .build()
        .map_err(|error| io_error(format!("the runtime cannot be started: {error}")))?;
    let stopped = runtime.block_on(serve_until_stopped(&running, &metrics, serve.audit));
    // Whatever still blocks a thread, such as a name lookup, does not delay the end.
    runtime.shutdown_background();
    stopped
}

/// Installs the recorder of all metrics, and returns the handle that renders them.
fn install_recorder() -> Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets(&BUCKETS)
        .map_err(|error| io_error(error.to_string()))?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|error| io_error(error.to_string()))?;
    describe();
    Ok(handle)
}

/// Describes the gateway's own metrics; docs/token-source.md has the loader's.
fn describe() {
    metrics::describe_counter!(
        "bootseal_gateway_calls_total",
        "Calls, by the status that the caller received"
    );
    metrics::describe_gauge!(
        "bootseal_gateway_calls_in_flight",
        "Calls whose response has not ended"
    );
    metrics::describe_counter!(
        "bootseal_gateway_errors_total",
        "Calls that the gateway answered itself, by x-bootseal-error"
    );
    metrics::describe_counter!(
        "bootseal_gateway_refused_connections_total",
        "Connections of callers that the gateway closed, by reason"
    );
    metrics::describe_gauge!("bootseal_gateway_connections", "Connections of callers");
    metrics::describe_gauge!(
        "bootseal_gateway_connections_limit",
        "Connections of callers that are possible at once"
    );
    metrics::describe_counter!(
        "bootseal_gateway_reloads_total",
        "Reloads of the file, by result: taken, same or refused"
    );
    metrics::describe_gauge!(
        "bootseal_gateway_generation",
        "Generation of the file: loaded, and on disk (-1: not readable)"
    );
    metrics::describe_gauge!(
        "bootseal_gateway_audit_copies",
        "Copies of secrets found outside their pages, with --audit"
    );
}

/// The time limits on callers.
fn timeouts(serve: &Serve) -> Timeouts {
    let mut timeouts = Timeouts::default();
    for (name, limit) in &serve.time_limit {
        *match name {
            TimeLimit::FirstByte => &mut timeouts.first_byte,
            TimeLimit::Head => &mut timeouts.head,
            TimeLimit::Body => &mut timeouts.body_idle,
            TimeLimit::Idle => &mut timeouts.keep_alive,
            TimeLimit::Unread => &mut timeouts.unread,
        } = *limit;
    }
    timeouts
}

fn loader(serve: &Serve) -> Result<Loader> {
    // A file on the command line is meant, whatever BOOTSEAL_FILE names.
    let mut loader = match serve.file.named() {
        Some(file) => Loader::exactly(file),
        None => Loader::new(DEFAULT_FILE),
    };
    if let Some(identity) = &serve.identity {
        loader = loader.identity_file(identity);
    }
    if let Some(pin) = &serve.pin {
        loader = loader.pin(pin)?;
    }
    if let Some(state) = &serve.state {
        loader = loader.state(state);
    }
    Ok(loader)
}

async fn serve_until_stopped(
    running: &Arc<Running>,
    metrics: &PrometheusHandle,
    audit: Option<Duration>,
) -> Result<()> {
    // Created before readiness is announced: until the handlers exist, SIGHUP and SIGTERM end the
    // process at once.
    let mut signals =
        Signals::new().map_err(|error| io_error(format!("signals cannot be received: {error}")))?;
    endpoints::apply(running, metrics)?;
    running.set_disk(DiskState { generation: Some(running.vault.generation()), refused: None });
    let handle = metrics.clone();
    let reload = reload::watch(running, move |running| endpoints::apply(running, &handle))
        .map_err(|error| {
            io_error(format!("the thread that watches the file cannot be started: {error}"))
        })?;
    if let Some(interval) = audit {
        audit::start(interval).map_err(|error| io_error(format!("--audit: {error}")))?;
    }
    systemd::ready(running.vault.generation());
    tracing::info!(vault = %running.vault.vault_id(), generation = running.vault.generation(), "ready");
    let mut upkeep = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            _ = upkeep.tick() => {
                metrics.run_upkeep();
                bootseal::return_freed_memory();
                running.active_routes().iter().for_each(|route| route.stats.log_due());
            }
            signal = signals.next() => match signal {
                // Sending fails only if that thread has ended, which it never does.
                Signal::Reload => drop(reload.send(())),
                Signal::Stop => break,
            },
        }
    }
    systemd::stopping();
    running.stop().await;
    Ok(())
}

/// Prints the routes and the admin address, for `--check`.
fn check(vault: &Secrets, addresses: &Addresses) -> Result<()> {
    let gateway = vault.gateway()?;
    let mut out = std::io::stdout().lock();
    let mut print = |line: String| {
        writeln!(out, "{line}").map_err(|error| io_error(format!("stdout: {error}")))
    };
    print(format!("{}, generation {}", vault.vault_id(), vault.generation()))?;
    let busy = |listen| {
        if addresses.is_busy(listen) { " (in use now, perhaps by a running gateway)" } else { "" }
    };
    for route in &gateway.routes {
        // Opens the callers' keys, so that an invalid one is found here.
        CallerCheck::of(vault, route)?;
        let callers = match &route.callers {
            None => "any caller that reaches it",
            Some(bootseal_core::Callers::Bearer(_)) => "callers with its key (bearer)",
            Some(bootseal_core::Callers::Basic { .. }) => "callers with its password (basic)",
            Some(bootseal_core::Callers::Uid(_)) => "callers that run as its users (uid)",
        };
        print(format!(
            "{}: {}{} -> {}, {callers}{}",
            route.table,
            route.listen,
            route.prefix,
            route.upstream,
            busy(&route.listen)
        ))?;
    }
    match &gateway.admin {
        Some(admin) => print(format!("admin: {admin}{}", busy(admin))),
        None => print(
            "admin: none; set gateway.admin to serve health, metrics and the status page".into(),
        ),
    }
}

/// Logs in once with each profile that a route uses, for `--check --login`. All are tried; the error
/// is that of the first login that failed.
fn try_logins(vault: &Secrets) -> Result<()> {
    let routes = vault.gateway()?.routes;
    let tables: BTreeSet<String> = routes.iter().map(|route| route.table.to_string()).collect();
    let mut failed: Option<Error> = None;
    for table in tables {
        let source = vault.token_source(&table)?;
        let text = match source.token_blocking() {
            Ok(token) => {
                // The token is not kept, and some vendors limit the number of sessions.
                if source.profile().logout.is_some() {
                    let _ = source.log_out_blocking();
                }
                let (status, life) = (token.status(), token.lifetime().as_secs());
                format!("{table}: logged in, status {status}; the token is valid for {life} s")
            }
            Err(error) => {
                // The first error is that of the command.
                match &failed {
                    None => failed = Some(error),
                    Some(_) => drop(writeln!(std::io::stderr(), "bootseal-gateway: {error}")),
                }
                format!("{table}: the login failed")
            }
        };
        let written = writeln!(std::io::stdout(), "{text}");
        written.map_err(|error| io_error(format!("stdout: {error}")))?;
    }
    failed.map_or(Ok(()), Err)
}

fn io_error(text: String) -> Error {
    bootseal_core::Error::new(Kind::Io, text).into()
}
