//! Where in an answer may the token be, and what may say how long it lives? Guesses from names and shapes, which a person is shown.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal::LoginResponse;
use serde_json::Value as Json;
use toml::{Table, Value};

/// What a profile would say of an answer.
pub(crate) struct Guess {
    pub(crate) token: Value,
    pub(crate) expiry: Option<Value>,
    pub(crate) inject: Option<Value>,
}

/// The likeliest place; `None` where nothing looks like a token.
pub(crate) fn look(answer: &LoginResponse) -> Option<Guess> {
    answer.body.expose(|body| {
        let json: Option<Json> = serde_json::from_slice(body).ok();
        let mut leaves = Vec::new();
        if let Some(json) = &json {
            walk(json, String::new(), "", &mut leaves);
        }
        let best = leaves.iter().map(|leaf| (score(leaf), leaf)).filter(|(score, _)| *score > 0);
        let best = best.max_by_key(|(score, leaf)| (*score, std::cmp::Reverse(leaf.pointer.len())));
        if let Some((sure, leaf)) = best
            && (sure >= 50 || (in_header(answer).is_none() && in_cookie(answer).is_none()))
        {
            let jwt = leaf.value.as_str().is_some_and(is_jwt_with_end);
            return Some(Guess {
                token: place("json", &leaf.pointer),
                expiry: if jwt { Some(jwt_rule()) } else { in_json(&leaves, Some(&leaf.pointer)) },
                inject: scheme(&leaves),
            });
        }
        let (json_expiry, header, cookie) = (in_json(&leaves, None), in_header(answer), in_cookie(answer));
        if let Some((name, value)) = header {
            let back = match name.as_str() {
                "x-subject-token" => "X-Auth-Token",
                other => other,
            };
            let expiry =
                if is_jwt_with_end(value.trim_start_matches("Bearer ")) { Some(jwt_rule()) } else { json_expiry };
            return Some(Guess { token: place("header", &name), expiry, inject: Some(inject(back, "${token}")) });
        }
        if let Some((name, dated)) = cookie {
            let expiry = if dated { Some(place("cookie", &name)) } else { json_expiry };
            return Some(Guess { token: place("cookie", &name), expiry, inject: None });
        }
        let text = std::str::from_utf8(body).unwrap_or_default().trim();
        let (kind, text) = match &json {
            Some(Json::String(inner)) => ("json-string", inner.as_str()),
            None => ("text", text),
            _ => return None,
        };
        let token = text.len() >= 16 && !text.starts_with('<') && text.bytes().all(|byte| byte.is_ascii_graphic());
        token.then(|| Guess { token: place("body", kind), expiry: is_jwt_with_end(text).then(jwt_rule), inject: None })
    })
}

struct Leaf<'a> {
    pointer: String,
    key: String,
    value: &'a Json,
}

fn walk<'a>(json: &'a Json, pointer: String, key: &str, leaves: &mut Vec<Leaf<'a>>) {
    match json {
        Json::Object(object) => {
            for (key, member) in object {
                walk(member, format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1")), key, leaves);
            }
        }
        Json::Array(list) => {
            for (index, element) in list.iter().enumerate() {
                walk(element, format!("{pointer}/{index}"), key, leaves);
            }
        }
        value if !pointer.is_empty() => {
            let key = key.chars().filter(|next| next.is_alphanumeric()).flat_map(char::to_lowercase).collect();
            leaves.push(Leaf { pointer, key, value });
        }
        _ => {}
    }
}

fn score(leaf: &Leaf<'_>) -> u32 {
    let Some(text) = leaf.value.as_str() else { return 0 };
    if text.len() < 8
        || !text.bytes().all(|byte| byte.is_ascii_graphic())
        || leaf.key.contains("refresh")
        || leaf.key.contains("type")
    {
        return 0;
    }
    let named = match leaf.key.as_str() {
        "accesstoken" => 100,
        "bearertoken" | "authtoken" | "jwttoken" => 95,
        "token" | "jwt" => 90,
        "sessiontoken" | "apitoken" => 85,
        "access" | "bearer" => 80,
        "sessionid" | "session" | "sid" | "ticket" => 70,
        "idtoken" => 60,
        "key" | "apikey" => 50,
        "csrftoken" | "xsrftoken" => 0,
        other if other.contains("token") => 40,
        _ => 0,
    };
    named + if is_jwt_with_end(text) { if named > 0 { 5 } else { 55 } } else { 0 }
}

fn is_jwt_with_end(text: &str) -> bool {
    let mut parts = text.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return false;
    };
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).ok();
    let claims = payload.and_then(|payload| serde_json::from_slice::<Json>(&payload).ok());
    claims.is_some_and(|claims| claims.get("exp").is_some_and(Json::is_number))
}

/// A field that says how long, beside the token if there is one.
fn in_json(leaves: &[Leaf<'_>], token: Option<&str>) -> Option<Value> {
    let parent = |pointer: &str| pointer.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned());
    let beside = token.map(parent);
    let named = leaves.iter().filter(|leaf| {
        let words = ["expire", "expiry", "expiration", "lifetime", "validuntil", "validto", "maxage"];
        !leaf.key.contains("refresh")
            && (words.iter().any(|word| leaf.key.contains(word)) || ["exp", "ttl"].contains(&leaf.key.as_str()))
    });
    let units = named.filter_map(|leaf| Some((leaf, unit(leaf)?)));
    let (leaf, unit) = units.max_by_key(|(leaf, _)| beside.as_ref() == Some(&parent(&leaf.pointer)))?;
    let mut table = Table::new();
    table.insert("json".into(), leaf.pointer.clone().into());
    if unit != "s" {
        table.insert("unit".into(), unit.into());
    }
    Some(table.into())
}

fn unit(leaf: &Leaf<'_>) -> Option<&'static str> {
    let number = match leaf.value {
        Json::Number(number) => number.as_f64()?,
        Json::String(text) => match text.parse::<f64>() {
            Ok(number) => number,
            Err(_) => return text.parse::<jiff::Timestamp>().is_ok().then_some("iso8601"),
        },
        _ => return None,
    };
    Some(match number {
        _ if number <= 0.0 => return None,
        _ if number > 1e12 => "epoch-ms",
        _ if number > 1e9 => "epoch",
        _ if leaf.key.ends_with("ms") || leaf.key.contains("milli") => "ms",
        _ if leaf.key.contains("minute") => "min",
        // A day and more, in round thousands: milliseconds far more often than seconds.
        _ if number >= 100_000.0 && number % 1000.0 == 0.0 => "ms",
        _ => "s",
    })
}

/// Where the answer names another scheme than Bearer.
fn scheme(leaves: &[Leaf<'_>]) -> Option<Value> {
    let kind = leaves.iter().find(|leaf| leaf.key == "tokentype")?.value.as_str()?;
    let plain = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !kind.eq_ignore_ascii_case("bearer")).then(|| inject("Authorization", &format!("{kind} ${{token}}")))
}

fn in_header(answer: &LoginResponse) -> Option<(String, String)> {
    let named = answer.headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        name == "authorization" || (name.contains("token") && !name.contains("csrf") && !name.contains("xsrf"))
    });
    named
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .find(|(_, value)| value.len() >= 8)
}

/// A session's cookie, and whether it says when it ends.
fn in_cookie(answer: &LoginResponse) -> Option<(String, bool)> {
    let lines = answer.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.filter_map(|line| {
        let (name, rest) = line.split_once('=')?;
        let lower = name.trim().to_ascii_lowercase();
        let likely = ["sess", "sid", "auth", "token", "jwt"].iter().any(|word| lower.contains(word));
        let other = lower.contains("csrf") || lower.contains("xsrf") || rest.starts_with(';');
        let dated = rest.to_ascii_lowercase();
        let dated = dated.contains("max-age=") || dated.contains("expires=");
        (likely && !other).then(|| (name.trim().to_owned(), dated))
    });
    cookies.max_by_key(|(name, _)| name.to_ascii_lowercase().contains("sess"))
}

fn place(kind: &str, text: &str) -> Value {
    Value::Table([(kind.to_owned(), text.into())].into_iter().collect())
}

fn jwt_rule() -> Value {
    Value::Table([("jwt".to_owned(), true.into())].into_iter().collect())
}

fn inject(header: &str, value: &str) -> Value {
    Value::Table([("header".to_owned(), header.into()), ("value".to_owned(), value.into())].into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn guess(headers: &[(&str, &str)], body: &str) -> Option<String> {
        let mut map = http_headers(headers);
        let answer = LoginResponse {
            status: 200,
            headers: std::mem::take(&mut map),
            body: bootseal::Secret::copy_of(body.as_bytes()).unwrap(),
        };
        let guess = look(&answer)?;
        let text = |value: Option<Value>| value.map_or("-".into(), |value| value.to_string());
        Some(format!("{} {} {}", guess.token, text(guess.expiry), text(guess.inject)))
    }

    fn http_headers(pairs: &[(&str, &str)]) -> reqwest::header::HeaderMap {
        let pair = |(name, value): &(&str, &str)| {
            (
                reqwest::header::HeaderName::try_from(*name).unwrap(),
                reqwest::header::HeaderValue::from_str(value).unwrap(),
            )
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn a_token_and_its_end_are_found_where_vendors_put_them() {
        let jwt = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode("{\"exp\":1}"));
        type Headers<'a> = &'a [(&'a str, &'a str)];
        let cases: Vec<(Headers<'_>, String, &str)> = vec![
            (
                &[],
                r#"{"access_token":"abcdefgh","refresh_token":"zzzzzzzzz","expires_in":3600,"token_type":"Bearer"}"#
                    .into(),
                "{ json = \"/access_token\" } { json = \"/expires_in\" } -",
            ),
            (
                &[],
                r#"{"data":{"access_token":"abcdefgh","expires":900000,"refresh_token":"zzzzzzzz"}}"#.into(),
                "{ json = \"/data/access_token\" } { json = \"/data/expires\", unit = \"ms\" } -",
            ),
            (&[], format!(r#"{{"access":"{jwt}","refresh":"{jwt}"}}"#), "{ json = \"/access\" } { jwt = true } -"),
            (
                &[],
                r#"{"expiry":"2026-11-25T10:00:00.123Z","token":"abcdefgh"}"#.into(),
                "{ json = \"/token\" } { json = \"/expiry\", unit = \"iso8601\" } -",
            ),
            (
                &[],
                r#"{"token":"abcdefgh","token_type":"Token"}"#.into(),
                "{ json = \"/token\" } - { header = \"Authorization\", value = \"Token ${token}\" }",
            ),
            (
                &[("x-subject-token", "abcdefgh")],
                r#"{"token":{"expires_at":"2026-11-25T10:00:00.000000Z"}}"#.into(),
                "{ header = \"x-subject-token\" } { json = \"/token/expires_at\", unit = \"iso8601\" } { header = \"X-Auth-Token\", value = \"${token}\" }",
            ),
            (
                &[("set-cookie", "csrftoken=x"), ("set-cookie", "sessionid=abc; Max-Age=60")],
                "{\"ok\":true}".into(),
                "{ cookie = \"sessionid\" } { cookie = \"sessionid\" } -",
            ),
            (&[], "\"abcdefghijklmnopq\"".into(), "{ body = \"json-string\" } - -"),
            (&[], jwt.clone(), "{ body = \"text\" } { jwt = true } -"),
        ];
        for (headers, body, expected) in cases {
            assert_eq!(guess(headers, &body).as_deref(), Some(expected), "{body}");
        }
        for nothing in ["{}", "<html>a long page without anything</html>", "{\"ok\":true,\"user\":\"bob smith\"}", ""] {
            assert_eq!(guess(&[], nothing), None, "{nothing}");
        }
    }
}
