//! How does a login run to its end? On a thread that belongs to no caller; whatever becomes of it, those who wait are told.

use crate::attempts::Attempts;
use crate::error::{Error, Result};
use crate::expiry::ExpiryFrom;
use crate::flight::Flight;
use crate::login::{Class, Failure, Outcome};
use crate::metrics;
use crate::steps::{self, Account, Login};
use crate::sync::{Ordering, Runtime};
use crate::token::{Entry, Published};
use crate::token_source::Core;
use bootseal_core::Kind;
use std::sync::Arc;
use std::time::Duration;

/// A login that does not end by itself is given up so long after its own timeout.
const HARD_STOP: Duration = Duration::from_secs(5);
/// So many seconds a token that was replaced is left to the calls that are under way with it, before it is logged out.
const GRACE: u32 = 60;

/// The end of a flight, however it ends: dropped without a result, it lands an error, so that nobody waits for ever.
pub(crate) struct Landing {
    pub(crate) core: Arc<Core>,
    pub(crate) flight: Arc<Flight>,
}

impl Landing {
    pub(crate) fn fly(self) {
        let core = &self.core;
        let runtime = Runtime::new();
        let down = |text: String| {
            Outcome::Failed(Failure { class: Class::Down { unsent: false }, text, status: None, retry_after: None })
        };
        let mut old = None;
        // Where the file changed under a login, it is made again with what the file says now.
        for _ in 0..3 {
            let account = core.account.load_full();
            let (sent_boot, sent_wall) = (core.clock.boot(), core.clock.wall());
            let attempts = core.lock().attempts.clone();
            let _under_way = attempts.as_ref().map(|attempts| attempts.begin(sent_wall));
            let outcome = match &runtime {
                Err(error) => down(format!("no runtime for the login: {error}")),
                Ok(runtime) => runtime.block_on(async {
                    let longest = account.profile.login_timeout + HARD_STOP;
                    let stop = core.clock.sleep(longest);
                    let outcome = first_of(core.log_in(&account, attempts.as_ref()), stop).await;
                    outcome.unwrap_or_else(|| down(format!("gave no answer within {longest:?}")))
                }),
            };
            old = core.cell.load_full();
            if self.publish(&account, outcome, sent_boot, sent_wall) {
                break;
            }
        }
        if let Ok(runtime) = runtime {
            runtime.end();
        }
        if let Some(old) = old.filter(|_| self.flight.result().is_some_and(|result| result.is_ok())) {
            self.end_old(&old);
        }
    }

    /// Ends the token that was replaced, when no call has it any more.
    fn end_old(&self, old: &Published) {
        let core = &self.core;
        let rejected = old.rejected.load(Ordering::Relaxed);
        let profile = core.account.load_full();
        let profile = &profile.profile;
        if profile.logout.is_none()
            || profile.logout_first
            || rejected
            || old.age(&*core.clock) >= old.deadlines.hard_at
        {
            return;
        }
        if let Ok(runtime) = Runtime::new() {
            runtime.block_on(async {
                for _ in 0..GRACE {
                    if !old.in_use() {
                        break;
                    }
                    core.clock.sleep(Duration::from_secs(1)).await;
                }
            });
        }
        let _ = core.end(old);
    }

    /// Lands what the login came to. `false`: it was made with what is no longer in the file, and is to be made again.
    fn publish(&self, account: &Arc<Account>, outcome: Outcome, sent_boot: Duration, sent_wall: Duration) -> bool {
        let core = &self.core;
        let mut state = core.lock();
        if !Arc::ptr_eq(account, &core.account.load()) && !state.gone {
            return false;
        }
        let class = match &outcome {
            Outcome::Token(_) => "ok",
            Outcome::Failed(failure) => failure.class.kind().as_str(),
        };
        metrics::login(&account.profile.table, class, core.clock.boot().saturating_sub(sent_boot));
        let result = match outcome {
            Outcome::Failed(failure) => Err(core.fail(&mut state, &failure)),
            Outcome::Token(_) if state.gone => Err(core.no_longer()),
            Outcome::Token(fresh) => {
                let (status, life, skew) = (fresh.status, fresh.life, fresh.clock_skew);
                let recovered = state.error.take();
                state.gate.open();
                metrics::gate(&account.profile.table, 0);
                let replaced = core.cell.load_full().map(|old| old.age(&*core.clock));
                metrics::token(&account.profile.table, life.life, replaced, skew);
                // First the cell, then the waiters: who wakes up must find it there.
                let (token, born_expired) = core.put(&mut state, account, fresh, sent_boot, sent_wall);
                let table = &account.profile.table;
                if born_expired {
                    state.gate.born_expired(core.clock.boot());
                    tracing::warn!(target: "bootseal", profile = %table, skew, "clock_skew: the token had run out before it came; is the clock of this machine right?");
                }
                if life.from == ExpiryFrom::Default {
                    tracing::warn!(target: "bootseal", profile = %table, life = ?life.life, "expiry_unknown: the answer does not say how long the token lives");
                }
                if recovered.is_some() {
                    tracing::info!(target: "bootseal", profile = %table, "recovered: logins work again");
                }
                tracing::info!(target: "bootseal", profile = %table, status, life = ?life.life, from = life.from.as_str(), "refreshed: there is a new token");
                Ok(token)
            }
        };
        state.flight = None;
        drop(state);
        // Before the waiters are told: a service that ends at this error has to find it at its next start.
        core.remember();
        self.flight.land(result);
        true
    }
}

impl Drop for Landing {
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
        let error = self.core.fail(&mut state, &failure);
        drop(state);
        self.core.remember();
        self.flight.land(Err(error));
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
            let _ = self.send_logout(account, &entry).await;
        }
        // After the logout, which has the time of the hard stop.
        login.until = self.clock.boot() + account.profile.login_timeout;
        login.run().await
    }

    /// Ends a token at the vendor, on a runtime of its own.
    pub(crate) fn end(&self, entry: &Entry) -> Result<()> {
        let account = self.account.load_full();
        if account.profile.logout.is_none() {
            return Ok(());
        }
        let runtime =
            Runtime::new().map_err(|error| Error::new(Kind::Io, format!("no runtime for the logout: {error}")))?;
        let ended = runtime.block_on(self.send_logout(&account, entry));
        runtime.end();
        ended
    }

    async fn send_logout(&self, account: &Account, entry: &Entry) -> Result<()> {
        let Some(call) = &account.profile.logout else { return Ok(()) };
        let request = steps::logout(account, call, entry)?;
        let answer = self.transport.send(request).await;
        let origin = call.url.base().origin().ascii_serialization();
        match answer {
            // What is gone already is what was asked for.
            Ok(answer) if answer.status < 400 || [401, 404, 410].contains(&answer.status) => Ok(()),
            Ok(answer) => {
                let text = format!("logout of `{}`: {origin} answered {}", account.profile.table, answer.status);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginProtocol, text).with_status(Some(answer.status)))
            }
            Err(_) => {
                let text = format!("logout of `{}`: {origin} gave no answer", account.profile.table);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginDown, text))
            }
        }
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
