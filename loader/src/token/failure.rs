//! Turns a failed or suppressed login into an error for the callers and a log event.

use crate::error::Error;
use crate::login::clock::Moment;
use crate::login::outcome::{Class, Failure};
use crate::token::core::{Core, StateGuard};
use crate::token::login_history::SavedLoginState;
use crate::token::metrics;
use crate::token::single_flight::SingleFlight;
use crate::token::state::backoff::BackoffReason;
use crate::token::state::loop_guard::LoopKind;
use bootseal_core::{Kind, Profile, shell_word};
use std::sync::Arc;

/// A login that failed.
pub(crate) struct LoginFailure {
    failure: Failure,
    reason: BackoffReason,
    pub(crate) error: Error,
}

impl Core {
    /// Begins the backoff after `login` failed, or could not be started (`None`). The caller must
    /// report the returned failure after it has released the lock, because a log subscriber may
    /// request a token.
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
        if !matches!(failure.class, Class::OutOfResources { .. }) {
            metrics::backoff(&self.table(), backoff);
        }
    }

    fn error(&self, failure: &Failure, reason: BackoffReason) -> Error {
        let account = self.account.load();
        let (table, origin) = (
            &account.profile.table,
            account.profile.login.url.base().origin().ascii_serialization(),
        );
        let word = shell_word(table);
        let text = format!("login of `{table}`: {origin} {}", failure.text);
        let help = match failure.class {
            Class::Refused | Class::PerhapsRefused => format!(
                "The vendor refused these credentials. Set the right ones (bootseal set {word}.…) and try them: bootseal login {word}"
            ),
            Class::Throttled => {
                "The vendor limits logins. The next attempt is made after the wait that it requested.".into()
            }
            Class::Down { .. } => {
                "The next attempt is made automatically. Check that the vendor is up and reachable from here."
                    .into()
            }
            Class::OutOfResources { .. } => {
                "This process or machine has reached a limit of its own, such as that on open files (ulimit -n, LimitNOFILE=) or on locked memory (ulimit -l, LimitMEMLOCK=). The login does not count as an attempt.".into()
            }
            Class::Tls => format!(
                "Check that {origin} is the right address. Add a private certificate authority to the profile: [{table}.login] ca = \"\"\"…\"\"\""
            ),
            Class::Protocol | Class::NoToken | Class::Redirect => format!(
                "The profile [{table}.login] does not match the response. Show the response: bootseal login {word}"
            ),
        };
        let mut error = Error::new(failure.class.kind(), text).with_status(failure.status);
        if matches!(failure.class, Class::OutOfResources { .. }) {
            error = error.out_of_resources();
        }
        let paused = if reason == BackoffReason::Refused && failure.class == Class::NoToken {
            " After three such responses in a row, logins pause for a while, because a wrong password can cause them."
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
                "the vendor rejects tokens that it has just issued; logins are paused. Check whether the account lacks a permission, the audience is wrong, or a login from another host ends this host's session"
            }
            LoopKind::Revoked => {
                "tokens are revoked soon after they worked; logins are paused. Most likely another host logs in with this account, at a vendor that allows one session per account"
            }
        };
        tracing::warn!(target: "bootseal", profile = %self.table(), "fresh_token_rejected: {what}");
    }
}

/// The error for callers while the backoff of an earlier process lasts.
pub(crate) fn saved_failure(profile: &Profile, saved: &SavedLoginState) -> Error {
    let (table, origin) = (&profile.table, profile.login.url.base().origin().ascii_serialization());
    if saved.cut_off {
        let text = format!(
            "login of `{table}`: the previous processes ended during this login, so the next attempt is delayed"
        );
        return Error::new(Kind::LoginDown, text).with_help(
            "Find out why they ended. The vendor's responses were lost, so the credentials are not sent again at every start.",
        );
    }
    if !saved.backoff.is_refused() {
        let text = format!(
            "login of `{table}`: {origin} issued no token before this start, so the next attempt is delayed"
        );
        return Error::new(Kind::LoginDown, text)
            .with_help("The next attempt is made automatically.");
    }
    let text = format!(
        "login of `{table}`: {origin} refused these credentials before this start, so the next attempt is delayed"
    );
    let word = shell_word(table);
    Error::new(Kind::LoginRefused, text).with_help(format!(
        "Set the right credentials (bootseal set {word}.…), or show the vendor's response: bootseal login {word}"
    ))
}
