//! Extracts values from a response, from the places that the profile names.
//!
//! A place is a position in JSON, a header, a cookie, or the whole body.

use crate::login::account::Values;
use crate::login::expiry::{ExpiryFrom, FieldValue};
use crate::login::parse::cookie;
use crate::login::parse::date::{date, iso8601};
use crate::login::parse::json::{FindError, Found, find, places};
use crate::login::transport::LoginResponse;
use bootseal_core::{Call, Field, ResponsePlace, Secret, Test, Unit, When};
use std::time::Duration;

/// The reason why a place cannot be read, in words that contain no part of the response.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// The response is not what the profile describes.
    Response(String),
    /// There is no guarded memory for the value.
    NoMemory(String),
}

impl From<bootseal_memory::MemoryError> for Unreadable {
    fn from(error: bootseal_memory::MemoryError) -> Unreadable {
        Unreadable::NoMemory(error.to_string())
    }
}

/// Returns the value at a place in the response, or `None` if there is no value.
///
/// # Errors
/// Fails if the place cannot be read.
pub(crate) fn extract(
    place: &ResponsePlace,
    response: &LoginResponse,
    unix_time: Duration,
) -> Result<Option<Found>, Unreadable> {
    let text =
        |secret: Result<Secret, bootseal_memory::MemoryError>| Ok(Some(Found::Text(secret?)));
    let in_body = |pointer: &str, otherwise: &dyn Fn() -> String| {
        response.body.expose(|body| find(body, pointer)).map_err(|error| match error {
            FindError::NotJson => Unreadable::Response(otherwise()),
            FindError::NoMemory => {
                Unreadable::NoMemory("no guarded memory for a value of the response".into())
            }
        })
    };
    match place {
        ResponsePlace::Json(pointer) => {
            in_body(pointer, &|| format!("its body is not JSON{}", content_type(response)))
        }
        ResponsePlace::Header(name) => match response.headers.get(name.as_str()) {
            Some(value) => text(Secret::copy_of(value.as_bytes())),
            None => Ok(None),
        },
        ResponsePlace::Cookie(name) => {
            let cookie = cookie::named(&response.headers, name, unix_time.as_secs_f64())?;
            Ok(cookie.map(|cookie| Found::Text(cookie.value)))
        }
        ResponsePlace::Body => {
            text(response.body.expose(|body| Secret::copy_of(body.trim_ascii())))
        }
        ResponsePlace::BodyJsonString => in_body("", &|| "its body is not one JSON string".into()),
        _ => Err(Unreadable::Response(
            "this version does not support the place that the profile names".into(),
        )),
    }
}

/// The values that `call` captures from its response. A value that is missing, or that is neither
/// text nor a number, is left out.
pub(crate) fn captured(
    call: &Call,
    response: &LoginResponse,
    unix_time: Duration,
) -> Result<Values, Unreadable> {
    let mut values = Values::new();
    for capture in &call.capture {
        let found = match extract(&capture.place, response, unix_time) {
            Ok(Some(Found::Text(text) | Found::Number(text))) => text,
            Ok(_) => continue,
            Err(why) => return Err(why),
        };
        values.insert(capture.name.clone(), found);
    }
    Ok(values)
}

/// Whether this body meets the condition. A body that is not JSON does not meet any condition.
pub(crate) fn matches(when: &When, body: &[u8]) -> bool {
    let Ok(Some(found)) = find(body, &when.pointer) else { return false };
    match &when.test {
        Test::Present => found.is_present(),
        Test::Equals(text) => found.is(text),
        Test::Contains(text) => match &found {
            Found::Text(found) => found.expose_str(|found| found.contains(text)).unwrap_or(false),
            _ => false,
        },
    }
}

/// The number of an expiry or retry field, with its unit.
pub(crate) fn field_value(
    field: &Field,
    response: &LoginResponse,
    unix_time: Duration,
) -> Option<FieldValue> {
    if let ResponsePlace::Cookie(name) = &field.place {
        let cookie = cookie::named(&response.headers, name, unix_time.as_secs_f64()).ok()??;
        // Max-Age has precedence (RFC 6265 §5.3).
        let (unit, number) = cookie
            .max_age
            .map(|lifetime| (Unit::Seconds, lifetime))
            .or(cookie.expires.map(|at| (Unit::Epoch, at)))?;
        return Some(FieldValue { from: ExpiryFrom::Cookie, unit, number });
    }
    let found = extract(&field.place, response, unix_time).ok()??;
    let from = if matches!(field.place, ResponsePlace::Header(_)) {
        ExpiryFrom::Header
    } else {
        ExpiryFrom::Json
    };
    let number = match (field.unit, &found) {
        (Unit::Iso8601, Found::Text(text)) => text.expose_str(iso8601).ok()??,
        (Unit::Iso8601, _) => return None,
        (_, found) => found.number()?,
    };
    Some(FieldValue { from, unit: field.unit, number })
}

/// The vendor's time in seconds since 1970, or our time if the response has no `Date`.
pub(crate) fn server_now(response: &LoginResponse, unix_time: f64) -> f64 {
    date(&response.headers).unwrap_or(unix_time)
}

/// The place in words, for messages.
pub(crate) fn describe(place: &ResponsePlace) -> String {
    match place {
        ResponsePlace::Json(pointer) => format!("at `{pointer}`"),
        ResponsePlace::Header(name) => format!("in a header `{name}`"),
        ResponsePlace::Cookie(name) => format!("in a cookie `{name}`"),
        _ => "in the body".into(),
    }
}

/// The names of the places of the same kind in the response, for the error if the token is missing.
pub(crate) fn alternatives(
    place: &ResponsePlace,
    response: &LoginResponse,
    unix_time: Duration,
) -> String {
    let (what, names) = match place {
        ResponsePlace::Json(_) => ("field", response.body.expose(places)),
        ResponsePlace::Cookie(_) => {
            let cookies =
                cookie::set_by(&response.headers, unix_time.as_secs_f64()).unwrap_or_default();
            ("cookie", cookies.into_iter().map(|cookie| cookie.name).collect())
        }
        _ => return String::new(),
    };
    match names.is_empty() {
        true => format!("; there is no {what} at all"),
        false => format!("; there is `{}`", names.join("`, `")),
    }
}

/// The body's content type in parentheses, as ` (text/html)`.
fn content_type(response: &LoginResponse) -> String {
    let label =
        response.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = label.map_or("", |label| label.split(';').next().unwrap_or_default().trim());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-.".contains(&byte);
    match !kind.is_empty() && kind.len() <= 64 && kind.bytes().all(plain) {
        true => format!(" ({kind})"),
        false => String::new(),
    }
}
