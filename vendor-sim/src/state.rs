//! The embedded vendor's users, tokens and counts, and the behaviour that a test requested.

use crate::responses::{
    Refusal, Responses, VendorResponse, authorization, header_value, json_response, jwt, text,
};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION, USER_AGENT, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The most requests that are recorded, so that a load test does not fill memory.
const SEEN_LIMIT: usize = 10_000;

/// One request that arrived, without any part that could be a secret.
///
/// ```
/// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
/// use bootseal_vendor_sim::Seen;
/// let had_token = |seen: &Seen| seen.headers.iter().any(|name| name == "authorization");
/// assert!(!vendor.seen().iter().any(had_token));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Seen {
    /// The method, such as `POST`.
    pub method: String,
    /// The path without its query.
    pub path: String,
    /// The names of the headers in lower case, sorted, each once. Their values are not kept, except
    /// for the next two.
    pub headers: Vec<String>,
    /// The value of `Content-Type`.
    pub content_type: Option<String>,
    /// The value of `User-Agent`.
    pub user_agent: Option<String>,
    /// The length of the body in bytes; the body is not kept.
    pub body_len: usize,
}

enum Kind {
    Login,
    Call,
    Unknown,
}

fn kind(head: &Parts) -> Kind {
    match (head.method.as_str(), head.uri.path()) {
        ("POST", "/login" | "/login-header") => Kind::Login,
        ("GET", "/orders" | "/redirect") | ("POST", "/orders" | "/revoke") => Kind::Call,
        _ => Kind::Unknown,
    }
}

/// The counts and the requested behaviour of a [`Vendor`](crate::vendor::Vendor).
#[derive(Default)]
pub(crate) struct Book {
    /// The keyed hash of each user's password.
    pub(crate) users: BTreeMap<String, Vec<u8>>,
    pub(crate) lifetime: Duration,
    pub(crate) issued: u64,
    pub(crate) revoked: u64,
    pub(crate) refuse: bool,
    pub(crate) down: bool,
    pub(crate) slow: Duration,
    pub(crate) reject: Option<StatusCode>,
    pub(crate) redirect: Option<String>,
    pub(crate) logins: u64,
    pub(crate) refused_logins: u64,
    pub(crate) calls: u64,
    pub(crate) rejected_calls: u64,
    pub(crate) seen: Vec<Seen>,
    /// The issued tokens; `None` until a test asks to keep them.
    pub(crate) tokens: Option<Vec<String>>,
}

pub(crate) struct State {
    mac: Hmac<Sha256>,
    issuer: String,
    book: Mutex<Book>,
}

impl State {
    pub(crate) fn new(issuer: String) -> io::Result<State> {
        let mut key = [0; 32];
        getrandom::fill(&mut key)?;
        let mac = Hmac::new_from_slice(&key).map_err(io::Error::other)?;
        Ok(State {
            mac,
            issuer,
            book: Mutex::new(Book { lifetime: Duration::from_secs(15 * 60), ..Book::default() }),
        })
    }

    pub(crate) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Responses for State {
    fn arrived(&self, head: &Parts, body_len: usize) -> Duration {
        let book = &mut *self.book();
        match kind(head) {
            Kind::Login => book.logins += 1,
            Kind::Call => book.calls += 1,
            Kind::Unknown => {}
        }
        if book.seen.len() < SEEN_LIMIT {
            let mut headers: Vec<_> = head.headers.keys().map(HeaderName::to_string).collect();
            headers.sort_unstable();
            book.seen.push(Seen {
                method: head.method.to_string(),
                path: head.uri.path().to_owned(),
                headers,
                content_type: text(&head.headers, &CONTENT_TYPE).map(str::to_owned),
                user_agent: text(&head.headers, &USER_AGENT).map(str::to_owned),
                body_len,
            });
        }
        book.slow
    }

    fn response(&self, head: &Parts, body: Result<Vec<u8>, Refusal>) -> VendorResponse {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let book = &mut *self.book();
        let kind = kind(head);
        let outcome = match (&kind, body) {
            _ if book.down => Err((StatusCode::SERVICE_UNAVAILABLE, "down")),
            (Kind::Unknown, _) => Err((StatusCode::NOT_FOUND, "not_found")),
            (_, Err(refusal)) => Err(refusal),
            (Kind::Login, Ok(body)) => self.login(book, head, &body, now),
            (Kind::Call, Ok(body)) => self.call(book, head, body.len(), now),
        };
        outcome.unwrap_or_else(|(status, error)| {
            let mut response = json_response(status, &json!({ "error": error }));
            let unauthorized = status == StatusCode::UNAUTHORIZED;
            match kind {
                Kind::Login => book.refused_logins += u64::from(unauthorized),
                Kind::Call => book.rejected_calls += 1,
                Kind::Unknown => {}
            }
            if unauthorized && matches!(kind, Kind::Call) {
                let challenge = HeaderValue::from_static("Bearer error=\"invalid_token\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            }
            response
        })
    }
}

impl State {
    fn login(
        &self,
        book: &mut Book,
        head: &Parts,
        body: &[u8],
        now: Duration,
    ) -> Result<VendorResponse, Refusal> {
        let (name, password) =
            credentials(&head.headers, body).ok_or((StatusCode::BAD_REQUEST, "invalid_request"))?;
        let right = |tag: &Vec<u8>| self.password_mac(&password).verify_slice(tag).is_ok();
        if book.refuse || !book.users.get(&name).is_some_and(right) {
            return Err((StatusCode::UNAUTHORIZED, "invalid_credentials"));
        }
        book.issued += 1;
        let (token, expires_in) = self.issue(&name, book.issued, book.lifetime, now);
        if let Some(tokens) = &mut book.tokens {
            tokens.push(token.clone());
        }
        let mut response = if head.uri.path() == "/login-header" {
            let mut response = json_response(StatusCode::OK, &json!({}));
            response.headers_mut().insert("x-subject-token", header_value(&token)?);
            response
        } else {
            let body =
                json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in });
            json_response(StatusCode::OK, &body)
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store")); // RFC 6749, 5.1
        Ok(response)
    }

    fn call(
        &self,
        book: &mut Book,
        head: &Parts,
        received: usize,
        now: Duration,
    ) -> Result<VendorResponse, Refusal> {
        if let Some(status) = book.reject {
            return Err((status, "rejected"));
        }
        if head.uri.path() == "/redirect" {
            let location = book.redirect.as_ref().ok_or((StatusCode::NOT_FOUND, "not_found"))?;
            let mut response = json_response(StatusCode::TEMPORARY_REDIRECT, &json!({}));
            response.headers_mut().insert(LOCATION, header_value(location)?);
            return Ok(response);
        }
        let serial = token(&head.headers).and_then(|token| self.serial(token, now));
        if serial.is_none_or(|serial| serial <= book.revoked) {
            return Err((StatusCode::UNAUTHORIZED, "invalid_token"));
        }
        if head.uri.path() == "/revoke" {
            book.revoked = book.issued;
            let mut response = VendorResponse::default();
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        Ok(if head.method == Method::POST {
            json_response(StatusCode::CREATED, &json!({ "received": received }))
        } else {
            json_response(
                StatusCode::OK,
                &json!({ "orders": [{ "id": 1, "item": "lamp" }, { "id": 2, "item": "oil" }] }),
            )
        })
    }

    /// The keyed hash of a password. No JWT begins with its prefix, so one key is enough for both.
    pub(crate) fn password_mac(&self, password: &str) -> Hmac<Sha256> {
        self.mac.clone().chain_update("password:").chain_update(password)
    }

    /// A new JWT, and its remaining lifetime in whole seconds, rounded down.
    fn issue(&self, user: &str, serial: u64, lifetime: Duration, now: Duration) -> (String, u64) {
        let end = now.saturating_add(lifetime);
        let exp = end.as_secs().saturating_add(u64::from(end.subsec_nanos() > 0));
        let payload = json!({ "iss": self.issuer, "sub": user, "iat": now.as_secs(), "exp": exp, "jti": serial.to_string() });
        (jwt(&self.mac, &payload), Duration::from_secs(exp).saturating_sub(now).as_secs())
    }

    /// The serial number of a token that this vendor signed and that has not expired. The algorithm
    /// that the token names is ignored.
    fn serial(&self, token: &str, now: Duration) -> Option<u64> {
        let (signed, tag) = token.rsplit_once('.')?;
        let tag = BASE64_URL_SAFE_NO_PAD.decode(tag).ok()?;
        self.mac.clone().chain_update(signed).verify_slice(&tag).ok()?;
        let payload = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?;
        let payload: Value = serde_json::from_slice(&payload).ok()?;
        let serial = payload.get("jti")?.as_str()?.parse().ok()?;
        (Duration::from_secs(payload.get("exp")?.as_u64()?) > now).then_some(serial)
    }
}

fn token(headers: &HeaderMap) -> Option<&str> {
    authorization(headers, "Bearer")
        .or_else(|| text(headers, &HeaderName::from_static("x-auth-token")))
}

fn credentials(headers: &HeaderMap, body: &[u8]) -> Option<(String, String)> {
    if let Some(basic) = authorization(headers, "Basic") {
        let both = String::from_utf8(BASE64_STANDARD.decode(basic).ok()?).ok()?;
        return both.split_once(':').map(|(name, password)| (name.to_owned(), password.to_owned()));
    }
    if text(headers, &CONTENT_TYPE)
        .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"))
    {
        let form: BTreeMap<_, _> = url::form_urlencoded::parse(body).collect();
        return Some((form.get("username")?.to_string(), form.get("password")?.to_string()));
    }
    let body: Value = serde_json::from_slice(body).ok()?;
    Some((body.get("username")?.as_str()?.to_owned(), body.get("password")?.as_str()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_expires_with_its_last_second() {
        let state = State::new("https://vendor".to_owned()).unwrap();
        let (token, expires_in) =
            state.issue("acme", 7, Duration::from_secs(2), Duration::from_millis(1_000_250));
        assert_eq!(expires_in, 2);
        assert_eq!(state.serial(&token, Duration::from_millis(1_002_999)), Some(7));
        assert_eq!(state.serial(&token, Duration::from_millis(1_003_000)), None);
        let (_, expires_in) = state.issue("acme", 8, Duration::MAX, Duration::from_secs(1));
        assert_eq!(expires_in, u64::MAX - 1);
    }
}
