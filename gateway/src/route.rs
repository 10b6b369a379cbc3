//! A route in force: its clients with their connections, the check of its callers, its statistics.

use crate::framing::connection_state::ConnectionState;
use crate::rules::callers::CallerCheck;
use crate::rules::headers::HeaderRules;
use crate::rules::problem::Problem;
use crate::rules::target::Target;
use crate::stats::history::History;
use crate::stats::latency::LatencyHistogram;
use crate::stats::repeats::Repeats;
use crate::upstream_slots::UpstreamSlot;
use bootseal::{Client, ResendReason, Result, Secrets, TokenSource};
use bootseal_core::Route;
use metrics::{Counter, Gauge};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most connections that a route keeps to its upstream, and for how long each is kept unused.
const IDLE_CONNECTIONS: usize = 256;
const IDLE_FOR: Duration = Duration::from_secs(90);

/// A route in force.
pub(crate) struct ActiveRoute {
    /// The route as the file describes it.
    pub(crate) config: Route,
    /// The name of its table.
    pub(crate) name: String,
    pub(crate) source: TokenSource,
    pub(crate) client: Client,
    /// The client of calls that upgrade their connection to another protocol, which only HTTP/1.1
    /// supports.
    pub(crate) upgrade_client: Client,
    pub(crate) check: CallerCheck,
    pub(crate) headers: HeaderRules,
    pub(crate) target: Target,
    /// The canonical text of the login profile, to detect a change.
    profile: String,
    /// Whether the last response came over HTTP/2, so that calls share connections.
    multiplexed: AtomicBool,
    pub(crate) stats: Arc<RouteStats>,
}

impl ActiveRoute {
    /// Creates a route from its configuration. `former` has the routes that were in force: a route
    /// whose configuration is unchanged is reused with its connections, and a changed one passes on
    /// its statistics.
    ///
    /// # Errors
    /// If the route has no token source, its callers' key cannot be opened, or its upstream is not
    /// a valid URL for HTTP.
    pub(crate) fn of(
        vault: &Secrets,
        config: &Route,
        former: &[Arc<ActiveRoute>],
    ) -> Result<Arc<ActiveRoute>> {
        let name = config.table.to_string();
        let (source, check) = (vault.token_source(&name)?, CallerCheck::of(vault, config)?);
        let profile = source.profile();
        let former = former.iter().find(|route| route.name == name);
        if let Some(former) = former
            && former.config == *config
            && former.profile == profile.canonical()
            && former.check.same_as(&check)
        {
            return Ok(former.clone());
        }
        let builder = || {
            source
                .client_builder()
                .connect_timeout(config.connect_timeout)
                .answer_timeout(config.answer_timeout)
                .on_resend(count_resend)
                .pool(IDLE_CONNECTIONS, IDLE_FOR)
        };
        let target = Target::of(&config.upstream, &config.prefix)
            .ok_or_else(|| unusable_upstream(config))?;
        Ok(Arc::new(ActiveRoute {
            client: builder().build(),
            upgrade_client: builder().http1_only().build(),
            headers: HeaderRules::of(&profile, check.asks_for_key()),
            stats: former
                .map_or_else(|| Arc::new(RouteStats::of(&name)), |former| former.stats.clone()),
            profile: profile.canonical().to_owned(),
            config: config.clone(),
            name,
            source,
            check,
            target,
            multiplexed: AtomicBool::new(false),
        }))
    }

    pub(crate) fn is_multiplexed(&self) -> bool {
        self.multiplexed.load(Ordering::Relaxed)
    }

    pub(crate) fn set_multiplexed(&self, multiplexed: bool) {
        if self.is_multiplexed() != multiplexed {
            self.multiplexed.store(multiplexed, Ordering::Relaxed);
        }
    }
}

/// Counts a call that is sent again, as the upstream sees it; a call of which nothing was sent is
/// not one.
fn count_resend(why: ResendReason) {
    if why != ResendReason::Unsent {
        metrics::counter!("bootseal_gateway_resent_total", "why" => why.as_str()).increment(1);
    }
}

fn unusable_upstream(config: &Route) -> bootseal::Error {
    let text = format!("`{}.route.upstream` is not a valid URL for HTTP", config.table);
    bootseal_core::Error::new(bootseal::Kind::Malformed, text).into()
}

/// The statistics of a route since the start of the process; they survive a reload.
pub(crate) struct RouteStats {
    /// A handle per status, so that the registry of metrics is not searched for each call.
    calls: Mutex<BTreeMap<u16, Counter>>,
    pub(crate) latency: LatencyHistogram,
    in_flight: Gauge,
    pub(crate) history: History,
    /// The log lines about each kind of failure.
    logged: Repeats,
    name: String,
}

impl RouteStats {
    fn of(name: &str) -> RouteStats {
        RouteStats {
            calls: Mutex::default(),
            latency: LatencyHistogram::default(),
            in_flight: metrics::gauge!("bootseal_gateway_calls_in_flight", "route" => name.to_owned()),
            history: History::new(Instant::now()),
            logged: Repeats::default(),
            name: name.to_owned(),
        }
    }

    /// Logs the number of failed calls that no line contains yet.
    pub(crate) fn log_due(&self) {
        for (error, calls) in self.logged.due() {
            tracing::warn!(route = self.name, error, calls, "further calls failed");
        }
    }

    /// Counts a call whose response head is known.
    pub(crate) fn responded(&self, status: u16, since: Instant) {
        let now = Instant::now();
        self.history.count(now, status >= 500);
        self.latency.record(now.saturating_duration_since(since));
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls
            .entry(status)
            .or_insert_with(|| {
                metrics::counter!("bootseal_gateway_calls_total", "route" => self.name.clone(), "status" => status.to_string())
            })
            .increment(1);
    }

    /// Counts a call that the gateway answered itself. The first failure of a kind is logged at
    /// once; later ones at most once in 10 s, with their number.
    pub(crate) fn failed(&self, problem: &Problem) {
        metrics::counter!("bootseal_gateway_errors_total", "route" => self.name.clone(), "error" => problem.name)
            .increment(1);
        if let Some(calls) = self.logged.count(problem.name) {
            tracing::warn!(route = self.name, error = problem.name, calls, "{}", problem.detail());
        }
    }
}

/// A call in flight, counted until this is dropped.
pub(crate) struct InFlight {
    stats: Arc<RouteStats>,
    connection: Arc<ConnectionState>,
    _slot: UpstreamSlot,
}

impl InFlight {
    pub(crate) fn of(
        stats: &Arc<RouteStats>,
        connection: &Arc<ConnectionState>,
        slot: UpstreamSlot,
    ) -> InFlight {
        stats.in_flight.increment(1.0);
        connection.begin_call();
        InFlight { stats: stats.clone(), connection: connection.clone(), _slot: slot }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.stats.in_flight.decrement(1.0);
        self.connection.end_call();
    }
}
