//! Tests of how responses to a login are interpreted.

use super::*;
use crate::login::expiry::ExpiryFrom;
use base64::Engine;
use http::HeaderName;

const JSON: &str = r#"json = { user = "${username}", password = "${password}" }"#;

const VALUES: [&str; 4] =
    ["acme.username", "acme.password", "acme.client_id", "acme.client_secret"];

fn profile(login: &str) -> Profile {
    let readable = format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{login}\n");
    let vault = crate::testing::vault(VALUES.map(|name| (name, "x")), &readable).unwrap();
    vault.token_source("acme").unwrap().profile().clone()
}

fn interpreted(
    profile: &Profile,
    response: Result<LoginResponse, TransportError>,
    unix_time: Duration,
) -> Outcome {
    interpret(profile, &profile.login, response, unix_time)
}

/// 2026-01-01T00:00:00Z.
const NOW: Duration = Duration::from_secs(1_767_225_600);

fn response(status: u16, fields: &[(&'static str, &str)], body: &str) -> LoginResponse {
    let fields =
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
    LoginResponse {
        status,
        headers: fields.collect(),
        body: Secret::copy_of(body.as_bytes()).unwrap(),
    }
}

/// The token, the seconds of its lifetime, and their source.
fn token(login: &str, fields: &[(&'static str, &str)], body: &str) -> (String, f64, ExpiryFrom) {
    match interpreted(&profile(&format!("{JSON}\n{login}")), Ok(response(200, fields, body)), NOW) {
        Outcome::Token(Fresh { secret, lifetime, status: 200, .. }) => (
            secret.expose_str(str::to_owned).unwrap(),
            lifetime.lifetime.as_secs_f64(),
            lifetime.from,
        ),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_beyond_the_limit_is_an_error_that_names_the_limit() {
    let json = |length: usize| format!("{{\"access_token\":\"{}\"}}", "t".repeat(length));
    assert_eq!(token("", &[], &json(MAX_TOKEN)).0.len(), MAX_TOKEN);
    let profile = profile(JSON);
    let outcome = interpreted(&profile, Ok(response(200, &[], &json(MAX_TOKEN + 1))), NOW);
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.class, Class::Protocol);
    assert!(
        failure.text.contains("`/access_token` is longer than 64 KiB, the limit"),
        "{failure:?}"
    );
}

#[test]
fn a_lack_of_resources_is_not_the_vendors_fault() {
    let profile = profile(JSON);
    for (sent, text) in [(false, "was not contacted: full"), (true, "that was lost: full")] {
        let error = TransportError::OutOfResources { why: "full".into(), sent };
        let outcome = interpreted(&profile, Err(error), NOW);
        let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
        assert_eq!(failure.class, Class::OutOfResources { unsent: !sent });
        assert!(failure.text.contains(text), "{failure:?}");
    }
    let outcome = unreadable(Unreadable::NoMemory("no memory".into()), 200, "the login");
    let Outcome::Failed(failure) = outcome else { panic!("{outcome:?}") };
    assert_eq!(failure.class, Class::OutOfResources { unsent: false });
}

#[test]
fn the_token_is_read_from_the_place_in_the_profile() {
    let both = r#"{"access_token":"usual","data":[{"a/b":"deep"}]}"#;
    for (place, expected) in [
        ("", "usual"),
        ("token = { json = \"/data/0/a~1b\" }", "deep"),
        ("token = { header = \"X-Subject-Token\" }", "in a header"),
    ] {
        assert_eq!(token(place, &[("x-subject-token", "in a header")], both).0, expected);
    }
    assert_eq!(token("token = { json = \"\" }", &[], "\"the body is it\"").0, "the body is it");
    // If the token is in a header, the body need not be JSON and may be empty.
    assert_eq!(
        token("token = { header = \"X-Subject-Token\" }", &[("x-subject-token", "x")], "").0,
        "x"
    );
}

#[test]
fn the_error_for_a_missing_token_lists_the_places_of_the_response() {
    let text_of = |login: &str, fields: &[(&'static str, &str)], body: &str| match interpreted(
        &profile(&format!("{JSON}\n{login}")),
        Ok(response(200, fields, body)),
        NOW,
    ) {
        Outcome::Failed(Failure { text, .. }) => text,
        other => panic!("{other:?}"),
    };
    let text = text_of("", &[], r#"{"access":"S3cret","refresh":{"token":"S3cret"}}"#);
    assert!(text.ends_with("; there is `/access`, `/refresh/token`"), "{text}");
    assert!(text_of("", &[], "{}").ends_with("; there is no field at all"));
    let html = [("content-type", "text/html; charset=utf-8")];
    assert!(text_of("", &html, "<p>S3cret").ends_with("but its body is not JSON (text/html)"));
    assert!(
        text_of("", &[("content-type", "S3cret of a sort")], "<p>")
            .ends_with("but its body is not JSON")
    );
    let text =
        text_of("token = { cookie = \"sid\" }", &[("set-cookie", "JSESSIONID=S3cret; Path=/")], "");
    assert!(text.ends_with("; there is `JSESSIONID`"), "{text}");
}

#[test]
fn the_lifetime_is_read_from_the_place_in_the_profile() {
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
        (
            "json = \"/x\", unit = \"iso8601\"",
            r#""x":"2026-01-01T02:10:00.500+02:00""#,
            json(600.5),
        ),
        ("json = \"/x\", unit = \"iso8601\"", r#""x":1767226200"#, default),
        ("json = \"/x\", unit = \"iso8601\"", r#""x":"2026-01-01T00:10:00""#, default),
        ("header = \"X-Life\"", "\"x\":1", (700.0, ExpiryFrom::Header)),
        ("header = \"X-Until\", unit = \"iso8601\"", "\"x\":1", (800.0, ExpiryFrom::Header)),
        ("header = \"X-None\"", r#""expires_in":600"#, default),
    ] {
        let login =
            if expiry.is_empty() { String::new() } else { format!("expiry = {{ {expiry} }}") };
        let fields = [("x-life", "700"), ("x-until", "2026-01-01T00:13:20Z")];
        let (_, seconds, from) =
            token(&login, &fields, &format!(r#"{{"access_token":"x",{members}}}"#));
        assert_eq!((seconds, from), expected, "{expiry} {members}");
    }
}

#[test]
fn the_lifetime_of_a_jwt_is_measured_by_the_date_of_the_response() {
    let jwt =
        |payload: &str| format!("x.{}.x", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(payload));
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
    assert_eq!(
        lifetime(r#"{"exp":1767226200}"#, &[("date", "nonsense")]),
        (600.0, ExpiryFrom::Jwt)
    );
    assert_eq!(lifetime(r#"{"exp":"1767226200"}"#, &[]), (42.0, ExpiryFrom::Json));
    assert_eq!(lifetime(r#"{"sub":"me"}"#, &[]), (42.0, ExpiryFrom::Json));
}

#[test]
fn each_response_has_its_class() {
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
        match interpreted(
            &profile(&format!("{JSON}\n{login}")),
            Ok(response(status, fields, body)),
            NOW,
        ) {
            Outcome::Failed(failure) => {
                assert_eq!(
                    (failure.class, failure.status),
                    (expected, Some(status)),
                    "{login} {status} {body}"
                )
            }
            Outcome::Token(_) => panic!("{status} {body}"),
        }
    }
}

#[test]
fn each_missing_response_has_its_class() {
    for (error, expected) in [
        (TransportError::Connect("x".into()), Class::Down { unsent: true }),
        (TransportError::Timeout, Class::Down { unsent: false }),
        (TransportError::Broken("x".into()), Class::Down { unsent: false }),
        (TransportError::Tls("x".into()), Class::Tls),
    ] {
        let Outcome::Failed(failure) = interpreted(&profile(JSON), Err(error), NOW) else {
            panic!("a token")
        };
        assert_eq!((failure.class, failure.status), (expected, None));
    }
}
