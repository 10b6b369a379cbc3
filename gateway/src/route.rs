//! What is a route while it runs? Its client with the connections, who may call, and what was counted.

use crate::framing::strict_stream::Watch;
use crate::rules::callers::Check;
use crate::rules::headers::Headers;
use crate::rules::problem::Problem;
use crate::rules::target::Target;
use crate::stats::history::History;
use crate::stats::latency::Seconds;
use bootseal::{Client, Result, Secrets, TokenSource};
use bootseal_core::Route;
use metrics::{Counter, Gauge};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often the same kind of failure is written to the log.
pub(crate) const TELL_EVERY: Duration = Duration::from_secs(10);

/// A route in force.
pub(crate) struct ActiveRoute {
    pub(crate) route: Route,
    /// The name of its table.
    pub(crate) name: String,
    pub(crate) source: TokenSource,
    pub(crate) client: Client,
    /// For calls that become another protocol on their connection, which only HTTP/1.1 can.
    pub(crate) upgrades: Client,
    pub(crate) check: Check,
    pub(crate) headers: Headers,
    pub(crate) target: Target,
    profile: String,
    pub(crate) counted: Arc<Counted>,
}

impl ActiveRoute {
    /// `before`: the routes that were in force, of which connections and counts are kept where nothing else was asked for.
    pub(crate) fn of(vault: &Secrets, route: &Route, before: &[Arc<ActiveRoute>]) -> Result<Arc<ActiveRoute>> {
        let name = route.table.to_string();
        let (source, check) = (vault.token_source(&name)?, Check::of(vault, route)?);
        let profile = source.profile();
        let was = before.iter().find(|live| live.name == name);
        if let Some(was) = was
            && was.route == *route
            && was.profile == profile.canonical()
            && was.check.same_as(&check)
        {
            return Ok(was.clone());
        }
        let builder =
            || source.client_builder().connect_timeout(route.connect_timeout).answer_timeout(route.answer_timeout);
        let target = Target::of(&route.upstream, &route.prefix).ok_or_else(|| cannot(route))?;
        Ok(Arc::new(ActiveRoute {
            client: builder().build(),
            upgrades: builder().http1_only().build(),
            headers: Headers::of(&profile, check.asks_for_key()),
            counted: was.map_or_else(|| Arc::new(Counted::of(&name)), |was| was.counted.clone()),
            profile: profile.canonical().to_owned(),
            route: route.clone(),
            name,
            source,
            check,
            target,
        }))
    }
}

fn cannot(route: &Route) -> bootseal::Error {
    let text = format!("`{}.route.upstream` cannot be sent to", route.table);
    bootseal_core::Error::new(bootseal::Kind::Malformed, text).into()
}

/// What a route has counted since the start; it outlives a reload.
pub(crate) struct Counted {
    calls: Mutex<BTreeMap<u16, Counter>>,
    pub(crate) seconds: Seconds,
    in_flight: Gauge,
    pub(crate) history: History,
    told: Mutex<HashMap<&'static str, (Instant, u64)>>,
    name: String,
}

impl Counted {
    fn of(name: &str) -> Counted {
        Counted {
            calls: Mutex::default(),
            seconds: Seconds::default(),
            in_flight: metrics::gauge!("bootseal_gateway_calls_in_flight", "route" => name.to_owned()),
            history: History::new(Instant::now()),
            told: Mutex::default(),
            name: name.to_owned(),
        }
    }

    /// A call has its answer's head.
    pub(crate) fn responded(&self, status: u16, since: Instant) {
        let now = Instant::now();
        self.history.count(now, status >= 500);
        self.seconds.record(now.saturating_duration_since(since));
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls
            .entry(status)
            .or_insert_with(|| {
                metrics::counter!("bootseal_gateway_calls_total", "route" => self.name.clone(), "status" => status.to_string())
            })
            .increment(1);
    }

    /// The gateway answered itself. Told at once, and then at most every ten seconds with their number.
    pub(crate) fn failed(&self, problem: &Problem) {
        metrics::counter!("bootseal_gateway_errors_total", "route" => self.name.clone(), "error" => problem.name)
            .increment(1);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, since) = told.entry(problem.name).or_insert((Instant::now(), 0));
        *since += 1;
        if *since > 1 && last.elapsed() < TELL_EVERY {
            return;
        }
        tracing::warn!(route = self.name, error = problem.name, calls = *since, "{}", problem.detail());
        (*last, *since) = (Instant::now(), 1);
    }
}

/// A call in flight, until it is dropped.
pub(crate) struct InFlight {
    counted: Arc<Counted>,
    watch: Arc<Watch>,
}

impl InFlight {
    pub(crate) fn of(counted: &Arc<Counted>, watch: &Arc<Watch>) -> InFlight {
        counted.in_flight.increment(1.0);
        watch.begin();
        InFlight { counted: counted.clone(), watch: watch.clone() }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counted.in_flight.decrement(1.0);
        self.watch.end();
    }
}
