//! Interprets the response to a login: a failure with its class, or a token.

#[cfg(test)]
mod tests;

use crate::login::expiry::{Evidence, Lifetime};
use crate::login::extract::{
    Unreadable, alternatives, captured, describe, extract, field_value, matches, server_now,
};
use crate::login::outcome::{Class, Failure, Fresh, MAX_TOKEN, Outcome, failed};
use crate::login::parse::date::{date, http_date};
use crate::login::parse::json::{Found, find};
use crate::login::parse::jwt;
use crate::login::transport::{LoginResponse, TransportError};
use bootseal_core::{Call, Expiry, Profile, Secret};
use http::HeaderMap;
use std::time::Duration;

/// Interprets the response to `call`, or its absence. `unix_time` is our wall clock when the
/// response arrived.
pub(crate) fn interpret(
    profile: &Profile,
    call: &Call,
    response: Result<LoginResponse, TransportError>,
    unix_time: Duration,
) -> Outcome {
    match check_status(profile, call, response, unix_time) {
        Ok(response) => token(profile, call, &response, unix_time),
        Err(failure) => Outcome::Failed(failure),
    }
}

/// The response if it reports success, otherwise the failure for its status.
pub(crate) fn check_status(
    profile: &Profile,
    call: &Call,
    response: Result<LoginResponse, TransportError>,
    unix_time: Duration,
) -> Result<LoginResponse, Failure> {
    let response = response.map_err(|error| without_response(profile, error))?;
    let status = response.status;
    let retry_after = retry_after(profile, &response, unix_time);
    let failed = |class: Class, what: &str| {
        Err(Failure {
            class,
            text: format!("answered {status}{what}"),
            status: Some(status),
            retry_after: None,
        })
    };
    // The profile's lists apply only to the login: the page of a form may answer 200 and its login
    // 302.
    let login = std::ptr::eq(call, &profile.login).then_some(profile);
    let listed =
        login.and_then(|login| login.refused_status.as_ref()).map(|list| list.contains(&status));
    if listed == Some(true) {
        return failed(Class::Refused, " to the login, which the profile lists as refused");
    }
    let ok = login.and_then(|login| login.ok_status.as_ref());
    let ok = ok.map_or((200..300).contains(&status), |list| list.contains(&status));
    let refused_when = login.and_then(|login| login.refused_when.as_ref());
    let refused = refused_when.is_some_and(|when| response.body.expose(|body| matches(when, body)));
    if refused && (ok || listed.is_none() && (400..500).contains(&status) && status != 429) {
        return failed(
            Class::Refused,
            " to the login, and its body meets `refused_when` of the profile",
        );
    }
    if ok {
        return Ok(response);
    }
    match status {
        401 | 403 | 423 if listed.is_none() => failed(Class::Refused, " to the login"),
        400 | 422 if listed.is_none() => match oauth_code(&response) {
            Some(code) => failed(Class::Refused, &format!(" to the login ({code})")),
            None => failed(Class::PerhapsRefused, " to the login"),
        },
        300..400 => {
            let target = redirect_target(call, &response);
            failed(
                Class::Redirect,
                &format!(" and would redirect{target}; a login follows no redirect"),
            )
        }
        429 | 503 if status == 429 || retry_after.is_some() => {
            failed(Class::Throttled, " to the login")
                .map_err(|failure| Failure { retry_after, ..failure })
        }
        // Request Timeout and Too Early mean: try again later.
        408 | 425 | 500..600 => failed(Class::Down { unsent: false }, " to the login"),
        _ => failed(Class::Protocol, " to the login, which the profile does not describe"),
    }
}

fn without_response(profile: &Profile, error: TransportError) -> Failure {
    match error {
        TransportError::Connect(why) => Failure {
            class: Class::Down { unsent: true },
            ..Failure::down(format!("cannot be reached: {why}"))
        },
        TransportError::Tls(why) => Failure {
            class: Class::Tls,
            ..Failure::down(format!("offers no trustworthy connection: {why}"))
        },
        TransportError::OutOfResources { why, sent } => {
            let what = if sent { "sent a response that was lost" } else { "was not contacted" };
            Failure {
                class: Class::OutOfResources { unsent: !sent },
                ..Failure::down(format!("{what}: {why}"))
            }
        }
        TransportError::Timeout => {
            Failure::down(format!("did not respond within {:?}", profile.login_timeout))
        }
        TransportError::Broken(why) => Failure::down(format!("sent no complete response: {why}")),
    }
}

/// The origin that a redirect points to, as ` to https://…`.
fn redirect_target(call: &Call, response: &LoginResponse) -> String {
    let location =
        response.headers.get(http::header::LOCATION).and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| call.url.base().join(location).ok());
    url.map_or(String::new(), |url| format!(" to {}", url.origin().ascii_serialization()))
}

/// The error code for wrong credentials (RFC 6749 §5.2), which is not secret. No other part of a
/// body is ever shown.
fn oauth_code(response: &LoginResponse) -> Option<&'static str> {
    let Ok(Some(Found::Text(code))) = response.body.expose(|body| find(body, "/error")) else {
        return None;
    };
    ["invalid_grant", "invalid_client", "unauthorized_client"]
        .into_iter()
        .find(|known| code.expose(|bytes| bytes == known.as_bytes()))
}

/// The wait that the vendor requests, in the header or else at the place that the profile names.
fn retry_after(
    profile: &Profile,
    response: &LoginResponse,
    unix_time: Duration,
) -> Option<Duration> {
    let in_header = retry_after_header(&response.headers, unix_time);
    in_header.or_else(|| {
        let found = field_value(profile.retry_after.as_ref()?, response, unix_time)?;
        let seconds = found.seconds_from(server_now(response, unix_time.as_secs_f64()));
        Some(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
    })
}

/// The header `Retry-After`: seconds, or a date (RFC 9110 §10.2.3).
fn retry_after_header(headers: &HeaderMap, unix_time: Duration) -> Option<Duration> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(Duration::from_secs_f64(
        (http_date(text)? - date(headers).unwrap_or(unix_time.as_secs_f64())).max(0.0),
    ))
}

/// Extracts the token and the captured values from a successful response.
fn token(profile: &Profile, call: &Call, response: &LoginResponse, unix_time: Duration) -> Outcome {
    let status = response.status;
    let missing = |what: &str| {
        failed(Class::NoToken, Some(status), format!("answered {status} to the login, but {what}"))
    };
    let place = describe(&profile.token);
    let secret = match extract(&profile.token, response, unix_time) {
        Ok(Some(Found::Text(secret))) => secret,
        Ok(Some(_)) => {
            return missing(&format!(
                "the value {place}, where the profile expects the token, is not text"
            ));
        }
        Ok(None) => {
            let alternatives = alternatives(&profile.token, response, unix_time);
            return missing(&format!(
                "there is nothing {place}, where the profile expects the token{alternatives}"
            ));
        }
        Err(why) => return unreadable(why, status, "the login"),
    };
    if secret.is_empty()
        || secret.expose(|bytes| bytes.iter().any(|byte| *byte < b' ' || *byte == 0x7F))
    {
        return missing("the token is empty, or contains control characters");
    }
    if secret.len() > MAX_TOKEN {
        let text = format!(
            "answered {status} to the login, but the token {place} is longer than {} KiB, the limit",
            MAX_TOKEN / 1024
        );
        return failed(Class::Protocol, Some(status), text);
    }
    let captured = match captured(call, response, unix_time) {
        Ok(captured) => captured,
        Err(why) => return unreadable(why, status, "the login"),
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

/// A response to `what` of which a value cannot be read.
pub(crate) fn unreadable(why: Unreadable, status: u16, what: &str) -> Outcome {
    let (class, why) = match why {
        Unreadable::Response(why) if what == "the login" => (Class::NoToken, why),
        Unreadable::Response(why) => (Class::Protocol, why),
        Unreadable::NoMemory(why) => (Class::OutOfResources { unsent: false }, why),
    };
    failed(class, Some(status), format!("answered {status} to {what}, but {why}"))
}

/// The parts of the response that determine the lifetime of `token`.
pub(crate) fn evidence(
    profile: &Profile,
    token: &Secret,
    response: &LoginResponse,
    unix_time: Duration,
) -> Evidence {
    let expires_in = response.body.expose(|body| find(body, "/expires_in"));
    Evidence {
        jwt: token.expose(jwt::peek),
        field: match &profile.expiry {
            Some(Expiry::Field(field)) => field_value(field, response, unix_time),
            _ => None,
        },
        expires_in: expires_in.ok().flatten().and_then(|found| found.number()),
        server_date: date(&response.headers),
        unix_time: unix_time.as_secs_f64(),
    }
}
