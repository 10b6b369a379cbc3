//! Responses without a token, and responses that set the time of the next attempt.

use super::*;

#[test]
fn a_response_without_a_token_is_a_protocol_error_retried_after_5_seconds() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\"text\"",
        "{\"access_token\"",
        "{}",
        r#"{"token":"x"}"#,
        r#"{"access_token":7}"#,
        r#"{"access_token":null}"#,
        r#"{"access_token":""}"#,
        r#"{"access_token":"a\nb"}"#,
        r#"{"access_token":{"x":1}}"#,
        r#"{"access_token":"a","access_token":"b"}"#,
    ] {
        let acme = Acme::new([answer(200, body)]);
        let error = acme.error();
        assert_eq!((error.kind(), error.status()), (Kind::LoginProtocol, Some(200)), "{body}");
        acme.backs_off_for(5 * SECOND);
        assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
    }
}

#[test]
fn three_responses_without_a_token_count_as_a_wrong_password() {
    let acme = Acme::new(vec![answer(200, r#"{"error":"wrong password"}"#); 4]);
    for wait in [5 * SECOND, 10 * SECOND, 15 * MINUTE, 30 * MINUTE] {
        assert_eq!(acme.error().kind(), Kind::LoginProtocol);
        acme.backs_off_for(wait);
    }
    assert_eq!(acme.token(), "token-5");
}

#[test]
fn a_login_redirect_is_not_followed_and_the_error_names_only_the_origin() {
    for (location, named) in [
        (
            "https://evil.example:8443/canary-path?password=canary-query",
            " to https://evil.example:8443;",
        ),
        ("https://user:canary-user@evil.example/", " to https://evil.example;"),
        ("/canary-path?canary-query#canary-fragment", " to https://api.acme.example;"),
        ("http://api.acme.example/login", " to http://api.acme.example;"),
        ("https://[canary", " would redirect;"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let acme = Acme::new([answer(status, "canary-body").with("location", location)]);
            let error = acme.error();
            assert_eq!((error.kind(), error.status()), (Kind::LoginProtocol, Some(status)));
            assert!(
                error.to_string().contains(named) && !error.to_string().contains("canary"),
                "{error}"
            );
            assert_eq!(acme.sends(), 1);
            acme.backs_off_for(MINUTE);
        }
    }
}

#[test]
fn the_vendors_retry_after_sets_the_next_attempt() {
    // The clock shows 2026-01-01T00:00:00Z.
    for (status, retry_after, seconds) in [
        (429, "7", 7),
        (429, " 7 ", 7),
        (429, "0", 1),
        (429, "86400", 900),
        (429, "Thu, 01 Jan 2026 00:02:00 GMT", 120),
        (429, "Wed, 31 Dec 2025 23:59:59 GMT", 1),
        (429, "Thu, 01 Jan 2037 00:00:00 GMT", 900),
        (429, "", 30),
        (429, "soon", 30),
        (429, "-5", 30),
        (503, "7", 7),
        (503, "Thu, 01 Jan 2026 00:00:30 GMT", 30),
    ] {
        let acme = Acme::new([answer(status, "").with("retry-after", retry_after)]);
        acme.clock.set_jitter(0.0);
        assert_eq!(acme.error().kind(), Kind::LoginThrottled, "{status} {retry_after}");
        acme.backs_off_for(seconds * SECOND);
        assert_eq!(acme.token(), "token-2", "{status} {retry_after}");
    }
}

#[test]
fn retry_after_is_extended_by_a_jitter_of_up_to_a_tenth() {
    let acme = Acme::new([answer(429, "").with("retry-after", "100")]);
    acme.clock.set_jitter(1.0);
    acme.error();
    acme.backs_off_for(110 * SECOND);
    assert_eq!(acme.token(), "token-2");
}

#[test]
fn a_503_without_retry_after_is_an_outage() {
    for retry_after in ["", "soon"] {
        let acme = Acme::new([answer(503, "").with("retry-after", retry_after)]);
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.clock.advance(SECOND);
        assert_eq!(acme.token(), "token-2");
    }
}

#[test]
fn a_retry_after_that_overflows_is_the_longest_wait() {
    let acme = Acme::new([answer(429, "").with("retry-after", "99999999999999999999")]);
    acme.clock.set_jitter(0.0);
    acme.error();
    acme.backs_off_for(15 * MINUTE);
}

#[test]
fn a_retry_after_date_is_relative_to_the_vendors_clock() {
    // Our clock shows midnight, the vendor's an hour earlier: the wait is two minutes.
    let reply = answer(429, "")
        .with("date", "Wed, 31 Dec 2025 23:00:00 GMT")
        .with("retry-after", "Wed, 31 Dec 2025 23:02:00 GMT");
    let acme = Acme::new([reply]);
    acme.clock.set_jitter(0.0);
    acme.error();
    acme.backs_off_for(2 * MINUTE);
}
