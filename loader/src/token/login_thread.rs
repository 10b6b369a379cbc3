//! How does a login run to its end? On a thread that belongs to no caller; whatever becomes of it, those who wait are told.

use crate::error::Result;
use crate::login::clock::Moment;
use crate::login::expiry::ExpiryFrom;
use crate::login::procedure::{Account, Login};
use crate::login::{Class, Failure, Outcome};
use crate::token::login_history::Attempts;
use crate::token::metrics;
use crate::token::single_flight::Flight;
use crate::token::source::Core;
use crate::token::sync::{Ordering, Runtime};
use crate::token::{Published, Token};
use std::sync::Arc;
use std::time::Duration;

/// A login that does not end by itself is given up so long after its own timeout.
const HARD_STOP: Duration = Duration::from_secs(5);

/// The end of a flight, however it ends: dropped without a result, it lands an error, so that nobody waits for ever.
pub(crate) struct LoginRun {
    pub(crate) core: Arc<Core>,
    pub(crate) flight: Arc<Flight>,
}

impl LoginRun {
    pub(crate) fn fly(self) {
        let core = &self.core;
        let runtime = Runtime::new();
        let down = |text: String| {
            Outcome::Failed(Failure { class: Class::Down { unsent: false }, text, status: None, retry_after: None })
        };
        let mut replaced = None;
        // Where the file changed under a login, it is made again with what the file says now.
        for _ in 0..3 {
            let account = core.account.load_full();
            let sent = Moment::now(&*core.clock);
            let attempts = core.lock().attempts.clone();
            let _under_way = attempts.as_ref().map(|attempts| attempts.begin(sent.unix_time));
            let outcome = match &runtime {
                Err(error) => down(format!("no runtime for the login: {error}")),
                Ok(runtime) => runtime.block_on(async {
                    let longest = account.profile.login_timeout + HARD_STOP;
                    let stop = core.clock.sleep(longest);
                    let outcome = first_of(core.log_in(&account, attempts.as_ref()), stop).await;
                    outcome.unwrap_or_else(|| down(format!("gave no answer within {longest:?}")))
                }),
            };
            match self.publish(&account, outcome, sent) {
                Landed::Again => {}
                Landed::Done(old) => {
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

    /// Lands what the login came to.
    fn publish(&self, account: &Arc<Account>, outcome: Outcome, sent: Moment) -> Landed {
        let core = &self.core;
        let table = &account.profile.table;
        let took = core.clock.monotonic().saturating_sub(sent.monotonic);
        let mut state = core.lock();
        if !state.gone && !Arc::ptr_eq(account, &core.account.load()) {
            drop(state);
            self.end_unwanted(account, outcome, sent);
            return Landed::Again;
        }
        state.flight = None;
        match outcome {
            Outcome::Failed(failure) => {
                let class = failure.class.kind().as_str();
                let setback = core.fail(&mut state, failure);
                drop(state);
                metrics::login(table, class, took);
                core.tell(&setback);
                self.land(Err(setback.error));
            }
            Outcome::Token(fresh) if state.gone => {
                drop(state);
                metrics::login(table, "ok", took);
                self.land(Err(core.no_longer()));
                self.end_unwanted(account, Outcome::Token(fresh), sent);
            }
            Outcome::Token(fresh) => {
                let (status, lifetime, skew) = (fresh.status, fresh.lifetime, fresh.clock_skew);
                let recovered = state.error.take();
                state.last_login = Some((core.clock.unix_time(), Ok(status)));
                state.gate.open();
                if lifetime.born_expired {
                    state.gate.born_expired(core.clock.monotonic());
                }
                let before = core.cell.load_full();
                let age = before.as_ref().map(|old| old.age(&*core.clock));
                // One that had run out before it came takes the place of nothing better.
                let better = core.good().filter(|_| lifetime.born_expired);
                let (token, unwanted, replaced) = match better {
                    Some(good) => (good.token(), Some(fresh), None),
                    // First the cell, then the waiters: who wakes up must find it there.
                    None => (core.put(&mut state, account, fresh, sent), None, before),
                };
                drop(state);
                metrics::login(table, "ok", took);
                metrics::gate(table, 0);
                if !account.profile.next.is_empty() {
                    metrics::next_in_use(table, account.turn().next_first);
                }
                metrics::token(table, lifetime.lifetime, age, skew);
                if lifetime.born_expired {
                    tracing::warn!(target: "bootseal", profile = %table, skew, "clock_skew: the token had run out before it came; is the clock of this machine right?");
                }
                if lifetime.from == ExpiryFrom::Default {
                    tracing::warn!(target: "bootseal", profile = %table, life = ?lifetime.lifetime, "expiry_unknown: the answer does not say how long the token lives");
                }
                if recovered.is_some() {
                    tracing::info!(target: "bootseal", profile = %table, "recovered: logins work again");
                }
                tracing::info!(target: "bootseal", profile = %table, status, life = ?lifetime.lifetime, from = lifetime.from.as_str(), "refreshed: there is a new token");
                let kept = token.clone();
                self.land(Ok(token));
                if let Some(fresh) = unwanted.filter(|fresh| !fresh.secret.same_as(&kept.0.secret)) {
                    self.end_unwanted(account, Outcome::Token(fresh), sent);
                }
                return Landed::Done(replaced);
            }
        }
        Landed::Done(None)
    }

    fn land(&self, result: Result<Token>) {
        // Before the waiters are told: a service that ends at this error has to find it at its next start.
        self.core.remember();
        self.flight.land(result);
    }

    /// A session that nobody will use is ended at the vendor.
    fn end_unwanted(&self, account: &Arc<Account>, outcome: Outcome, sent: Moment) {
        if let Outcome::Token(fresh) = outcome {
            let _ = self.core.end(&self.core.entry(account, fresh, sent, 0));
        }
    }
}

enum Landed {
    /// It was made with what is no longer in the file, and is to be made again.
    Again,
    /// With the token whose place was taken.
    Done(Option<Arc<Published>>),
}

impl Drop for LoginRun {
    fn drop(&mut self) {
        if self.flight.result().is_some() {
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
        let setback = self.core.fail(&mut state, failure);
        drop(state);
        self.core.tell(&setback);
        self.land(Err(setback.error));
    }
}

impl Core {
    /// The login itself, to its end.
    async fn log_in(&self, account: &Account, attempts: Option<&Attempts>) -> Outcome {
        let mut login = {
            let state = self.lock();
            // With a token that was rejected before it ever worked, what refreshes it is no better.
            let kept = self.cell.load_full().filter(|entry| {
                entry.accepted.load(Ordering::Relaxed) || entry.number > self.revoked.load(Ordering::Acquire)
            });
            Login {
                account,
                transport: &*self.transport,
                clock: &*self.clock,
                logins: &self.counts.logins,
                refreshes: &self.counts.refreshes,
                kept: kept.filter(|_| !state.gone).map(|entry| entry.captured.clone()),
                doubt: state.gate.doubt(),
                last_code: &self.last_code,
                attempts,
                until: Duration::ZERO,
            }
        };
        if account.profile.logout_first
            && let Some(entry) = self.good()
        {
            // Where only one session may be: the old one makes room.
            self.revoked.fetch_max(entry.number, Ordering::AcqRel);
            entry.rejected.store(true, Ordering::Relaxed);
            let _ = self.send_logout(&entry).await;
        }
        // After the logout, which has the time of the hard stop.
        login.until = self.clock.monotonic() + account.profile.login_timeout;
        login.run().await
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
