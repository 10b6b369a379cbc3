//! Builds the requests of a login from the profile's templates.
//!
//! Every secret is copied from its guarded page to another one, never to the plain heap.

#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::login::account::{Account, Values};
use crate::login::parse::cookie::{Cookie, can_carry};
use crate::login::transport::LoginRequest;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bootseal_core::{Basic, Body, Call, JsonTemplate, Kind, Part, Profile, Secret, Template};
use bootseal_memory::SecretBuf;
use http::Method;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderName};
use std::time::Duration;

/// The time limit of a logout. A login that logs out first has this time in addition to its own
/// timeout.
const LOGOUT: Duration = Duration::from_secs(5);

impl LoginRequest {
    /// Fills the templates of `call`; `${names}` are looked up in `values`.
    ///
    /// # Errors
    /// If a value is missing or not valid in its place.
    pub(crate) fn build(
        profile: &Profile,
        call: &Call,
        values: &Values,
    ) -> Result<LoginRequest, Error> {
        let mut headers = Vec::new();
        let content = content(&call.body, values)?;
        if let Some((content_type, _)) = &content {
            headers.push((CONTENT_TYPE, Secret::of_public(content_type.as_bytes())?));
        }
        headers.push((ACCEPT, Secret::of_public(b"application/json, */*;q=0.5")?));
        if let Some(basic) = call.basic {
            headers.push((AUTHORIZATION, basic_header(profile, basic, values)?));
        }
        for (name, template) in &call.headers {
            let text = header_text(profile, name, template, values)?;
            let name = HeaderName::try_from(name.as_str()).map_err(|_| {
                Error::new(Kind::Malformed, format!("`{name}` is not the name of a header"))
            })?;
            headers.retain(|(other, _)| *other != name);
            headers.push((name, text));
        }
        let method = Method::from_bytes(call.method.as_bytes())
            .map_err(|_| Error::new(Kind::Malformed, "the login's method is not one of HTTP"))?;
        let client_cert = match &profile.client_cert {
            Some(names) => {
                Some((value(values, &names.cert)?.clone(), value(values, &names.key)?.clone()))
            }
            None => None,
        };
        Ok(LoginRequest {
            method,
            url: call.url.fill(|name| values.get(name).cloned())?,
            headers,
            body: content.map(|(_, body)| body),
            timeout: profile.login_timeout,
            ca: profile.ca.clone(),
            client_cert,
            proxy: profile.proxy.clone(),
            shown: call.url.base().clone(),
        })
    }

    /// Adds cookies after those that the profile itself sends. A cookie with an invalid value is
    /// left out.
    pub(crate) fn add_cookies(&mut self, cookies: &[Cookie]) -> Result<(), Error> {
        let mut line = SecretBuf::with_capacity(256)?;
        let own = self
            .headers
            .iter()
            .position(|(name, _)| *name == COOKIE)
            .map(|at| self.headers.swap_remove(at));
        if let Some((_, own)) = own {
            own.expose(|own| line.push(own))?;
        }
        for cookie in cookies {
            if !cookie.value.expose(can_carry) {
                tracing::warn!(target: "bootseal", cookie = cookie.name, "a cookie of the request before the login is not sent back: its value is not valid in a cookie (RFC 6265)");
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

/// The filled body, with its content type.
fn content(body: &Body, values: &Values) -> Result<Option<(&'static str, Secret)>, Error> {
    let mut page = SecretBuf::with_capacity(512)?;
    let content_type = match body {
        Body::Json(json) => {
            write_json(&mut page, json, values)?;
            "application/json"
        }
        Body::Form(form) => {
            for (index, (name, value)) in form.iter().enumerate() {
                page.push(if index > 0 { b"&" } else { b"" })?;
                push_form(&mut page, name.as_bytes())?;
                page.push(b"=")?;
                fill(value, values, |bytes| push_form(&mut page, bytes))?;
            }
            "application/x-www-form-urlencoded"
        }
        _ => return Ok(None),
    };
    Ok(Some((content_type, page.freeze())))
}

/// The value of a header with its values filled in.
///
/// # Errors
/// If a value would break the header; the error names only the header.
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
            format!("the header `{name}` of `{}` would contain {what} from a value", profile.table),
        )
    };
    for part in template.parts() {
        match part {
            Part::Text(text) => page.push(text.as_bytes())?,
            Part::Name(filled) => {
                let filled = value(values, filled)?;
                if name.eq_ignore_ascii_case("cookie") && !filled.expose(can_carry) {
                    return Err(wrong("a character that is not valid in a cookie (RFC 6265),"));
                }
                filled.expose(|bytes| page.push(bytes))?;
            }
        }
    }
    // RFC 9110 §5.5. Refused here and not by the transport, which would report the vendor as
    // unreachable.
    if !page.expose(|bytes| bytes.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0x80..))) {
        return Err(wrong("a line break or another control character"));
    }
    Ok(page.freeze())
}

/// Passes each piece of the filled template to `write`. A filled-in value is not searched for
/// `${names}` again.
fn fill(
    template: &Template,
    values: &Values,
    mut write: impl FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    for part in template.parts() {
        match part {
            Part::Text(text) => write(text.as_bytes())?,
            Part::Name(name) => value(values, name)?.expose(&mut write)?,
        }
    }
    Ok(())
}

pub(crate) fn value<'a>(values: &'a Values, name: &str) -> Result<&'a Secret, Error> {
    values
        .get(name)
        .ok_or_else(|| Error::new(Kind::NotFound, format!("the value `{name}` is missing")))
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

/// Writes the inside of a JSON string (RFC 8259 §7).
fn push_json(page: &mut SecretBuf, bytes: &[u8]) -> Result<(), Error> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Error::new(Kind::Malformed, "a value in the login's JSON is not UTF-8 text"));
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

/// Writes one piece of `application/x-www-form-urlencoded` (WHATWG URL).
fn push_form(page: &mut SecretBuf, bytes: &[u8]) -> Result<(), Error> {
    for byte in bytes {
        match byte {
            b' ' => page.push(b"+")?,
            b'*' | b'-' | b'.' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => {
                page.push(&[*byte])?
            }
            _ => page.push(format!("%{byte:02X}").as_bytes())?,
        }
    }
    Ok(())
}

fn basic_header(profile: &Profile, basic: Basic, values: &Values) -> Result<Secret, Error> {
    let [user, password] = basic.names();
    let (user, password) = (value(values, user)?, value(values, password)?);
    if basic == Basic::Plain && user.expose(|bytes| bytes.contains(&b':')) {
        let text = format!(
            "{}.username contains a colon, which HTTP Basic cannot carry (RFC 7617)",
            profile.table
        );
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

/// The value of the header `Authorization` for `user:password` (RFC 7617).
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

/// The headers of a call, filled with the token, the captured values and the values of the table.
///
/// # Errors
/// If a value is not valid in its header.
pub(crate) fn call_headers(
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
            Error::new(
                Kind::Malformed,
                format!("`{}`: `{name}` is not the name of a header", profile.table),
            )
        })?;
        Ok((name, text))
    });
    filled.collect()
}

/// The logout request, with those headers of a call that the logout does not set itself.
pub(crate) fn logout(
    profile: &Profile,
    call: &Call,
    values: &Values,
    call_headers: &[(HeaderName, Secret)],
) -> Result<LoginRequest, Error> {
    let mut request = LoginRequest::build(profile, call, values)?;
    for (name, text) in call_headers {
        if !request.headers.iter().any(|(other, _)| other == name) {
            request.headers.push((name.clone(), text.clone()));
        }
    }
    request.timeout = profile.login_timeout.min(LOGOUT);
    Ok(request)
}
