//! The procedure of a login: its requests, and their order.
//!
//! A refresh token is tried first. If there is none, or if the vendor refuses it, the request
//! before the login is sent, and then the password. If the password is refused, the next password
//! is tried.

use crate::error::Error;
use crate::login::account::{Account, CredentialSlot, Values};
use crate::login::clock::Clock;
use crate::login::extract::captured;
use crate::login::outcome::{
    Class, Failure, Fresh, MAX_CALL_HEADERS, Outcome, RefusalHints, failed,
};
use crate::login::parse::cookie::{self, Cookie};
use crate::login::request::call_headers;
use crate::login::response::{check_status, interpret, unreadable};
use crate::login::totp;
use crate::login::transport::{LoginRequest, LoginResponse, Transport, TransportError};
use crate::sync::{AtomicU64, Ordering};
use bootseal_core::{Body, Call, Kind};
use std::time::Duration;

/// The journal of a running login, which a restart reads so that it does not repeat a step.
pub(crate) trait LoginJournal: Sync {
    /// The one-time code of this period is about to be sent.
    fn code_used(&self, period: u64);
    /// One of two passwords was refused; the next password to send is that of `slot`.
    fn slot_changed(&self, slot: CredentialSlot);
}

/// One login, and everything that it needs.
pub(crate) struct Login<'a> {
    pub(crate) account: &'a Account,
    pub(crate) transport: &'a dyn Transport,
    pub(crate) clock: &'a dyn Clock,
    /// Counts requests with the credentials.
    pub(crate) logins: &'a AtomicU64,
    /// Counts requests with a refresh token.
    pub(crate) refreshes: &'a AtomicU64,
    /// The values captured with the previous token, for the refresh.
    pub(crate) kept: Option<Values>,
    /// Evidence from earlier failed logins that the credentials are wrong.
    pub(crate) hints: RefusalHints,
    /// The period of the last one-time code that was sent; 0 if none was.
    pub(crate) last_code: &'a AtomicU64,
    /// The journal, which outlives the process.
    pub(crate) journal: Option<&'a dyn LoginJournal>,
    /// The deadline of the whole login, on the monotonic clock.
    pub(crate) until: Duration,
}

impl Login<'_> {
    pub(crate) async fn run(&mut self) -> Outcome {
        let account = self.account;
        if let Some(outcome) = self.refresh().await {
            return outcome;
        }
        let Some(spare) = account.spare_values() else {
            return self.with_password(account.values.clone()).await;
        };
        loop {
            let CredentialSlot { next_first, other_refused } = account.slot();
            let values = if next_first { &spare } else { &account.values };
            let outcome = self.with_password(values.clone()).await;
            match &outcome {
                Outcome::Token(_) => {
                    if next_first && other_refused {
                        tracing::warn!(target: "bootseal", profile = %account.profile.table, "next_in_use: the value of `next` works and the first one does not; replace the first one");
                    }
                    account.set_slot(CredentialSlot { next_first, other_refused: false });
                    return outcome;
                }
                // The other password is tried next, in this login or, if this login ends early, in
                // the next login.
                Outcome::Failed(failure) if self.hints.refuses(failure.class) => {
                    account.set_slot(CredentialSlot {
                        next_first: !next_first,
                        other_refused: !other_refused,
                    });
                    if other_refused {
                        return outcome;
                    }
                    if let Some(journal) = self.journal {
                        journal.slot_changed(account.slot());
                    }
                    tracing::warn!(target: "bootseal", profile = %account.profile.table, "these credentials were refused: trying those of `next`");
                }
                Outcome::Failed(_) => return outcome,
            }
        }
    }

    /// The outcome of a login with the refresh token. `None` if there is no refresh token, or if
    /// the vendor refuses it; then the password is tried.
    async fn refresh(&mut self) -> Option<Outcome> {
        let profile = &self.account.profile;
        let (call, kept) = (profile.refresh.as_ref()?, self.kept.take()?);
        let mut values = self.account.values.clone();
        values.extend(kept.clone());
        let request = LoginRequest::build(profile, call, &values).ok()?;
        let response = self.send(request, Some(self.refreshes)).await;
        match interpret(profile, call, response, self.clock.unix_time()) {
            Outcome::Token(mut fresh) => {
                // If the vendor leaves a value out, the previous one stays valid.
                let mut all = kept;
                all.append(&mut fresh.captured);
                Some(self.complete(fresh, all))
            }
            Outcome::Failed(failure) => match failure.class {
                Class::Refused
                | Class::PerhapsRefused
                | Class::Protocol
                | Class::NoToken
                | Class::Redirect => {
                    tracing::info!(target: "bootseal", profile = %profile.table, "the vendor refused the refresh token: {}; logging in with the password", failure.text);
                    None
                }
                _ => {
                    self.kept = Some(kept);
                    Some(Outcome::Failed(failure))
                }
            },
        }
    }

    /// Adds the one-time code to the values. This is the last step before sending, because a
    /// generated code counts as used.
    fn add_code(&self, values: &mut Values) -> Result<(), Outcome> {
        let Some(totp) = &self.account.profile.totp else { return Ok(()) };
        let unix_time = self.clock.unix_time();
        let step = totp::step(totp, unix_time);
        let last = self.last_code.load(Ordering::Relaxed);
        // If the period of the last code is slightly in the future, the clock was set back by that
        // time. If it is far in the future, the clock was wrong when that code was sent, and the
        // current code is a different one.
        if last != 0 && (step..=step + 2).contains(&last) {
            return Err(Outcome::Failed(Failure {
                class: Class::Throttled,
                text: "was not contacted: the current one-time code was already used".into(),
                status: None,
                retry_after: Some(totp::until(totp, last + 1, unix_time)),
            }));
        }
        let code = match values.get(&totp.seed).map(|seed| totp::code(totp, seed, step)) {
            Some(Ok(code)) => code,
            Some(Err(error)) => return Err(cannot(&error)),
            None => {
                let text = "was not contacted: the seed of the one-time code is missing";
                return Err(failed(Class::Protocol, None, text));
            }
        };
        values.insert("totp".into(), code);
        self.last_code.store(step, Ordering::Relaxed);
        if let Some(journal) = self.journal {
            journal.code_used(step);
        }
        Ok(())
    }

    /// Logs in with these values, after the request before the login if the profile has one.
    async fn with_password(&mut self, mut values: Values) -> Outcome {
        let profile = &self.account.profile;
        let (mut kept, cookies) = match &profile.before {
            None => Default::default(),
            Some(before) => match self.send_before(before, &values).await {
                Ok(found) => found,
                Err(outcome) => return outcome,
            },
        };
        values.extend(kept.clone());
        if let Err(outcome) = self.add_code(&mut values) {
            return outcome;
        }
        let request = LoginRequest::build(profile, &profile.login, &values)
            .and_then(|mut request| request.add_cookies(&cookies).map(|()| request));
        let request = match request {
            Ok(request) => request,
            Err(error) => return cannot(&error),
        };
        let response = self.send(request, Some(self.logins)).await;
        match interpret(profile, &profile.login, response, self.clock.unix_time()) {
            Outcome::Token(mut fresh) => {
                kept.append(&mut fresh.captured);
                self.complete(fresh, kept)
            }
            failure => failure,
        }
    }

    /// Sends the request before the login. Returns what it captured, and the cookies that the login
    /// sends back.
    async fn send_before(
        &self,
        before: &Call,
        values: &Values,
    ) -> Result<(Values, Vec<Cookie>), Outcome> {
        let profile = &self.account.profile;
        let request =
            LoginRequest::build(profile, before, values).map_err(|error| cannot(&error))?;
        let response = self.send(request, None).await;
        let response = check_status(profile, before, response, self.clock.unix_time()).map_err(
            |mut failure| {
                // This response does not concern the credentials, which have not been sent yet.
                if matches!(failure.class, Class::Refused | Class::PerhapsRefused)
                    && !carries_values(before)
                {
                    failure.class = Class::Protocol;
                }
                failure.text = format!("(request before the login) {}", failure.text);
                Outcome::Failed(failure)
            },
        )?;
        let unix_time = self.clock.unix_time();
        let kept = captured(before, &response, unix_time)
            .map_err(|why| unreadable(why, response.status, "the request before the login"))?;
        let cookies = cookie::set_by(&response.headers, unix_time.as_secs_f64());
        Ok((kept, cookies.map_err(|error| cannot(&error.into()))?))
    }

    /// The token with all captured values, if they are valid in the headers of a call.
    fn complete(&self, mut fresh: Fresh, kept: Values) -> Outcome {
        match call_headers(self.account, &fresh.secret, &kept) {
            Ok(headers)
                if headers.iter().map(|(_, value)| value.len()).sum::<usize>()
                    > MAX_CALL_HEADERS =>
            {
                let text = format!(
                    "answered {} to the login, but the headers that carry its values are longer than {} KiB, the limit",
                    fresh.status,
                    MAX_CALL_HEADERS / 1024
                );
                failed(Class::Protocol, Some(fresh.status), text)
            }
            Ok(headers) => {
                (fresh.captured, fresh.headers) = (kept, headers);
                Outcome::Token(fresh)
            }
            Err(error) => {
                let text = format!("answered {} to the login, but {error}", fresh.status);
                let class = match error.kind() {
                    Kind::Io => Class::OutOfResources { unsent: false },
                    _ => Class::Protocol,
                };
                failed(class, Some(fresh.status), text)
            }
        }
    }

    /// Sends a request within the time left for the whole login, and counts it unless no time is
    /// left.
    async fn send(
        &self,
        mut request: LoginRequest,
        counter: Option<&AtomicU64>,
    ) -> Result<LoginResponse, TransportError> {
        let left = || {
            Some(self.until.saturating_sub(self.clock.monotonic())).filter(|left| !left.is_zero())
        };
        request.timeout = left().ok_or(TransportError::Timeout)?;
        if let Some(counter) = counter {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        match self.transport.send(request.clone()).await {
            // No byte was sent, so a second attempt does not count as a second login.
            Err(TransportError::Connect(_)) => {
                request.timeout = left().ok_or(TransportError::Timeout)?;
                self.transport.send(request).await
            }
            response => response,
        }
    }
}

/// Whether the request contains a value of the profile's table.
fn carries_values(call: &Call) -> bool {
    call.basic.is_some()
        || !matches!(call.body, Body::Empty)
        || call.headers.iter().any(|(_, template)| template.names().next().is_some())
}

fn cannot(error: &Error) -> Outcome {
    if error.kind() == Kind::Io {
        // Filling in a template needs nothing of the system but guarded memory.
        return Outcome::Failed(Failure::out_of_resources(format!("was not contacted: {error}")));
    }
    failed(Class::Protocol, None, format!("was not contacted: {error}"))
}
