//! Model of the token source: callers, a login and a rejection, under many schedules of their
//! threads.
//!
//! `scripts/test` runs it:
//!
//! ```text
//! RUSTFLAGS="--cfg bootseal_model" cargo test --target-dir target/model -p bootseal --lib model_
//! ```
//!
//! At each lock, cell and thread, the checker (shuttle) decides which thread runs next: at random,
//! and by PCT (Burckhardt and others, "A Randomized Scheduler with Probabilistic Guarantees of
//! Finding Bugs", 2010), which finds a bug that needs few context switches with a known
//! probability. A caller that is never woken is reported as a deadlock. The checker assumes
//! sequentially consistent memory.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

use crate::error::Error;
use crate::login::account::Values;
use crate::login::clock::Clock;
use crate::login::transport::{LoginRequest, LoginResponse, Transport, TransportError};
use crate::token::login_thread::LoginRun;
use crate::token::single_flight::SingleFlight;
use crate::token::source::TokenSource;
use crate::token::token::Token;
use bootseal_core::{Kind, Profile, Secret};
use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

const CALLERS: u64 = 3;
/// Seconds.
const LIFETIME: u64 = 900;
const ITERATIONS: usize = 4_000;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Ends {
    WithToken,
    WithFailure,
    /// The login gets no response and is abandoned.
    Never,
}

/// The end of login `number`. The first login succeeds if the test rejects a token.
fn ends(ends: Ends, rejects: Rejects, number: u64) -> Ends {
    if number == 1 && rejects != Rejects::Never { Ends::WithToken } else { ends }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Callers {
    Stay,
    /// Each caller may be cancelled once while it waits, and asks again.
    Leave,
    Blocking,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rejects {
    Never,
    /// The first token, before it worked.
    Fresh,
    /// The first token, after it worked.
    Worked,
    /// The first token, after it worked, while the login that replaces it may be running.
    Stale,
}

/// A vendor that detects two logins at once.
struct Vendor {
    ends: Ends,
    rejects: Rejects,
    logins: Arc<AtomicU64>,
    at_once: Arc<AtomicU64>,
}

impl Transport for Vendor {
    fn send(
        &self,
        _: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let (last, rejects, logins, at_once) =
            (self.ends, self.rejects, self.logins.clone(), self.at_once.clone());
        Box::pin(async move {
            assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0, "two logins at once");
            let number = logins.fetch_add(1, Ordering::SeqCst) + 1;
            shuttle::future::yield_now().await;
            let _away = Away(at_once);
            match ends(last, rejects, number) {
                Ends::WithToken => Ok(LoginResponse {
                    status: 200,
                    headers: http::HeaderMap::new(),
                    body: Secret::copy_of(
                        format!("{{\"access_token\":\"t{number}\",\"expires_in\":{LIFETIME}}}")
                            .as_bytes(),
                    )
                    .unwrap(),
                }),
                Ends::WithFailure => Err(TransportError::Broken("reset".into())),
                Ends::Never => std::future::pending().await,
            }
        })
    }
}

struct Away(Arc<AtomicU64>);

impl Drop for Away {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A clock that stands still unless it is advanced; a login without a response reaches its hard
/// stop at once.
struct Still {
    ends: Ends,
    rejects: Rejects,
    logins: Arc<AtomicU64>,
    seconds: Arc<AtomicU64>,
}

impl Clock for Still {
    fn monotonic(&self) -> Duration {
        Duration::from_secs(self.seconds.load(Ordering::SeqCst))
    }

    fn unix_time(&self) -> Duration {
        Duration::from_secs(1_800_000_000 + self.seconds.load(Ordering::SeqCst))
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        match ends(self.ends, self.rejects, self.logins.load(Ordering::SeqCst) + 1) {
            Ends::Never => Box::pin(shuttle::future::yield_now()),
            _ => Box::pin(std::future::pending()),
        }
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

/// Requests a token like a caller that may be cancelled before the token arrives.
fn ask(source: &TokenSource, callers: Callers) -> Result<Token, Error> {
    if callers == Callers::Blocking {
        return source.token_blocking();
    }
    if callers == Callers::Leave && shuttle::rand::thread_rng().r#gen() {
        let mut waiting = Box::pin(source.token());
        let early = shuttle::future::block_on(std::future::poll_fn(|cx| {
            Poll::Ready(waiting.as_mut().poll(cx))
        }));
        drop(waiting);
        if let Poll::Ready(result) = early {
            return result;
        }
        shuttle::thread::yield_now();
    }
    shuttle::future::block_on(source.token())
}

fn one(account: &(Profile, Values), ends: Ends, callers: Callers, rejects: Rejects) {
    let (logins, at_once) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let vendor = Vendor { ends, rejects, logins: logins.clone(), at_once };
    let (profile, values) = account.clone();
    let seconds = Arc::new(AtomicU64::new(1_000));
    let clock = Still { ends, rejects, logins: logins.clone(), seconds: seconds.clone() };
    let source = TokenSource::new(profile, values, Arc::new(clock), Arc::new(vendor), None);
    if rejects == Rejects::Stale {
        source.token_blocking().unwrap();
        seconds.fetch_add(LIFETIME * 9 / 10, Ordering::SeqCst);
    }
    // The newest token that is known to be revoked.
    let dead = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (source, dead) = (source.clone(), dead.clone());
            shuttle::thread::spawn(move || caller(&source, &dead, ends, callers, rejects))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let (logins, counts) = (logins.load(Ordering::SeqCst), source.counts());
    let expected = if rejects == Rejects::Never { 1 } else { 2 };
    assert_eq!(logins, expected, "{ends:?} {callers:?} {rejects:?}");
    assert_eq!(counts.logins, logins);
    // A stale token may be replaced before a caller rejects it.
    assert!(counts.rejections == logins - 1 || rejects == Rejects::Stale && counts.rejections == 0);
}

fn caller(source: &TokenSource, dead: &AtomicU64, ends: Ends, callers: Callers, rejects: Rejects) {
    let ask = || {
        let before = dead.load(Ordering::SeqCst);
        let result = ask(source, callers);
        if let Ok(token) = &result {
            assert!(token.0.number > before, "a rejected token came back");
        }
        result
    };
    let token = match ask() {
        Ok(token) => token,
        Err(error) => {
            assert_ne!(ends, Ends::WithToken, "{error}");
            assert_eq!(error.kind(), Kind::LoginDown);
            return;
        }
    };
    assert!(ends == Ends::WithToken || rejects != Rejects::Never);
    // A late caller may already have the second token.
    if rejects == Rejects::Never || token.0.number > 1 {
        return;
    }
    if rejects != Rejects::Fresh {
        source.accepted(&token, Duration::ZERO);
    }
    assert!(source.reject(&token));
    dead.fetch_max(token.0.number, Ordering::SeqCst);
    match ask() {
        Ok(token) => assert_eq!((ends, token.0.number), (Ends::WithToken, 2)),
        Err(error) => {
            assert!(ends != Ends::WithToken && error.kind() == Kind::LoginDown, "{error}")
        }
    }
}

/// Runs `work` under both schedulers.
fn check(work: impl Fn() + Send + Sync + Clone + 'static) {
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = shuttle::Config::new();
        config.stack_size = 1 << 18;
        shuttle::Runner::new(scheduler, config).run(work.clone());
    };
    run(Box::new(RandomScheduler::new(ITERATIONS)));
    run(Box::new(PctScheduler::new(3, ITERATIONS)));
}

fn account() -> (Profile, Values) {
    let readable =
        "[acme.login]\nurl = \"https://api.acme.example/login\"\nform = { key = \"${key}\" }\n";
    let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
    vault.now().account(&"acme".parse().unwrap()).unwrap().unwrap()
}

fn check_all(ends: Ends, rejections: &[Rejects]) {
    for callers in [Callers::Stay, Callers::Leave, Callers::Blocking] {
        for &rejects in rejections {
            let account = account();
            check(move || one(&account, ends, callers, rejects));
        }
    }
}

#[test]
fn model_a_successful_login() {
    check_all(Ends::WithToken, &[Rejects::Never]);
}

#[test]
fn model_a_token_that_all_callers_reject() {
    check_all(Ends::WithToken, &[Rejects::Fresh, Rejects::Worked, Rejects::Stale]);
}

#[test]
fn model_a_rejected_token_whose_next_login_fails() {
    check_all(Ends::WithFailure, &[Rejects::Fresh, Rejects::Worked, Rejects::Stale]);
}

#[test]
fn model_a_rejected_token_whose_next_login_is_abandoned() {
    check_all(Ends::Never, &[Rejects::Fresh, Rejects::Worked, Rejects::Stale]);
}

#[test]
fn model_a_login_that_fails() {
    check_all(Ends::WithFailure, &[Rejects::Never]);
}

/// A login whose thread ends without a result, as after a panic.
fn start_login_without_result(source: &TokenSource) -> shuttle::thread::JoinHandle<()> {
    let (core, flight) = (source.0.clone(), Arc::new(SingleFlight::default()));
    core.lock().state.login_started(flight.clone());
    shuttle::thread::spawn(move || drop(LoginRun { core, flight }))
}

#[test]
fn model_a_login_that_ends_without_a_result() {
    for callers in [Callers::Stay, Callers::Leave, Callers::Blocking] {
        let account = account();
        check(move || {
            let (profile, values) = account.clone();
            let (ends, rejects, logins) =
                (Ends::Never, Rejects::Never, Arc::<AtomicU64>::default());
            let seconds = Arc::new(AtomicU64::new(1_000));
            let clock = Still { ends, rejects, logins: logins.clone(), seconds };
            let vendor = Vendor { ends, rejects, logins, at_once: Arc::default() };
            let source = TokenSource::new(profile, values, Arc::new(clock), Arc::new(vendor), None);
            let died = start_login_without_result(&source);
            let threads: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let source = source.clone();
                    shuttle::thread::spawn(move || {
                        assert_eq!(ask(&source, callers).unwrap_err().kind(), Kind::LoginDown)
                    })
                })
                .collect();
            threads.into_iter().chain([died]).for_each(|thread| thread.join().unwrap());
            assert_eq!(source.counts().logins, 0);
        });
    }
}

#[test]
fn model_an_abandoned_login() {
    check_all(Ends::Never, &[Rejects::Never]);
}
