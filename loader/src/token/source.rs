//! Who has the token now, and who fetches the next one? One login for all who wait; its result, good or bad, is everyone's.
//!
//! ```text
//!  FRESH ──life × 0.75–0.85──► STALE ──life − skew──► EXPIRED          EMPTY at start, REVOKED by reject()
//!  returned                    returned, and a        wait for the login; while the gate is shut: its error
//!  no lock, no system call     login starts behind
//!  but the clocks
//! ```

use crate::error::{Error, Result};
use crate::login::clock::{Clock, Moment};
use crate::login::expiry::Deadlines;
use crate::login::procedure::{self, Account};
use crate::login::{Class, Failure, Fresh, Transport, Values};
use crate::token::backoff::{Gate, LoopGuard, LoopKind};
use crate::token::failure::{LoginFailure, remembered};
use crate::token::login_history::Attempts;
use crate::token::login_thread::LoginRun;
use crate::token::metrics;
use crate::token::single_flight::Flight;
use crate::token::sync::{
    ArcSwap, ArcSwapOption, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, Runtime, Thread, leaving_nothing,
};
use crate::token::thread_cache;
use crate::token::{Entry, Published, Token, fingerprint};
use bootseal_core::{Kind, Profile};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The thread that keeps a token warm looks at least so often.
const WARM: Duration = Duration::from_secs(60);
/// Gives out the token of one account, and logs in when there is none that is good. Clones share one state.
///
/// ```no_run
/// # async fn run() -> Result<(), bootseal::Error> {
/// let vault = bootseal::load("app.sealed.toml")?;
/// let acme = vault.token_source("acme")?;
/// acme.ready().await?; // fail early, or let the first call log in
/// let token = acme.token().await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct TokenSource(pub(crate) Arc<Core>);

pub(crate) struct Core {
    pub(crate) id: u64,
    /// Another one after a reload.
    pub(crate) account: ArcSwap<Account>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) cell: ArcSwapOption<Published>,
    /// The number of what lies there; 0: nothing.
    present: AtomicU64,
    /// Tokens with this number or a lower one are dead.
    pub(crate) revoked: AtomicU64,
    /// Never held while something is waited for.
    pub(crate) state: Mutex<State>,
    /// The guard may hold: looked at without the lock.
    pub(crate) holding: AtomicBool,
    /// The period of the last one-time code that was sent; 0: none.
    pub(crate) last_code: AtomicU64,
    pub(crate) counts: Counters,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) flight: Option<Arc<Flight>>,
    pub(crate) gate: Gate,
    /// What shut the gate.
    pub(crate) error: Option<Error>,
    pub(crate) guard: LoopGuard,
    /// When the last login ended, by the wall clock, and with which status or error.
    pub(crate) last_login: Option<(Duration, Result<u16>)>,
    pub(crate) last_number: u64,
    /// The profile is no longer in the file.
    pub(crate) gone: bool,
    /// Where failures outlive the process.
    pub(crate) attempts: Option<Attempts>,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) logins: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) rejections: AtomicU64,
    pub(crate) replays: AtomicU64,
}

/// How often something happened since the source was made.
///
/// ```
/// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// # let client = acme.client();
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// client.get(vendor.url("/orders")).send().await?;
/// vendor.revoke_all();
/// client.get(vendor.url("/orders")).send().await?;
/// let counts = acme.counts();
/// assert_eq!((counts.logins, counts.rejections, counts.replays), (2, 1, 1));
/// # Ok::<(), bootseal::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Logins sent to the vendor.
    pub logins: u64,
    /// Refresh tokens sent to the vendor, in place of the credentials.
    pub refreshes: u64,
    /// Tokens that a call's answer called dead.
    pub rejections: u64,
    /// Calls that were sent once more with a new token.
    pub replays: u64,
}

enum Step {
    Ready(Token),
    Failed(Error),
    Wait(Arc<Flight>),
}

impl TokenSource {
    pub(crate) fn new(
        profile: Profile,
        values: Values,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
        attempts: Option<Attempts>,
    ) -> TokenSource {
        let left =
            attempts.as_ref().map(|attempts| attempts.left(clock.monotonic(), clock.unix_time())).unwrap_or_default();
        let error = left.gate.wait(clock.monotonic()).map(|_| remembered(&profile, &left));
        let state = State { gate: left.gate, error, attempts, ..State::default() };
        static SOURCES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        TokenSource(Arc::new(Core {
            id: SOURCES.fetch_add(1, Ordering::Relaxed),
            account: ArcSwap::from_pointee(Account::new(profile, values, left.turn)),
            clock,
            transport,
            cell: ArcSwapOption::empty(),
            present: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
            state: Mutex::new(state),
            holding: AtomicBool::new(false),
            last_code: AtomicU64::new(left.last_code.unwrap_or(0)),
            counts: Counters::default(),
        }))
    }

    /// The token that is good now; logs in where there is none.
    ///
    /// Needs no runtime of the caller's. A caller that is cancelled changes nothing for the others who wait.
    ///
    /// # Errors
    /// What the login came to, for everyone who waited for it and everyone who comes before the next attempt may be made:
    /// [`Kind::LoginRefused`], [`Kind::LoginThrottled`], [`Kind::LoginDown`], [`Kind::LoginTls`], [`Kind::LoginProtocol`].
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// let token = acme.token().await?;
    /// let again = acme.token().await?; // no login: the token is good
    /// assert_eq!(vendor.logins(), 1);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

    /// The same for callers that are not async; it blocks the thread while a login is under way.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.refuse(true);
    /// assert_eq!(acme.token_blocking().unwrap_err().kind(), bootseal::Kind::LoginRefused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
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

    /// Logs in now where there is no token, to fail early.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// acme.ready().await?; // at start: a wrong password is told now
    /// assert_eq!(acme.counts().logins, 1);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn ready(&self) -> Result<()> {
        self.token().await.map(drop)
    }

    /// Says that the vendor no longer takes `token`. Returns whether it is worth while to ask for another one.
    ///
    /// The first who says so starts the one login; a late word about an older token touches nothing. `false` where fresh tokens
    /// were rejected again and again: then the vendor's answer is the caller's, and logins are held to a few a minute.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// // … the vendor answers 401, to a client that is not ours
    /// if acme.reject(&token) {
    ///     let fresh = acme.token_blocking()?;
    /// }
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reject(&self, token: &Token) -> bool {
        let core = &self.0;
        // Another account's numbers are not ours.
        if token.0.source != core.id || token.0.number <= core.revoked.load(Ordering::Acquire) {
            return true;
        }
        let mut state = core.lock();
        // Someone may have rejected it while we waited for the lock, and the next one may be there.
        if token.0.number <= core.revoked.load(Ordering::Acquire) {
            return true;
        }
        let newer = core.cell.load().as_ref().is_some_and(|entry| entry.number > token.0.number);
        let now = core.clock.monotonic();
        let worked = token.0.accepted.load(Ordering::Relaxed);
        let mut looped = None;
        if !newer {
            let young = token.0.age(&*core.clock) < crate::token::backoff::YOUNG;
            let young = token.0.rejected_young.fetch_or(young, Ordering::Relaxed) || young;
            if !state.guard.lets(worked, now) {
                return false;
            }
            looped = state.guard.rejected(worked, young, now);
            if looped.is_some() {
                core.holding.store(true, Ordering::Relaxed);
            }
            if worked {
                state.gate.token_died();
            }
        }
        let first = core.revoked.fetch_max(token.0.number, Ordering::AcqRel) < token.0.number;
        if first {
            core.counts.rejections.fetch_add(1, Ordering::Relaxed);
            token.0.rejected.store(true, Ordering::Relaxed);
        }
        let may_start = !newer && state.flight.is_none() && state.gate.wait(now).is_none();
        let setback = if may_start { core.start(&mut state) } else { None };
        drop(state);
        if let Some(looped) = looped {
            core.tell_loop(looped);
        }
        if first {
            let why = if worked { "revoked" } else { "fresh" };
            metrics::rejected(&core.table(), why);
            tracing::info!(target: "bootseal", profile = %core.table(), token = ?token, why, "rejected: the vendor no longer takes this token");
        }
        if let Some(setback) = setback {
            core.tell(&setback);
        }
        true
    }

    /// Says that a call was answered, and not rejected, with `token`: for an HTTP client that is not ours, beside [`TokenSource::reject`].
    /// Tokens that never worked count as a loop when they are rejected; these then do not.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// for _ in 0..10 {
    ///     let token = acme.token_blocking()?;
    ///     // … a call of another client is answered with 200
    ///     acme.report_accepted(&token);
    ///     // … the next one with 401
    ///     assert!(acme.reject(&token));
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn report_accepted(&self, token: &Token) {
        // Another account's numbers are not ours.
        if token.0.source == self.0.id {
            self.accepted(token, self.0.clock.monotonic());
        }
    }

    /// A call that was sent at `sent`, a time since boot, was answered with `token`, not rejected.
    pub(crate) fn accepted(&self, token: &Token, sent: Duration) {
        let core = &self.0;
        let first = !token.0.accepted.load(Ordering::Relaxed);
        token.0.used(sent);
        // Only the first use of a token, and any use while the guard holds, tells something new.
        let present = token.0.number > core.revoked.load(Ordering::Acquire);
        if (first || core.holding.load(Ordering::Relaxed)) && present {
            let mut state = core.lock();
            state.guard.accepted();
            core.holding.store(state.guard.holds(core.clock.monotonic()), Ordering::Relaxed);
        }
    }

    /// A call was rejected again, with a token that was fetched for it.
    pub(crate) fn replay_rejected(&self) {
        let now = self.0.clock.monotonic();
        metrics::replay(&self.0.table(), "rejected");
        let mut state = self.0.lock();
        let looped = state.guard.replay_rejected(now);
        if looped {
            self.0.holding.store(true, Ordering::Relaxed);
        }
        drop(state);
        if looped {
            self.0.tell_loop(LoopKind::Fresh);
        }
    }

    pub(crate) fn count_replay(&self) {
        self.0.counts.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// Opens the gate that a failed login shut: the next call logs in at once. For an operator who mended something.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.down(true);
    /// assert!(acme.token_blocking().is_err());
    /// vendor.down(false); // mended
    /// acme.reset_backoff();
    /// acme.token_blocking()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn reset_backoff(&self) {
        let mut state = self.0.lock();
        state.gate.open();
        state.error = None;
        state.guard = LoopGuard::default();
        drop(state);
        metrics::gate(&self.0.table(), 0);
        self.0.remember();
    }

    /// Fetches the next token before the present one runs out, on a thread of its own, also while nobody asks for one; without it an idle
    /// process makes no logins. It ends within a minute after the last handle on the source is gone.
    ///
    /// # Errors
    /// [`Kind::Io`] where there is no thread for it.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// acme.keep_warm()?; // the first call of the morning waits for no login
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn keep_warm(&self) -> Result<()> {
        let (weak, clock) = (Arc::downgrade(&self.0), self.0.clock.clone());
        let warming = move || {
            let Ok(runtime) = Runtime::new() else { return };
            loop {
                let Some(source) = weak.upgrade().map(TokenSource) else { return };
                // What fails is told to who asks for a token, and tried again when the gate opens.
                let _ = source.token_blocking();
                let wait = source.until_next();
                drop(source);
                runtime.block_on(clock.sleep(wait.clamp(Duration::from_secs(1), WARM)));
            }
        };
        let thread = Thread::new().name("bootseal-warm".into()).spawn(warming);
        thread.map(drop).map_err(|error| Error::new(Kind::Io, format!("no thread to keep it warm: {error}")))
    }

    /// How long nothing is to be done.
    fn until_next(&self) -> Duration {
        let core = &self.0;
        let shut = core.lock().gate.wait(core.clock.monotonic());
        let entry = core.cell.load_full();
        let left = entry.map(|entry| entry.deadlines.refresh_at.saturating_sub(entry.age(&*core.clock)));
        shut.into_iter().chain(left).max().unwrap_or_default()
    }

    /// The login profile, as it stands in the file.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// println!("the token goes to {} only", acme.profile().hosts_display());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profile(&self) -> Profile {
        self.account().profile.clone()
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    pub(crate) fn account(&self) -> Arc<Account> {
        self.0.account.load_full()
    }

    /// The answer to a call that was sent at `sent` brought a newer token than `old`, which was on it.
    pub(crate) fn renewed(
        &self,
        old: &Token,
        secret: bootseal_core::Secret,
        lifetime: crate::login::expiry::Lifetime,
        sent: Moment,
    ) {
        let core = &self.0;
        let mut state = core.lock();
        // Only the present one is replaced: a late answer brings nothing back.
        let present =
            core.cell.load_full().filter(|entry| (entry.source, entry.number) == (old.0.source, old.0.number));
        let Some(present) = present.filter(|entry| entry.number > core.revoked.load(Ordering::Acquire)) else { return };
        if present.secret.same_as(&secret) || lifetime.born_expired {
            return;
        }
        // What no call could carry renews nothing.
        let Ok(headers) = procedure::headers(&present.account, &secret, &present.captured) else { return };
        let (status, captured) = (present.status, present.captured.clone());
        let fresh = Fresh { secret, lifetime, status, captured, headers, clock_skew: None };
        core.put(&mut state, &present.account, fresh, sent);
    }

    /// How often the source logged in, and what for, since it was made.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// acme.token_blocking()?;
    /// assert_eq!(acme.counts().logins, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn counts(&self) -> Counts {
        let counts = &self.0.counts;
        Counts {
            logins: counts.logins.load(Ordering::Relaxed),
            refreshes: counts.refreshes.load(Ordering::Relaxed),
            rejections: counts.rejections.load(Ordering::Relaxed),
            replays: counts.replays.load(Ordering::Relaxed),
        }
    }

    /// A login whose thread ends without a word, as one does that panics.
    #[cfg(all(test, bootseal_model))]
    pub(crate) fn start_what_dies(&self) -> shuttle::thread::JoinHandle<()> {
        let (core, flight) = (self.0.clone(), Arc::new(Flight::default()));
        self.0.lock().flight = Some(flight.clone());
        shuttle::thread::spawn(move || drop(LoginRun { core, flight }))
    }

    /// What is to be done where no token is fresh.
    #[cold]
    fn step(&self) -> Step {
        let core = &self.0;
        let stale = core.good().map(|entry| entry.token());
        let mut state = core.lock();
        // Someone may have published while we waited for the lock.
        if let Some(token) = core.fresh() {
            return Step::Ready(token);
        }
        if state.gone {
            return Step::Failed(core.no_longer());
        }
        let shut = state.gate.wait(core.clock.monotonic());
        let setback = if state.flight.is_none() && shut.is_none() { core.start(&mut state) } else { None };
        let step = match stale {
            Some(token) => Step::Ready(token),
            None => core.without_token(&state, shut),
        };
        drop(state);
        if let Some(setback) = setback {
            core.tell(&setback);
        }
        if let Step::Ready(_) = step {
            metrics::served_stale(&core.table());
        }
        step
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSource({})", self.0.table())
    }
}

impl Core {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // What runs under the lock does not panic, and leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that needs no refresh yet: no lock, no allocation, no system call.
    fn fresh(&self) -> Option<Token> {
        let token = match thread_cache::recall(self.id, self.present.load(Ordering::Acquire)) {
            Some(token) => token,
            None => {
                let token = self.cell.load().as_ref()?.token();
                thread_cache::remember(&token);
                token
            }
        };
        (token.0.number > self.revoked.load(Ordering::Acquire) && token.0.is_fresh(&*self.clock)).then_some(token)
    }

    /// The token that may still be sent.
    pub(crate) fn good(&self) -> Option<Arc<Published>> {
        let entry = self.cell.load();
        let entry = entry.as_ref()?;
        (entry.number > self.revoked.load(Ordering::Acquire) && entry.age(&*self.clock) < entry.deadlines.hard_at)
            .then(|| entry.clone())
    }

    /// What is told who finds no token, where `shut` says how long no login may be made.
    fn without_token(&self, state: &State, shut: Option<Duration>) -> Step {
        match (&state.flight, shut, &state.error) {
            (Some(flight), ..) => Step::Wait(flight.clone()),
            (None, Some(wait), Some(error)) => Step::Failed(error.with_retry_after(wait)),
            (None, None, Some(error)) => Step::Failed(error.clone()),
            (None, wait, None) => {
                let text = format!("{}: no token, and no login may be made yet", self.table());
                Step::Failed(Error::new(Kind::LoginDown, text).with_retry_after(wait.unwrap_or_default()))
            }
        }
    }

    /// Takes the token out, so that nobody is given it any more. Returns it, where it was still good.
    pub(crate) fn take(&self, state: &mut State) -> Option<Arc<Published>> {
        let entry = self.good();
        self.revoked.fetch_max(state.last_number, Ordering::AcqRel);
        self.cell.store(None);
        self.present.store(0, Ordering::Release);
        entry
    }

    /// Starts the one login, on a thread of its own that ends with it: no caller's death, and no caller's runtime, touches it. What it
    /// returns is to be told when nothing is locked any more.
    fn start(self: &Arc<Core>, state: &mut State) -> Option<LoginFailure> {
        let flight = Arc::new(Flight::default());
        let (core, ours) = (self.clone(), flight.clone());
        let landing = LoginRun { core, flight: ours };
        match Thread::new().name("bootseal-login".into()).spawn(move || leaving_nothing(move || landing.fly())) {
            Ok(_) => {
                state.flight = Some(flight);
                None
            }
            Err(error) => {
                let failure = Failure {
                    class: Class::Down { unsent: true },
                    text: format!("no thread for the login: {error}"),
                    status: None,
                    retry_after: None,
                };
                Some(self.fail(state, failure))
            }
        }
    }

    /// Writes down, where there is a state folder, how the last login ended. Not under the lock: a folder may be slow.
    pub(crate) fn remember(&self) {
        let state = self.lock();
        let Some(attempts) = state.attempts.clone() else { return };
        let kept = state.gate.to_keep(self.clock.monotonic());
        drop(state);
        attempts.ended(kept, self.account.load().turn(), self.clock.unix_time());
    }

    pub(crate) fn table(&self) -> bootseal_core::PropertyPath {
        self.account.load().profile.table.clone()
    }

    /// Makes a token the one that is given out from now on.
    pub(crate) fn put(&self, state: &mut State, account: &Arc<Account>, fresh: Fresh, sent: Moment) -> Token {
        // Numbered when it is published, so that a rejection which came during the login does not hit it.
        state.last_number += 1;
        let entry = Arc::new(Published::new(self.entry(account, fresh, sent, state.last_number)));
        self.cell.store(Some(entry.clone()));
        self.present.store(entry.number, Ordering::Release);
        entry.token()
    }

    /// A token with all that is known of it; `number` 0: it is never given out.
    pub(crate) fn entry(&self, account: &Arc<Account>, fresh: Fresh, sent: Moment, number: u64) -> Entry {
        let (profile, lifetime) = (&account.profile, fresh.lifetime);
        let age = sent.age(&*self.clock);
        Entry {
            source: self.id,
            number,
            account: account.clone(),
            fingerprint: fingerprint(&fresh.secret),
            headers: fresh.headers,
            captured: fresh.captured,
            secret: fresh.secret,
            status: fresh.status,
            sent,
            lifetime: lifetime.lifetime,
            from: lifetime.from,
            deadlines: Deadlines::of(profile, &lifetime, self.clock.jitter()).kept(&lifetime, age),
            fresh_at_tick: AtomicU64::new(0),
            accepted: AtomicBool::new(false),
            rejected_young: AtomicBool::new(false),
            rejected: AtomicBool::new(false),
            moved: profile.idle.then(|| AtomicU64::new(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{LoginRequest, LoginResponse, TransportError};
    use std::pin::Pin;

    struct Always(&'static str);

    impl Transport for Always {
        fn send(&self, _: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
            let body = bootseal_core::Secret::copy_of(self.0.as_bytes()).unwrap();
            Box::pin(async { Ok(LoginResponse { status: 200, headers: http::HeaderMap::new(), body }) })
        }
    }

    #[test]
    fn use_moves_the_deadline_of_an_idle_token_but_never_beyond_max_age() {
        let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\nexpiry = { fixed = \"30m\", idle = true }\nmax_age = \"2h\"\n";
        let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
        let clock = crate::testing::Clock::new();
        let transport = Arc::new(Always(r#"{"access_token":"x"}"#));
        let source = vault.token_source_with("acme", Arc::new(clock.clone()), transport).unwrap();
        for _ in 0..12 {
            let token = source.token_blocking().unwrap();
            source.accepted(&token, clock.monotonic());
            clock.advance(Duration::from_secs(600));
        }
        assert_eq!(source.counts().logins, 1, "used every ten minutes");
        source.token_blocking().unwrap();
        assert_eq!(source.counts().logins, 2, "two hours old");
    }

    #[test]
    fn use_counts_from_when_its_call_was_sent() {
        let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\nexpiry = { fixed = \"30m\", idle = true }\nrefresh_ahead = false\n";
        let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
        let clock = crate::testing::Clock::new();
        let transport = Arc::new(Always(r#"{"access_token":"x"}"#));
        let source = vault.token_source_with("acme", Arc::new(clock.clone()), transport).unwrap();
        let token = source.token_blocking().unwrap();
        let sent = clock.monotonic();
        clock.advance(Duration::from_secs(1700)); // a slow answer
        source.accepted(&token, sent);
        clock.advance(Duration::from_secs(100));
        source.token_blocking().unwrap();
        assert_eq!(source.counts().logins, 2);
    }

    /// A vendor whose clock is three seconds behind, and that gives every login of a minute the same JWT, which ends with it.
    struct Minutes(crate::testing::Clock);

    impl Minutes {
        fn now(&self) -> u64 {
            self.0.unix_time().as_secs() - 3
        }
    }

    impl Transport for Minutes {
        fn send(&self, _: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
            use base64::Engine as _;
            let exp = self.now() / 60 * 60 + 60;
            let payload = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
            let body =
                bootseal_core::Secret::copy_of(format!("{{\"access_token\":\"e30.{payload}.x\"}}").as_bytes()).unwrap();
            Box::pin(async { Ok(LoginResponse { status: 200, headers: http::HeaderMap::new(), body }) })
        }
    }

    #[test]
    fn a_jwt_that_a_vendor_hands_out_until_its_end_makes_no_outage() {
        let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\n";
        let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
        let clock = crate::testing::Clock::new();
        let vendor = Minutes(clock.clone());
        let source =
            vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(Minutes(clock.clone()))).unwrap();
        // Ten calls a second, for ten minutes.
        for _ in 0..6000 {
            let is_good = |token: &Token| {
                let claims = token.claims().unwrap();
                claims.trim_start_matches("{\"exp\":").trim_end_matches('}').parse::<u64>().unwrap() > vendor.now()
            };
            let mut token = source.token_blocking().unwrap();
            if !is_good(&token) {
                assert!(source.reject(&token));
                token = source.token_blocking().unwrap();
            }
            assert!(is_good(&token));
            source.accepted(&token, clock.monotonic());
            clock.advance(Duration::from_millis(100));
        }
        let logins = source.counts().logins;
        assert!(logins <= 200, "{logins} in ten minutes");
    }
}
