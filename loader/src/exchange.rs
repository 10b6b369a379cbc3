//! What does a token mean for one call? Where it may go, how it is put on, and what the answer says of it. Client and layers stand on it.

use crate::cookie;
use crate::error::{Error, Result};
use crate::expiry::Life;
use crate::login::{LoginAnswer, evidence, header_text};
use crate::token::Token;
use crate::token_source::TokenSource;
use bootseal_core::{AnswerPlace, Kind, Replay, Secret};
use bootseal_memory::SecretBuf;
use http::header::{HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

impl TokenSource {
    /// An error where the token may not go to `url`.
    pub(crate) fn allow(&self, url: &Url) -> Result<()> {
        let account = self.account();
        let profile = &account.profile;
        if profile.allows(url) {
            return Ok(());
        }
        let text = format!("the token of `{}` may not go to {}", profile.table, url.origin().ascii_serialization());
        Err(Error::new(Kind::Usage, text).with_help(format!(
            "It goes to {} over TLS. Another host is added in the profile: [{}.login] hosts = [\"…\"]",
            profile.hosts(),
            profile.table
        )))
    }

    /// Filled in at each sending, so that a caller who set the same header shapes nothing, and a copy holds no token.
    pub(crate) fn put_on(&self, token: &Token, headers: &mut HeaderMap) -> Result<()> {
        let account = self.account();
        let profile = &account.profile;
        let cannot =
            || Error::new(Kind::LoginProtocol, format!("the token of `{}` holds what a header cannot", profile.table));
        for (name, template) in &profile.inject {
            let text = header_text(profile, name, template, &token.0.filling)?;
            let name = HeaderName::try_from(name.as_str()).map_err(|_| cannot())?;
            let mut value: HeaderValue = text.expose(HeaderValue::from_bytes).map_err(|_| cannot())?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }

    pub(crate) fn may_replay(&self, method: &Method) -> bool {
        match self.account().profile.replay {
            Replay::All => true,
            Replay::Idempotent => method.is_idempotent(),
            Replay::None => false,
        }
    }

    /// Whether status and headers say that the token is no longer good.
    pub(crate) fn is_rejection(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        if !self.account().profile.rejected_status.contains(&status.as_u16()) {
            return false;
        }
        // A good token whose owner may not do this (RFC 6750 §3.1): another one would not help.
        let challenges = headers.get_all(WWW_AUTHENTICATE);
        !challenges.iter().any(|challenge| String::from_utf8_lossy(challenge.as_bytes()).contains("insufficient_scope"))
    }

    /// Takes in what the first answer to a call says of its token. `true`: a call with another token is worth while.
    pub(crate) fn first_answer(&self, token: &Token, rejected: bool, status: StatusCode, headers: &HeaderMap) -> bool {
        if rejected {
            return self.reject(token);
        }
        self.took(token, status, headers);
        false
    }

    /// The same for the answer to the replay.
    pub(crate) fn second_answer(&self, token: &Token, rejected: bool, status: StatusCode, headers: &HeaderMap) {
        if rejected {
            self.replay_rejected();
        } else {
            crate::metrics::replay(&self.account().profile.table, "ok");
            self.took(token, status, headers);
        }
    }

    /// An answer from a proxy or an overloaded host does not mean that the token was taken.
    fn took(&self, token: &Token, status: StatusCode, headers: &HeaderMap) {
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return;
        }
        self.accepted(token);
        let account = self.account();
        if account.profile.renew_from_answers
            && let Some(secret) = self.newer(&account.profile.token, headers)
        {
            let (clock, empty) = (self.clock(), SecretBuf::with_capacity(1).map(SecretBuf::freeze));
            let Ok(body) = empty else { return };
            let answer = LoginAnswer { status: status.as_u16(), headers: headers.clone(), body };
            let life = Life::of(&account.profile, &evidence(&account.profile, &secret, &answer, clock.wall()));
            self.renewed(token, secret, life);
        }
    }

    fn newer(&self, place: &AnswerPlace, headers: &HeaderMap) -> Option<Secret> {
        let found = match place {
            AnswerPlace::Cookie(name) => {
                cookie::named(headers, name).ok()??.into_value().filter(|value| value.expose(cookie::can_carry))
            }
            AnswerPlace::Header(name) => Secret::copy_of(headers.get(name.as_str())?.as_bytes()).ok(),
            _ => None,
        };
        found.filter(|value| !value.is_empty() && !value.expose(|value| value.iter().any(u8::is_ascii_control)))
    }
}
