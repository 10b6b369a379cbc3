//! The backoff: the wait before the next login, after a login has failed.
//!
//! ```text
//!            token                      token
//!          ┌───────┐   down, 429, …   ┌─────────┐
//!          │ Open  │ ───────────────► │ Backoff │  after a wait, one attempt
//!          └───────┘ ◄─────────────── └─────────┘
//!            ▲   │ refused              │ refused, or the third response in a row without a token
//!   token,   │   ▼                      ▼
//!   reset_   │ ┌─────────────────────────┐
//!   backoff  └─│ Refused                 │  one attempt after 15 min, then 30, then every hour
//!              └─────────────────────────┘
//! ```

use crate::login::outcome::{Class, Failure, RefusalHints};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The wait after the first refusal.
const FIRST_PROBE: Duration = Duration::from_secs(15 * 60);
/// The longest wait after a refusal, and the longest saved wait that a restart applies.
const LAST_PROBE: Duration = Duration::from_secs(60 * 60);

/// The wait after failed logins. Instants are times on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    until: Option<Duration>,
    reason: BackoffReason,
    /// Whether the wait follows a token that had expired on arrival, not a failure.
    born_expired: bool,
    /// The number of failures in a row, of any class.
    in_a_row: u32,
    refusals: u32,
    hints: RefusalHints,
}

/// The reason for a backoff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BackoffReason {
    /// The login failed for a reason other than the credentials.
    #[default]
    Failed,
    /// The vendor refused the credentials.
    Refused,
}

/// The part of a backoff that a restart must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SavedBackoff {
    pub(crate) refused: bool,
    pub(crate) wait: Duration,
    pub(crate) in_a_row: u32,
    pub(crate) hints: RefusalHints,
}

impl Backoff {
    /// The time until a login may be made; `None` if one may be made now.
    pub(crate) fn remaining(&self, now: Duration) -> Option<Duration> {
        self.until.and_then(|until| until.checked_sub(now)).filter(|left| !left.is_zero())
    }

    /// Ends the wait and forgets all failures.
    pub(crate) fn reset(&mut self) {
        *self = Backoff::default();
    }

    /// Restores the backoff that an earlier process saved. The wait is capped at [`LAST_PROBE`],
    /// in case the clock was changed in between.
    pub(crate) fn restored(saved: SavedBackoff, now: Duration) -> Backoff {
        let SavedBackoff { refused, wait, in_a_row, hints } = saved;
        Backoff {
            until: (!wait.is_zero()).then(|| now + wait.min(LAST_PROBE)),
            reason: if refused { BackoffReason::Refused } else { BackoffReason::Failed },
            in_a_row,
            refusals: if refused { in_a_row } else { 0 },
            hints,
            ..Backoff::default()
        }
    }

    /// Whether the last failure was a refusal of the credentials.
    pub(crate) fn is_refused(&self) -> bool {
        self.reason == BackoffReason::Refused
    }

    pub(crate) fn hints(&self) -> RefusalHints {
        self.hints
    }

    /// The part that outlives the process; `None` if the last login did not fail.
    pub(crate) fn to_save(&self, now: Duration) -> Option<SavedBackoff> {
        let in_a_row = if self.is_refused() { self.refusals } else { self.in_a_row };
        (in_a_row > 0).then(|| SavedBackoff {
            refused: self.is_refused(),
            wait: self.remaining(now).unwrap_or_default(),
            in_a_row,
            hints: self.hints,
        })
    }

    /// Records a token that had expired on arrival. This is not a failure, but it must not cause a
    /// login for each call either.
    pub(crate) fn token_born_expired(&mut self, now: Duration) {
        (self.until, self.born_expired) = (Some(now + 5 * SECOND), true);
    }

    /// Records that a token was rejected after it had worked. Whatever its stated expiry, the token
    /// was valid on arrival, so a new login may be made at once.
    pub(crate) fn working_token_rejected(&mut self) {
        if std::mem::take(&mut self.born_expired) {
            self.until = None;
        }
    }

    /// Records a failed login. `jitter`, from 0 to 1, spreads the next attempts of many processes.
    pub(crate) fn failed(
        &mut self,
        failure: &Failure,
        now: Duration,
        jitter: f64,
    ) -> BackoffReason {
        if let Class::OutOfResources { unsent } = failure.class {
            // Not the vendor's fault: what is known of its responses stays, and the pause only
            // prevents a login for each call.
            let wait = if unsent { SECOND / 2 } else { 5 * SECOND };
            self.until = self.until.max(Some(now + wait));
            return self.reason;
        }
        let refused = self.hints.refuses(failure.class);
        self.hints = self.hints.after(failure.class);
        let doubled = |base: Duration, most: Duration| {
            base.saturating_mul(1 << self.in_a_row.min(16)).min(most)
        };
        let wait = if refused {
            let wait = FIRST_PROBE.saturating_mul(1 << self.refusals.min(4)).min(LAST_PROBE);
            self.refusals += 1;
            wait
        } else {
            match failure.class {
                Class::Throttled => {
                    let asked =
                        failure.retry_after.unwrap_or(30 * SECOND).clamp(SECOND, 15 * 60 * SECOND);
                    asked + asked.mul_f64(0.1 * jitter)
                }
                Class::Tls => doubled(30 * SECOND, 300 * SECOND),
                Class::Protocol | Class::NoToken => doubled(5 * SECOND, 300 * SECOND),
                Class::Redirect => 60 * SECOND,
                Class::PerhapsRefused => 30 * SECOND,
                // Full jitter, so that the processes of a fleet do not retry all at once.
                _ => doubled(SECOND / 2, 60 * SECOND).mul_f64(jitter).max(SECOND / 10),
            }
        };
        self.in_a_row = self.in_a_row.saturating_add(1);
        self.until = Some(now + wait);
        self.born_expired = false;
        self.reason = if refused { BackoffReason::Refused } else { BackoffReason::Failed };
        self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(class: Class) -> Failure {
        Failure { class, text: String::new(), status: None, retry_after: None }
    }

    #[test]
    fn each_failure_class_has_its_own_wait() {
        for (class, expected) in [
            (Class::Refused, 900),
            (Class::PerhapsRefused, 30),
            (Class::Throttled, 33),
            (Class::Tls, 30),
            (Class::Protocol, 5),
            (Class::NoToken, 5),
            (Class::Redirect, 60),
        ] {
            let mut backoff = Backoff::default();
            backoff.failed(&failure(class), SECOND, 1.0);
            assert_eq!(backoff.remaining(SECOND), Some(expected * SECOND), "{class:?}");
            assert_eq!(backoff.remaining((1 + expected) * SECOND), None);
        }
    }

    #[test]
    fn a_login_that_failed_for_lack_of_resources_does_not_count() {
        let mut backoff = Backoff::default();
        for unsent in [true, false] {
            for _ in 0..9 {
                backoff.failed(&failure(Class::OutOfResources { unsent }), Duration::ZERO, 1.0);
            }
        }
        assert_eq!(backoff.remaining(Duration::ZERO), Some(5 * SECOND));
        assert_eq!(backoff.to_save(Duration::ZERO), None, "a restart need not know it");
        backoff.failed(&failure(Class::Down { unsent: true }), 5 * SECOND, 1.0);
        assert_eq!(backoff.remaining(5 * SECOND), Some(SECOND / 2), "as after the first failure");
        // What is known of the vendor's responses stays.
        let mut backoff = Backoff::default();
        backoff.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5);
        backoff.failed(&failure(Class::OutOfResources { unsent: true }), 30 * SECOND, 0.5);
        assert_eq!(
            backoff.failed(&failure(Class::PerhapsRefused), 31 * SECOND, 0.5),
            BackoffReason::Refused
        );
    }

    #[test]
    fn outages_back_off_with_jitter_up_to_a_minute() {
        let mut backoff = Backoff::default();
        let waits: Vec<Duration> = (0..12)
            .map(|_| {
                backoff.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 1.0);
                backoff.remaining(Duration::ZERO).unwrap()
            })
            .collect();
        assert_eq!(waits[0], SECOND / 2);
        assert_eq!(waits[3], 4 * SECOND);
        assert_eq!(waits[11], 60 * SECOND);
        let mut backoff = Backoff::default();
        backoff.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 0.0);
        assert_eq!(backoff.remaining(Duration::ZERO), Some(SECOND / 10));
    }

    #[test]
    fn the_wait_that_the_vendor_asks_for_stays_within_bounds() {
        for (asked, expected) in [(0, 1), (7, 7), (3600, 900)] {
            let mut backoff = Backoff::default();
            backoff.failed(
                &Failure { retry_after: Some(asked * SECOND), ..failure(Class::Throttled) },
                Duration::ZERO,
                0.0,
            );
            assert_eq!(backoff.remaining(Duration::ZERO), Some(expected * SECOND));
        }
    }

    #[test]
    fn refused_credentials_are_tried_again_after_15_minutes_then_30_then_every_hour() {
        let mut backoff = Backoff::default();
        for minutes in [15, 30, 60, 60, 60, 60] {
            assert_eq!(
                backoff.failed(&failure(Class::Refused), Duration::ZERO, 0.5),
                BackoffReason::Refused
            );
            assert_eq!(backoff.remaining(Duration::ZERO), Some(minutes * 60 * SECOND));
        }
    }

    #[test]
    fn a_repeated_possible_refusal_counts_as_a_refusal() {
        let mut backoff = Backoff::default();
        assert_eq!(
            backoff.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5),
            BackoffReason::Failed
        );
        assert_eq!(
            backoff.failed(&failure(Class::PerhapsRefused), 30 * SECOND, 0.5),
            BackoffReason::Refused
        );
        let mut backoff = Backoff::default();
        let reasons =
            [Class::NoToken; 3].map(|class| backoff.failed(&failure(class), Duration::ZERO, 0.5));
        assert_eq!(reasons, [BackoffReason::Failed, BackoffReason::Failed, BackoffReason::Refused]);
        // A response that does not concern the credentials never becomes a refusal.
        let mut backoff = Backoff::default();
        let reasons =
            [Class::Protocol; 9].map(|class| backoff.failed(&failure(class), Duration::ZERO, 0.5));
        assert_eq!(reasons, [BackoffReason::Failed; 9]);
        let mut backoff = Backoff::default();
        backoff.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5);
        backoff.failed(&failure(Class::Down { unsent: false }), Duration::ZERO, 0.5);
        assert_eq!(
            backoff.failed(&failure(Class::PerhapsRefused), Duration::ZERO, 0.5),
            BackoffReason::Failed
        );
    }
}
