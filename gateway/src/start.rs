//! How does the gateway come up? Harden, open, seal off, listen; then serve until it is told to stop.

use crate::admin::endpoints::METRICS;
use crate::admin::probe;
use crate::args::{Cli, Serve, Verb};
use crate::rules::callers::Check;
use crate::server::reload;
use crate::server::table::{Addresses, Disk, Running};
use crate::startup::harden::{self, Needs};
use crate::startup::sockets::Sockets;
use crate::startup::systemd;
use crate::stats::latency::BUCKETS;
use bootseal::{Error, Kind, Loader, Result, Secrets};
use clap::Parser;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::ffi::OsString;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// How often what was recorded of logins is summed up.
const UPKEEP: Duration = Duration::from_secs(10);

/// Runs the gateway until it is told to stop. What it returns is the exit code: 0; 1 to 6 as of `bootseal`.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(2);
        }
    };
    let said = match cli.verb {
        Some(Verb::Healthy { file, admin }) => probe::ask(&file, admin).map_err(|why| (why, 1)),
        None => start(&cli.serve).map_err(|error| (error.to_string(), error.exit_code())),
    };
    match said {
        Ok(()) => 0,
        Err((why, code)) => {
            let _ = writeln!(std::io::stderr(), "bootseal-gateway: {why}");
            code
        }
    }
}

fn start(serve: &Serve) -> Result<()> {
    if serve.workers == 1 {
        // Before there is another thread.
        bootseal::one_heap();
    }
    let hardened = harden::process();
    let connections = harden::connections();
    log(&serve.log);
    let recorder = PrometheusBuilder::new();
    let recorder = recorder.set_buckets(&BUCKETS).map_err(|error| ours(error.to_string()))?.build_recorder();
    let _ = METRICS.set(recorder.handle());
    metrics::set_global_recorder(recorder).map_err(|error| ours(error.to_string()))?;
    describe();

    let sockets = Sockets::handed_over().map_err(|error| ours(format!("what systemd handed over: {error}")))?;
    let addresses = Arc::new(Addresses::new(sockets, serve.check));
    let vets = addresses.clone();
    let loader = loader(serve)?.validate_with(move |file| vets.vet(file));
    let folders = loader.clone();
    let vault = loader.load()?;
    let gateway = vault.gateway()?;
    if serve.check {
        return check(&vault, &addresses);
    }
    tracing::info!("{hardened}");
    let listens = gateway.routes.iter().map(|route| &route.listen).chain(&gateway.admin);
    for (name, what) in harden::seal_off(&Needs::of(&folders, listens)) {
        tracing::info!("{name}: {what}");
    }
    let running = Running::new(vault, addresses, connections);
    let mut builder = match serve.workers {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    // Of no effect on the one thread.
    let runtime = builder
        .worker_threads(serve.workers.into())
        .enable_all()
        .build()
        .map_err(|error| ours(format!("no runtime: {error}")))?;
    runtime.block_on(serving(&running, serve.audit))
}

/// What the gateway itself counts; the loader's are in docs/token-source.md.
fn describe() {
    metrics::describe_counter!("bootseal_gateway_calls_total", "Calls, by the status that the caller was given");
    metrics::describe_gauge!("bootseal_gateway_calls_in_flight", "Calls whose answer has not ended");
    metrics::describe_counter!(
        "bootseal_gateway_errors_total",
        "Calls that the gateway answered itself, by x-bootseal-error"
    );
    metrics::describe_counter!(
        "bootseal_gateway_refused_connections_total",
        "Connections of callers that were ended, by why"
    );
    metrics::describe_counter!("bootseal_gateway_reloads_total", "Files looked at again: taken, same, or refused");
    metrics::describe_gauge!(
        "bootseal_gateway_generation",
        "The file's generation: loaded, and on disk (-1: not readable)"
    );
    metrics::describe_gauge!("bootseal_gateway_audit_copies", "Secrets found outside their pages, with --audit");
}

fn loader(serve: &Serve) -> Result<Loader> {
    let mut loader = Loader::new(&serve.file);
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

async fn serving(running: &Arc<Running>, audit: Option<Duration>) -> Result<()> {
    running.apply()?;
    running.set_disk(Disk { generation: Some(running.vault.generation()), refused: None });
    let ask = reload::watch(running).map_err(|error| ours(format!("no thread to watch the file: {error}")))?;
    if let Some(every) = audit {
        auditing(every)?;
    }
    systemd::ready(running.vault.generation());
    tracing::info!(vault = %running.vault.vault_id(), generation = running.vault.generation(), "ready");
    let mut upkeep = tokio::time::interval(UPKEEP);
    let mut signals = Signals::new().map_err(|error| ours(format!("signals cannot be heard: {error}")))?;
    loop {
        tokio::select! {
            _ = upkeep.tick() => if let Some(metrics) = METRICS.get() {
                metrics.run_upkeep();
            },
            signal = signals.next() => match signal {
                // A thread that is gone reloads nothing; it never is.
                Signal::Reload => drop(ask.send(())),
                Signal::Stop => break,
            },
        }
    }
    systemd::stopping();
    running.stop().await;
    Ok(())
}

enum Signal {
    Reload,
    Stop,
}

#[cfg(unix)]
struct Signals {
    reload: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            reload: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.reload.recv() => Signal::Reload,
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) -> Signal {
        let _ = tokio::signal::ctrl_c().await;
        Signal::Stop
    }
}

fn check(vault: &Secrets, addresses: &Addresses) -> Result<()> {
    let gateway = vault.gateway()?;
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").map_err(|error| ours(format!("stdout: {error}")));
    say(format!("{}, generation {}", vault.vault_id(), vault.generation()))?;
    let busy = |listen| if addresses.is_busy(listen) { " (in use now, as by a gateway that runs)" } else { "" };
    for route in &gateway.routes {
        // The callers' keys are looked at, too.
        Check::of(vault, route)?;
        let callers = match &route.callers {
            None => "whoever reaches it",
            Some(bootseal_core::Callers::Bearer(_)) => "with its key (bearer)",
            Some(bootseal_core::Callers::Basic { .. }) => "with its password (basic)",
            Some(bootseal_core::Callers::Uid(_)) => "of its users (uid)",
        };
        say(format!(
            "{}: {}{} -> {}, {callers}{}",
            route.table,
            route.listen,
            route.prefix,
            route.upstream,
            busy(&route.listen)
        ))?;
    }
    match &gateway.admin {
        Some(admin) => say(format!("admin: {admin}{}", busy(admin))),
        None => say("admin: none; with gateway.admin it could be asked how it is".into()),
    }
}

#[cfg(target_os = "linux")]
fn auditing(every: Duration) -> Result<()> {
    let look = move || {
        loop {
            std::thread::sleep(every);
            match bootseal::audit() {
                Ok(found) => {
                    metrics::gauge!("bootseal_gateway_audit_copies").set((found.full + found.fragments) as f64);
                    if found.is_clean() {
                        tracing::info!(secrets = found.secrets, bytes = found.bytes, took = ?found.took, "audit: no secret outside its pages");
                    } else {
                        tracing::error!(
                            full = found.full,
                            fragments = found.fragments,
                            "audit: secrets outside their pages"
                        );
                    }
                }
                Err(error) => tracing::warn!(%error, "audit: not possible"),
            }
        }
    };
    let thread = std::thread::Builder::new().name("bootseal-audit".into()).spawn(look);
    thread.map(drop).map_err(|error| ours(format!("no thread for the audit: {error}")))
}

#[cfg(not(target_os = "linux"))]
fn auditing(_: Duration) -> Result<()> {
    Err(ours("--audit: this system does not let a process read its own memory as a file".into()))
}

fn log(level: &str) {
    let level = level.parse().unwrap_or(tracing::Level::INFO);
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false);
    // The journal has the time already.
    if std::env::var_os("JOURNAL_STREAM").is_some() { log.without_time().init() } else { log.init() }
}

fn ours(text: String) -> Error {
    bootseal_core::Error::new(Kind::Io, text).into()
}
