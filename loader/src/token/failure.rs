//! What is told of a login that failed, and of one that is not made? The error for callers, the event for whoever watches.

use crate::error::Error;
use crate::login::{Class, Failure};
use crate::token::backoff::{BackoffReason, LoopKind};
use crate::token::login_history::SavedLoginState;
use crate::token::metrics;
use crate::token::source::{Core, State};
use bootseal_core::{Kind, Profile};

/// A login that failed.
pub(crate) struct LoginFailure {
    failure: Failure,
    shut: BackoffReason,
    pub(crate) error: Error,
}

impl Core {
    /// Shuts the gate. What it returns is to be told when nothing is locked any more: who hears of it may ask for a token.
    pub(crate) fn fail(&self, state: &mut State, failure: Failure) -> LoginFailure {
        let shut = state.gate.failed(&failure, self.clock.monotonic(), self.clock.jitter());
        let error = self.error(&failure, shut);
        state.error = Some(error.clone());
        state.last_login = Some((self.clock.unix_time(), Err(error.clone())));
        LoginFailure { failure, shut, error }
    }

    pub(crate) fn tell(&self, LoginFailure { failure, shut, .. }: &LoginFailure) {
        let (event, gate) = if *shut == BackoffReason::Refused { ("refused", 2) } else { ("login failed", 1) };
        tracing::warn!(target: "bootseal", profile = %self.table(), class = failure.class.kind().as_str(), status = failure.status, "{event}: {}", failure.text);
        metrics::gate(&self.table(), gate);
    }

    fn error(&self, failure: &Failure, shut: BackoffReason) -> Error {
        let account = self.account.load();
        let (table, origin) = (&account.profile.table, account.profile.login.url.base().origin().ascii_serialization());
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
            Class::Protocol | Class::NoToken | Class::Redirect => format!(
                "The profile [{table}.login] does not fit the answer; see what comes back: bootseal login {table}"
            ),
        };
        let error = Error::new(failure.class.kind(), text).with_status(failure.status);
        let again = if shut == BackoffReason::Refused && failure.class == Class::NoToken {
            " After three such answers in a row no login is made for a while: it may be a wrong password in disguise."
        } else {
            ""
        };
        error.with_help(format!("{help}{again}"))
    }

    pub(crate) fn no_longer(&self) -> Error {
        Error::new(Kind::NotFound, format!("the file has no login profile `{}` any more", self.table()))
    }

    pub(crate) fn tell_loop(&self, looped: LoopKind) {
        let what = match looped {
            LoopKind::Fresh => {
                "the vendor rejects tokens that it has just given; logins are held back. Wrong rights, a wrong audience, or another host's login that ends ours?"
            }
            LoopKind::Revoked => {
                "tokens die one after the other soon after they worked; logins are held back. Most likely another host logs in with this account, at a vendor that lets it have only one session"
            }
        };
        tracing::warn!(target: "bootseal", profile = %self.table(), "fresh_token_rejected: {what}");
    }
}

/// What is told while a failure of an earlier start still counts.
pub(crate) fn remembered(profile: &Profile, left: &SavedLoginState) -> Error {
    let (table, origin) = (&profile.table, profile.login.url.base().origin().ascii_serialization());
    if left.cut_off {
        let text = format!(
            "login of `{table}`: the starts before this one ended in the middle of it, and no other try is made yet"
        );
        return Error::new(Kind::LoginDown, text).with_help(
            "Why did they end? What the vendor said of these credentials was never read, so they are not sent again and again.",
        );
    }
    if !left.gate.refused() {
        let text =
            format!("login of `{table}`: {origin} gave no token before this start, and no other try is made yet");
        return Error::new(Kind::LoginDown, text).with_help("The next attempt is made by itself.");
    }
    let text = format!(
        "login of `{table}`: {origin} did not let these credentials in before this start, and no other try is made yet"
    );
    Error::new(Kind::LoginRefused, text).with_help(format!(
        "Give the right credentials (bootseal set {table}.…), or see what the vendor says: bootseal login {table}"
    ))
}
