//! The loop guard: suppresses logins that cannot help, because new tokens are rejected again and
//! again.
//!
//! Without it, every rejection would cause a login.
//!
//! The guard distinguishes two loops. In the first, fresh tokens never work: the account lacks a
//! permission, or the audience is wrong. A token that worked and was revoked later does not belong
//! to this loop, even if a vendor revokes a token every three seconds. In the second loop, two
//! hosts end each other's session at a vendor that allows one session per account. In that loop,
//! every token works once, so only the rate of the revocations shows the loop.

use std::collections::VecDeque;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The age below which a rejected token without an accepted call counts as a token that never
/// worked.
pub(crate) const YOUNG: Duration = Duration::from_secs(10);
/// The maximum number of revocations of working tokens within [`WINDOW`] that is explained by a
/// vendor's housekeeping. More revocations come from another host's logins.
const MOST_REVOCATIONS: usize = 60;
const WINDOW: Duration = Duration::from_secs(60);

/// Counts rejections and suppresses logins while they form a loop. Instants are times on the
/// monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct LoopGuard {
    /// The number of rejections in a row of young tokens with which no call was accepted.
    fruitless: u32,
    /// The times within the last [`WINDOW`] at which tokens that had worked were rejected.
    revocations: VecDeque<Duration>,
    holds_until: Option<Duration>,
    holds: u32,
    /// Whether a call was accepted with the present token since the guard began to hold. If so, a
    /// later rejection concerns the call, not the token.
    accepted_since: bool,
    /// Whether the guard held at its last update. The lock-free path checks this before it takes
    /// the lock.
    may_hold: bool,
}

/// The kind of loop that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoopKind {
    /// Fresh tokens are rejected.
    Fresh,
    /// Tokens that had worked are rejected, one after the other.
    Revoked,
}

impl LoopGuard {
    /// Whether a rejection may cause a login now; if not, the caller gets the response that rejects
    /// the token. If a token `worked`, and no call was accepted with it since the guard began to
    /// hold, the token was revoked in the meantime, which is not a loop.
    pub(crate) fn allows_login(&self, worked: bool, now: Duration) -> bool {
        !self.holds(now) || worked && !self.accepted_since
    }

    pub(crate) fn holds(&self, now: Duration) -> bool {
        self.holds_until.is_some_and(|until| now < until)
    }

    pub(crate) fn may_hold(&self) -> bool {
        self.may_hold
    }

    /// Records that a call was accepted with the present token.
    pub(crate) fn accepted(&mut self, now: Duration) {
        self.fruitless = 0;
        self.accepted_since = true;
        self.may_hold = self.holds(now);
    }

    /// Records a rejected token. Returns the loop if this rejection completes one.
    pub(crate) fn rejected(
        &mut self,
        worked: bool,
        young: bool,
        now: Duration,
    ) -> Option<LoopKind> {
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

    /// Records that a replayed call was rejected with the token that was fetched for it. Returns
    /// whether the guard begins to suppress logins.
    pub(crate) fn replay_rejected(&mut self, now: Duration) -> bool {
        self.hold(now)
    }

    fn hold(&mut self, now: Duration) -> bool {
        if self.holds(now) {
            return false;
        }
        // Long after the last hold, the waits start over.
        if self.holds_until.is_some_and(|until| now > until + 600 * SECOND) {
            self.holds = 0;
        }
        self.accepted_since = false;
        self.may_hold = true;
        self.holds_until =
            Some(now + (30 * SECOND).saturating_mul(1 << self.holds.min(4)).min(300 * SECOND));
        self.holds += 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_tokens_in_a_row_that_never_worked_make_a_loop_and_a_revocation_each_second_does_not() {
        let mut guard = LoopGuard::default();
        for second in 0..100 {
            // Every second: sixty within a minute.
            assert_eq!(
                guard.rejected(true, true, second * SECOND),
                None,
                "revocations of working tokens"
            );
        }
        assert_eq!(guard.rejected(false, true, 200 * SECOND), None);
        assert_eq!(guard.rejected(false, true, 201 * SECOND), Some(LoopKind::Fresh));
        let allows = |guard: &LoopGuard, second: u32| guard.allows_login(false, second * SECOND);
        assert!(!allows(&guard, 230) && allows(&guard, 231));
        // The next hold is longer, at most five minutes.
        assert!(guard.replay_rejected(231 * SECOND));
        assert!(!allows(&guard, 290) && allows(&guard, 291));
        // Long after that, the guard starts over.
        assert!(guard.replay_rejected(1000 * SECOND));
        assert!(!allows(&guard, 1029) && allows(&guard, 1030));
    }

    #[test]
    fn two_hosts_that_end_each_others_session_are_slowed_down() {
        let mut guard = LoopGuard::default();
        let mut logins: Vec<u32> = Vec::new();
        // Each token is accepted once and rejected at the next call, half a second later, for an
        // hour.
        for call in 0..7200 {
            let now = call * SECOND / 2;
            if guard.allows_login(true, now) {
                let looped = guard.rejected(true, true, now);
                assert!(
                    looped != Some(LoopKind::Fresh)
                        && looped.is_some() == (call >= 60 && !guard.accepted_since)
                );
                logins.push(call);
                guard.accepted(now);
            }
        }
        assert_eq!(logins[..62], [(0..61).collect::<Vec<u32>>(), vec![120]].concat());
        assert!(logins.len() < 900, "{}", logins.len()); // of 7200
    }

    #[test]
    fn a_working_token_that_was_revoked_is_replaced_even_while_the_guard_holds() {
        let mut guard = LoopGuard::default();
        guard.replay_rejected(SECOND);
        assert!(
            guard.allows_login(true, 2 * SECOND),
            "no call was accepted since: the token was revoked"
        );
        guard.accepted(2 * SECOND);
        assert!(
            !guard.allows_login(true, 3 * SECOND),
            "others are accepted with it: the vendor rejects this call, not the token"
        );
    }
}
