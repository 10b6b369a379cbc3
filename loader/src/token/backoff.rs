//! May someone log in now? What a failed login forbids for how long, and what holds a loop of rejections.
//!
//! ```text
//!            token                      token
//!          ┌───────┐   down, 429, …   ┌─────────┐
//!          │ Open  │ ───────────────► │ Backoff │  until a moment, then one attempt
//!          └───────┘ ◄─────────────── └─────────┘
//!            ▲   │ refused              │ refused, or the third answer in a row without a token
//!   token,   │   ▼                      ▼
//!   reset_backoff│ ┌─────────────────────────┐
//!            └─│ Refused                 │  one attempt after 15 min, then 30, then each hour
//!              └─────────────────────────┘
//! ```

use crate::login::{Class, Failure};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const FIRST_PROBE: Duration = Duration::from_secs(15 * 60);
const LAST_PROBE: Duration = Duration::from_secs(60 * 60);
/// A token that dies younger than this without one accepted call was never good.
pub(crate) const YOUNG: Duration = Duration::from_secs(10);
/// More revocations than this, of tokens that had worked, within the window: that is another host's login, and no vendor's housekeeping.
const MOST_REVOCATIONS: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// What the failures before, in a row, say of these credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Doubt {
    #[serde(default)]
    pub(crate) perhaps_refused: bool,
    /// Answers that held no token though they claimed success.
    #[serde(default)]
    pub(crate) without_token: u32,
}

impl Doubt {
    /// Whether a failure of this class now means that the credentials are wrong.
    pub(crate) fn refuses(self, class: Class) -> bool {
        match class {
            Class::Refused => true,
            Class::PerhapsRefused => self.perhaps_refused,
            // Some vendors say "wrong password" with a 200.
            Class::NoToken => self.without_token >= 2,
            _ => false,
        }
    }

    fn after(self, class: Class) -> Doubt {
        let without_token = if class == Class::NoToken { self.without_token.saturating_add(1) } else { 0 };
        Doubt { perhaps_refused: class == Class::PerhapsRefused, without_token }
    }
}

/// Instants are times since boot.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut_until: Option<Duration>,
    how: BackoffReason,
    /// What shut it was no failure.
    born_expired: bool,
    /// Failures in a row, whatever they were.
    in_a_row: u32,
    refusals: u32,
    doubt: Doubt,
}

/// How a failure left the gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BackoffReason {
    #[default]
    Backoff,
    Refused,
}

/// What a restart must know of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SavedBackoff {
    pub(crate) refused: bool,
    pub(crate) wait: Duration,
    pub(crate) in_a_row: u32,
    pub(crate) doubt: Doubt,
}

impl Gate {
    /// How long it is still shut; `None` where one login may be made.
    pub(crate) fn wait(&self, now: Duration) -> Option<Duration> {
        self.shut_until.and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero())
    }

    pub(crate) fn open(&mut self) {
        *self = Gate::default();
    }

    /// As it was left by a process that is gone. A clock that was set makes it no longer than a probe.
    pub(crate) fn restored(kept: SavedBackoff, monotonic: Duration) -> Gate {
        let SavedBackoff { refused, wait, in_a_row, doubt } = kept;
        Gate {
            shut_until: (!wait.is_zero()).then(|| monotonic + wait.min(LAST_PROBE)),
            how: if refused { BackoffReason::Refused } else { BackoffReason::Backoff },
            in_a_row,
            refusals: if refused { in_a_row } else { 0 },
            doubt,
            ..Gate::default()
        }
    }

    /// Whether what shut it was a refusal, and not an outage.
    pub(crate) fn refused(&self) -> bool {
        self.how == BackoffReason::Refused
    }

    pub(crate) fn doubt(&self) -> Doubt {
        self.doubt
    }

    /// `None` where the last login did not fail.
    pub(crate) fn to_keep(&self, now: Duration) -> Option<SavedBackoff> {
        let in_a_row = if self.refused() { self.refusals } else { self.in_a_row };
        (in_a_row > 0).then(|| SavedBackoff {
            refused: self.refused(),
            wait: self.wait(now).unwrap_or_default(),
            in_a_row,
            doubt: self.doubt,
        })
    }

    /// A token that came without any life left: no failure, and no reason to ask for the next one at each call.
    pub(crate) fn born_expired(&mut self, now: Duration) {
        (self.shut_until, self.born_expired) = (Some(now + 5 * SECOND), true);
    }

    /// A token died that had worked: it was good then, whatever it said of its life.
    pub(crate) fn token_died(&mut self) {
        if std::mem::take(&mut self.born_expired) {
            self.shut_until = None;
        }
    }

    pub(crate) fn failed(&mut self, failure: &Failure, now: Duration, jitter: f64) -> BackoffReason {
        let refused = self.doubt.refuses(failure.class);
        self.doubt = self.doubt.after(failure.class);
        let doubled = |base: Duration, most: Duration| base.saturating_mul(1 << self.in_a_row.min(16)).min(most);
        let wait = if refused {
            let wait = FIRST_PROBE.saturating_mul(1 << self.refusals.min(4)).min(LAST_PROBE);
            self.refusals += 1;
            wait
        } else {
            match failure.class {
                Class::Throttled => {
                    let asked = failure.retry_after.unwrap_or(30 * SECOND).clamp(SECOND, 15 * 60 * SECOND);
                    asked + asked.mul_f64(0.1 * jitter)
                }
                Class::Tls => doubled(30 * SECOND, 300 * SECOND),
                Class::Protocol | Class::NoToken => doubled(5 * SECOND, 300 * SECOND),
                Class::Redirect => 60 * SECOND,
                Class::PerhapsRefused => 30 * SECOND,
                // Full jitter, so that a fleet does not come back in step.
                _ => doubled(SECOND / 2, 60 * SECOND).mul_f64(jitter).max(SECOND / 10),
            }
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.shut_until = Some(now + wait);
        self.born_expired = false;
        self.how = if refused { BackoffReason::Refused } else { BackoffReason::Backoff };
        self.how
    }
}

/// Holds the loop in which each fresh token is rejected and each rejection asks for a fresh token: wrong rights, or a wrong audience.
/// A token that worked and then was revoked is no such loop, though a vendor revoke every three seconds.
///
/// And the one in which two hosts end each other's session, at a vendor that lets an account have only one: there each token works once.
/// That is told by its speed.
#[derive(Debug, Default)]
pub(crate) struct LoopGuard {
    /// Rejections in a row of tokens that no call had been answered with.
    fruitless: u32,
    /// When tokens that had worked were rejected, within the last [`WINDOW`].
    revocations: VecDeque<Duration>,
    holds_until: Option<Duration>,
    holds: u32,
    /// A call was answered with the present token since it holds: what is rejected meanwhile is the call, not the token.
    accepted_since: bool,
}

/// What kind of loop it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopKind {
    Fresh,
    /// Tokens that had worked, one after the other.
    Revoked,
}

impl LoopGuard {
    /// Whether a rejection may ask for a login now; while it may not, the rejected answer is the caller's. A token that `worked`
    /// before, and with which nothing was answered since, has died in the meantime: that is a revocation and no loop.
    pub(crate) fn lets(&self, worked: bool, now: Duration) -> bool {
        !self.holds(now) || worked && !self.accepted_since
    }

    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.holds_until.is_some_and(|until| now < until)
    }

    pub(crate) fn accepted(&mut self) {
        self.fruitless = 0;
        self.accepted_since = true;
    }

    /// A token was rejected; returns whether this makes it a loop.
    pub(crate) fn rejected(&mut self, worked: bool, young: bool, now: Duration) -> Option<LoopKind> {
        self.fruitless = if worked || !young { 0 } else { self.fruitless + 1 };
        if worked {
            while self.revocations.front().is_some_and(|first| *first + WINDOW <= now) {
                self.revocations.pop_front();
            }
            self.revocations.push_back(now);
        }
        let found = match worked {
            true => (self.revocations.len() > MOST_REVOCATIONS).then_some(LoopKind::Revoked),
            false => (self.fruitless >= 2).then_some(LoopKind::Fresh),
        };
        found.filter(|_| self.hold(now))
    }

    /// A call was rejected again, with a token that was fetched for it.
    pub(crate) fn replay_rejected(&mut self, now: Duration) -> bool {
        self.hold(now)
    }

    fn hold(&mut self, now: Duration) -> bool {
        if self.holds(now) {
            return false;
        }
        // Long after the last one it is a new beginning.
        if self.holds_until.is_some_and(|until| now > until + 600 * SECOND) {
            self.holds = 0;
        }
        self.accepted_since = false;
        self.holds_until = Some(now + (30 * SECOND).saturating_mul(1 << self.holds.min(4)).min(300 * SECOND));
        self.holds += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: Class) -> Failure {
        Failure { class, text: String::new(), status: None, retry_after: None }
    }

    #[test]
    fn each_class_waits_as_the_table_says() {
        for (class, expected) in [
            (Class::Refused, 900),
            (Class::PerhapsRefused, 30),
            (Class::Throttled, 33),
            (Class::Tls, 30),
            (Class::Protocol, 5),
            (Class::NoToken, 5),
            (Class::Redirect, 60),
        ] {
            let mut gate = Gate::default();
            gate.failed(&failure(class), SECOND, 1.0);
            assert_eq!(gate.wait(SECOND), Some(expected * SECOND), "{class:?}");
            assert_eq!(gate.wait((1 + expected) * SECOND), None);
        }
    }

    #[test]
    fn outages_back_off_with_jitter_up_to_a_minute() {
        let mut gate = Gate::default();
        let waits: Vec<Duration> = (0..12)
            .map(|_| {
                gate.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 1.0);
                gate.wait(Duration::ZERO).unwrap()
            })
            .collect();
        assert_eq!(waits[0], SECOND / 2);
        assert_eq!(waits[3], 4 * SECOND);
        assert_eq!(waits[11], 60 * SECOND);
        let mut gate = Gate::default();
        gate.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 0.0);
        assert_eq!(gate.wait(Duration::ZERO), Some(SECOND / 10));
    }

    #[test]
    fn what_the_vendor_asks_for_is_kept_within_bounds() {
        for (asked, expected) in [(0, 1), (7, 7), (3600, 900)] {
            let mut gate = Gate::default();
            gate.failed(
                &Failure { retry_after: Some(asked * SECOND), ..failure(Class::Throttled) },
                Duration::ZERO,
                0.0,
            );
            assert_eq!(gate.wait(Duration::ZERO), Some(expected * SECOND));
        }
    }

    #[test]
    fn a_refusal_is_asked_again_after_a_quarter_then_half_then_each_hour() {
        let mut gate = Gate::default();
        for minutes in [15, 30, 60, 60, 60, 60] {
            assert_eq!(gate.failed(&failure(Class::Refused), Duration::ZERO, 0.5), BackoffReason::Refused);
            assert_eq!(gate.wait(Duration::ZERO), Some(minutes * 60 * SECOND));
        }
    }

    #[test]
    fn what_may_be_a_refusal_is_one_when_it_comes_again() {
        let mut gate = Gate::default();
        assert_eq!(gate.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5), BackoffReason::Backoff);
        assert_eq!(gate.failed(&failure(Class::PerhapsRefused), 30 * SECOND, 0.5), BackoffReason::Refused);
        let mut gate = Gate::default();
        let shut = [Class::NoToken; 3].map(|class| gate.failed(&failure(class), Duration::ZERO, 0.5));
        assert_eq!(shut, [BackoffReason::Backoff, BackoffReason::Backoff, BackoffReason::Refused]);
        // What says nothing of the credentials is none, however often it comes.
        let mut gate = Gate::default();
        let shut = [Class::Protocol; 9].map(|class| gate.failed(&failure(class), Duration::ZERO, 0.5));
        assert_eq!(shut, [BackoffReason::Backoff; 9]);
        let mut gate = Gate::default();
        gate.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5);
        gate.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 0.5);
        assert_eq!(gate.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5), BackoffReason::Backoff);
    }

    #[test]
    fn only_tokens_that_never_worked_make_a_loop() {
        let mut guard = LoopGuard::default();
        for second in 0..100 {
            // Every second: sixty within a minute.
            assert_eq!(guard.rejected(true, true, second * SECOND), None, "revocations of working tokens");
        }
        assert_eq!(guard.rejected(false, true, 200 * SECOND), None);
        assert_eq!(guard.rejected(false, true, 201 * SECOND), Some(LoopKind::Fresh));
        let lets = |guard: &LoopGuard, second: u32| guard.lets(false, second * SECOND);
        assert!(!lets(&guard, 230) && lets(&guard, 231));
        // The next time it holds longer, at most five minutes.
        assert!(guard.replay_rejected(231 * SECOND));
        assert!(!lets(&guard, 290) && lets(&guard, 291));
        // Long after that it begins anew.
        assert!(guard.replay_rejected(1000 * SECOND));
        assert!(!lets(&guard, 1029) && lets(&guard, 1030));
    }

    #[test]
    fn two_hosts_that_end_each_others_session_are_held() {
        let mut guard = LoopGuard::default();
        let mut logins: Vec<u32> = Vec::new();
        // Each token is answered once and found dead by the next call, half a second later, for an hour.
        for call in 0..7200 {
            let now = call * SECOND / 2;
            if guard.lets(true, now) {
                let looped = guard.rejected(true, true, now);
                assert!(looped != Some(LoopKind::Fresh) && looped.is_some() == (call >= 60 && !guard.accepted_since));
                logins.push(call);
                guard.accepted();
            }
        }
        assert_eq!(logins[..62], [(0..61).collect::<Vec<u32>>(), vec![120]].concat());
        assert!(logins.len() < 900, "{}", logins.len()); // of 7200
    }

    #[test]
    fn a_token_that_worked_and_died_is_replaced_even_while_it_holds() {
        let mut guard = LoopGuard::default();
        guard.replay_rejected(SECOND);
        assert!(guard.lets(true, 2 * SECOND), "nothing was answered since: the token is dead");
        guard.accepted();
        assert!(!guard.lets(true, 3 * SECOND), "others are answered with it: this call is not allowed");
    }
}
