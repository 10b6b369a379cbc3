//! The login thread: runs one login to its end, even if the caller that started it is cancelled.

use crate::error::Result;
use crate::login::account::Account;
use crate::login::clock::Moment;
use crate::login::expiry::{ExpiryFrom, Lifetime};
use crate::login::outcome::{Failure, Fresh, Outcome};
use crate::login::procedure::Login;
use crate::sync::{Ordering, Runtime, Thread, run_and_erase};
use crate::token::core::{Core, StateGuard};
use crate::token::failure::LoginFailure;
use crate::token::login_history::LoginHistory;
use crate::token::metrics;
use crate::token::single_flight::SingleFlight;
use crate::token::state::{NewToken, ProfileVersion, Publish};
use crate::token::token::{Entry, Published, Token};
use std::sync::Arc;
use std::time::Duration;

/// A login that exceeds its own timeout by this much is abandoned.
const HARD_STOP: Duration = Duration::from_secs(5);
/// The maximum number of runs of one login, which is repeated if the file changes while it runs.
const MOST_RUNS: usize = 3;

/// One login. If this value is dropped without a result, all waiting callers get an error, so that
/// none waits forever.
pub(crate) struct LoginRun {
    pub(crate) core: Arc<Core>,
    pub(crate) flight: Arc<SingleFlight>,
}

/// The result of one run of a login.
enum RunResult {
    /// The run used an old version of the profile and must be repeated.
    Outdated,
    /// The callers have received the result. Contains the token that was replaced, if any.
    Done(Option<Arc<Published>>),
}

/// The profile that a run uses.
struct MadeWith {
    account: Arc<Account>,
    version: ProfileVersion,
    sent: Moment,
}

impl LoginRun {
    pub(crate) fn run(self) {
        let core = &self.core;
        let runtime = Runtime::new();
        let mut replaced = None;
        for _ in 0..MOST_RUNS {
            let (made_with, history) = {
                let locked = core.lock();
                let (account, version) = (core.account.load_full(), locked.state.profile());
                (
                    MadeWith { account, version, sent: Moment::now(&*core.clock) },
                    locked.history.clone(),
                )
            };
            let _under_way =
                history.as_ref().map(|history| history.begin(made_with.sent.unix_time));
            let outcome = match &runtime {
                Err(error) => Outcome::Failed(Failure::out_of_resources(format!(
                    "was not contacted: cannot start an async runtime: {error}"
                ))),
                Ok(runtime) => runtime.block_on(async {
                    let longest = made_with.account.profile.login_timeout + HARD_STOP;
                    let stop = core.clock.sleep(longest);
                    let outcome =
                        first_of(core.log_in(&made_with.account, history.as_ref()), stop).await;
                    let late = || {
                        Outcome::Failed(Failure::down(format!(
                            "did not respond within {longest:?}"
                        )))
                    };
                    outcome.unwrap_or_else(late)
                }),
            };
            match self.conclude(&made_with, outcome) {
                RunResult::Outdated => {}
                RunResult::Done(old) => {
                    replaced = old;
                    break;
                }
            }
        }
        if let Ok(runtime) = runtime {
            runtime.end();
        }
        if let Some(old) = replaced {
            core.end_unused(&old);
        }
    }

    /// Publishes the outcome, unless the file changed while the login ran.
    fn conclude(&self, made_with: &MadeWith, outcome: Outcome) -> RunResult {
        let core = &self.core;
        let table = &made_with.account.profile.table;
        let took = core.clock.monotonic().saturating_sub(made_with.sent.monotonic);
        let mut locked = core.lock();
        if locked.state.is_outdated(made_with.version) {
            drop(locked);
            if let Outcome::Token(fresh) = outcome {
                self.end_unwanted(core.entry(&made_with.account, fresh, made_with.sent));
            }
            return RunResult::Outdated;
        }
        match outcome {
            Outcome::Failed(failure) => {
                let class = failure.class.kind().as_str();
                let failure = core.fail(&mut locked, Some(&self.flight), failure);
                drop(locked);
                metrics::login(table, class, took);
                core.report(&failure);
                self.finish(Err(failure.error));
                RunResult::Done(None)
            }
            Outcome::Token(fresh) => self.conclude_token(locked, made_with, fresh, took),
        }
    }

    fn conclude_token(
        &self,
        mut locked: StateGuard<'_>,
        made_with: &MadeWith,
        fresh: Fresh,
        took: Duration,
    ) -> RunResult {
        let core = &self.core;
        let table = &made_with.account.profile.table;
        let (lifetime, clock_skew) = (fresh.lifetime, fresh.clock_skew);
        let entry = core.entry(&made_with.account, fresh, made_with.sent);
        let before = core.latest();
        let age = before.as_ref().map(|old| old.age(&*core.clock));
        let new = NewToken {
            deadlines: entry.deadlines,
            born_expired: lifetime.born_expired,
            status: entry.status,
        };
        let now = Moment::now(&*core.clock);
        let decision =
            locked.state.login_succeeded(&self.flight, &new, age.unwrap_or_default(), now);
        let (id, recovered) = match decision {
            Publish::ProfileRemoved => {
                drop(locked);
                metrics::login(table, "ok", took);
                self.finish(Err(core.profile_removed()));
                self.end_unwanted(entry);
                return RunResult::Done(None);
            }
            Publish::New { id, recovered } => (Some(id), recovered),
            Publish::KeepPresent { recovered } => (None, recovered),
        };
        let (token, unwanted, replaced) = match (id, before) {
            (None, Some(before)) => (before.token(), Some(entry), None),
            // The cell is set before the callers wake up, because they must find the token there.
            (id, before) => (core.publish(&locked, entry, id.unwrap_or_default()), None, before),
        };
        drop(locked);
        metrics::login(table, "ok", took);
        metrics::token(table, lifetime.lifetime, age, clock_skew);
        report_success(&made_with.account, &lifetime, new.status, clock_skew, recovered);
        let kept = token.clone();
        self.finish(Ok(token));
        if let Some(entry) = unwanted.filter(|entry| !entry.secret.same_as(&kept.0.secret)) {
            self.end_unwanted(entry);
        }
        RunResult::Done(replaced)
    }

    fn finish(&self, result: Result<Token>) {
        // Saved before the callers get the result: a service that exits on this error must find the
        // history at its next start.
        self.core.save_history();
        self.flight.finish(result);
    }

    /// Logs out a token that no caller will get.
    fn end_unwanted(&self, entry: Entry) {
        let _ = self.core.end(&entry);
    }
}

impl Drop for LoginRun {
    fn drop(&mut self) {
        if self.flight.result().is_some() {
            return;
        }
        let failure =
            Failure::down("has an unknown result: the login stopped because of an internal error");
        let mut locked = self.core.lock();
        let failure = self.core.fail(&mut locked, Some(&self.flight), failure);
        drop(locked);
        self.core.report(&failure);
        self.finish(Err(failure.error));
    }
}

impl Core {
    /// Starts the single login on its own thread, so that neither a cancelled caller nor a stopped
    /// runtime affects it. The caller must report a failure after it has released the lock.
    pub(crate) fn start_login(
        self: &Arc<Core>,
        locked: &mut StateGuard<'_>,
    ) -> std::result::Result<Arc<SingleFlight>, LoginFailure> {
        let flight = Arc::new(SingleFlight::default());
        let (core, ours) = (self.clone(), flight.clone());
        // Created on the new thread. If no thread can be started, dropping a `LoginRun` here would
        // deadlock, because its `drop` takes the lock that is held.
        let work = move || {
            let run = LoginRun { core, flight: ours };
            run_and_erase(move || run.run());
        };
        match Thread::new().name("bootseal-login".into()).spawn(work) {
            Ok(_) => {
                locked.state.login_started(flight.clone());
                Ok(flight)
            }
            Err(error) => {
                let text = format!("was not contacted: cannot start a thread: {error}");
                Err(self.fail(locked, None, Failure::out_of_resources(text)))
            }
        }
    }

    /// Runs the requests of the login.
    async fn log_in(&self, account: &Account, history: Option<&LoginHistory>) -> Outcome {
        let mut login = {
            let locked = self.lock();
            // If the token was rejected before it ever worked, its refresh token is not used
            // either.
            let kept = self.latest().filter(|entry| {
                entry.accepted.load(Ordering::Relaxed) || entry.number > locked.state.revoked()
            });
            Login {
                account,
                transport: &*self.transport,
                clock: &*self.clock,
                logins: &self.counts.logins,
                refreshes: &self.counts.refreshes,
                kept: kept
                    .filter(|_| !locked.state.is_profile_removed())
                    .map(|entry| entry.captured.clone()),
                hints: locked.state.refusal_hints(),
                last_code: &self.last_code,
                journal: history.map(|history| history as _),
                until: Duration::ZERO,
            }
        };
        if account.profile.logout_first
            && let Some(entry) = self.good()
        {
            // The vendor allows one session, so the old session is ended first.
            self.lock().state.replaced_by_login(entry.number);
            entry.rejected.store(true, Ordering::Relaxed);
            let _ = self.send_logout(&entry).await;
        }
        // Set after the logout, for which the hard stop leaves time.
        login.until = self.clock.monotonic() + account.profile.login_timeout;
        login.run().await
    }
}

/// Logs and counts a successful login.
fn report_success(
    account: &Account,
    lifetime: &Lifetime,
    status: u16,
    clock_skew: Option<f64>,
    recovered: bool,
) {
    let table = &account.profile.table;
    metrics::backoff(table, 0);
    if !account.profile.next.is_empty() {
        metrics::next_in_use(table, account.slot().next_first);
    }
    if lifetime.born_expired {
        tracing::warn!(target: "bootseal", profile = %table, skew = clock_skew, "clock_skew: the token had expired on arrival; check the clock of this machine");
    }
    if lifetime.from == ExpiryFrom::Default {
        tracing::warn!(target: "bootseal", profile = %table, life = ?lifetime.lifetime, "expiry_unknown: the response does not contain the lifetime of the token");
    }
    if recovered {
        tracing::info!(target: "bootseal", profile = %table, "recovered: logins work again");
    }
    tracing::info!(target: "bootseal", profile = %table, status, life = ?lifetime.lifetime, from = lifetime.from.as_str(), "refreshed: received a new token");
}

/// The result of `work`, or `None` if `stop` ends first.
async fn first_of<T>(work: impl Future<Output = T>, stop: impl Future<Output = ()>) -> Option<T> {
    let (mut work, mut stop) = (std::pin::pin!(work), std::pin::pin!(stop));
    std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(done) = work.as_mut().poll(cx) {
            return std::task::Poll::Ready(Some(done));
        }
        stop.as_mut().poll(cx).map(|()| None)
    })
    .await
}
