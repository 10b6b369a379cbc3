//! The token source: issues the present token, and starts one login for all callers if there is
//! none.
//!
//! The fast path takes no lock. Every other path asks
//! [`TokenState`](crate::token::state::TokenState) for a decision, under one lock, and carries it
//! out.

#[cfg(all(test, bootseal_model))]
mod model;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::login::account::{Account, Values};
use crate::login::clock::{Clock, Moment};
use crate::login::expiry::Lifetime;
use crate::login::outcome::Fresh;
use crate::login::request::call_headers;
use crate::login::transport::Transport;
use crate::sync::{Ordering, Runtime, Thread};
use crate::token::core::{Core, Locked};
use crate::token::failure::saved_failure;
use crate::token::login_history::LoginHistory;
use crate::token::metrics;
use crate::token::single_flight::SingleFlight;
use crate::token::state::loop_guard::{LoopKind, YOUNG};
use crate::token::state::{Decision, Rejection, TokenState};
use crate::token::token::{Published, Token};
use bootseal_core::{Kind, Profile, Secret};
use std::sync::Arc;
use std::time::Duration;

/// The thread that keeps a token warm checks it at least this often.
const WARM: Duration = Duration::from_secs(60);

/// Issues the token of one account, and logs in when there is no valid one. Clones share one state.
///
/// ```
/// async fn start(vault: &bootseal::Secrets) -> Result<bootseal::TokenSource, bootseal::Error> {
///     let acme = vault.token_source("acme")?;
///     acme.ready().await?; // optional: fail at start instead of at the first call
///     let token = acme.token().await?; // no login: there is a valid token
///     Ok(acme)
/// }
/// ```
#[derive(Clone)]
pub struct TokenSource(pub(crate) Arc<Core>);

/// Counts of events since the source was created.
///
/// ```
/// # let (_vendor, acme) = bootseal_fixtures::account();
/// let token = acme.token_blocking()?;
/// acme.reject(&token); // the vendor sent a 401
/// acme.token_blocking()?;
/// let counts = acme.counts();
/// assert_eq!((counts.logins, counts.rejections), (2, 1));
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Logins sent to the vendor.
    pub logins: u64,
    /// Refresh tokens sent to the vendor, in place of the credentials.
    pub refreshes: u64,
    /// Tokens that the response to a call rejected.
    pub rejections: u64,
    /// Calls that were sent again with a new token.
    pub replays: u64,
}

/// The result for a caller without a fresh token.
enum Step {
    Ready(Token),
    Failed(Error),
    Wait(Arc<SingleFlight>),
}

impl TokenSource {
    pub(crate) fn new(
        profile: Profile,
        values: Values,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
        history: Option<LoginHistory>,
    ) -> TokenSource {
        let now = Moment::now(&*clock);
        let saved = history
            .as_ref()
            .map(|history| history.load(now.monotonic, now.unix_time))
            .unwrap_or_default();
        let error = saved.backoff.remaining(now.monotonic).map(|_| saved_failure(&profile, &saved));
        let state = TokenState::restored(saved.backoff, error);
        let account = Account::new(profile, values, saved.slot);
        let locked = Locked { state, history };
        TokenSource(Arc::new(Core::new(
            account,
            clock,
            transport,
            locked,
            saved.last_code.unwrap_or(0),
        )))
    }

    /// The present token; logs in if there is none.
    ///
    /// It does not need the caller's runtime. Cancelling one caller does not affect the others.
    ///
    /// # Errors
    /// The login's failure, for all callers that waited for it and all that ask before the next
    /// attempt may be made: [`Kind::LoginRefused`], [`Kind::LoginThrottled`], [`Kind::LoginDown`],
    /// [`Kind::LoginTls`], [`Kind::LoginProtocol`].
    pub async fn token(&self) -> Result<Token> {
        if let Some(token) = self.0.fresh() {
            return Ok(token);
        }
        match self.step() {
            Step::Ready(token) => Ok(token),
            Step::Failed(error) => Err(error),
            Step::Wait(flight) => {
                let _counted = metrics::Waiter::new(self.0.table());
                flight.wait().await
            }
        }
    }

    /// Like [`TokenSource::token`], for callers that are not async; it blocks the thread during a
    /// login.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    ///
    /// ```
    /// # let (vendor, acme) = bootseal_fixtures::account();
    /// vendor.refuse(true);
    /// assert_eq!(acme.token_blocking().unwrap_err().kind(), bootseal::Kind::LoginRefused);
    /// ```
    pub fn token_blocking(&self) -> Result<Token> {
        if let Some(token) = self.0.fresh() {
            return Ok(token);
        }
        match self.step() {
            Step::Ready(token) => Ok(token),
            Step::Failed(error) => Err(error),
            Step::Wait(flight) => {
                let _counted = metrics::Waiter::new(self.0.table());
                flight.wait_blocking()
            }
        }
    }

    /// Logs in now if there is no token, to fail early.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn ready(&self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// Reports that the vendor rejected `token`. Returns whether the caller should ask for another
    /// token.
    ///
    /// The first report starts one login for all callers; a late report about an older token
    /// changes nothing. The result is `false` while logins are suppressed, because new tokens are
    /// rejected again and again: the caller then keeps the vendor's response.
    ///
    /// ```
    /// # let (vendor, acme) = bootseal_fixtures::account();
    /// let token = acme.token_blocking()?;
    /// // … another HTTP client gets a 401 from the vendor
    /// if acme.reject(&token) {
    ///     let fresh = acme.token_blocking()?;
    /// }
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn reject(&self, token: &Token) -> bool {
        let core = &self.0;
        let id = token.0.number;
        // Token numbers of another source have no meaning here.
        if token.0.source != core.id || core.is_revoked(id) {
            return true;
        }
        let now = core.clock.monotonic();
        let worked = token.0.accepted.load(Ordering::Relaxed);
        let young = token.0.age(&*core.clock) < YOUNG;
        let young = token.0.rejected_young.fetch_or(young, Ordering::Relaxed) || young;
        let mut locked = core.lock();
        let (found_loop, start_login) = match locked.state.rejected(id, worked, young, now) {
            Rejection::AlreadyRevoked => return true,
            Rejection::HeldBack => return false,
            Rejection::Revoked { found_loop, start_login } => (found_loop, start_login),
        };
        core.counts.rejections.fetch_add(1, Ordering::Relaxed);
        token.0.rejected.store(true, Ordering::Relaxed);
        let failure = if start_login { core.start_login(&mut locked).err() } else { None };
        drop(locked);
        if let Some(found_loop) = found_loop {
            core.report_loop(found_loop);
        }
        let why = if worked { "revoked" } else { "fresh" };
        metrics::rejected(&core.table(), why);
        tracing::info!(target: "bootseal", profile = %core.table(), token = ?token, why, "rejected: the vendor no longer accepts this token");
        if let Some(failure) = failure {
            core.report(&failure);
        }
        true
    }

    /// Reports that a call was accepted with `token`: the counterpart of [`TokenSource::reject`]
    /// for the application's own HTTP client. Without this report, tokens that are rejected within
    /// 10 s look as if they had never worked, and two of them in a row count as a loop.
    ///
    /// ```
    /// # let (_vendor, acme) = bootseal_fixtures::account();
    /// for _ in 0..10 {
    ///     let token = acme.token_blocking()?;
    ///     // … a call of another client gets a 200
    ///     acme.report_accepted(&token);
    ///     // … and the next one a 401
    ///     assert!(acme.reject(&token));
    /// }
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn report_accepted(&self, token: &Token) {
        // Token numbers of another source have no meaning here.
        if token.0.source == self.0.id {
            self.accepted(token, self.0.clock.monotonic());
        }
    }

    /// Records that a call, sent at `sent` on the monotonic clock, was accepted with `token`.
    pub(crate) fn accepted(&self, token: &Token, sent: Duration) {
        let core = &self.0;
        let first = !token.0.accepted.load(Ordering::Relaxed);
        token.0.used(sent);
        // Only the first use of a token, and any use while the guard holds, changes the state.
        if (first || core.guard_may_hold()) && !core.is_revoked(token.0.number) {
            core.lock().state.accepted(token.0.number, core.clock.monotonic());
        }
    }

    /// Records that a replayed call was rejected with the token that was fetched for it.
    pub(crate) fn replay_rejected(&self) {
        let core = &self.0;
        metrics::replay(&core.table(), "rejected");
        let begins_to_hold = core.lock().state.replay_rejected(core.clock.monotonic());
        if begins_to_hold {
            core.report_loop(LoopKind::Fresh);
        }
    }

    pub(crate) fn count_replay(&self) {
        self.0.counts.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// Ends the backoff after failed logins: the next call logs in at once. It is meant for an
    /// operator who fixed the cause.
    ///
    /// ```
    /// # let (vendor, acme) = bootseal_fixtures::account();
    /// vendor.down(true);
    /// assert!(acme.token_blocking().is_err());
    /// vendor.down(false); // fixed
    /// acme.reset_backoff();
    /// acme.token_blocking()?;
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn reset_backoff(&self) {
        self.0.lock().state.reset_backoff();
        metrics::backoff(&self.0.table(), 0);
        self.0.save_history();
    }

    /// Fetches the next token before the present one expires, on its own thread, even if no call
    /// needs one. Without `keep_warm`, an idle process makes no logins. The thread ends within a
    /// minute after the last handle on the source is dropped.
    ///
    /// # Errors
    /// [`Kind::Io`] if the thread cannot be started.
    ///
    /// ```
    /// # let (_vendor, acme) = bootseal_fixtures::account();
    /// acme.keep_warm()?; // the first call of the morning waits for no login
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn keep_warm(&self) -> Result<()> {
        let (weak, clock) = (Arc::downgrade(&self.0), self.0.clock.clone());
        let warming = move || {
            let Ok(runtime) = Runtime::new() else { return };
            loop {
                let Some(source) = weak.upgrade().map(TokenSource) else { return };
                // Callers get the error; the next attempt is made when the backoff is over.
                let _ = source.token_blocking();
                let wait = source.until_next();
                drop(source);
                runtime.block_on(clock.sleep(wait.clamp(Duration::from_secs(1), WARM)));
            }
        };
        let thread = Thread::new().name("bootseal-warm".into()).spawn(warming);
        thread.map(drop).map_err(|error| {
            Error::new(Kind::Io, format!("cannot start a thread to keep the token warm: {error}"))
        })
    }

    /// The time until the thread that keeps the token warm must act.
    fn until_next(&self) -> Duration {
        let core = &self.0;
        let backoff = core.lock().state.backoff_remaining(core.clock.monotonic());
        let entry = core.latest();
        let fresh =
            entry.map(|entry| entry.deadlines.refresh_at.saturating_sub(entry.age(&*core.clock)));
        backoff.into_iter().chain(fresh).max().unwrap_or_default()
    }

    /// The login profile, as it is in the file.
    pub fn profile(&self) -> Profile {
        self.account().profile.clone()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn account(&self) -> Arc<Account> {
        self.0.account.load_full()
    }

    /// Publishes the newer token in the response to a call that was sent at `sent` with the token
    /// `old`.
    pub(crate) fn renewed(&self, old: &Token, secret: Secret, lifetime: Lifetime, sent: Moment) {
        let core = &self.0;
        let mut locked = core.lock();
        let is_old =
            |entry: &Arc<Published>| (entry.source, entry.number) == (old.0.source, old.0.number);
        let Some(present) = core.latest().filter(is_old) else { return };
        if present.secret.same_as(&secret) || lifetime.born_expired {
            return;
        }
        // A token that is not valid in the headers of a call is ignored.
        let Ok(headers) = call_headers(&present.account, &secret, &present.captured) else {
            return;
        };
        let (status, captured) = (present.status, present.captured.clone());
        let fresh = Fresh { secret, lifetime, status, captured, headers, clock_skew: None };
        let entry = core.entry(&present.account, fresh, sent);
        if let Some(id) = locked.state.renewed(old.0.number, entry.deadlines) {
            core.publish(&locked, entry, id);
        }
    }

    /// Counts of events since the source was created.
    pub fn counts(&self) -> Counts {
        let counts = &self.0.counts;
        Counts {
            logins: counts.logins.load(Ordering::Relaxed),
            refreshes: counts.refreshes.load(Ordering::Relaxed),
            rejections: counts.rejections.load(Ordering::Relaxed),
            replays: counts.replays.load(Ordering::Relaxed),
        }
    }

    /// The next step of a caller that found no fresh token without the lock.
    #[cold]
    fn step(&self) -> Step {
        let core = &self.0;
        let mut locked = core.lock();
        let latest = core.latest();
        let age = latest.as_ref().map(|entry| entry.age(&*core.clock)).unwrap_or_default();
        let (mut failure, mut stale) = (None, false);
        let step = match (locked.state.request(age, core.clock.monotonic()), latest) {
            // A login published it while this caller waited for the lock.
            (Decision::Fresh, Some(latest)) => return Step::Ready(latest.token()),
            (Decision::Stale { start_login }, Some(latest)) => {
                failure = if start_login { core.start_login(&mut locked).err() } else { None };
                stale = true;
                Step::Ready(latest.token())
            }
            (Decision::Wait(flight), _) => Step::Wait(flight),
            (Decision::ProfileRemoved, _) => Step::Failed(core.profile_removed()),
            (Decision::Fail { error: Some(error), retry_after }, _) => {
                Step::Failed(error.with_retry_after(retry_after))
            }
            (Decision::Fail { error: None, retry_after }, _) => {
                let text = format!(
                    "login of `{}`: the last token had expired on arrival, so the next attempt is delayed",
                    core.table()
                );
                Step::Failed(Error::new(Kind::LoginDown, text).with_retry_after(retry_after))
            }
            // The cell always holds the state's present token, so this is `StartLogin`.
            (Decision::StartLogin | Decision::Fresh | Decision::Stale { .. }, _) => {
                match core.start_login(&mut locked) {
                    Ok(flight) => Step::Wait(flight),
                    Err(failed) => Step::Failed(failure.insert(failed).error.clone()),
                }
            }
        };
        drop(locked);
        if stale {
            metrics::served_stale(&core.table());
        }
        if let Some(failure) = failure {
            core.report(&failure);
        }
        step
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSource({})", self.0.table())
    }
}
