//! The logic of a simulated vendor: the step of the profile that a request matches, the sessions,
//! and the response.

use crate::behaviour::{Behaviour, Served};
use crate::draft::{Draft, put, random, say, words, written_path};
use crate::responses::{Refusal, Responses, VendorResponse, json_response, jwt};
use crate::shape::{Filled, goes_to, read, read_headers};
use bootseal_core::{Call, Capture, Expiry, Field, Profile, ResponsePlace, Unit};
use hmac::{Hmac, KeyInit};
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde_json::json;
use sha2::Sha256;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The number of sessions, and of responses of `before`, that are kept. The values of older ones
/// count as never issued.
const REMEMBERED: usize = 1_000;

pub(crate) struct Role {
    profile: Profile,
    origin: String,
    behaviour: Behaviour,
    mac: Hmac<Sha256>,
    started: Instant,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    issued: u64,
    /// The values that responses of `before` contained.
    before: VecDeque<Filled>,
    sessions: VecDeque<Session>,
}

struct Session {
    number: u64,
    /// Every token of this session: after a renewal the previous token stays valid.
    tokens: Vec<String>,
    end: Option<Instant>,
    /// The interval between two revocations in which the session began, counted from 0.
    span: u128,
    logged_out: bool,
    captured: Filled,
}

enum Step {
    Before,
    Login,
    Refresh,
    Logout,
}

/// The response, and the words for the listener.
type Outcome = (VendorResponse, String);

impl Responses for Role {
    fn arrived(&self, _: &Parts, _: usize) -> Duration {
        self.behaviour.slow
    }

    fn response(&self, head: &Parts, body: Result<Vec<u8>, Refusal>) -> VendorResponse {
        let (path, outcome) = self.decide(head, body);
        let (response, what) =
            outcome.unwrap_or_else(|(status, error)| (error_response(status, error), error.into()));
        if let Some(listener) = &self.behaviour.listener {
            listener(Served {
                method: head.method.to_string(),
                path,
                status: response.status().as_u16(),
                what,
            });
        }
        response
    }
}

impl Role {
    pub(crate) fn new(profile: Profile, origin: String, behaviour: Behaviour) -> io::Result<Role> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let mac = Hmac::new_from_slice(&key).map_err(io::Error::other)?;
        Ok(Role {
            profile,
            origin,
            behaviour,
            mac,
            started: Instant::now(),
            book: Mutex::default(),
        })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(&self) -> u128 {
        let every = self.behaviour.revoke_every.map_or(0, |every| every.as_nanos());
        self.started.elapsed().as_nanos().checked_div(every).unwrap_or_default()
    }

    fn lifetime(&self) -> Option<Duration> {
        match (self.behaviour.lifetime, &self.profile.expiry) {
            (Some(lifetime), _) => Some(lifetime),
            (None, Some(Expiry::OnReject)) => None,
            (None, Some(Expiry::Fixed(lifetime))) => Some(*lifetime),
            (None, _) => Some(Duration::from_secs(15 * 60)),
        }
    }

    fn decide(
        &self,
        head: &Parts,
        body: Result<Vec<u8>, Refusal>,
    ) -> (String, Result<Outcome, Refusal>) {
        let profile = &self.profile;
        let calls = [
            (Step::Before, profile.before.as_ref()),
            (Step::Login, Some(&profile.login)),
            (Step::Refresh, profile.refresh.as_ref()),
            (Step::Logout, profile.logout.as_ref()),
        ];
        let meant =
            calls.into_iter().filter_map(|(step, call)| Some((step, call?, goes_to(call?, head)?)));
        let meant: Vec<_> = meant.collect();
        let path = meant
            .first()
            .map_or_else(|| head.uri.path().to_owned(), |(_, call, _)| written_path(call));
        if self.behaviour.down {
            return (path, Err((StatusCode::SERVICE_UNAVAILABLE, "down, as requested")));
        }
        let body = match body {
            Ok(body) => body,
            Err(refusal) => return (path, Err(refusal)),
        };
        if meant.is_empty() {
            return (path, self.call(head));
        }
        let mut wrong = String::new();
        for (step, call, filled) in meant {
            let (name, outcome) = match read(call, head, &body, filled) {
                Err(what) => {
                    wrong = what;
                    continue;
                }
                Ok(filled) => match step {
                    Step::Before => ("before", self.before(call)),
                    Step::Login => ("login", self.login(&filled)),
                    Step::Refresh => ("refresh", self.refresh(call, &filled)),
                    Step::Logout => ("logout", self.logout(&filled)),
                },
            };
            return (path, outcome.map(|(response, what)| (response, format!("{name}: {what}"))));
        }
        let response = json_response(
            StatusCode::BAD_REQUEST,
            &json!({ "error": "not_as_in_profile", "detail": wrong }),
        );
        (path, Ok((response, format!("does not match the profile: {wrong}"))))
    }

    fn before(&self, call: &Call) -> Result<Outcome, Refusal> {
        let mut draft = Draft::new();
        let given = draft.capture(&call.capture)?;
        let mut book = self.book();
        book.before.push_back(given);
        while book.before.len() > REMEMBERED {
            book.before.pop_front();
        }
        Ok((draft.response(StatusCode::OK), "answered".into()))
    }

    fn login(&self, filled: &Filled) -> Result<Outcome, Refusal> {
        let book = &mut *self.book();
        if self.behaviour.refuse {
            return Ok((self.refusal()?, "refused, as requested".into()));
        }
        if let Some(name) = self.unknown(book, filled) {
            return Ok((self.refusal()?, format!("refused: its `{name}` was never issued")));
        }
        self.issue(book, &self.profile.login.capture, Filled::new())
    }

    fn refresh(&self, call: &Call, filled: &Filled) -> Result<Outcome, Refusal> {
        let book = &mut *self.book();
        let same = |session: &&mut Session| {
            let mut spent =
                filled.iter().filter(|(name, _)| session.captured.contains_key(*name)).peekable();
            spent.peek().is_some()
                && spent.all(|(name, value)| session.captured.get(name) == Some(value))
        };
        let Some(session) =
            book.sessions.iter_mut().find(same).filter(|session| !session.logged_out)
        else {
            return Ok((
                self.refusal()?,
                "refused: its refresh value was never issued, or is used up".into(),
            ));
        };
        // The response contains new values for these names, so the old values are used up. The old
        // token stays valid until it expires.
        let kept = session.captured.clone();
        for capture in &call.capture {
            session.captured.remove(&capture.name);
        }
        self.issue(book, &call.capture, kept)
    }

    fn logout(&self, filled: &Filled) -> Result<Outcome, Refusal> {
        let book = &mut *self.book();
        let token = filled.get("token");
        let same = |session: &&mut Session| match token {
            Some(token) => session.tokens.contains(token),
            None => {
                let mut known = filled
                    .iter()
                    .filter(|(name, _)| session.captured.contains_key(*name))
                    .peekable();
                known.peek().is_some()
                    && known.all(|(name, value)| session.captured.get(name) == Some(value))
            }
        };
        let Some(session) = book.sessions.iter_mut().find(same) else {
            return Err((StatusCode::UNAUTHORIZED, "logout: no such token"));
        };
        session.logged_out = true;
        let mut response = VendorResponse::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok((response, format!("token #{} ended", session.number)))
    }

    /// A name that `before` captures, if the request has a value for it that was never issued.
    fn unknown<'a>(&self, book: &Book, filled: &'a Filled) -> Option<&'a str> {
        let captures = |call: &Option<Call>, name: &str| {
            call.as_ref()
                .is_some_and(|call| call.capture.iter().any(|capture| capture.name == name))
        };
        let wrong = |(name, value): &(&String, &String)| {
            captures(&self.profile.before, name)
                && !book.before.iter().any(|given| given.get(name.as_str()) == Some(*value))
        };
        filled.iter().find(wrong).map(|(name, _)| name.as_str())
    }

    fn issue(
        &self,
        book: &mut Book,
        captures: &[Capture],
        kept: Filled,
    ) -> Result<Outcome, Refusal> {
        let profile = &self.profile;
        book.issued += 1;
        let (number, lifetime) = (book.issued, self.lifetime());
        let token = self.token(number, lifetime)?;
        let mut draft = Draft::new();
        let mut captured = kept;
        captured.extend(draft.capture(captures)?);
        let max_age = self.expire(&mut draft, lifetime)?;
        match &profile.token {
            ResponsePlace::Body => draft.whole = Some((token.clone(), "text/plain")),
            ResponsePlace::BodyJsonString => {
                draft.whole = Some((json!(token).to_string(), "application/json"))
            }
            place => draft.place(place, json!(token), max_age)?,
        }
        if profile.token == ResponsePlace::Json("/access_token".into()) {
            put(&mut draft.json, "/token_type", json!("Bearer"));
            if let (None, Some(lifetime)) = (&profile.expiry, lifetime) {
                put(&mut draft.json, "/expires_in", json!(lifetime.as_secs()));
            }
        }
        let status =
            profile.ok_status.as_ref().and_then(|list| list.first().copied()).unwrap_or(200);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
        let end = lifetime.and_then(|lifetime| Instant::now().checked_add(lifetime));
        book.sessions.push_back(Session {
            number,
            tokens: vec![token],
            end,
            span: self.span(),
            logged_out: false,
            captured,
        });
        while book.sessions.len() > REMEMBERED {
            book.sessions.pop_front();
        }
        let lifetimes = lifetime.map_or("lives until it is revoked".into(), |lifetime| {
            format!("lives {}", words(lifetime))
        });
        Ok((draft.response(status), format!("token #{number} {lifetimes}")))
    }

    fn token(&self, number: u64, lifetime: Option<Duration>) -> Result<String, Refusal> {
        let cookie = matches!(self.profile.token, ResponsePlace::Cookie(_));
        let says_its_end = match self.profile.expiry {
            Some(Expiry::Jwt) => true,
            // A session cookie usually is not a JWT.
            None => !cookie,
            _ => false,
        };
        let (Some(lifetime), true) = (lifetime, says_its_end) else { return random() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let exp = now.saturating_add(lifetime.as_secs().max(1));
        let (iss, sub) = (&self.origin, self.profile.table.to_string());
        Ok(jwt(
            &self.mac,
            &json!({ "iss": iss, "sub": sub, "iat": now, "exp": exp, "jti": number.to_string() }),
        ))
    }

    /// Writes the lifetime in the place that the profile names. If this is the cookie of the token
    /// itself, returns the Max-Age for it instead.
    fn expire(
        &self,
        draft: &mut Draft,
        lifetime: Option<Duration>,
    ) -> Result<Option<u64>, Refusal> {
        let (Some(Expiry::Field(Field { place, unit })), Some(lifetime)) =
            (&self.profile.expiry, lifetime)
        else {
            return Ok(None);
        };
        if let ResponsePlace::Cookie(name) = place {
            let own = matches!(&self.profile.token, ResponsePlace::Cookie(token) if token == name);
            if !own {
                draft.place(place, json!("1"), Some(lifetime.as_secs()))?;
            }
            return Ok(own.then_some(lifetime.as_secs()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let end = now.saturating_add(lifetime);
        let value = match unit {
            Unit::Seconds => json!(lifetime.as_secs()),
            Unit::Milliseconds => json!(u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX)),
            Unit::Minutes => json!(lifetime.as_secs_f64() / 60.0),
            Unit::Epoch => json!(end.as_secs()),
            Unit::EpochMilliseconds => json!(u64::try_from(end.as_millis()).unwrap_or(u64::MAX)),
            Unit::Iso8601 => {
                let milliseconds = i64::try_from(end.as_millis()).unwrap_or(i64::MAX);
                json!(
                    jiff::Timestamp::from_millisecond(milliseconds)
                        .unwrap_or(jiff::Timestamp::MAX)
                        .to_string()
                )
            }
        };
        draft.place(place, value, None)?;
        Ok(None)
    }

    fn refusal(&self) -> Result<VendorResponse, Refusal> {
        let profile = &self.profile;
        let mut draft = Draft::new();
        put(&mut draft.json, "/error", json!("invalid_credentials"));
        let status = match (&profile.refused_status, &profile.refused_when) {
            (Some(list), _) if !list.is_empty() => list.first().copied().unwrap_or(401),
            (_, Some(_)) => 200,
            _ => 401,
        };
        if let Some(when) = &profile.refused_when {
            say(&mut draft.json, when);
        }
        Ok(draft.response(StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED)))
    }

    fn call(&self, head: &Parts) -> Result<Outcome, Refusal> {
        let book = &mut *self.book();
        let (span, now) = (self.span(), Instant::now());
        let mut filled = Filled::new();
        let number = match read_headers(&self.profile.inject, &head.headers, &mut filled) {
            Err(wrong) => Err(wrong),
            Ok(()) => self.look_up(book, &filled, span, now),
        };
        match number {
            Err(wrong) => Ok((self.rejection()?, format!("call: rejected, {wrong}"))),
            Ok(index) => {
                let response = json_response(StatusCode::OK, &json!({ "ok": true }));
                self.slide(book, index, response, now)
            }
        }
    }

    /// The session whose token a call carries.
    fn look_up(
        &self,
        book: &Book,
        filled: &Filled,
        span: u128,
        now: Instant,
    ) -> Result<usize, String> {
        let token = filled.get("token").ok_or("it has no token")?;
        let found = book.sessions.iter().position(|session| session.tokens.contains(token));
        let index = found.ok_or("its token was never issued")?;
        let session = &book.sessions[index];
        let number = session.number;
        if session.logged_out {
            return Err(format!("token #{number} was logged out"));
        }
        if session.span != span {
            return Err(format!("token #{number} was revoked"));
        }
        if session.end.is_some_and(|end| end <= now) {
            return Err(format!("token #{number} had expired"));
        }
        let given = |name: &String| session.captured.get(name);
        match filled.iter().find(|(name, value)| given(name).is_some_and(|given| given != *value)) {
            Some((name, _)) => Err(format!("its `{name}` was not issued with token #{number}")),
            None => Ok(index),
        }
    }

    /// Extends a session with an idle timeout. If the profile renews tokens from responses, the
    /// response contains a newer token.
    fn slide(
        &self,
        book: &mut Book,
        index: usize,
        mut response: VendorResponse,
        now: Instant,
    ) -> Result<Outcome, Refusal> {
        let session = &mut book.sessions[index];
        let number = session.number;
        let lifetime = self.lifetime();
        let renewed = self.profile.renew_from_answers;
        if self.profile.idle || renewed {
            session.end = lifetime.and_then(|lifetime| now.checked_add(lifetime));
        }
        if renewed {
            let token = self.token(number, lifetime)?;
            let mut draft = Draft::new();
            let max_age = self.expire(&mut draft, lifetime)?;
            draft.place(&self.profile.token, json!(token), max_age)?;
            for (name, value) in draft.headers {
                response.headers_mut().append(name, value);
            }
            session.tokens.push(token);
            let surplus = session.tokens.len().saturating_sub(REMEMBERED);
            session.tokens.drain(..surplus);
        }
        Ok((response, format!("call: token #{number}")))
    }

    fn rejection(&self) -> Result<VendorResponse, Refusal> {
        let profile = &self.profile;
        let mut draft = Draft::new();
        put(&mut draft.json, "/error", json!("invalid_token"));
        if let Some(when) = &profile.rejected_when {
            say(&mut draft.json, when);
        }
        let status =
            profile.rejected_status.first().and_then(|status| StatusCode::from_u16(*status).ok());
        let status = status.unwrap_or(StatusCode::OK);
        if status == StatusCode::UNAUTHORIZED {
            draft.headers.push((
                WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer error=\"invalid_token\""),
            ));
        }
        Ok(draft.response(status))
    }
}

fn error_response(status: StatusCode, error: &str) -> VendorResponse {
    json_response(status, &json!({ "error": error }))
}
