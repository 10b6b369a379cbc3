//! What is sent to log in, and what does the answer mean? Pure functions; the network lies behind [`Transport`].

use crate::error::Error;
use crate::expiry::{Evidence, ExpiryFrom, FieldValue, Life, http_date, iso8601};
use crate::json::{Found, find};
use crate::jwt;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{Basic, Body, Expiry, JsonTemplate, Kind, Part, Profile, Secret, Template, TokenPlace, Unit};
use bootseal_memory::SecretBuf;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, Method};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use url::Url;

/// A login, ready to be sent. What is secret in it lies on guarded pages.
#[derive(Clone, Debug)]
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
}

/// What came back.
#[derive(Debug)]
pub struct LoginAnswer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 1 MiB of it.
    pub body: Secret,
}

/// Why nothing came back.
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
pub trait Transport: Send + Sync + 'static {
    /// Sends `request`, following no redirect. Polled on a thread of its own, inside a tokio runtime.
    fn send(&self, request: LoginRequest) -> Pin<Box<dyn Future<Output = Result<LoginAnswer, TransportError>> + Send>>;
}

/// The values of the profile's table that its login names.
pub(crate) type Values = BTreeMap<String, Secret>;

impl LoginRequest {
    /// Fills the profile's templates.
    pub(crate) fn build(profile: &Profile, values: &Values) -> Result<LoginRequest, Error> {
        let mut headers = Vec::new();
        let (content_type, body) = match &profile.body {
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
            headers.push((http::header::CONTENT_TYPE, Secret::copy_of(content_type.as_bytes())?));
        }
        headers.push((http::header::ACCEPT, Secret::copy_of(b"application/json, */*;q=0.5")?));
        if let Some(basic) = profile.basic {
            headers.push((AUTHORIZATION, basic_header(profile, basic, values)?));
        }
        for (name, template) in &profile.headers {
            let mut page = SecretBuf::with_capacity(64)?;
            fill(template, values, |bytes| page.push(bytes).map_err(Error::from))?;
            if page.expose(|bytes| bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))) {
                let text = format!(
                    "the header `{name}` of the login of `{}` would hold a line break or NUL from a value",
                    profile.table
                );
                return Err(Error::new(Kind::Malformed, text));
            }
            let name = HeaderName::try_from(name.as_str())
                .map_err(|_| Error::new(Kind::Malformed, format!("`{name}` is not a header")))?;
            headers.retain(|(other, _)| *other != name);
            headers.push((name, page.freeze()));
        }
        let method =
            Method::from_bytes(profile.method.as_bytes()).map_err(|_| Error::new(Kind::Malformed, "not a method"))?;
        Ok(LoginRequest {
            method,
            url: profile.url.clone(),
            headers,
            body,
            timeout: profile.login_timeout,
            ca: profile.ca.clone(),
        })
    }
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

fn value<'a>(values: &'a Values, name: &str) -> Result<&'a Secret, Error> {
    values
        .get(name)
        .ok_or_else(|| Error::new(Kind::NotFound, format!("the login needs a value `{name}` that is not there")))
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
    let (user, password) = (value(values, "username")?, value(values, "password")?);
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
    Token { secret: Secret, life: Life, status: u16 },
    Failed(Failure),
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
    Redirect,
}

impl Class {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Class::Refused | Class::PerhapsRefused => Kind::LoginRefused,
            Class::Throttled => Kind::LoginThrottled,
            Class::Down { .. } => Kind::LoginDown,
            Class::Tls => Kind::LoginTls,
            Class::Protocol | Class::Redirect => Kind::LoginProtocol,
        }
    }
}

fn failed(class: Class, status: Option<u16>, text: impl Into<String>) -> Outcome {
    Outcome::Failed(Failure { class, text: text.into(), status, retry_after: None })
}

/// What the answer, or its absence, means; `wall` is our wall clock when it came.
pub(crate) fn understand(profile: &Profile, answer: Result<LoginAnswer, TransportError>, wall: Duration) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
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
    let status = answer.status;
    let retry_after = retry_after(&answer.headers, wall);
    let said = |what: &str| format!("answered {status}{what}");
    let listed = profile.refused_status.as_ref().map(|list| list.contains(&status));
    if listed == Some(true) {
        return failed(Class::Refused, Some(status), said(" to the login, which the profile lists as refused"));
    }
    let ok = profile.ok_status.as_ref().map_or((200..300).contains(&status), |list| list.contains(&status));
    if ok {
        return token(profile, &answer, wall);
    }
    match status {
        401 | 403 | 423 if listed.is_none() => failed(Class::Refused, Some(status), said(" to the login")),
        400 | 422 if listed.is_none() => match oauth_code(&answer) {
            Some(code) => failed(Class::Refused, Some(status), said(&format!(" to the login ({code})"))),
            None => failed(Class::PerhapsRefused, Some(status), said(" to the login")),
        },
        300..400 => {
            let location = answer.headers.get(http::header::LOCATION).and_then(|location| location.to_str().ok());
            let target = location
                .and_then(|location| profile.url.join(location).ok())
                .map(|url| url.origin().ascii_serialization());
            let target = target.map_or(String::new(), |origin| format!(" to {origin}"));
            failed(
                Class::Redirect,
                Some(status),
                said(&format!(" and would redirect{target}; a password is never sent on")),
            )
        }
        429 | 503 if status == 429 || retry_after.is_some() => Outcome::Failed(Failure {
            class: Class::Throttled,
            text: said(" to the login"),
            status: Some(status),
            retry_after,
        }),
        500..600 => failed(Class::Down { unsent: false }, Some(status), said(" to the login")),
        _ => failed(Class::Protocol, Some(status), said(" to the login, which the profile does not describe")),
    }
}

/// The vendor's own word for wrong credentials (RFC 6749 §5.2), which is no secret; nothing else of a body is ever shown.
fn oauth_code(answer: &LoginAnswer) -> Option<&'static str> {
    let Ok(Some(Found::Text(code))) = answer.body.expose(|body| find(body, "/error")) else { return None };
    ["invalid_grant", "invalid_client", "unauthorized_client"]
        .into_iter()
        .find(|known| code.expose(|bytes| bytes == known.as_bytes()))
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, wall: Duration) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    Some(Duration::from_secs_f64((http_date(text)? - wall.as_secs_f64()).max(0.0)))
}

fn token(profile: &Profile, answer: &LoginAnswer, wall: Duration) -> Outcome {
    let status = answer.status;
    let missing =
        |what: &str| failed(Class::Protocol, Some(status), format!("answered {status} to the login, but {what}"));
    let secret = match &profile.token {
        TokenPlace::Header(name) => {
            match answer.headers.get(name.as_str()).map(|value| Secret::copy_of(value.as_bytes())) {
                Some(Ok(secret)) => secret,
                Some(Err(error)) => return missing(&error.to_string()),
                None => return missing(&format!("there is no header `{name}`, where the profile expects the token")),
            }
        }
        TokenPlace::Json(pointer) => match answer.body.expose(|body| find(body, pointer)) {
            Ok(Some(Found::Text(secret))) => secret,
            Ok(Some(_)) => {
                return missing(&format!(
                    "what stands at `{pointer}`, where the profile expects the token, is no text"
                ));
            }
            Ok(None) => return missing(&format!("nothing stands at `{pointer}`, where the profile expects the token")),
            Err(_) => return missing("its body is not JSON"),
        },
        _ => return missing("the profile says of the token's place what this version does not know"),
    };
    if secret.is_empty() || secret.expose(|bytes| bytes.iter().any(|byte| *byte < b' ' || *byte == 0x7F)) {
        return missing("the token is empty, or holds control characters");
    }
    let date = |name: HeaderName| answer.headers.get(name).and_then(|value| value.to_str().ok()).and_then(http_date);
    let evidence = Evidence {
        jwt: secret.expose(jwt::peek),
        field: field(profile, answer),
        expires_in: answer
            .body
            .expose(|body| find(body, "/expires_in"))
            .ok()
            .flatten()
            .and_then(|found| found.number()),
        server_date: date(http::header::DATE),
        wall: wall.as_secs_f64(),
    };
    Outcome::Token { life: Life::of(profile, &evidence), secret, status }
}

fn field(profile: &Profile, answer: &LoginAnswer) -> Option<FieldValue> {
    let Some(Expiry::Field(field)) = &profile.expiry else { return None };
    let (found, from) = match &field.place {
        TokenPlace::Json(pointer) => (answer.body.expose(|body| find(body, pointer)).ok()??, ExpiryFrom::Json),
        TokenPlace::Header(name) => {
            (Found::Text(Secret::copy_of(answer.headers.get(name.as_str())?.as_bytes()).ok()?), ExpiryFrom::Header)
        }
        _ => return None,
    };
    let number = match (field.unit, &found) {
        (Unit::Iso8601, Found::Text(text)) => text.expose_str(iso8601).ok()??,
        (Unit::Iso8601, _) => return None,
        (_, found) => found.number()?,
    };
    Some(FieldValue { from, unit: field.unit, number })
}
