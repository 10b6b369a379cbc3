//! Who has the token now, and who fetches the next one? One login for all who wait; its result, good or bad, is everyone's.
//!
//! ```text
//!  FRESH ──life × 0.75–0.85──► STALE ──life − skew──► EXPIRED          EMPTY at start, REVOKED by reject()
//!  returned                    returned, and a        wait for the login; while the gate is shut: its error
//!  no lock, no system call     login starts behind
//!  but the clocks
//! ```

use crate::clock::Clock;
use crate::error::{Error, Result};
use crate::expiry::{Deadlines, ExpiryFrom};
use crate::gate::{Gate, LoopGuard, Shut};
use crate::login::{Class, Failure, LoginRequest, Outcome, Transport, Values, understand};
use crate::token::{Entry, Token, fingerprint};
use arc_swap::ArcSwapOption;
use bootseal_core::{Kind, Profile};
use event_listener::{Event, Listener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A login that does not end by itself is given up so long after its own timeout.
const HARD_STOP: Duration = Duration::from_secs(5);

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
pub struct TokenSource(Arc<Core>);

struct Core {
    id: u64,
    profile: Profile,
    values: Values,
    clock: Arc<dyn Clock>,
    transport: Arc<dyn Transport>,
    cell: ArcSwapOption<Entry>,
    /// Tokens with this number or a lower one are dead.
    revoked: AtomicU64,
    /// Never held while something is waited for.
    state: Mutex<State>,
    /// The guard may hold: looked at without the lock.
    holding: AtomicBool,
    counts: Counters,
}

#[derive(Default)]
struct State {
    flight: Option<Arc<Flight>>,
    gate: Gate,
    /// What shut the gate.
    error: Option<Error>,
    guard: LoopGuard,
    last_number: u64,
}

#[derive(Default)]
struct Counters {
    logins: AtomicU64,
    rejections: AtomicU64,
    replays: AtomicU64,
}

/// How often something happened since the source was made.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
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
    /// Tokens that a call's answer called dead.
    pub rejections: u64,
    /// Calls that were sent once more with a new token.
    pub replays: u64,
}

/// One login, and all who wait for it.
#[derive(Default)]
struct Flight {
    result: OnceLock<Result<Token>>,
    landed: Event,
}

impl Flight {
    fn land(&self, result: Result<Token>) {
        // The first result stands: a login that panics after it has landed changes nothing.
        let _ = self.result.set(result);
        self.landed.notify(usize::MAX);
    }

    async fn wait(&self) -> Result<Token> {
        loop {
            let listener = self.landed.listen();
            if let Some(result) = self.result.get() {
                return result.clone();
            }
            listener.await;
        }
    }

    fn wait_blocking(&self) -> Result<Token> {
        loop {
            let listener = self.landed.listen();
            if let Some(result) = self.result.get() {
                return result.clone();
            }
            listener.wait();
        }
    }
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
    ) -> TokenSource {
        static SOURCES: AtomicU64 = AtomicU64::new(0);
        TokenSource(Arc::new(Core {
            id: SOURCES.fetch_add(1, Ordering::Relaxed),
            profile,
            values,
            clock,
            transport,
            cell: ArcSwapOption::empty(),
            revoked: AtomicU64::new(0),
            state: Mutex::default(),
            holding: AtomicBool::new(false),
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
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
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
        match self.step() {
            Step::Ready(token) => Ok(token),
            Step::Failed(error) => Err(error),
            Step::Wait(flight) => flight.wait().await,
        }
    }

    /// The same for callers that are not async; it blocks the thread while a login is under way.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.refuse(true);
    /// assert_eq!(acme.token_blocking().unwrap_err().kind(), bootseal::Kind::LoginRefused);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn token_blocking(&self) -> Result<Token> {
        match self.step() {
            Step::Ready(token) => Ok(token),
            Step::Failed(error) => Err(error),
            Step::Wait(flight) => flight.wait_blocking(),
        }
    }

    /// Logs in now where there is no token, to fail early.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
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
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
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
        let now = core.clock.boot();
        if !newer {
            let young = token.0.age(&*core.clock) < crate::gate::YOUNG;
            let young = token.0.rejected_young.fetch_or(young, Ordering::Relaxed) || young;
            let worked = token.0.accepted.load(Ordering::Relaxed);
            if !state.guard.lets(worked, now) {
                return false;
            }
            if state.guard.rejected(worked, young, now) {
                core.held();
            }
        }
        if core.revoked.fetch_max(token.0.number, Ordering::AcqRel) < token.0.number {
            core.counts.rejections.fetch_add(1, Ordering::Relaxed);
            tracing::info!(target: "bootseal", profile = %core.profile.table, token = ?token, "token rejected by the vendor");
        }
        if !newer && state.flight.is_none() && state.gate.wait(now).is_none() {
            core.start(&mut state);
        }
        true
    }

    /// A call was answered, not rejected, with `token`.
    pub(crate) fn accepted(&self, token: &Token) {
        let core = &self.0;
        let first = !token.0.accepted.load(Ordering::Relaxed);
        token.0.used(&*core.clock);
        // Only the first use of a token, and any use while the guard holds, tells something new.
        let present = token.0.number > core.revoked.load(Ordering::Acquire);
        if (first || core.holding.load(Ordering::Relaxed)) && present {
            let mut state = core.lock();
            state.guard.accepted();
            core.holding.store(state.guard.holds(core.clock.boot()), Ordering::Relaxed);
        }
    }

    /// A call was rejected again, with a token that was fetched for it.
    pub(crate) fn replay_rejected(&self) {
        let now = self.0.clock.boot();
        if self.0.lock().guard.replay_rejected(now) {
            self.0.held();
        }
    }

    pub(crate) fn count_replay(&self) {
        self.0.counts.replays.fetch_add(1, Ordering::Relaxed);
    }

    /// Opens the gate that a failed login shut: the next call logs in at once. For an operator who mended something.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// vendor.down(true);
    /// assert!(acme.token_blocking().is_err());
    /// vendor.down(false); // mended
    /// acme.retry_now();
    /// acme.token_blocking()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn retry_now(&self) {
        let mut state = self.0.lock();
        state.gate.open();
        state.error = None;
        state.guard = LoopGuard::default();
    }

    /// The login profile, as it stands in the file.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// println!("the token goes to {} only", acme.profile().hosts());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn profile(&self) -> &Profile {
        &self.0.profile
    }

    /// How often the source logged in, and what for, since it was made.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
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
            rejections: counts.rejections.load(Ordering::Relaxed),
            replays: counts.replays.load(Ordering::Relaxed),
        }
    }

    fn step(&self) -> Step {
        let core = &self.0;
        let mut stale = None;
        if let Some(entry) = core.good() {
            if entry.age(&*core.clock) < entry.deadlines.refresh_at {
                return Step::Ready(Token(entry));
            }
            stale = Some(Token(entry));
        }
        let mut state = core.lock();
        // Someone may have published while we waited for the lock.
        if let Some(entry) = core.good().filter(|entry| entry.age(&*core.clock) < entry.deadlines.refresh_at) {
            return Step::Ready(Token(entry));
        }
        let shut = state.gate.wait(core.clock.boot());
        if state.flight.is_none() && shut.is_none() {
            core.start(&mut state);
        }
        if let Some(token) = stale {
            return Step::Ready(token);
        }
        match (&state.flight, shut, &state.error) {
            (Some(flight), ..) => Step::Wait(flight.clone()),
            (None, Some(wait), Some(error)) => Step::Failed(error.with_retry_after(wait)),
            (None, None, Some(error)) => Step::Failed(error.clone()),
            (None, wait, None) => {
                let text = format!("{}: no token, and no login may be made yet", core.profile.table);
                Step::Failed(Error::new(Kind::LoginDown, text).with_retry_after(wait.unwrap_or_default()))
            }
        }
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenSource({})", self.0.profile.table)
    }
}

impl Core {
    fn lock(&self) -> MutexGuard<'_, State> {
        // What runs under the lock does not panic, and leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The token that may still be sent.
    fn good(&self) -> Option<Arc<Entry>> {
        let entry = self.cell.load();
        let entry = entry.as_ref()?;
        (entry.number > self.revoked.load(Ordering::Acquire) && entry.age(&*self.clock) < entry.deadlines.hard_at)
            .then(|| entry.clone())
    }

    /// The guard holds from now on.
    fn held(&self) {
        self.holding.store(true, Ordering::Relaxed);
        tracing::warn!(target: "bootseal", profile = %self.profile.table,
            "fresh_token_rejected: the vendor rejects tokens that it has just given; logins are held back. Wrong rights, a wrong audience, or another host's login that ends ours?");
    }

    /// Starts the one login, on a thread of its own that ends with it: no caller's death, and no caller's runtime, touches it.
    fn start(self: &Arc<Core>, state: &mut State) {
        let flight = Arc::new(Flight::default());
        let (core, ours) = (self.clone(), flight.clone());
        match std::thread::Builder::new()
            .name("bootseal-login".into())
            .spawn(move || Landing { core, flight: ours }.fly())
        {
            Ok(_) => {
                state.flight = Some(flight);
            }
            Err(error) => {
                let failure = Failure {
                    class: Class::Down { unsent: true },
                    text: format!("no thread for the login: {error}"),
                    status: None,
                    retry_after: None,
                };
                self.fail(state, &failure);
            }
        }
    }

    fn fail(&self, state: &mut State, failure: &Failure) -> Error {
        let shut = state.gate.failed(failure, self.clock.boot(), self.clock.draw());
        let error = self.error(failure, shut);
        tracing::warn!(target: "bootseal", profile = %self.profile.table, class = failure.class.kind().as_str(), status = failure.status, "login failed: {}", failure.text);
        state.error = Some(error.clone());
        error
    }

    fn error(&self, failure: &Failure, shut: Shut) -> Error {
        let (table, origin) = (&self.profile.table, self.profile.url.origin().ascii_serialization());
        let text = format!("login of `{table}`: {origin} {}", failure.text);
        let help = match failure.class {
            Class::Refused | Class::PerhapsRefused => format!(
                "The vendor says that these credentials are wrong. Give the right ones (bootseal set {table}.…) and try them: bootseal login {table}"
            ),
            Class::Throttled => "The vendor asks for patience; the next attempt waits for it.".into(),
            Class::Down { .. } => {
                "The next attempt is made by itself. Is the vendor up, and reachable from here?".into()
            }
            Class::Tls => format!(
                "Is {origin} the right address? A private certificate authority goes into the profile: [{table}.login] ca = \"\"\"…\"\"\""
            ),
            Class::Protocol | Class::Redirect => format!(
                "The profile [{table}.login] does not fit the answer; see what comes back: bootseal login {table}"
            ),
        };
        let error = Error::new(failure.class.kind(), text).with_status(failure.status);
        let again = if shut == Shut::Refused && failure.class == Class::Protocol {
            " After three such answers in a row no login is made for a while: it may be a wrong password in disguise."
        } else {
            ""
        };
        error.with_help(format!("{help}{again}"))
    }

    /// The login itself, to its end or to the hard stop.
    async fn log_in(&self) -> Outcome {
        let request = match LoginRequest::build(&self.profile, &self.values) {
            Ok(request) => request,
            Err(error) => {
                return Outcome::Failed(Failure {
                    class: Class::Protocol,
                    text: format!("cannot be asked: {error}"),
                    status: None,
                    retry_after: None,
                });
            }
        };
        self.counts.logins.fetch_add(1, Ordering::Relaxed);
        let mut outcome = understand(&self.profile, self.transport.send(request.clone()).await, self.clock.wall());
        if matches!(&outcome, Outcome::Failed(Failure { class: Class::Down { unsent: true }, .. })) {
            // Not one byte was sent, so this is no second login.
            outcome = understand(&self.profile, self.transport.send(request).await, self.clock.wall());
        }
        outcome
    }
}

/// The end of a flight, however it ends: dropped without a result, it lands an error, so that nobody waits for ever.
struct Landing {
    core: Arc<Core>,
    flight: Arc<Flight>,
}

impl Landing {
    fn fly(self) {
        let core = &self.core;
        let (sent_boot, sent_wall) = (core.clock.boot(), core.clock.wall());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = match &runtime {
            Err(error) => Outcome::Failed(Failure {
                class: Class::Down { unsent: true },
                text: format!("no runtime for the login: {error}"),
                status: None,
                retry_after: None,
            }),
            Ok(runtime) => runtime.block_on(async {
                let stop = core.clock.sleep(core.profile.login_timeout + HARD_STOP);
                first_of(core.log_in(), stop).await.unwrap_or_else(|| {
                    let text = format!("gave no answer within {:?}", core.profile.login_timeout + HARD_STOP);
                    Outcome::Failed(Failure {
                        class: Class::Down { unsent: false },
                        text,
                        status: None,
                        retry_after: None,
                    })
                })
            }),
        };
        self.publish(outcome, sent_boot, sent_wall);
        if let Ok(runtime) = runtime {
            // A name lookup that hangs in a thread of its own must not hold this one.
            runtime.shutdown_background();
        }
    }

    fn publish(&self, outcome: Outcome, sent_boot: Duration, sent_wall: Duration) {
        let core = &self.core;
        let mut state = core.lock();
        let result = match outcome {
            Outcome::Failed(failure) => Err(core.fail(&mut state, &failure)),
            Outcome::Token { secret, life, status } => {
                // Numbered when it is published, so that a rejection which came during the login does not hit it.
                state.last_number += 1;
                let (boot, wall) = (core.clock.boot(), core.clock.wall());
                let age = boot.saturating_sub(sent_boot).max(wall.saturating_sub(sent_wall));
                let mut deadlines = Deadlines::of(&core.profile, &life, core.clock.draw());
                let born_expired = life.born_expired || deadlines.hard_at <= age;
                if born_expired {
                    deadlines = Deadlines::born_expired(age);
                }
                let entry = Arc::new(Entry {
                    source: core.id,
                    number: state.last_number,
                    fingerprint: fingerprint(&secret),
                    secret,
                    status,
                    sent_boot,
                    sent_wall,
                    life: life.life,
                    from: life.from,
                    deadlines,
                    accepted: AtomicBool::new(false),
                    rejected_young: AtomicBool::new(false),
                    max_age: core.profile.max_age,
                    moved: core.profile.idle.then(|| AtomicU64::new(0)),
                });
                state.gate.open();
                state.error = None;
                if born_expired {
                    state.gate.born_expired(boot);
                    tracing::warn!(target: "bootseal", profile = %core.profile.table, "clock_skew: the token had run out before it came; is the clock of this machine right?");
                }
                if life.from == ExpiryFrom::Default {
                    tracing::warn!(target: "bootseal", profile = %core.profile.table, life = ?life.life, "expiry_unknown: the answer does not say how long the token lives");
                }
                tracing::info!(target: "bootseal", profile = %core.profile.table, status, life = ?life.life, from = life.from.as_str(), "logged in");
                let token = Token(entry.clone());
                // First the cell, then the waiters: who wakes up must find it there.
                core.cell.store(Some(entry));
                Ok(token)
            }
        };
        state.flight = None;
        drop(state);
        self.flight.land(result);
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        if self.flight.result.get().is_some() {
            return;
        }
        let failure = Failure {
            class: Class::Down { unsent: false },
            text: "did not come to an end: the login stopped inside the program".into(),
            status: None,
            retry_after: None,
        };
        let mut state = self.core.lock();
        state.flight.take_if(|flight| Arc::ptr_eq(flight, &self.flight));
        let error = self.core.fail(&mut state, &failure);
        drop(state);
        self.flight.land(Err(error));
    }
}

/// The result of `work`, or nothing where `stop` ends first.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::login::{LoginAnswer, TransportError};
    use std::pin::Pin;

    struct Always(&'static str);

    impl Transport for Always {
        fn send(&self, _: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginAnswer, TransportError>> + Send>> {
            let body = bootseal_core::Secret::copy_of(self.0.as_bytes()).unwrap();
            Box::pin(async { Ok(LoginAnswer { status: 200, headers: http::HeaderMap::new(), body }) })
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
            source.accepted(&token);
            clock.advance(Duration::from_secs(600));
        }
        assert_eq!(source.counts().logins, 1, "used every ten minutes");
        source.token_blocking().unwrap();
        assert_eq!(source.counts().logins, 2, "two hours old");
    }
}
