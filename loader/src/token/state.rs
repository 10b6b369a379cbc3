//! `TokenState`: every transition of one account's token, as plain data.
//!
//! It uses no clock, thread, lock, network or I/O. The time, a token's age and the jitter are
//! arguments; decisions are return values, which [`TokenSource`](crate::TokenSource) and the login
//! thread carry out. The table of transitions in docs/token-source.md is tested row by row.
//!
//! ```text
//!  FRESH ──lifetime × 0.75–0.85──► STALE ──lifetime − skew──► EXPIRED        EMPTY at start, REVOKED by a rejection
//!  returned without a lock         returned; a login starts   wait for the login; during a backoff: the last error
//!                                  in the background
//! ```

pub(crate) mod backoff;
pub(crate) mod loop_guard;
#[cfg(test)]
mod tests;

use crate::error::{Error, Result};
use crate::login::clock::Moment;
use crate::login::expiry::Deadlines;
use crate::login::outcome::{Failure, RefusalHints};
use crate::token::state::backoff::{Backoff, BackoffReason, SavedBackoff};
use crate::token::state::loop_guard::{LoopGuard, LoopKind};
use std::time::Duration;

/// The number of a token within its source, from 1; a greater number is a newer token.
pub(crate) type TokenId = u64;

/// The number of a profile within its source; a change of the file increments it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProfileVersion(u64);

/// The state of one account's token. `L` is the handle on a login that callers wait for.
#[derive(Debug)]
pub(crate) struct TokenState<L> {
    current: Option<CurrentToken>,
    last_id: TokenId,
    /// Tokens with this number or a lower one must not be sent any more.
    revoked: TokenId,
    /// The running login.
    login: Option<L>,
    backoff: Backoff,
    guard: LoopGuard,
    /// The error of the last failed login: callers without a token get it during the backoff.
    last_error: Option<Error>,
    last_login: Option<LoginEnd>,
    profile: ProfileVersion,
    profile_removed: bool,
}

#[derive(Clone, Copy, Debug)]
struct CurrentToken {
    id: TokenId,
    deadlines: Deadlines,
}

/// The end of the last login of this process.
#[derive(Clone, Debug)]
pub(crate) struct LoginEnd {
    pub(crate) unix_time: Duration,
    /// The status of the response that contained a token, or the error.
    pub(crate) result: Result<u16>,
}

/// The decision about a caller that requests a token.
#[derive(Debug)]
pub(crate) enum Decision<L> {
    /// The caller gets the present token.
    Fresh,
    /// The caller gets the present token, which is in the last part of its lifetime.
    Stale { start_login: bool },
    /// There is no token to send: a login must be started, and the caller waits for it.
    StartLogin,
    /// The caller waits for the running login.
    Wait(L),
    /// No login may be made yet. `error` is `None` if the last token had expired on arrival.
    Fail { error: Option<Error>, retry_after: Duration },
    /// The file no longer has the profile.
    ProfileRemoved,
}

/// The decision about a token that a login obtained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Publish {
    /// The token becomes the present token, under this number; `recovered` is set if the login
    /// before it failed.
    New { id: TokenId, recovered: bool },
    /// The token had expired on arrival, and the present token is still valid and stays.
    KeepPresent { recovered: bool },
    /// The file no longer has the profile: no caller gets the token.
    ProfileRemoved,
}

/// The decision about a rejected token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// The token was already revoked: another caller reported it first.
    AlreadyRevoked,
    /// The loop guard suppresses logins: the caller gets the rejecting response.
    HeldBack,
    /// The token is revoked: no caller gets it any more.
    Revoked { found_loop: Option<LoopKind>, start_login: bool },
}

impl<L> Default for TokenState<L> {
    fn default() -> TokenState<L> {
        TokenState {
            current: None,
            last_id: 0,
            revoked: 0,
            login: None,
            backoff: Backoff::default(),
            guard: LoopGuard::default(),
            last_error: None,
            last_login: None,
            profile: ProfileVersion::default(),
            profile_removed: false,
        }
    }
}

impl<L: Clone + PartialEq> TokenState<L> {
    /// The state of a new source, with the backoff that an earlier process saved and its error.
    pub(crate) fn restored(backoff: Backoff, last_error: Option<Error>) -> TokenState<L> {
        TokenState { backoff, last_error, ..TokenState::default() }
    }

    /// Decides about a caller that requests a token. `age` is the age of the present token; without
    /// one it is ignored.
    pub(crate) fn request(&self, age: Duration, now: Duration) -> Decision<L> {
        let current = self.present();
        if current.is_some_and(|current| age < current.deadlines.refresh_at) {
            return Decision::Fresh;
        }
        if self.profile_removed {
            return Decision::ProfileRemoved;
        }
        let start_login = self.may_start_login(now);
        if current.is_some_and(|current| age < current.deadlines.hard_at) {
            return Decision::Stale { start_login };
        }
        match &self.login {
            Some(login) => Decision::Wait(login.clone()),
            None if start_login => Decision::StartLogin,
            None => Decision::Fail {
                error: self.last_error.clone(),
                retry_after: self.backoff.remaining(now).unwrap_or_default(),
            },
        }
    }

    /// Records that a login was started.
    pub(crate) fn login_started(&mut self, login: L) {
        self.login = Some(login);
    }

    /// Whether a login with this version of the profile must be repeated, because the file changed
    /// meanwhile.
    pub(crate) fn is_outdated(&self, profile: ProfileVersion) -> bool {
        !self.profile_removed && profile != self.profile
    }

    /// Records that `login` obtained a token. `age` is the age of the present token.
    pub(crate) fn login_succeeded(
        &mut self,
        login: &L,
        token: &NewToken,
        age: Duration,
        now: Moment,
    ) -> Publish {
        self.login.take_if(|running| running == login);
        if self.profile_removed {
            return Publish::ProfileRemoved;
        }
        let recovered = self.last_error.take().is_some();
        self.last_login = Some(LoginEnd { unix_time: now.unix_time, result: Ok(token.status) });
        self.backoff.reset();
        if token.born_expired {
            self.backoff.token_born_expired(now.monotonic);
            // A token that had expired on arrival does not replace a valid one.
            if self.present().is_some_and(|current| age < current.deadlines.hard_at) {
                return Publish::KeepPresent { recovered };
            }
        }
        Publish::New { id: self.publish(token.deadlines), recovered }
    }

    /// Records that `login` failed, or could not be started (`None`). `explain` returns the error
    /// for callers; `jitter` is from 0 to 1.
    pub(crate) fn login_failed(
        &mut self,
        login: Option<&L>,
        failure: &Failure,
        explain: impl FnOnce(BackoffReason) -> Error,
        now: Moment,
        jitter: f64,
    ) -> (BackoffReason, Error) {
        self.login.take_if(|running| Some(&*running) == login);
        let reason = self.backoff.failed(failure, now.monotonic, jitter);
        let error = explain(reason);
        self.last_error = Some(error.clone());
        self.last_login = Some(LoginEnd { unix_time: now.unix_time, result: Err(error.clone()) });
        (reason, error)
    }

    /// Records that a call was rejected with the token `id`. `worked` is set if a call had been
    /// accepted with it, and `young` if it is younger than [`YOUNG`](loop_guard::YOUNG), or was at
    /// its first rejection.
    pub(crate) fn rejected(
        &mut self,
        id: TokenId,
        worked: bool,
        young: bool,
        now: Duration,
    ) -> Rejection {
        if id <= self.revoked {
            return Rejection::AlreadyRevoked;
        }
        // A late report about an older token does not concern the present one.
        let is_present = self.current.is_none_or(|current| current.id <= id);
        let mut found_loop = None;
        if is_present {
            if !self.guard.allows_login(worked, now) {
                return Rejection::HeldBack;
            }
            found_loop = self.guard.rejected(worked, young, now);
            if worked {
                self.backoff.working_token_rejected();
            }
        }
        self.revoked = id;
        Rejection::Revoked { found_loop, start_login: is_present && self.may_start_login(now) }
    }

    /// Records that a call was accepted with the token `id`.
    pub(crate) fn accepted(&mut self, id: TokenId, now: Duration) {
        if id > self.revoked {
            self.guard.accepted(now);
        }
    }

    /// Records that a replayed call was rejected with the token that was fetched for it. Returns
    /// whether the guard begins to suppress logins.
    pub(crate) fn replay_rejected(&mut self, now: Duration) -> bool {
        self.guard.replay_rejected(now)
    }

    /// Publishes the newer token in the response to a call with the token `old`. Returns its
    /// number, or `None` if `old` is no longer the present token: a late response must not restore
    /// a revoked session.
    pub(crate) fn renewed(&mut self, old: TokenId, deadlines: Deadlines) -> Option<TokenId> {
        let current = self.present().filter(|current| current.id == old);
        current.map(|_| self.publish(deadlines))
    }

    /// Records that the profile or one of its values changed in the file. The token stays only if
    /// it belongs to the `same_session`.
    pub(crate) fn profile_changed(&mut self, same_session: bool) {
        if !same_session {
            self.withdraw();
        }
        self.profile.0 += 1;
        self.profile_removed = false;
        self.reset_backoff();
    }

    /// Records that the file no longer has the profile.
    pub(crate) fn profile_removed(&mut self) {
        self.profile_removed = true;
        self.withdraw();
    }

    /// Removes the present token: no caller gets it any more.
    pub(crate) fn withdraw(&mut self) {
        self.revoked = self.last_id;
        self.current = None;
    }

    /// Revokes the token `id`, which is logged out so that a new session can begin.
    pub(crate) fn replaced_by_login(&mut self, id: TokenId) {
        self.revoked = self.revoked.max(id);
    }

    /// Ends the backoff and forgets the failures and rejections so far.
    pub(crate) fn reset_backoff(&mut self) {
        self.backoff.reset();
        self.last_error = None;
        self.guard = LoopGuard::default();
    }

    fn may_start_login(&self, now: Duration) -> bool {
        self.login.is_none() && self.backoff.remaining(now).is_none()
    }

    /// The present token, if it was not revoked.
    fn present(&self) -> Option<CurrentToken> {
        self.current.filter(|current| current.id > self.revoked)
    }

    /// Numbers a token when it is published, not when its login starts: a rejection during the
    /// login must not revoke it.
    fn publish(&mut self, deadlines: Deadlines) -> TokenId {
        self.last_id += 1;
        self.current = Some(CurrentToken { id: self.last_id, deadlines });
        self.last_id
    }
}

/// The facts about a new token that the state needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewToken {
    pub(crate) deadlines: Deadlines,
    pub(crate) born_expired: bool,
    /// The status of the login's response.
    pub(crate) status: u16,
}

/// Queries, which change nothing.
impl<L: Clone> TokenState<L> {
    pub(crate) fn revoked(&self) -> TokenId {
        self.revoked
    }

    pub(crate) fn guard_may_hold(&self) -> bool {
        self.guard.may_hold()
    }

    pub(crate) fn login(&self) -> Option<L> {
        self.login.clone()
    }

    pub(crate) fn profile(&self) -> ProfileVersion {
        self.profile
    }

    pub(crate) fn is_profile_removed(&self) -> bool {
        self.profile_removed
    }

    /// The time until a login may be made; `None` if one may be made now.
    pub(crate) fn backoff_remaining(&self, now: Duration) -> Option<Duration> {
        self.backoff.remaining(now)
    }

    pub(crate) fn saved_backoff(&self, now: Duration) -> Option<SavedBackoff> {
        self.backoff.to_save(now)
    }

    pub(crate) fn refusal_hints(&self) -> RefusalHints {
        self.backoff.hints()
    }

    pub(crate) fn last_error(&self) -> Option<&Error> {
        self.last_error.as_ref()
    }

    pub(crate) fn last_login(&self) -> Option<&LoginEnd> {
        self.last_login.as_ref()
    }
}
