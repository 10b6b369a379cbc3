//! How does one come to a token? The refresh token where there is one, else a call ahead and the password, else the next password.

use crate::error::Error;
use crate::login::clock::Clock;
use crate::login::cookie;
use crate::login::totp;
use crate::login::{
    Class, Failure, Fresh, LoginRequest, LoginResponse, Outcome, Transport, TransportError, Values, arrived, captured,
    failed, header_text, understand,
};
use crate::token::Entry;
use crate::token::backoff::Doubt;
use crate::token::login_history::Attempts;
use crate::token::sync::{AtomicU64, Mutex, Ordering};
use bootseal_core::{Call, Kind, Profile, Secret};
use http::HeaderName;
use serde::{Deserialize, Serialize};
use std::sync::PoisonError;
use std::time::Duration;

/// At most so long a logout takes: what a login is given beyond its own timeout, where one goes ahead of it.
const LOGOUT: Duration = Duration::from_secs(5);

/// A profile, and the values of its table that it uses. A reload puts another one in its place.
pub(crate) struct Account {
    pub(crate) profile: Profile,
    /// With those that stand in for others (`next`), where they are set.
    pub(crate) values: Values,
    turn: Mutex<CredentialSlot>,
}

/// Where `next` gives a second password: with which one the next login begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CredentialSlot {
    /// With that of `next`: it worked the last time, or the other one was refused.
    pub(crate) next_first: bool,
    /// The other one was refused since the last token: it is not sent again before this one was.
    pub(crate) other_refused: bool,
}

impl Account {
    pub(crate) fn new(profile: Profile, values: Values, turn: CredentialSlot) -> Account {
        Account { profile, values, turn: Mutex::new(turn) }
    }

    pub(crate) fn turn(&self) -> CredentialSlot {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_turn(&self, turn: CredentialSlot) {
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = turn;
    }
}

/// One login, and everything that it needs. What it must not forget, whatever becomes of it, it writes down on the way.
pub(crate) struct Login<'a> {
    pub(crate) account: &'a Account,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a dyn Clock,
    /// Counts what is sent with the credentials.
    pub(crate) logins: &'a AtomicU64,
    /// Counts what is sent with a refresh token.
    pub(crate) refreshes: &'a AtomicU64,
    /// What came with the token before, for the refresh.
    pub(crate) kept: Option<Values>,
    /// What failed logins before it say of the credentials.
    pub(crate) doubt: Doubt,
    /// The period of the last one-time code that was sent; 0: none.
    pub(crate) last_code: &'a AtomicU64,
    /// Where that outlives the process.
    pub(crate) attempts: Option<&'a Attempts>,
    /// When the whole of it must be over, by the time since boot.
    pub(crate) until: Duration,
}

impl Login<'_> {
    pub(crate) async fn run(&mut self) -> Outcome {
        let account = self.account;
        if let Some(outcome) = self.refresh().await {
            return outcome;
        }
        let Some(spare) = self.spare_values() else { return self.with_password(account.values.clone()).await };
        loop {
            let CredentialSlot { next_first, other_refused } = account.turn();
            let values = if next_first { &spare } else { &account.values };
            let outcome = self.with_password(values.clone()).await;
            match &outcome {
                Outcome::Token(_) => {
                    if next_first && other_refused {
                        tracing::warn!(target: "bootseal", profile = %account.profile.table, "next_in_use: the value of `next` is the one that works; make it the first");
                    }
                    account.set_turn(CredentialSlot { next_first, other_refused: false });
                    return outcome;
                }
                // The other one's turn, in this login or, where it comes to nothing, in the next.
                Outcome::Failed(failure) if self.doubt.refuses(failure.class) => {
                    account.set_turn(CredentialSlot { next_first: !next_first, other_refused: !other_refused });
                    if other_refused {
                        return outcome;
                    }
                    if let Some(attempts) = self.attempts {
                        attempts.turn(account.turn());
                    }
                    tracing::warn!(target: "bootseal", profile = %account.profile.table, "these credentials were refused: trying the others of `next`");
                }
                Outcome::Failed(_) => return outcome,
            }
        }
    }

    /// The values with those of `next` in their places; `None` where none is set.
    fn spare_values(&self) -> Option<Values> {
        let mut values = self.account.values.clone();
        let mut any = false;
        for (name, spare) in &self.account.profile.next {
            if let Some(spare) = self.account.values.get(spare) {
                values.insert(name.clone(), spare.clone());
                any = true;
            }
        }
        any.then_some(values)
    }

    /// What the refresh token comes to; `None` where there is none, or where the vendor does not take it: then the password is next.
    async fn refresh(&mut self) -> Option<Outcome> {
        let profile = &self.account.profile;
        let (call, kept) = (profile.refresh.as_ref()?, self.kept.take()?);
        let mut values = self.account.values.clone();
        values.extend(kept.clone());
        let request = LoginRequest::build(profile, call, &values).ok()?;
        let response = self.send(request, Some(self.refreshes)).await;
        match understand(profile, call, response, self.clock.unix_time()) {
            Outcome::Token(mut fresh) => {
                // A vendor that does not say a value anew means the one that it gave.
                let mut all = kept;
                all.append(&mut fresh.captured);
                Some(self.complete(fresh, all))
            }
            Outcome::Failed(failure) => match failure.class {
                Class::Refused | Class::PerhapsRefused | Class::Protocol | Class::NoToken | Class::Redirect => {
                    tracing::info!(target: "bootseal", profile = %profile.table, "the refresh token is not taken: {}; the password is next", failure.text);
                    None
                }
                _ => {
                    self.kept = Some(kept);
                    Some(Outcome::Failed(failure))
                }
            },
        }
    }

    /// Puts the one-time code among the values. Asked for when all else is there: a code that is drawn is used up.
    fn draw_code(&self, values: &mut Values) -> Result<(), Outcome> {
        let Some(totp) = &self.account.profile.totp else { return Ok(()) };
        let unix_time = self.clock.unix_time();
        let step = totp::step(totp, unix_time);
        let last = self.last_code.load(Ordering::Relaxed);
        // A little ahead, and the clock was set back by as much. Far ahead, it was wrong when that code was sent, and no code that
        // comes now is that one.
        if last != 0 && (step..=step + 2).contains(&last) {
            return Err(Outcome::Failed(Failure {
                class: Class::Throttled,
                text: "is not asked now: the one-time code of this moment was used already".into(),
                status: None,
                retry_after: Some(totp::until(totp, last + 1, unix_time)),
            }));
        }
        let code = match values.get(&totp.seed).map(|seed| totp::code(totp, seed, step)) {
            Some(Ok(code)) => code,
            Some(Err(error)) => return Err(cannot(&error)),
            None => {
                let text = "cannot be asked: the seed of the one-time code is not there";
                return Err(failed(Class::Protocol, None, text));
            }
        };
        values.insert("totp".into(), code);
        self.last_code.store(step, Ordering::Relaxed);
        if let Some(attempts) = self.attempts {
            attempts.code(step);
        }
        Ok(())
    }

    async fn with_password(&mut self, mut values: Values) -> Outcome {
        let profile = &self.account.profile;
        let mut kept = Values::new();
        let mut cookies = Vec::new();
        if let Some(before) = &profile.before {
            let request = match LoginRequest::build(profile, before, &values) {
                Ok(request) => request,
                Err(error) => return cannot(&error),
            };
            let response = self.send(request, None).await;
            let response = match arrived(profile, before, response, self.clock.unix_time()) {
                Ok(response) => response,
                Err(mut failure) => {
                    // Nothing was said of the credentials: they were not sent yet.
                    if matches!(failure.class, Class::Refused | Class::PerhapsRefused) && !carries(before) {
                        failure.class = Class::Protocol;
                    }
                    failure.text = format!("(asked before the login) {}", failure.text);
                    return Outcome::Failed(failure);
                }
            };
            let unix_time = self.clock.unix_time();
            match (captured(before, &response, unix_time), cookie::set_by(&response.headers, unix_time.as_secs_f64())) {
                (Ok(found), Ok(set)) => (kept, cookies) = (found, set),
                (Err(why), _) => {
                    return failed(
                        Class::Protocol,
                        Some(response.status),
                        format!("answered before the login, but {why}"),
                    );
                }
                (_, Err(error)) => return cannot(&error.into()),
            }
            values.extend(kept.clone());
        }
        if let Err(outcome) = self.draw_code(&mut values) {
            return outcome;
        }
        let request = LoginRequest::build(profile, &profile.login, &values)
            .and_then(|mut request| request.add_cookies(&cookies).map(|()| request));
        let request = match request {
            Ok(request) => request,
            Err(error) => return cannot(&error),
        };
        let response = self.send(request, Some(self.logins)).await;
        match understand(profile, &profile.login, response, self.clock.unix_time()) {
            Outcome::Token(mut fresh) => {
                kept.append(&mut fresh.captured);
                self.complete(fresh, kept)
            }
            failure => failure,
        }
    }

    /// The token with all that was kept, where every header that a call carries can be filled.
    fn complete(&self, mut fresh: Fresh, kept: Values) -> Outcome {
        match headers(self.account, &fresh.secret, &kept) {
            Ok(headers) => {
                (fresh.captured, fresh.headers) = (kept, headers);
                Outcome::Token(fresh)
            }
            Err(error) => {
                let text = format!("answered {} to the login, but {error}", fresh.status);
                failed(Class::Protocol, Some(fresh.status), text)
            }
        }
    }

    /// Sends it, with what is left of the time for the whole login, and counts it, where it is sent at all.
    async fn send(
        &self,
        mut request: LoginRequest,
        counter: Option<&AtomicU64>,
    ) -> Result<LoginResponse, TransportError> {
        let left = || Some(self.until.saturating_sub(self.clock.monotonic())).filter(|left| !left.is_zero());
        request.timeout = left().ok_or(TransportError::Timeout)?;
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match self.transport.send(request.clone()).await {
            // Not one byte was sent, so this is no second login.
            Err(TransportError::Connect(_)) => {
                request.timeout = left().ok_or(TransportError::Timeout)?;
                self.transport.send(request).await
            }
            response => response,
        }
    }
}

/// The headers of a call, filled with the token, what came with it, and what of the table they name.
pub(crate) fn headers(
    account: &Account,
    token: &Secret,
    captured: &Values,
) -> Result<Vec<(HeaderName, Secret)>, Error> {
    let profile = &account.profile;
    let mut values = account.values.clone();
    values.extend(captured.clone());
    values.insert("token".into(), token.clone());
    let filled = profile.inject.iter().map(|(name, template)| {
        let text = header_text(profile, name, template, &values)?;
        let name = HeaderName::try_from(name.as_str()).map_err(|_| {
            Error::new(Kind::Malformed, format!("`{}`: a header cannot be called `{name}`", profile.table))
        })?;
        Ok((name, text))
    });
    filled.collect()
}

/// The request that ends a token, with the token on it unless it says otherwise itself.
pub(crate) fn logout(call: &Call, entry: &Entry) -> Result<LoginRequest, Error> {
    let profile = &entry.account.profile;
    let mut values = entry.account.values.clone();
    values.extend(entry.captured.clone());
    values.insert("token".into(), entry.secret.clone());
    let mut request = LoginRequest::build(profile, call, &values)?;
    for (name, text) in &entry.headers {
        if !request.headers.iter().any(|(other, _)| other == name) {
            request.headers.push((name.clone(), text.clone()));
        }
    }
    request.timeout = profile.login_timeout.min(LOGOUT);
    Ok(request)
}

/// Whether it carries anything of the table.
fn carries(call: &Call) -> bool {
    use bootseal_core::Body;
    call.basic.is_some()
        || !matches!(call.body, Body::Empty)
        || call.headers.iter().any(|(_, template)| template.names().next().is_some())
}

fn cannot(error: &Error) -> Outcome {
    failed(Class::Protocol, None, format!("cannot be asked: {error}"))
}
