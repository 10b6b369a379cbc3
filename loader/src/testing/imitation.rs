//! What would the vendor of this profile answer? A vendor made up from the profile itself: the same paths, shapes, token and expiry, on
//! loopback, for who develops against it without credentials. Every user and every password is let in.
//!
//! A one-time code is not checked, nor is a client certificate. What is neither of the profile's calls to log in is a call with the token.

use crate::testing::responses::{Refusal, Responses, VendorResponse, header_value, json_response, jwt};
use crate::testing::server::Server;
use crate::testing::shape::{Filled, goes_to, read, read_headers};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal_core::{Call, Capture, Expiry, Field, Part, Profile, ResponsePlace, Test, Unit, When};
use bytes::Bytes;
use hmac::{Hmac, KeyInit};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, SET_COOKIE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Sessions, and answers of `before`, that are remembered; older ones are as if they had ended.
const REMEMBERED: usize = 1_000;

/// How an [`Imitation`] behaves.
///
/// ```
/// use bootseal::testing::Behaviour;
/// use std::time::Duration;
/// let moody = Behaviour { revoke_every: Some(Duration::from_secs(30)), ..Behaviour::default() };
/// assert!(!moody.refuse && !moody.down);
/// ```
#[derive(Clone, Default)]
pub struct Behaviour {
    /// How long tokens live; `None`: what the profile says, else 15 minutes.
    pub lifetime: Option<Duration>,
    /// All tokens given out so far are no longer good each time so much has passed.
    pub revoke_every: Option<Duration>,
    /// Logins are refused; tokens stay good.
    pub refuse: bool,
    /// Everything is answered 503.
    pub down: bool,
    /// Every answer waits.
    pub slow: Duration,
    /// Told of each request that was answered.
    pub listener: Option<Arc<dyn Fn(Served) + Send + Sync>>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Behaviour { lifetime, revoke_every, refuse, down, slow, listener: _ } = self;
        write!(f, "Behaviour {{ {lifetime:?}, {revoke_every:?}, refuse: {refuse}, down: {down}, slow: {slow:?} }}")
    }
}

/// A request that was answered, with nothing in it that could be a secret.
///
/// ```
/// use bootseal::testing::Served;
/// fn line(served: &Served) -> String {
///     format!("{} {} {} {}", served.method, served.path, served.status, served.what)
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The method.
    pub method: String,
    /// The path without its query; of a call of the profile as the profile writes it, with its `${names}`.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// What the request was, and what was wrong with it.
    pub what: String,
}

/// A vendor made up from a profile, which answers on loopback until it is dropped.
///
/// ```
/// # use bootseal::testing::{Behaviour, Imitation};
/// let profile = "[acme.login]\nurl = \"https://api.acme.example/login\"\njson = { user = \"${username}\", pin = \"${password}\" }\n";
/// let values = [("acme.username", "any"), ("acme.password", "thing")];
/// let theirs = bootseal::testing::vault(values, profile)?.token_source("acme")?.profile().clone();
/// let vendor = Imitation::start(&theirs, ([127, 0, 0, 1], 0).into(), Behaviour::default())?;
///
/// // The same profile, at this address.
/// let here = profile.replace("https://api.acme.example", vendor.origin());
/// let token = bootseal::testing::vault(values, &here)?.token_source("acme")?.token_blocking()?;
/// assert_eq!(token.lifetime().as_secs().div_ceil(60), 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Imitation {
    server: Server,
}

impl Imitation {
    /// Starts one at `address`, in clear.
    ///
    /// # Errors
    /// Where the port cannot be had, or no thread or randomness.
    ///
    /// See the example of [`Imitation`].
    pub fn start(profile: &Profile, address: SocketAddr, behaviour: Behaviour) -> io::Result<Imitation> {
        let (server, _) = Server::start(address, None, |origin| Role::new(profile.clone(), origin, behaviour))?;
        Ok(Imitation { server })
    }

    /// `http://127.0.0.1:` and the port.
    ///
    /// See the example of [`Imitation`].
    pub fn origin(&self) -> &str {
        self.server.origin()
    }
}

impl std::fmt::Debug for Imitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Imitation({})", self.server.origin())
    }
}

struct Role {
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
    /// What `before` gave.
    before: VecDeque<Filled>,
    sessions: VecDeque<Session>,
}

struct Session {
    number: u64,
    /// Every token of it; a sliding one is renewed, and the one before stays good.
    tokens: Vec<String>,
    end: Option<Instant>,
    /// Which of the spans between two revocations it is from.
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

/// What is answered, and what the listener is told.
type Outcome = (VendorResponse, String);

impl Responses for Role {
    fn arrived(&self, _: &Parts, _: usize) -> Duration {
        self.behaviour.slow
    }

    fn response(&self, head: &Parts, body: Result<Vec<u8>, Refusal>) -> VendorResponse {
        let (path, outcome) = self.decide(head, body);
        let (response, what) = outcome.unwrap_or_else(|(status, error)| (error_response(status, error), error.into()));
        if let Some(listener) = &self.behaviour.listener {
            listener(Served { method: head.method.to_string(), path, status: response.status().as_u16(), what });
        }
        response
    }
}

impl Role {
    fn new(profile: Profile, origin: String, behaviour: Behaviour) -> io::Result<Role> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let mac = Hmac::new_from_slice(&key).map_err(io::Error::other)?;
        Ok(Role { profile, origin, behaviour, mac, started: Instant::now(), book: Mutex::default() })
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

    fn decide(&self, head: &Parts, body: Result<Vec<u8>, Refusal>) -> (String, Result<Outcome, Refusal>) {
        let profile = &self.profile;
        let calls = [
            (Step::Before, profile.before.as_ref()),
            (Step::Login, Some(&profile.login)),
            (Step::Refresh, profile.refresh.as_ref()),
            (Step::Logout, profile.logout.as_ref()),
        ];
        let meant = calls.into_iter().filter_map(|(step, call)| Some((step, call?, goes_to(call?, head)?)));
        let meant: Vec<_> = meant.collect();
        let path = meant.first().map_or_else(|| head.uri.path().to_owned(), |(_, call, _)| written_path(call));
        if self.behaviour.down {
            return (path, Err((StatusCode::SERVICE_UNAVAILABLE, "down, as it was told to be")));
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
        let response =
            json_response(StatusCode::BAD_REQUEST, &json!({ "error": "not_as_in_profile", "detail": wrong }));
        (path, Ok((response, format!("not as the profile says: {wrong}"))))
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
            return Ok((self.refusal()?, "refused, as it was told to".into()));
        }
        if let Some(name) = self.unknown(book, filled) {
            return Ok((self.refusal()?, format!("refused: its `{name}` was never given out")));
        }
        self.issue(book, &self.profile.login.capture, Filled::new())
    }

    fn refresh(&self, call: &Call, filled: &Filled) -> Result<Outcome, Refusal> {
        let book = &mut *self.book();
        let same = |session: &&mut Session| {
            let mut spent = filled.iter().filter(|(name, _)| session.captured.contains_key(*name)).peekable();
            spent.peek().is_some() && spent.all(|(name, value)| session.captured.get(name) == Some(value))
        };
        let Some(session) = book.sessions.iter_mut().find(same).filter(|session| !session.logged_out) else {
            return Ok((self.refusal()?, "refused: what it spends was never given out, or is spent".into()));
        };
        // What is given anew is spent; the token itself lives on to its end.
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
                let mut known = filled.iter().filter(|(name, _)| session.captured.contains_key(*name)).peekable();
                known.peek().is_some() && known.all(|(name, value)| session.captured.get(name) == Some(value))
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

    /// A name that a step of the profile captures, with a value that none gave.
    fn unknown<'a>(&self, book: &Book, filled: &'a Filled) -> Option<&'a str> {
        let captures = |call: &Option<Call>, name: &str| {
            call.as_ref().is_some_and(|call| call.capture.iter().any(|capture| capture.name == name))
        };
        let wrong = |(name, value): &(&String, &String)| {
            captures(&self.profile.before, name)
                && !book.before.iter().any(|given| given.get(name.as_str()) == Some(*value))
        };
        filled.iter().find(wrong).map(|(name, _)| name.as_str())
    }

    fn issue(&self, book: &mut Book, captures: &[Capture], kept: Filled) -> Result<Outcome, Refusal> {
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
            ResponsePlace::BodyJsonString => draft.whole = Some((json!(token).to_string(), "application/json")),
            place => draft.place(place, json!(token), max_age)?,
        }
        if profile.token == ResponsePlace::Json("/access_token".into()) {
            put(&mut draft.json, "/token_type", json!("Bearer"));
            if let (None, Some(lifetime)) = (&profile.expiry, lifetime) {
                put(&mut draft.json, "/expires_in", json!(lifetime.as_secs()));
            }
        }
        let status = profile.ok_status.as_ref().and_then(|list| list.first().copied()).unwrap_or(200);
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
        let lifetimes =
            lifetime.map_or("lives until it is revoked".into(), |lifetime| format!("lives {}", words(lifetime)));
        Ok((draft.response(status), format!("token #{number} {lifetimes}")))
    }

    fn token(&self, number: u64, lifetime: Option<Duration>) -> Result<String, Refusal> {
        let cookie = matches!(self.profile.token, ResponsePlace::Cookie(_));
        let says_its_end = match self.profile.expiry {
            Some(Expiry::Jwt) => true,
            // A session's cookie is none, as a rule.
            None => !cookie,
            _ => false,
        };
        let (Some(lifetime), true) = (lifetime, says_its_end) else { return random() };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let exp = now.saturating_add(lifetime.as_secs().max(1));
        let (iss, sub) = (&self.origin, self.profile.table.to_string());
        Ok(jwt(&self.mac, &json!({ "iss": iss, "sub": sub, "iat": now, "exp": exp, "jti": number.to_string() })))
    }

    /// Says the life where the profile looks for it; of a cookie, its Max-Age is handed back.
    fn expire(&self, draft: &mut Draft, lifetime: Option<Duration>) -> Result<Option<u64>, Refusal> {
        let (Some(Expiry::Field(Field { place, unit })), Some(lifetime)) = (&self.profile.expiry, lifetime) else {
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
                json!(jiff::Timestamp::from_millisecond(milliseconds).unwrap_or(jiff::Timestamp::MAX).to_string())
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
    fn look_up(&self, book: &Book, filled: &Filled, span: u128, now: Instant) -> Result<usize, String> {
        let token = filled.get("token").ok_or("it has no token")?;
        let found = book.sessions.iter().position(|session| session.tokens.contains(token));
        let index = found.ok_or("its token was never given out")?;
        let session = &book.sessions[index];
        let number = session.number;
        if session.logged_out {
            return Err(format!("token #{number} was logged out"));
        }
        if session.span != span {
            return Err(format!("token #{number} was revoked"));
        }
        if session.end.is_some_and(|end| end <= now) {
            return Err(format!("token #{number} had run out"));
        }
        let given = |name: &String| session.captured.get(name);
        match filled.iter().find(|(name, value)| given(name).is_some_and(|given| given != *value)) {
            Some((name, _)) => Err(format!("its `{name}` is not the one that came with token #{number}")),
            None => Ok(index),
        }
    }

    /// A token that slides lives on, and where the profile takes newer ones, there is one in the answer.
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
        let status = profile.rejected_status.first().and_then(|status| StatusCode::from_u16(*status).ok());
        let status = status.unwrap_or(StatusCode::OK);
        if status == StatusCode::UNAUTHORIZED {
            draft.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\"")));
        }
        Ok(draft.response(status))
    }
}

/// An answer in the making.
struct Draft {
    json: Value,
    /// Instead of the JSON, with its content type.
    whole: Option<(String, &'static str)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Draft {
    fn new() -> Draft {
        Draft { json: json!({}), whole: None, headers: Vec::new() }
    }

    /// Puts something new where each of `captures` looks, and says what.
    fn capture(&mut self, captures: &[Capture]) -> Result<Filled, Refusal> {
        let mut given = Filled::new();
        for capture in captures {
            let value = random()?;
            self.place(&capture.place, json!(value), None)?;
            given.insert(capture.name.clone(), value);
        }
        Ok(given)
    }

    fn place(&mut self, place: &ResponsePlace, value: Value, max_age: Option<u64>) -> Result<(), Refusal> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match place {
            ResponsePlace::Json(pointer) => put(&mut self.json, pointer, value),
            ResponsePlace::Header(name) => {
                let name = HeaderName::try_from(name.as_str());
                let name = name.map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "a header's name"))?;
                self.headers.push((name, header_value(&text)?));
            }
            ResponsePlace::Cookie(name) => {
                let age = max_age.map_or(String::new(), |age| format!("; Max-Age={age}"));
                self.headers.push((SET_COOKIE, header_value(&format!("{name}={text}; Path=/; HttpOnly{age}"))?));
            }
            ResponsePlace::BodyJsonString => self.whole = Some((json!(text).to_string(), "application/json")),
            _ => self.whole = Some((text, "text/plain")),
        }
        Ok(())
    }

    fn response(self, status: StatusCode) -> VendorResponse {
        let mut response = match self.whole {
            None => json_response(status, &self.json),
            Some((body, kind)) => {
                let mut response = VendorResponse::new(Full::from(Bytes::from(body)));
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
        };
        if status.is_redirection() {
            response.headers_mut().insert(LOCATION, HeaderValue::from_static("/"));
        }
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

fn error_response(status: StatusCode, error: &str) -> VendorResponse {
    json_response(status, &json!({ "error": error }))
}

/// Writes `value` where `pointer` points, and makes the objects on the way.
fn put(at: &mut Value, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else {
        *at = value;
        return;
    };
    let (step, _) = rest.split_once('/').unwrap_or((rest, ""));
    let key = step.replace("~1", "/").replace("~0", "~");
    if !at.is_object() {
        *at = json!({});
    }
    if let Value::Object(object) = at {
        put(object.entry(key).or_insert(Value::Null), &rest[step.len()..], value);
    }
}

/// Makes a condition of the profile true.
fn say(json: &mut Value, when: &When) {
    let value = match &when.test {
        Test::Present => json!(true),
        Test::Equals(text) => match text.as_str() {
            "true" => json!(true),
            "false" => json!(false),
            text => text.parse::<i64>().map_or_else(|_| json!(text), |number| json!(number)),
        },
        Test::Contains(text) => json!(text),
    };
    put(json, &when.pointer, value);
}

fn random() -> Result<String, Refusal> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|_| (StatusCode::INTERNAL_SERVER_ERROR, "no random numbers"))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The path of a call as the profile writes it.
fn written_path(call: &Call) -> String {
    let piece = |part: &Part| match part {
        Part::Text(text) => text.clone(),
        Part::Name(name) => format!("${{{name}}}"),
    };
    let text: String = call.url.parts().iter().map(piece).collect();
    let path = text.split_once("://").and_then(|(_, rest)| rest.find('/').map(|at| rest[at..].to_owned()));
    path.unwrap_or_else(|| "/".into()).split('?').next().unwrap_or("/").to_owned()
}

fn words(lifetime: Duration) -> String {
    match (lifetime.as_secs(), lifetime.subsec_millis()) {
        (0, milliseconds) => format!("{milliseconds} ms"),
        (seconds, _) if seconds % 60 == 0 && seconds >= 120 => format!("{} min", seconds / 60),
        (seconds, _) => format!("{seconds} s"),
    }
}
