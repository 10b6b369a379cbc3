//! Guesses the keys of a profile from a login response: the places of the token and of its
//! lifetime.
//!
//! Fields are recognised by their names and shapes, and the user confirms the guess. The response
//! is read in place, in guarded memory: none of its values is copied to the plain heap.

use crate::profile::json_leaves::{Leaf, leaves};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal::LoginResponse;
use bootseal_memory::SecretBuf;
use toml::{Table, Value};

/// The keys of a profile for a response.
pub(crate) struct Guess {
    pub(crate) token: Value,
    pub(crate) expiry: Option<Value>,
    pub(crate) inject: Option<Value>,
}

/// Finds the likeliest place of the token; `None` if nothing looks like a token.
pub(crate) fn look(response: &LoginResponse) -> Option<Guess> {
    response.body.expose(|body| {
        let json = leaves(body);
        let fields = json.as_deref().unwrap_or_default();
        let (header, cookie) = (in_header(response), in_cookie(response));
        if let Some((sure, leaf)) = likeliest(fields)
            && (sure >= 50 || (header.is_none() && cookie.is_none()))
        {
            let jwt = leaf.text().is_some_and(is_jwt_with_end);
            return Some(Guess {
                token: place("json", &leaf.pointer),
                expiry: if jwt { Some(jwt_rule()) } else { in_json(fields, Some(&leaf.pointer)) },
                inject: scheme(fields),
            });
        }
        let json_expiry = in_json(fields, None);
        if let Some((name, value)) = header {
            let back = match name {
                "x-subject-token" => "X-Auth-Token",
                other => other,
            };
            let expiry = if is_jwt_with_end(value.trim_start_matches("Bearer ")) {
                Some(jwt_rule())
            } else {
                json_expiry
            };
            return Some(Guess {
                token: place("header", name),
                expiry,
                inject: Some(inject(back, "${token}")),
            });
        }
        if let Some((name, dated)) = cookie {
            let expiry = if dated { Some(place("cookie", name)) } else { json_expiry };
            return Some(Guess { token: place("cookie", name), expiry, inject: None });
        }
        whole_body(body, json.as_deref())
    })
}

/// The field that is most likely the token, with its score.
fn likeliest<'a, 'b>(fields: &'b [Leaf<'a>]) -> Option<(u32, &'b Leaf<'a>)> {
    let scored = fields.iter().map(|leaf| (score(leaf), leaf)).filter(|(score, _)| *score > 0);
    scored.max_by_key(|(score, leaf)| (*score, std::cmp::Reverse(leaf.pointer.len())))
}

/// Recognises a body that is only the token, as plain text or as one JSON string.
fn whole_body(body: &[u8], json: Option<&[Leaf<'_>]>) -> Option<Guess> {
    let (kind, text, length) = match json {
        Some([only]) if only.pointer.is_empty() => {
            ("json-string", only.text()?, only.graphic_length()?)
        }
        Some(_) => return None,
        None => {
            let text = std::str::from_utf8(body).unwrap_or_default().trim();
            ("text", text, text.bytes().all(|byte| byte.is_ascii_graphic()).then_some(text.len())?)
        }
    };
    let token = length >= 16 && !text.starts_with('<');
    token.then(|| Guess {
        token: place("body", kind),
        expiry: is_jwt_with_end(text).then(jwt_rule),
        inject: None,
    })
}

fn score(leaf: &Leaf<'_>) -> u32 {
    let Some(text) = leaf.text().filter(|_| !leaf.pointer.is_empty()) else { return 0 };
    let long_enough = leaf.graphic_length().is_some_and(|length| length >= 8);
    if !long_enough || leaf.name.contains("refresh") || leaf.name.contains("type") {
        return 0;
    }
    let named = match leaf.name.as_str() {
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

/// Whether this is a JWT with the claim `exp`. The claims are most of the token, so they are
/// decoded into guarded memory.
fn is_jwt_with_end(text: &str) -> bool {
    let mut parts = text.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let payload = payload.trim_end_matches('=');
    let Ok(mut page) = SecretBuf::zeroed(base64::decoded_len_estimate(payload.len())) else {
        return false;
    };
    let Ok(length) = page.expose_mut(|bytes| BASE64_URL_SAFE_NO_PAD.decode_slice(payload, bytes))
    else {
        return false;
    };
    page.truncate(length);
    page.expose(|claims| {
        let claims = leaves(claims).unwrap_or_default();
        claims.iter().any(|claim| claim.pointer == "/exp" && claim.number().is_some())
    })
}

/// Finds a field with a lifetime, preferably beside the token.
fn in_json(fields: &[Leaf<'_>], token: Option<&str>) -> Option<Value> {
    let parent = |pointer: &str| {
        pointer.rsplit_once('/').map_or(String::new(), |(parent, _)| parent.to_owned())
    };
    let beside = token.map(parent);
    let named = fields.iter().filter(|leaf| {
        let words =
            ["expire", "expiry", "expiration", "lifetime", "validuntil", "validto", "maxage"];
        !leaf.name.contains("refresh")
            && (words.iter().any(|word| leaf.name.contains(word))
                || ["exp", "ttl"].contains(&leaf.name.as_str()))
    });
    let units = named.filter_map(|leaf| Some((leaf, unit(leaf)?)));
    let (leaf, unit) =
        units.max_by_key(|(leaf, _)| beside.as_ref() == Some(&parent(&leaf.pointer)))?;
    let mut table = Table::new();
    table.insert("json".into(), leaf.pointer.clone().into());
    if unit != "s" {
        table.insert("unit".into(), unit.into());
    }
    Some(table.into())
}

fn unit(leaf: &Leaf<'_>) -> Option<&'static str> {
    let number = match leaf.text() {
        None => leaf.number()?,
        Some(text) => match text.parse::<f64>() {
            Ok(number) => number,
            Err(_) => return text.parse::<jiff::Timestamp>().is_ok().then_some("iso8601"),
        },
    };
    Some(match number {
        _ if number <= 0.0 => return None,
        _ if number > 1e12 => "epoch-ms",
        _ if number > 1e9 => "epoch",
        _ if leaf.name.ends_with("ms") || leaf.name.contains("milli") => "ms",
        _ if leaf.name.contains("minute") => "min",
        // A day or more in round thousands is far more often in milliseconds than in seconds.
        _ if number >= 100_000.0 && number % 1000.0 == 0.0 => "ms",
        _ => "s",
    })
}

/// Returns the key `inject` if the response names a scheme other than Bearer.
fn scheme(fields: &[Leaf<'_>]) -> Option<Value> {
    let kind = fields.iter().find(|leaf| leaf.name == "tokentype")?.text()?;
    let plain = !kind.is_empty() && kind.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain && !kind.eq_ignore_ascii_case("bearer"))
        .then(|| inject("Authorization", &format!("{kind} ${{token}}")))
}

/// Finds the header that is most likely the token, with its name and value.
fn in_header(response: &LoginResponse) -> Option<(&str, &str)> {
    let named = response.headers.iter().filter(|(name, _)| {
        let name = name.as_str();
        name == "authorization"
            || (name.contains("token") && !name.contains("csrf") && !name.contains("xsrf"))
    });
    named
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .find(|(_, value)| value.len() >= 8)
}

/// Finds the name of a session cookie, and whether the cookie has an expiry.
fn in_cookie(response: &LoginResponse) -> Option<(&str, bool)> {
    let lines = response.headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok());
    let cookies = lines.filter_map(|line| {
        let (name, rest) = line.split_once('=')?;
        let lower = name.trim().to_ascii_lowercase();
        let likely =
            ["sess", "sid", "auth", "token", "jwt"].iter().any(|word| lower.contains(word));
        let other = lower.contains("csrf") || lower.contains("xsrf") || rest.starts_with(';');
        // The value itself, before the first semicolon, is not examined.
        let dated = rest.split(';').skip(1).filter_map(|attribute| attribute.split_once('=')).any(
            |(name, _)| {
                ["max-age", "expires"].iter().any(|dated| name.trim().eq_ignore_ascii_case(dated))
            },
        );
        (likely && !other).then(|| (name.trim(), dated))
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
    Value::Table(
        [("header".to_owned(), header.into()), ("value".to_owned(), value.into())]
            .into_iter()
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::print_stdout)]
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

    /// Set in a separate process, in which no other test has secrets.
    const ALONE: &str = "BOOTSEAL_TEST_ALONE";

    #[cfg(target_os = "linux")]
    #[test]
    fn no_value_of_a_response_reaches_the_plain_heap() {
        let Some(reader) = std::env::var_os(ALONE) else {
            for (reader, clean) in [("ours", true), ("serde_json", false)] {
                let name =
                    "profile::answer_guess::tests::no_value_of_a_response_reaches_the_plain_heap";
                let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
                let done = alone
                    .args(["--exact", name, "--nocapture"])
                    .env(ALONE, reader)
                    .output()
                    .unwrap();
                let printed = String::from_utf8_lossy(&done.stdout).into_owned();
                assert!(
                    done.status.success() && printed.contains("1 passed"),
                    "{printed}{}",
                    String::from_utf8_lossy(&done.stderr)
                );
                assert_eq!(printed.contains("clean: true"), clean, "{reader}: {printed}");
            }
            return;
        };
        // A JWT with random claims and signature, created in guarded memory, so that they were
        // never on the plain heap.
        let mut page = SecretBuf::with_capacity(4096).unwrap();
        page.push(b"{\"access_token\":\"e30.").unwrap();
        let mut random = SecretBuf::zeroed(96).unwrap();
        random.expose_mut(getrandom::fill).unwrap();
        let base64 = |bytes: &SecretBuf| {
            let mut text = SecretBuf::zeroed(bytes.expose(<[u8]>::len) * 4 / 3 + 4).unwrap();
            let into = |text: &mut [u8]| {
                bytes.expose(|bytes| BASE64_URL_SAFE_NO_PAD.encode_slice(bytes, text))
            };
            let length = text.expose_mut(into).unwrap();
            text.truncate(length);
            text
        };
        let mut claims = SecretBuf::with_capacity(4096).unwrap();
        claims.push(b"{\"exp\":1,\"jti\":\"").unwrap();
        base64(&random).expose(|text| claims.push(text)).unwrap();
        claims.push(b"\"}").unwrap();
        base64(&claims).expose(|text| page.push(text)).unwrap();
        page.push(b".").unwrap();
        base64(&random).expose(|text| page.push(text)).unwrap();
        page.push(b"\"}").unwrap();
        let response =
            LoginResponse { status: 200, headers: http_headers(&[]), body: page.freeze() };
        let parsed: Option<serde_json::Value> = match reader == "serde_json" {
            true => response.body.expose(|body| serde_json::from_slice(body).ok()),
            false => {
                let guess = look(&response).unwrap();
                assert_eq!(guess.token.to_string(), "{ json = \"/access_token\" }");
                assert!(guess.expiry.is_some());
                None
            }
        };
        let audit = bootseal_memory::audit().unwrap();
        assert!(audit.secrets > 0);
        println!("clean: {}", audit.is_clean());
        drop(parsed);
    }

    #[test]
    fn tokens_and_their_expiry_are_found_in_common_responses() {
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
        for nothing in [
            "{}",
            "<html>a long page without anything</html>",
            "{\"ok\":true,\"user\":\"bob smith\"}",
            "",
        ] {
            assert_eq!(guess(&[], nothing), None, "{nothing}");
        }
    }
}
