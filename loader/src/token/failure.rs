//! Turns a failed or suppressed login into the callers' error and a log event.

use crate::error::Error;
use crate::login::clock::Moment;
use crate::login::outcome::{Class, Failure};
use crate::token::core::{Core, StateGuard};
use crate::token::login_history::SavedLoginState;
use crate::token::metrics;
use crate::token::single_flight::SingleFlight;
use crate::token::state::backoff::BackoffReason;
use crate::token::state::loop_guard::LoopKind;
use bootseal_core::{Kind, Profile};
use std::sync::Arc;

/// A login that failed.
pub(crate) struct LoginFailure {
    failure: Failure,
    reason: BackoffReason,
    pub(crate) error: Error,
}

impl Core {
    /// Begins the back-off after `login` failed, or could not be started (`None`). The returned
    /// failure is to be reported when nothing is locked any more: a log subscriber may ask for a
    /// token.
    pub(crate) fn fail(
        &self,
        locked: &mut StateGuard<'_>,
        login: Option<&Arc<SingleFlight>>,
        failure: Failure,
    ) -> LoginFailure {
        let (now, jitter) = (Moment::now(&*self.clock), self.clock.jitter());
        let explain = |reason| self.error(&failure, reason);
        let (reason, error) = locked.state.login_failed(login, &failure, explain, now, jitter);
        LoginFailure { failure, reason, error }
    }

    /// Logs and counts a failed login.
    pub(crate) fn report(&self, LoginFailure { failure, reason, .. }: &LoginFailure) {
        let (event, backoff) =
            if *reason == BackoffReason::Refused { ("refused", 2) } else { ("login failed", 1) };
        tracing::warn!(target: "bootseal", profile = %self.table(), class = failure.class.kind().as_str(), status = failure.status, "{event}: {}", failure.text);
        metrics::backoff(&self.table(), backoff);
    }

    fn error(&self, failure: &Failure, reason: BackoffReason) -> Error {
        let account = self.account.load();
        let (table, origin) = (
            &account.profile.table,
            account.profile.login.url.base().origin().ascii_serialization(),
        );
        let text = format!("login of `{table}`: {origin} {}", failure.text);
        let help = match failure.class {
            Class::Refused | Class::PerhapsRefused => format!(
                "The vendor says that these credentials are wrong. Set the right ones (bootseal set {table}.…) and try them: bootseal login {table}"
            ),
            Class::Throttled => {
                "The vendor asks for patience; the next attempt waits as long as it asks.".into()
            }
            Class::Down { .. } => {
                "The next attempt is made automatically. Is the vendor up, and reachable from here?"
                    .into()
            }
            Class::Tls => format!(
                "Is {origin} the right address? A private certificate authority goes into the profile: [{table}.login] ca = \"\"\"…\"\"\""
            ),
            Class::Protocol | Class::NoToken | Class::Redirect => format!(
                "The profile [{table}.login] does not fit the response; see what comes back: bootseal login {table}"
            ),
        };
        let error = Error::new(failure.class.kind(), text).with_status(failure.status);
        let paused = if reason == BackoffReason::Refused && failure.class == Class::NoToken {
            " After three such responses in a row, logins pause for a while: a wrong password may look like this."
        } else {
            ""
        };
        error.with_help(format!("{help}{paused}"))
    }

    pub(crate) fn profile_removed(&self) -> Error {
        Error::new(
            Kind::NotFound,
            format!("the file no longer has a login profile `{}`", self.table()),
        )
    }

    pub(crate) fn report_loop(&self, found: LoopKind) {
        let what = match found {
            LoopKind::Fresh => {
                "the vendor rejects tokens that it has just issued; logins are held back. Does the account lack a permission, is the audience wrong, or does another host's login end ours?"
            }
            LoopKind::Revoked => {
                "tokens are revoked one after the other soon after they worked; logins are held back. Most likely another host logs in with this account, at a vendor that allows one session per account"
            }
        };
        tracing::warn!(target: "bootseal", profile = %self.table(), "fresh_token_rejected: {what}");
    }
}

/// The error while a failure of an earlier process still counts.
pub(crate) fn saved_failure(profile: &Profile, saved: &SavedLoginState) -> Error {
    let (table, origin) = (&profile.table, profile.login.url.base().origin().ascii_serialization());
    if saved.cut_off {
        let text = format!(
            "login of `{table}`: the processes before this one ended in the middle of it, and the next attempt has to wait"
        );
        return Error::new(Kind::LoginDown, text).with_help(
            "Why did they end? Nobody read what the vendor said about these credentials, so they are not sent again and again.",
        );
    }
    if !saved.backoff.is_refused() {
        let text = format!(
            "login of `{table}`: {origin} issued no token before this start, and the next attempt has to wait"
        );
        return Error::new(Kind::LoginDown, text)
            .with_help("The next attempt is made automatically.");
    }
    let text = format!(
        "login of `{table}`: {origin} refused these credentials before this start, and the next attempt has to wait"
    );
    Error::new(Kind::LoginRefused, text).with_help(format!(
        "Set the right credentials (bootseal set {table}.…), or see what the vendor says: bootseal login {table}"
    ))
}
