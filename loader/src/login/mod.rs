//! What is sent to log in, and what does the answer mean? Pure functions; the network lies behind [`Transport`].

pub(crate) mod clock;
pub(crate) mod cookie;
pub(crate) mod expiry;
pub(crate) mod http_transport;
pub(crate) mod json;
pub(crate) mod jwt;
pub(crate) mod procedure;
pub(crate) mod totp;

use crate::error::Error;
use crate::login::expiry::{Evidence, ExpiryFrom, FieldValue, Lifetime, date, http_date, iso8601};
use crate::login::json::{Found, find, places};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{
    Basic, Body, Call, Expiry, Field, JsonTemplate, Kind, Part, Profile, ResponsePlace, Secret, Template, Test, Unit,
    When,
};
use bootseal_memory::SecretBuf;
use http::header::{AUTHORIZATION, COOKIE, HeaderName};
use http::{HeaderMap, Method};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// A login, ready to be sent. What is secret in it lies on guarded pages.
///
/// ```
/// # use bootseal::{LoginResponse, LoginRequest, Transport, TransportError};
/// # use std::{future::Future, pin::Pin, sync::Arc};
/// # struct Script;
/// # impl Transport for Script {
/// fn send(&self, request: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
///     assert_eq!((request.method.as_str(), request.url.scheme()), ("POST", "https"));
///     assert!(request.headers.iter().any(|(name, _)| name == "authorization")); // HTTP Basic
///     Box::pin(async { Err(TransportError::Timeout) })
/// }
/// # }
/// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
/// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
/// # let clock = bootseal::testing::Clock::new();
/// # let acme = vault.token_source_with("acme", Arc::new(clock), Arc::new(Script))?;
/// # assert_eq!(acme.token_blocking().unwrap_err().kind(), bootseal::Kind::LoginDown);
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct LoginRequest {
    /// The method.
    pub method: Method,
    /// Where to; fixed by the profile.
    pub url: Url,
    /// Headers, with `Authorization` for HTTP Basic and `Content-Type` for a body.
    pub headers: Vec<(HeaderName, Secret)>,
    /// The body, if any.
    pub body: Option<Secret>,
    /// For the whole of it.
    pub timeout: Duration,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<String>,
    /// The certificate to show, with its chain, and its key, both in PEM.
    pub client_cert: Option<(Secret, Secret)>,
    /// What to go through.
    pub proxy: Option<Url>,
    /// The URL as the profile has it, for messages: what was filled in may be a session's id.
    shown: Url,
}

impl std::fmt::Debug for LoginRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("LoginRequest")
            .field("method", &self.method)
            .field("url", &self.shown.as_str())
            .field("headers", &headers)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What came back.
///
/// ```
/// use bootseal::{LoginResponse, Secret};
/// let body = Secret::copy_of(br#"{"access_token":"opaque"}"#)?;
/// let answer = LoginResponse { status: 200, headers: Default::default(), body };
/// assert!(!format!("{answer:?}").contains("opaque"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LoginResponse {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 1 MiB of it.
    pub body: Secret,
}

impl std::fmt::Debug for LoginResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A header may be the token.
        let headers: Vec<_> = self.headers.keys().collect();
        f.debug_struct("LoginAnswer").field("status", &self.status).field("headers", &headers).finish_non_exhaustive()
    }
}

/// Why nothing came back.
///
/// ```
/// # use bootseal::{LoginResponse, LoginRequest, Transport, TransportError};
/// # use std::{future::Future, pin::Pin, sync::Arc};
/// # struct Script;
/// # impl Transport for Script {
/// fn send(&self, _: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
///     Box::pin(async { Err(TransportError::Connect("connection refused".into())) })
/// }
/// # }
/// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
/// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
/// # let clock = bootseal::testing::Clock::new();
/// # let acme = vault.token_source_with("acme", Arc::new(clock), Arc::new(Script))?;
/// // … and the application sees:
/// assert_eq!(acme.token_blocking().unwrap_err().kind(), bootseal::Kind::LoginDown);
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection: not one byte was sent.
    Connect(String),
    /// No trustworthy connection.
    Tls(String),
    /// Not done in time.
    Timeout,
    /// The connection broke, or the answer was larger than 1 MiB.
    Broken(String),
}

/// Sends a login. The default is HTTPS; tests bring a script.
///
/// ```
/// use bootseal::{LoginResponse, LoginRequest, Secret, Transport, TransportError};
/// # use std::{future::Future, pin::Pin, sync::Arc};
///
/// struct Script;
///
/// impl Transport for Script {
///     fn send(&self, _: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
///         let body = Secret::copy_of(br#"{"access_token":"opaque","expires_in":60}"#);
///         let body = body.map_err(|error| TransportError::Broken(error.to_string()));
///         Box::pin(async { Ok(LoginResponse { status: 200, headers: Default::default(), body: body? }) })
///     }
/// }
/// # let login = "[acme.login]\nurl = \"https://auth.acme.example/\"\nbasic = true\n";
/// # let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)?;
/// # let clock = bootseal::testing::Clock::new();
/// let acme = vault.token_source_with("acme", Arc::new(clock), Arc::new(Script))?;
/// assert_eq!(acme.token_blocking()?.lifetime().as_secs(), 60);
/// # Ok::<(), bootseal::Error>(())
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, following no redirect. Polled on a thread of its own, inside a tokio runtime.
    ///
    /// It may take [`LoginRequest::timeout`]; a login that does not end is given up five seconds later. See the example of
    /// [`Transport`].
    ///
    /// # Errors
    /// The [`TransportError`] that says how far the request came: only after [`TransportError::Connect`] it is sent once more.
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>>;
}

/// The values of the profile's table that its login names.
pub(crate) type Values = BTreeMap<String, Secret>;

impl LoginRequest {
    /// Fills the templates of `call`. `${names}` are looked up in `values`.
    pub(crate) fn build(profile: &Profile, call: &Call, values: &Values) -> Result<LoginRequest, Error> {
        let mut headers = Vec::new();
        let (content_type, body) = match &call.body {
            Body::Json(json) => {
                let mut page = SecretBuf::with_capacity(512)?;
                write_json(&mut page, json, values)?;
                (Some("application/json"), Some(page.freeze()))
            }
            Body::Form(form) => {
                let mut page = SecretBuf::with_capacity(512)?;
                for (index, (name, value)) in form.iter().enumerate() {
                    page.push(if index > 0 { b"&" } else { b"" })?;
                    push_form(&mut page, name.as_bytes())?;
                    page.push(b"=")?;
                    fill(value, values, |bytes| push_form(&mut page, bytes))?;
                }
                (Some("application/x-www-form-urlencoded"), Some(page.freeze()))
            }
            _ => (None, None),
        };
        if let Some(content_type) = content_type {
            headers.push((http::header::CONTENT_TYPE, Secret::of_public(content_type.as_bytes())?));
        }
        headers.push((http::header::ACCEPT, Secret::of_public(b"application/json, */*;q=0.5")?));
        if let Some(basic) = call.basic {
            headers.push((AUTHORIZATION, basic_header(profile, basic, values)?));
        }
        for (name, template) in &call.headers {
            let text = header_text(profile, name, template, values)?;
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| Error::new(Kind::Malformed, format!("`{name}` is not a header")))?;
            headers.retain(|(other, _)| *other != name);
            headers.push((name, text));
        }
        let method =
            Method::from_bytes(call.method.as_bytes()).map_err(|_| Error::new(Kind::Malformed, "not a method"))?;
        let client_cert = match &profile.client_cert {
            Some(names) => Some((value(values, &names.cert)?.clone(), value(values, &names.key)?.clone())),
            None => None,
        };
        Ok(LoginRequest {
            method,
            url: call.url.fill(|name| values.get(name).cloned())?,
            headers,
            body,
            timeout: profile.login_timeout,
            ca: profile.ca.clone(),
            client_cert,
            proxy: profile.proxy.clone(),
            shown: call.url.base().clone(),
        })
    }

    /// Adds cookies, behind those that the profile itself sends. One whose value no cookie can hold is left out.
    pub(crate) fn add_cookies(&mut self, cookies: &[cookie::Cookie]) -> Result<(), Error> {
        let mut line = SecretBuf::with_capacity(256)?;
        let own = self.headers.iter().position(|(name, _)| *name == COOKIE).map(|at| self.headers.swap_remove(at));
        if let Some((_, own)) = own {
            own.expose(|own| line.push(own))?;
        }
        for cookie in cookies {
            if !cookie.value.expose(cookie::can_carry) {
                tracing::warn!(target: "bootseal", cookie = cookie.name, "a cookie of the call ahead is not sent back: its value is not one that a cookie can have (RFC 6265)");
                continue;
            }
            line.push(if line.is_empty() { b"" } else { b"; " })?;
            line.push(cookie.name.as_bytes())?;
            line.push(b"=")?;
            cookie.value.expose(|value| line.push(value))?;
        }
        if !line.is_empty() {
            self.headers.push((COOKIE, line.freeze()));
        }
        Ok(())
    }
}

/// The filled value of a header. What would break it is an error, which names the header alone.
pub(crate) fn header_text(
    profile: &Profile,
    name: &str,
    template: &Template,
    values: &Values,
) -> Result<Secret, Error> {
    let mut page = SecretBuf::with_capacity(512)?;
    let wrong = |what: &str| {
        Error::new(
            Kind::Malformed,
            format!("the header `{name}` of `{}` would hold {what} from a value", profile.table),
        )
    };
    for part in template.parts() {
        match part {
            Part::Text(text) => page.push(text.as_bytes())?,
            Part::Name(filled) => {
                let filled = value(values, filled)?;
                if name.eq_ignore_ascii_case("cookie") && !filled.expose(cookie::can_carry) {
                    return Err(wrong("what a cookie cannot carry (RFC 6265),"));
                }
                filled.expose(|bytes| page.push(bytes))?;
            }
        }
    }
    // RFC 9110 §5.5. Refused here, and not by what sends it: there it would look as if the vendor could not be reached.
    if !page.expose(|bytes| bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))) {
        return Err(wrong("a line break or another control character"));
    }
    Ok(page.freeze())
}

/// Hands each piece of the filled template to `write`; what is filled in is not looked at again.
fn fill(template: &Template, values: &Values, mut write: impl FnMut(&[u8]) -> Result<(), Error>) -> Result<(), Error> {
    for part in template.parts() {
        match part {
            Part::Text(text) => write(text.as_bytes())?,
            Part::Name(name) => value(values, name)?.expose(&mut write)?,
        }
    }
    Ok(())
}

pub(crate) fn value<'a>(values: &'a Values, name: &str) -> Result<&'a Secret, Error> {
    values.get(name).ok_or_else(|| Error::new(Kind::NotFound, format!("a value `{name}` is needed that is not there")))
}

fn write_json(page: &mut SecretBuf, json: &JsonTemplate, values: &Values) -> Result<(), Error> {
    match json {
        JsonTemplate::Raw(raw) => page.push(raw.as_bytes())?,
        JsonTemplate::Text(template) => {
            page.push(b"\"")?;
            fill(template, values, |bytes| push_json(page, bytes))?;
            page.push(b"\"")?;
        }
        JsonTemplate::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                page.push(if index > 0 { b"," } else { b"[" })?;
                write_json(page, element, values)?;
            }
            page.push(if elements.is_empty() { b"[]" } else { b"]" })?;
        }
        JsonTemplate::Object(members) => {
            for (index, (name, member)) in members.iter().enumerate() {
                page.push(if index > 0 { b",\"" } else { b"{\"" })?;
                push_json(page, name.as_bytes())?;
                page.push(b"\":")?;
                write_json(page, member, values)?;
            }
            page.push(if members.is_empty() { b"{}" } else { b"}" })?;
        }
    }
    Ok(())
}

/// The inside of a JSON string (RFC 8259 §7).
fn push_json(page: &mut SecretBuf, bytes: &[u8]) -> Result<(), Error> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Error::new(Kind::Malformed, "a value that goes into the login's JSON is not text"));
    }
    for byte in bytes {
        match byte {
            b'"' | b'\\' => page.push(&[b'\\', *byte])?,
            0..0x20 => page.push(format!("\\u{byte:04x}").as_bytes())?,
            _ => page.push(&[*byte])?,
        }
    }
    Ok(())
}

/// `application/x-www-form-urlencoded` (WHATWG URL).
fn push_form(page: &mut SecretBuf, bytes: &[u8]) -> Result<(), Error> {
    for byte in bytes {
        match byte {
            b' ' => page.push(b"+")?,
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => page.push(&[*byte])?,
            _ => page.push(format!("%{byte:02X}").as_bytes())?,
        }
    }
    Ok(())
}

fn basic_header(profile: &Profile, basic: Basic, values: &Values) -> Result<Secret, Error> {
    let [user, password] = basic.names();
    let (user, password) = (value(values, user)?, value(values, password)?);
    if basic == Basic::Plain && user.expose(|bytes| bytes.contains(&b':')) {
        let text = format!("{}.username holds a colon, which HTTP Basic cannot carry (RFC 7617)", profile.table);
        return Err(Error::new(Kind::Malformed, text));
    }
    let mut pair = SecretBuf::with_capacity(128)?;
    for (index, part) in [user, password].into_iter().enumerate() {
        pair.push(if index > 0 { b":" } else { b"" })?;
        match basic {
            Basic::Plain => part.expose(|bytes| pair.push(bytes))?,
            Basic::OAuth => part.expose(|bytes| push_form(&mut pair, bytes))?,
        }
    }
    basic_of(&pair)
}

/// The header's value from `user:password` (RFC 7617).
pub(crate) fn basic_of(pair: &SecretBuf) -> Result<Secret, Error> {
    let mut header = SecretBuf::zeroed("Basic ".len() + pair.len().div_ceil(3) * 4)?;
    let written = pair.expose(|pair| {
        header.expose_mut(|header| {
            header[..6].copy_from_slice(b"Basic ");
            BASE64_STANDARD.encode_slice(pair, &mut header[6..])
        })
    });
    written.map_err(|_| Error::new(Kind::Io, "HTTP Basic could not be encoded"))?;
    Ok(header.freeze())
}

/// What a login came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    Token(Fresh),
    Failed(Failure),
}

/// A token that has just come, and what came with it.
#[derive(Debug)]
pub(crate) struct Fresh {
    pub(crate) secret: Secret,
    pub(crate) lifetime: Lifetime,
    pub(crate) status: u16,
    pub(crate) captured: Values,
    /// What a call carries, filled in.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
    /// How far the vendor's clock is ahead of ours, in seconds, where it says what time it is.
    pub(crate) clock_skew: Option<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) text: String,
    pub(crate) status: Option<u16>,
    pub(crate) retry_after: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// These credentials are wrong: nobody logs in with them again.
    Refused,
    /// Perhaps these credentials are wrong: the second in a row says so.
    PerhapsRefused,
    Throttled,
    /// Down, broken, or out of reach; `unsent` where not one byte went out.
    Down {
        unsent: bool,
    },
    Tls,
    /// The answer is not what the profile describes.
    Protocol,
    /// It claims success, and holds no token.
    NoToken,
    Redirect,
}

impl Class {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Class::Refused | Class::PerhapsRefused => Kind::LoginRefused,
            Class::Throttled => Kind::LoginThrottled,
            Class::Down { .. } => Kind::LoginDown,
            Class::Tls => Kind::LoginTls,
            Class::Protocol | Class::NoToken | Class::Redirect => Kind::LoginProtocol,
        }
    }
}

pub(crate) fn failed(class: Class, status: Option<u16>, text: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { class, text: text.into(), status, retry_after: None })
}

/// What the answer to `call`, or its absence, means; `unix_time` is our wall clock when it came.
pub(crate) fn understand(
    profile: &Profile,
    call: &Call,
    response: Result<LoginResponse, TransportError>,
    unix_time: Duration,
) -> Outcome {
    match arrived(profile, call, response, unix_time) {
        Ok(response) => token(profile, call, &response, unix_time),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// The answer, where it is one of success.
pub(crate) fn arrived(
    profile: &Profile,
    call: &Call,
    response: Result<LoginResponse, TransportError>,
    unix_time: Duration,
) -> Result<LoginResponse, Failure> {
    let failed =
        |class: Class, status: Option<u16>, text: String| Err(Failure { class, text, status, retry_after: None });
    let response = match response {
        Ok(response) => response,
        Err(TransportError::Connect(why)) => {
            return failed(Class::Down { unsent: true }, None, format!("cannot be reached: {why}"));
        }
        Err(TransportError::Tls(why)) => {
            return failed(Class::Tls, None, format!("offers no trustworthy connection: {why}"));
        }
        Err(TransportError::Timeout) => {
            return failed(
                Class::Down { unsent: false },
                None,
                format!("gave no answer within {:?}", profile.login_timeout),
            );
        }
        Err(TransportError::Broken(why)) => {
            return failed(Class::Down { unsent: false }, None, format!("broke off its answer: {why}"));
        }
    };
    let status = response.status;
    let retry_after = retry_after(profile, &response, unix_time);
    let said = |what: &str| format!("answered {status}{what}");
    // What the profile lists is said of the login alone: a form's page answers 200 where its login answers 302.
    let login = std::ptr::eq(call, &profile.login).then_some(profile);
    let listed = login.and_then(|login| login.refused_status.as_ref()).map(|list| list.contains(&status));
    if listed == Some(true) {
        return failed(Class::Refused, Some(status), said(" to the login, which the profile lists as refused"));
    }
    let ok = login.and_then(|login| login.ok_status.as_ref());
    let ok = ok.map_or((200..300).contains(&status), |list| list.contains(&status));
    let refused_when = login.and_then(|login| login.refused_when.as_ref());
    let refused = refused_when.is_some_and(|when| response.body.expose(|body| holds(when, body)));
    if refused && (ok || listed.is_none() && (400..500).contains(&status) && status != 429) {
        return failed(Class::Refused, Some(status), said(" to the login, and in it what the profile calls refused"));
    }
    if ok {
        return Ok(response);
    }
    match status {
        401 | 403 | 423 if listed.is_none() => failed(Class::Refused, Some(status), said(" to the login")),
        400 | 422 if listed.is_none() => match oauth_code(&response) {
            Some(code) => failed(Class::Refused, Some(status), said(&format!(" to the login ({code})"))),
            None => failed(Class::PerhapsRefused, Some(status), said(" to the login")),
        },
        300..400 => {
            let location = response.headers.get(http::header::LOCATION).and_then(|location| location.to_str().ok());
            let target = location
                .and_then(|location| call.url.base().join(location).ok())
                .map(|url| url.origin().ascii_serialization());
            let target = target.map_or(String::new(), |origin| format!(" to {origin}"));
            failed(
                Class::Redirect,
                Some(status),
                said(&format!(" and would redirect{target}; a password is never sent on")),
            )
        }
        429 | 503 if status == 429 || retry_after.is_some() => {
            Err(Failure { class: Class::Throttled, text: said(" to the login"), status: Some(status), retry_after })
        }
        // Request Timeout and Too Early say: once more, later.
        408 | 425 | 500..600 => failed(Class::Down { unsent: false }, Some(status), said(" to the login")),
        _ => failed(Class::Protocol, Some(status), said(" to the login, which the profile does not describe")),
    }
}

/// The vendor's own word for wrong credentials (RFC 6749 §5.2), which is no secret; nothing else of a body is ever shown.
fn oauth_code(response: &LoginResponse) -> Option<&'static str> {
    let Ok(Some(Found::Text(code))) = response.body.expose(|body| find(body, "/error")) else { return None };
    ["invalid_grant", "invalid_client", "unauthorized_client"]
        .into_iter()
        .find(|known| code.expose(|bytes| bytes == known.as_bytes()))
}

/// The header, else where the profile says.
fn retry_after(profile: &Profile, response: &LoginResponse, unix_time: Duration) -> Option<Duration> {
    let in_header = retry_after_header(&response.headers, unix_time);
    in_header.or_else(|| {
        let found = number(profile.retry_after.as_ref()?, response, unix_time)?;
        let seconds = found.seconds_from(server_now(response, unix_time.as_secs_f64()));
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    })
}

fn server_now(response: &LoginResponse, unix_time: f64) -> f64 {
    date(&response.headers).unwrap_or(unix_time)
}

/// Whether the condition holds for this JSON. What is no JSON meets none.
pub(crate) fn holds(when: &When, body: &[u8]) -> bool {
    let Ok(Some(found)) = find(body, &when.pointer) else { return false };
    match &when.test {
        Test::Present => found.says_something(),
        Test::Equals(text) => found.is(text),
        Test::Contains(text) => match &found {
            Found::Text(found) => found.expose_str(|found| found.contains(text)).unwrap_or(false),
            _ => false,
        },
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after_header(headers: &HeaderMap, unix_time: Duration) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(Duration::from_secs_f64((http_date(text)? - date(headers).unwrap_or(unix_time.as_secs_f64())).max(0.0)))
}

/// Takes the token, and all that the profile keeps, out of an answer of success.
fn token(profile: &Profile, call: &Call, response: &LoginResponse, unix_time: Duration) -> Outcome {
    let status = response.status;
    let missing =
        |what: &str| failed(Class::NoToken, Some(status), format!("answered {status} to the login, but {what}"));
    let secret = match at(&profile.token, response, unix_time) {
        Ok(Some(Found::Text(secret))) => secret,
        Ok(Some(_)) => {
            return missing(&format!(
                "what stands {}, where the profile expects the token, is no text",
                shown(&profile.token)
            ));
        }
        Ok(None) => {
            let place = shown(&profile.token);
            let instead = instead(&profile.token, response, unix_time);
            return missing(&format!("nothing stands {place}, where the profile expects the token{instead}"));
        }
        Err(why) => return missing(&why),
    };
    if secret.is_empty() || secret.expose(|bytes| bytes.iter().any(|byte| *byte < b' ' || *byte == 0x7F)) {
        return missing("the token is empty, or holds control characters");
    }
    let captured = match captured(call, response, unix_time) {
        Ok(captured) => captured,
        Err(why) => return missing(&why),
    };
    let server_date = date(&response.headers);
    Outcome::Token(Fresh {
        lifetime: Lifetime::of(profile, &evidence(profile, &secret, response, unix_time)),
        secret,
        status,
        captured,
        headers: Vec::new(),
        clock_skew: server_date.map(|date| date - unix_time.as_secs_f64()),
    })
}

/// What the answer says of the life of `token`.
pub(crate) fn evidence(profile: &Profile, token: &Secret, response: &LoginResponse, unix_time: Duration) -> Evidence {
    let expires_in = response.body.expose(|body| find(body, "/expires_in"));
    Evidence {
        jwt: token.expose(jwt::peek),
        field: match &profile.expiry {
            Some(Expiry::Field(field)) => number(field, response, unix_time),
            _ => None,
        },
        expires_in: expires_in.ok().flatten().and_then(|found| found.number()),
        server_date: date(&response.headers),
        unix_time: unix_time.as_secs_f64(),
    }
}

/// What `call` keeps of its answer; what is not there is left out.
pub(crate) fn captured(call: &Call, response: &LoginResponse, unix_time: Duration) -> Result<Values, String> {
    let mut values = Values::new();
    for capture in &call.capture {
        let found = match at(&capture.place, response, unix_time) {
            Ok(Some(Found::Text(text) | Found::Number(text))) => text,
            Ok(_) => continue,
            Err(why) => return Err(why),
        };
        values.insert(capture.name.clone(), found);
    }
    Ok(values)
}

/// What stands at a place of the answer. The error is a text that shows nothing of it.
fn at(place: &ResponsePlace, response: &LoginResponse, unix_time: Duration) -> Result<Option<Found>, String> {
    let text = |secret: Result<Secret, bootseal_memory::MemoryError>| {
        secret.map(|secret| Some(Found::Text(secret))).map_err(|error| error.to_string())
    };
    match place {
        ResponsePlace::Json(pointer) => response
            .body
            .expose(|body| find(body, pointer))
            .map_err(|_| format!("its body is not JSON{}", labelled(response))),
        ResponsePlace::Header(name) => match response.headers.get(name.as_str()) {
            Some(value) => text(Secret::copy_of(value.as_bytes())),
            None => Ok(None),
        },
        ResponsePlace::Cookie(name) => {
            let cookie =
                cookie::named(&response.headers, name, unix_time.as_secs_f64()).map_err(|error| error.to_string())?;
            Ok(cookie.map(|cookie| Found::Text(cookie.value)))
        }
        ResponsePlace::Body => text(response.body.expose(|body| Secret::copy_of(body.trim_ascii()))),
        ResponsePlace::BodyJsonString => {
            response.body.expose(|body| find(body, "")).map_err(|_| "its body is not one JSON string".into())
        }
        _ => Err("the profile says of the place what this version does not know".into()),
    }
}

fn shown(place: &ResponsePlace) -> String {
    match place {
        ResponsePlace::Json(pointer) => format!("at `{pointer}`"),
        ResponsePlace::Header(name) => format!("in a header `{name}`"),
        ResponsePlace::Cookie(name) => format!("in a cookie `{name}`"),
        _ => "in the body".into(),
    }
}

/// What there is of the same sort, by name.
fn instead(place: &ResponsePlace, response: &LoginResponse, unix_time: Duration) -> String {
    let (what, names) = match place {
        ResponsePlace::Json(_) => ("field", response.body.expose(places)),
        ResponsePlace::Cookie(_) => {
            let cookies = cookie::set_by(&response.headers, unix_time.as_secs_f64()).unwrap_or_default();
            ("cookie", cookies.into_iter().map(|cookie| cookie.name).collect())
        }
        _ => return String::new(),
    };
    match names.is_empty() {
        true => format!("; there is no {what} at all"),
        false => format!("; there is `{}`", names.join("`, `")),
    }
}

/// What the vendor says that the body is, as ` (text/html)`.
fn labelled(response: &LoginResponse) -> String {
    let label = response.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = label.map_or("", |label| label.split(';').next().unwrap_or_default().trim());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte);
    match !kind.is_empty() && kind.len() <= 64 && kind.bytes().all(plain) {
        true => format!(" ({kind})"),
        false => String::new(),
    }
}

fn number(field: &Field, response: &LoginResponse, unix_time: Duration) -> Option<FieldValue> {
    if let ResponsePlace::Cookie(name) = &field.place {
        let cookie = cookie::named(&response.headers, name, unix_time.as_secs_f64()).ok()??;
        // Max-Age has precedence (RFC 6265 §5.3).
        let (unit, number) =
            cookie.max_age.map(|lifetime| (Unit::Seconds, lifetime)).or(cookie.expires.map(|at| (Unit::Epoch, at)))?;
        return Some(FieldValue { from: ExpiryFrom::Cookie, unit, number });
    }
    let found = at(&field.place, response, unix_time).ok()??;
    let from = if matches!(field.place, ResponsePlace::Header(_)) { ExpiryFrom::Header } else { ExpiryFrom::Json };
    let number = match (field.unit, &found) {
        (Unit::Iso8601, Found::Text(text)) => text.expose_str(iso8601).ok()??,
        (Unit::Iso8601, _) => return None,
        (_, found) => found.number()?,
    };
    Some(FieldValue { from, unit: field.unit, number })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"json = { user = "${username}", password = "${password}" }"#;

    const VALUES: [&str; 4] = ["acme.username", "acme.password", "acme.client_id", "acme.client_secret"];

    fn profile(login: &str) -> Profile {
        let readable = format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{login}\n");
        let vault = crate::testing::vault(VALUES.map(|name| (name, "x")), &readable).unwrap();
        vault.token_source("acme").unwrap().profile().clone()
    }

    fn values(username: &[u8], password: &[u8]) -> Values {
        [("username", username), ("password", password), ("client_id", username), ("client_secret", password)]
            .map(|(name, value)| (name.to_owned(), Secret::copy_of(value).unwrap()))
            .into()
    }

    fn build_with(profile: &Profile, values: &Values) -> Result<LoginRequest, Error> {
        LoginRequest::build(profile, &profile.login, values)
    }

    fn met(profile: &Profile, response: Result<LoginResponse, TransportError>, unix_time: Duration) -> Outcome {
        understand(profile, &profile.login, response, unix_time)
    }

    fn build(login: &str, username: &str, password: &str) -> LoginRequest {
        build_with(&profile(login), &values(username.as_bytes(), password.as_bytes())).unwrap()
    }

    fn body(request: &LoginRequest) -> String {
        request.body.as_ref().unwrap().expose_str(str::to_owned).unwrap()
    }

    /// All that are sent under this name.
    fn headers(request: &LoginRequest, name: &str) -> Vec<String> {
        let named = request.headers.iter().filter(|(other, _)| other == name);
        named.map(|(_, value)| value.expose_str(str::to_owned).unwrap()).collect()
    }

    #[test]
    fn what_goes_into_json_is_escaped_and_read_back_as_it_was() {
        for (value, escaped) in [
            ("plain", "plain"),
            ("", ""),
            (r#"a"b\c"#, r#"a\"b\\c"#),
            (r#"","admin":true,"x":""#, r#"\",\"admin\":true,\"x\":\""#),
            ("\0\u{1}\t\n\r\u{1f}", r"\u0000\u0001\u0009\u000a\u000d\u001f"),
            ("\u{7f}/äß€😀\u{2028}", "\u{7f}/äß€😀\u{2028}"),
        ] {
            let body = body(&build(JSON, "me", value));
            assert_eq!(body, format!(r#"{{"user":"me","password":"{escaped}"}}"#));
            assert_eq!(serde_json::from_str::<serde_json::Value>(&body).unwrap()["password"], value);
        }
    }

    #[test]
    fn json_keeps_its_order_its_nesting_and_its_numbers() {
        let login = r#"json = { z = [ "${username}", 7, -1.5, true, [], {} ], "a\"b" = { key = "pre-${password}-${username}-post" }, empty = "" }"#;
        let body = body(&build(login, "u", "p"));
        assert_eq!(body, r#"{"z":["u",7,-1.5,true,[],{}],"a\"b":{"key":"pre-p-u-post"},"empty":""}"#);
    }

    #[test]
    fn a_form_is_encoded_as_browsers_do() {
        for (value, encoded) in [
            ("a b", "a+b"),
            ("a+b/c", "a%2Bb%2Fc"),
            ("ü€", "%C3%BC%E2%82%AC"),
            ("&admin=1", "%26admin%3D1"),
            ("100%", "100%25"),
            ("*-._09azAZ~", "*-._09azAZ%7E"),
            ("\0\r\n", "%00%0D%0A"),
            ("", ""),
        ] {
            let login = r#"form = { "grant type" = "client credentials", key = "x ${password}", number = 7 }"#;
            let request = build(login, "", value);
            assert_eq!(body(&request), format!("grant+type=client+credentials&key=x+{encoded}&number=7"));
            assert_eq!(headers(&request, "content-type"), ["application/x-www-form-urlencoded"]);
            let read_back: BTreeMap<_, _> =
                url::form_urlencoded::parse(body(&request).as_bytes()).into_owned().collect();
            assert_eq!(read_back["key"], format!("x {value}"));
        }
    }

    #[test]
    fn a_form_carries_bytes_that_are_no_text_and_json_cannot() {
        let values = values(b"", b"canary\xff");
        let form = build_with(&profile(r#"form = { key = "${password}" }"#), &values).unwrap();
        assert_eq!(body(&form), "key=canary%FF");
        let error = build_with(&profile(JSON), &values).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(!error.to_string().contains("canary"), "{error}");
    }

    #[test]
    fn what_is_filled_in_is_not_looked_at_again() {
        let (username, password) = ("${password}", "${username}${token}${");
        assert_eq!(
            body(&build(JSON, username, password)),
            r#"{"user":"${password}","password":"${username}${token}${"}"#
        );
        assert_eq!(body(&build(r#"form = { u = "${username}" }"#, username, password)), "u=%24%7Bpassword%7D");
        assert_eq!(
            headers(&build(r#"headers = { X-Key = "${username}" }"#, username, password), "x-key"),
            ["${password}"]
        );
    }

    #[test]
    fn http_basic_is_plain_or_form_encoded_first() {
        for (login, username, password, pair) in [
            ("basic = true", "Aladdin", "open sesame", "Aladdin:open sesame"), // RFC 7617 §2
            ("basic = true", "test", "123£", "test:123£"),
            ("basic = true", "", "a:b", ":a:b"),
            ("basic = \"oauth\"", "cl1ent", "s%c+ret", "cl1ent:s%25c%2Bret"), // RFC 6749 §2.3.1
            ("basic = \"oauth\"", "https://me:8443", "a b", "https%3A%2F%2Fme%3A8443:a+b"),
        ] {
            let request = build(login, username, password);
            assert_eq!(headers(&request, "authorization"), [format!("Basic {}", BASE64_STANDARD.encode(pair))]);
            assert!(request.body.is_none() && headers(&request, "content-type").is_empty());
        }
        // RFC 7617 §2, to the letter.
        assert_eq!(
            headers(&build("basic = true", "Aladdin", "open sesame"), "authorization"),
            ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
        );
    }

    #[test]
    fn a_colon_in_the_user_of_http_basic_is_an_error() {
        let error = build_with(&profile("basic = true"), &values(b"canary:1", b"canary-2")).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(
            error.to_string().contains("acme.username holds a colon") && !error.to_string().contains("canary"),
            "{error}"
        );
    }

    #[test]
    fn a_value_cannot_end_its_header() {
        let profile = profile(r#"headers = { X-Key = "key ${password}" }"#);
        for value in ["canary\r\nX-Admin: yes", "canary\n", "\rcanary", "canary\0", "canary\u{1b}[2J", "canary\u{7f}"] {
            let error = build_with(&profile, &values(b"", value.as_bytes())).unwrap_err();
            assert_eq!(error.kind(), Kind::Malformed);
            assert!(error.to_string().contains("`X-Key`") && !error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_profiles_headers_replace_our_own() {
        let login = format!(
            "basic = true\nheaders = {{ authorization = \"Key ${{password}}\", Content-Type = \"application/vnd.acme+json\", ACCEPT = \"*/*\" }}\n{JSON}"
        );
        let request = build(&login, "me", "p");
        assert_eq!(headers(&request, "authorization"), ["Key p"]);
        assert_eq!(headers(&request, "content-type"), ["application/vnd.acme+json"]);
        assert_eq!(headers(&request, "accept"), ["*/*"]);
    }

    #[test]
    fn a_value_that_is_missing_is_named() {
        let error = build_with(&profile(JSON), &Values::new()).unwrap_err();
        assert_eq!(error.kind(), Kind::NotFound);
        assert!(error.to_string().contains("`username`"), "{error}");
    }

    #[test]
    fn a_request_shows_none_of_its_secrets() {
        let login = format!("basic = true\nheaders = {{ X-Key = \"${{password}}\" }}\n{JSON}");
        let shown = format!("{:?}", build(&login, "canary-user", "canary-password"));
        let in_base64 = BASE64_STANDARD.encode("canary-user:canary-password");
        assert!(
            !shown.contains("canary") && !shown.contains(&in_base64) && shown.contains("api.acme.example"),
            "{shown}"
        );
    }

    /// 2026-01-01T00:00:00Z.
    const NOW: Duration = Duration::from_secs(1_767_225_600);

    fn response(status: u16, fields: &[(&'static str, &str)], body: &str) -> LoginResponse {
        let fields = fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        LoginResponse { status, headers: fields.collect(), body: Secret::copy_of(body.as_bytes()).unwrap() }
    }

    /// Token, seconds of its life, and what told them.
    fn token(login: &str, fields: &[(&'static str, &str)], body: &str) -> (String, f64, ExpiryFrom) {
        match met(&profile(&format!("{JSON}\n{login}")), Ok(response(200, fields, body)), NOW) {
            Outcome::Token(Fresh { secret, lifetime, status: 200, .. }) => {
                (secret.expose_str(str::to_owned).unwrap(), lifetime.lifetime.as_secs_f64(), lifetime.from)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_token_is_where_the_profile_says() {
        let both = r#"{"access_token":"usual","data":[{"a/b":"deep"}]}"#;
        for (place, expected) in [
            ("", "usual"),
            ("token = { json = \"/data/0/a~1b\" }", "deep"),
            ("token = { header = \"X-Subject-Token\" }", "in a header"),
        ] {
            assert_eq!(token(place, &[("x-subject-token", "in a header")], both).0, expected);
        }
        assert_eq!(token("token = { json = \"\" }", &[], "\"the body is it\"").0, "the body is it");
        // Then the body need not be JSON, nor be there.
        assert_eq!(token("token = { header = \"X-Subject-Token\" }", &[("x-subject-token", "x")], "").0, "x");
    }

    #[test]
    fn where_no_token_is_it_is_told_what_there_is() {
        let told = |login: &str, fields: &[(&'static str, &str)], body: &str| match met(
            &profile(&format!("{JSON}\n{login}")),
            Ok(response(200, fields, body)),
            NOW,
        ) {
            Outcome::Failed(Failure { text, .. }) => text,
            other => panic!("{other:?}"),
        };
        let text = told("", &[], r#"{"access":"S3cret","refresh":{"token":"S3cret"}}"#);
        assert!(text.ends_with("; there is `/access`, `/refresh/token`"), "{text}");
        assert!(told("", &[], "{}").ends_with("; there is no field at all"));
        let html = [("content-type", "text/html; charset=utf-8")];
        assert!(told("", &html, "<p>S3cret").ends_with("but its body is not JSON (text/html)"));
        assert!(told("", &[("content-type", "S3cret of a sort")], "<p>").ends_with("but its body is not JSON"));
        let text = told("token = { cookie = \"sid\" }", &[("set-cookie", "JSESSIONID=S3cret; Path=/")], "");
        assert!(text.ends_with("; there is `JSESSIONID`"), "{text}");
    }

    #[test]
    fn the_life_is_where_the_profile_says() {
        let default = (300.0, ExpiryFrom::Default);
        let json = |seconds| (seconds, ExpiryFrom::Json);
        for (expiry, members, expected) in [
            ("", r#""expires_in":600"#, json(600.0)),
            ("", r#""expires_in":"600""#, json(600.0)),
            ("", r#""expires_in":" 600.5 ""#, json(600.5)),
            ("", r#""expires_in":6e2"#, json(600.0)),
            ("", r#""expires_in":"ten minutes""#, default),
            ("", r#""expires_in":"NaN""#, default),
            ("", r#""expires_in":"inf""#, json(86_400.0)),
            ("", r#""expires_in":1e999"#, default),
            ("", r#""expires_in":null"#, default),
            ("", r#""expires_in":[600]"#, default),
            ("", r#""expires_in":600,"expires_in":700"#, default),
            ("", r#""expires":600"#, default),
            ("json = \"/x/y\"", r#""x":{"y":600}"#, json(600.0)),
            ("json = \"/x\"", r#""expires_in":600"#, default),
            ("json = \"/x\", unit = \"ms\"", r#""x":600000"#, json(600.0)),
            ("json = \"/x\", unit = \"min\"", r#""x":"10""#, json(600.0)),
            ("json = \"/x\", unit = \"epoch\"", r#""x":1767226200"#, json(600.0)),
            ("json = \"/x\", unit = \"epoch-ms\"", r#""x":"1767226200000""#, json(600.0)),
            ("json = \"/x\", unit = \"iso8601\"", r#""x":"2026-01-01T02:10:00.500+02:00""#, json(600.5)),
            ("json = \"/x\", unit = \"iso8601\"", r#""x":1767226200"#, default),
            ("json = \"/x\", unit = \"iso8601\"", r#""x":"2026-01-01T00:10:00""#, default),
            ("header = \"X-Life\"", "\"x\":1", (700.0, ExpiryFrom::Header)),
            ("header = \"X-Until\", unit = \"iso8601\"", "\"x\":1", (800.0, ExpiryFrom::Header)),
            ("header = \"X-None\"", r#""expires_in":600"#, default),
        ] {
            let login = if expiry.is_empty() { String::new() } else { format!("expiry = {{ {expiry} }}") };
            let fields = [("x-life", "700"), ("x-until", "2026-01-01T00:13:20Z")];
            let (_, seconds, from) = token(&login, &fields, &format!(r#"{{"access_token":"x",{members}}}"#));
            assert_eq!((seconds, from), expected, "{expiry} {members}");
        }
    }

    #[test]
    fn a_jwt_tells_its_own_life_and_a_date_the_vendors_time() {
        let jwt = |payload: &str| format!("x.{}.x", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(payload));
        let lifetime = |payload: &str, fields: &[(&'static str, &str)]| {
            let (_, seconds, from) =
                token("", fields, &format!(r#"{{"access_token":"{}","expires_in":42}}"#, jwt(payload)));
            (seconds, from)
        };
        assert_eq!(lifetime(r#"{"exp":1767226200}"#, &[]), (600.0, ExpiryFrom::Jwt));
        assert_eq!(lifetime(r#"{"exp":1767226200.5}"#, &[]), (600.5, ExpiryFrom::Jwt));
        assert_eq!(lifetime(r#"{"exp":1767226200,"iat":1767226100}"#, &[]), (100.0, ExpiryFrom::Jwt));
        assert_eq!(
            lifetime(r#"{"exp":1767229800}"#, &[("date", "Thu, 01 Jan 2026 01:00:00 GMT")]),
            (600.0, ExpiryFrom::Jwt)
        );
        assert_eq!(lifetime(r#"{"exp":1767226200}"#, &[("date", "nonsense")]), (600.0, ExpiryFrom::Jwt));
        assert_eq!(lifetime(r#"{"exp":"1767226200"}"#, &[]), (42.0, ExpiryFrom::Json));
        assert_eq!(lifetime(r#"{"sub":"me"}"#, &[]), (42.0, ExpiryFrom::Json));
    }

    #[test]
    fn each_answer_has_its_class() {
        let down = Class::Down { unsent: false };
        for (login, status, fields, body, expected) in [
            ("", 401, &[][..], "", Class::Refused),
            ("", 403, &[], "", Class::Refused),
            ("", 423, &[], "", Class::Refused),
            ("", 400, &[], "", Class::PerhapsRefused),
            ("", 422, &[], r#"{"error":{"code":"invalid_grant"}}"#, Class::PerhapsRefused),
            ("", 400, &[], r#"{"error":"invalid_grant"}"#, Class::Refused),
            ("", 401, &[("retry-after", "7")], "", Class::Refused),
            ("", 404, &[], "", Class::Protocol),
            ("", 418, &[], "", Class::Protocol),
            ("", 200, &[], "", Class::NoToken),
            ("", 204, &[], "", Class::NoToken),
            ("", 408, &[], "", down),
            ("", 425, &[], "", down),
            ("", 302, &[], "", Class::Redirect),
            ("", 304, &[], "", Class::Redirect),
            ("", 429, &[], "", Class::Throttled),
            ("", 503, &[("retry-after", "7")], "", Class::Throttled),
            ("", 503, &[], "", down),
            ("", 500, &[("retry-after", "7")], "", down),
            ("", 599, &[], "", down),
            ("ok_status = [200]", 201, &[], r#"{"access_token":"x"}"#, Class::Protocol),
            ("refused_status = [404]", 404, &[], "", Class::Refused),
            ("refused_status = [404]", 401, &[], "", Class::Protocol),
            ("refused_status = [404, 503]", 503, &[("retry-after", "7")], "", Class::Refused),
        ] {
            match met(&profile(&format!("{JSON}\n{login}")), Ok(response(status, fields, body)), NOW) {
                Outcome::Failed(failure) => {
                    assert_eq!((failure.class, failure.status), (expected, Some(status)), "{login} {status} {body}")
                }
                Outcome::Token(_) => panic!("{status} {body}"),
            }
        }
    }

    #[test]
    fn each_way_to_get_no_answer_has_its_class() {
        for (error, expected) in [
            (TransportError::Connect("x".into()), Class::Down { unsent: true }),
            (TransportError::Timeout, Class::Down { unsent: false }),
            (TransportError::Broken("x".into()), Class::Down { unsent: false }),
            (TransportError::Tls("x".into()), Class::Tls),
        ] {
            let Outcome::Failed(failure) = met(&profile(JSON), Err(error), NOW) else { panic!("a token") };
            assert_eq!((failure.class, failure.status), (expected, None));
        }
    }
}
