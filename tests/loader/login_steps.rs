//! The login procedure follows the profile, whatever the vendor does. The vendor is scripted, and
//! the test moves the clock.

use bootseal::testing::Clock;
use bootseal::{
    ExpiryFrom, Kind, LoginRequest, LoginResponse, Secret, Token, TokenSource, Transport,
    TransportError,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
/// The initial time of the clock.
const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);
const BODY: &str = "json = { user = \"${username}\", password = \"${password}\" }\n";

// ---- The token in a response, and its lifetime

#[test]
fn a_token_is_found_in_a_cookie_a_header_or_the_body() {
    for (profile, reply, expected) in [
        (
            "token = { cookie = \"s\" }",
            answer(200, "x").with("set-cookie", "s=one; HttpOnly"),
            "one",
        ),
        (
            "token = { header = \"X-Subject-Token\" }",
            answer(201, "x").with("x-subject-token", "two"),
            "two",
        ),
        ("token = { body = \"text\" }", answer(200, " three\n"), "three"),
        ("token = { body = \"json-string\" }", answer(200, "\"fo\\u0075r\""), "four"),
        ("token = { json = \"/a/0/b\" }", answer(200, "{\"a\":[{\"b\":\"five\"}]}"), "five"),
    ] {
        let acme = Acme::with(&format!("{BODY}{profile}\n"), &[], [reply]);
        assert_eq!(acme.token(), expected, "{profile}");
    }
    for (profile, reply) in [
        ("token = { cookie = \"s\" }", answer(200, "x").with("set-cookie", "s=; Max-Age=0")),
        ("token = { cookie = \"s\" }", answer(200, "x").with("set-cookie", "S=other")),
        // A cookie deleted as PHP and .NET do it, and a cookie set and then deleted.
        (
            "token = { cookie = \"s\" }",
            answer(200, "x").with("set-cookie", "s=deleted; Expires=Thu, 01-Jan-1970 00:00:01 GMT"),
        ),
        (
            "token = { cookie = \"s\" }",
            answer(200, "x").with("set-cookie", "s=deleted; Expires=Wed, 31 Dec 2025 23:59:59 GMT"),
        ),
        (
            "token = { cookie = \"s\" }",
            answer(200, "x")
                .with("set-cookie", "s=canary")
                .with("set-cookie", "s=canary; Max-Age=0"),
        ),
        ("token = { body = \"text\" }", answer(200, " \n")),
        ("token = { body = \"json-string\" }", answer(200, "canary")),
        ("token = { body = \"json-string\" }", answer(200, "{\"canary\":1}")),
    ] {
        let error = Acme::with(&format!("{BODY}{profile}\n"), &[], [reply]).error();
        assert!(
            error.kind() == Kind::LoginProtocol && !error.to_string().contains("canary"),
            "{error}"
        );
    }
}

#[test]
fn a_cookie_sets_the_lifetime_of_its_token() {
    for (cookie, seconds) in [
        ("s=x; Max-Age=600", 600),
        ("s=x; Expires=Thu, 01 Jan 2026 00:20:00 GMT", 1200),
        ("s=x; Max-Age=60; Expires=Thu, 01 Jan 2026 00:20:00 GMT", 60),
        ("s=x", 300), // no lifetime: default_life
    ] {
        let profile =
            format!("{BODY}token = {{ cookie = \"s\" }}\nexpiry = {{ cookie = \"s\" }}\n");
        let acme = Acme::with(&profile, &[], [answer(200, "").with("set-cookie", cookie)]);
        assert_eq!(acme.source.token_blocking().unwrap().lifetime(), seconds * SECOND, "{cookie}");
    }
}

#[test]
fn an_invalid_jwt_has_no_expiry_and_is_cheap_to_parse() {
    use base64::Engine;
    let part = |bytes: &[u8]| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
    let jwt = |payload: &[u8]| format!("{}.{}.c2ln", part(b"{\"alg\":\"none\"}"), part(payload));
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    for (what, token) in [
        ("a thousand dots", ".".repeat(1_000)),
        (
            "as long as is allowed",
            jwt(format!("{{\"exp\":4102444800,\"x\":\"{}\"}}", "x".repeat(48_000)).as_bytes()),
        ),
        ("as many dots as are allowed", ".".repeat(1 << 16)),
        ("deep", jwt(format!("{{\"x\":{deep},\"exp\":4102444800}}").as_bytes())),
        ("not UTF-8", jwt(b"{\"exp\":4102444800,\"x\":\"\xff\"}")),
        ("two of them", jwt(b"{\"exp\":4102444800,\"exp\":1}")),
        ("no object", jwt(b"[4102444800]")),
    ] {
        for profile in [BODY.to_owned(), format!("{BODY}expiry = {{ jwt = true }}\n")] {
            let acme = Acme::with(
                &profile,
                &[],
                [answer(200, &format!("{{\"access_token\":\"{token}\"}}"))],
            );
            let token = acme.source.token_blocking().unwrap();
            assert_eq!(
                (token.expiry_from(), token.lifetime()),
                (ExpiryFrom::Default, 300 * SECOND),
                "{what}"
            );
        }
    }
}

// ---- The request `before` and its captures

const CSRF: &str = "headers = { X-CSRF-Token = \"${csrf}\" }\n[acme.login.before]\nurl = \"https://api.acme.example/csrf\"\nheaders = { X-CSRF-Token = \"Fetch\" }\ncapture = [ { header = \"X-CSRF-Token\", as = \"csrf\" } ]\n";

#[test]
fn a_before_request_passes_its_captures_and_cookies_to_the_login() {
    let ahead = answer(200, "").with("x-csrf-token", "crumb").with("set-cookie", "sap=1; Path=/");
    let acme = Acme::with(&format!("{BODY}{CSRF}"), &[], [ahead, token("t", 600)]);
    assert_eq!(acme.token(), "t");
    let sent = acme.sent();
    assert_eq!(
        (sent[0].method.as_str(), sent[0].url.path(), sent[0].body.is_none()),
        ("GET", "/csrf", true)
    );
    assert_eq!(
        (header(&sent[1], "x-csrf-token"), header(&sent[1], "cookie")),
        ("crumb".into(), "sap=1".into())
    );
    assert_eq!(acme.source.counts().logins, 1);
}

#[test]
fn the_last_value_of_each_cookie_of_a_before_request_is_sent() {
    let profile = "headers = { Cookie = \"own=${username}\" }\n[acme.login.before]\nurl = \"https://api.acme.example/page\"\n";
    let ahead = [
        "a=1; Path=/",
        "b=2; HttpOnly",
        "a=3; Secure",
        "c=gone",
        "c=deleted; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "d=0; Max-Age=0",
        "b c=none",
        "e=can not; Path=/",
        "f=\"quoted\"",
    ];
    let ahead =
        ahead.into_iter().fold(answer(200, ""), |reply, line| reply.with("set-cookie", line));
    let acme = Acme::with(&format!("{BODY}{profile}"), &[], [ahead, token("t", 600)]);
    assert_eq!(acme.token(), "t");
    assert_eq!(header(&acme.sent()[1], "cookie"), "own=canary-user; b=2; a=3; f=\"quoted\"");
}

#[test]
fn a_failed_before_request_is_not_a_refused_password() {
    for reply in [answer(200, ""), answer(403, ""), answer(401, "")] {
        let acme = Acme::with(&format!("{BODY}{CSRF}"), &[], [reply]);
        assert_eq!(acme.error().kind(), Kind::LoginProtocol);
        assert_eq!((acme.sent().len(), acme.source.counts().logins), (1, 0));
        acme.clock.advance(5 * SECOND);
        let _ = acme.source.token_blocking();
        assert_eq!(acme.sent().len(), 2, "the login was sent again");
    }
}

#[test]
fn status_lists_of_the_profile_apply_to_the_login_request_alone() {
    // A page, then a form that is answered by a redirect; the next token comes from a refresh,
    // which responds with 200.
    let lists = "ok_status = [302]\nrefused_status = [200, 401]\nrefused_when = { json = \"/error\" }\ntoken = { cookie = \"s\" }\ncapture = [ { header = \"X-Refresh\", as = \"refresh\" } ]\n";
    let steps = "[acme.login.before]\nurl = \"https://api.acme.example/page\"\n[acme.login.refresh]\nurl = \"https://api.acme.example/refresh\"\nform = { refresh = \"${refresh}\" }\n";
    let page = || answer(200, r#"{"error":"log in first"}"#).with("set-cookie", "page=1");
    let logged_in = |token: &str| answer(302, "").with("set-cookie", token).with("x-refresh", "r");
    for (refreshed, token) in [
        (answer(200, r#"{"error":"none"}"#).with("set-cookie", "s=refreshed"), "refreshed"),
        // A refused refresh: then the password is sent.
        (answer(401, ""), "anew"),
        (answer(404, ""), "anew"),
        (answer(302, "").with("set-cookie", "s=x"), "anew"),
    ] {
        let replies = [page(), logged_in("s=first"), refreshed, page(), logged_in("s=anew")];
        let acme = Acme::with(&format!("{BODY}{lists}{steps}"), &[], replies);
        assert_eq!(acme.token(), "first");
        acme.clock.advance(300 * SECOND);
        assert_eq!(acme.token(), token);
        assert_eq!(acme.sent().len(), if token == "refreshed" { 3 } else { 5 });
    }
}

#[test]
fn captured_values_are_escaped_or_refused() {
    let logout = "[acme.login.logout]\nmethod = \"DELETE\"\nurl = \"https://api.acme.example/v1/session/${id}?x=${id}\"\n";
    let profile = format!("{BODY}capture = [ {{ json = \"/id\", as = \"id\" }} ]\n{logout}");
    for (id, path) in [
        ("a/../b", "/v1/session/a%2F..%2Fb?x=a%2F..%2Fb"),
        ("x?y=1#z", "/v1/session/x%3Fy%3D1%23z?x=x%3Fy%3D1%23z"),
        (
            "a;b&c ${password}",
            "/v1/session/a%3Bb%26c%20%24%7Bpassword%7D?x=a%3Bb%26c%20%24%7Bpassword%7D",
        ),
        ("//evil.example", "/v1/session/%2F%2Fevil.example?x=%2F%2Fevil.example"),
    ] {
        let body = serde_json::json!({ "access_token": "t", "id": id }).to_string();
        let acme = Acme::with(&profile, &[], [answer(200, &body), answer(204, "")]);
        acme.token();
        acme.source.log_out_blocking().unwrap();
        let sent = acme.sent();
        assert_eq!(sent[1].url.as_str(), format!("https://api.acme.example{path}"));
        assert_eq!(
            (sent[1].method.as_str(), header(&sent[1], "authorization")),
            ("DELETE", "Bearer t".into())
        );
    }
    for id in ["..", ".", "", "a\r\nb", "\u{0}"] {
        let body = serde_json::json!({ "access_token": "t", "id": id }).to_string();
        let acme = Acme::with(&profile, &[], [answer(200, &body)]);
        acme.token();
        acme.source.log_out_blocking().unwrap_err();
        assert_eq!(acme.sent().len(), 1, "{id:?} was sent nowhere");
    }
    // A captured value in a header of the login: refused before the password is sent, and not as an
    // outage.
    for crumb in ["a\r\nX-Evil: 1", "a\u{1b}b", "a\u{7f}", "a\u{0}"] {
        let ahead = answer(200, &serde_json::json!({ "csrf": crumb }).to_string());
        let before = CSRF.replace("{ header = \"X-CSRF-Token\", as", "{ json = \"/csrf\", as");
        let acme = Acme::with(&format!("{BODY}{before}"), &[], [ahead]);
        assert_eq!(acme.error().kind(), Kind::LoginProtocol, "{crumb:?}");
        assert_eq!((acme.sent().len(), acme.source.counts().logins), (1, 0), "{crumb:?}");
    }
    // In bodies: escaped for their format.
    let crumb = "\"&x=1;../?#\r\n${password}";
    for (sends, sent) in [
        (
            "json = { u = \"${username}\", c = \"${csrf}\" }",
            r#"{"u":"canary-user","c":"\"&x=1;../?#\u000d\u000a${password}"}"#,
        ),
        (
            "form = { u = \"${username}\", c = \"${csrf}\" }",
            "u=canary-user&c=%22%26x%3D1%3B..%2F%3F%23%0D%0A%24%7Bpassword%7D",
        ),
    ] {
        let before = "[acme.login.before]\nurl = \"https://api.acme.example/csrf\"\ncapture = [ { json = \"/csrf\", as = \"csrf\" } ]\n";
        let ahead = answer(200, &serde_json::json!({ "csrf": crumb }).to_string());
        let acme = Acme::with(&format!("{sends}\n{before}"), &[], [ahead, token("t", 600)]);
        acme.token();
        assert_eq!(body(&acme.sent()[1]), sent);
    }
    // In a header or cookie of each call: refused at the login, so that no call fails later.
    let inject = "capture = [ { json = \"/id\", as = \"id\" } ]\ninject = [ { header = \"Authorization\", value = \"Bearer ${token}\" }, { header = \"Cookie\", value = \"route=${id}\" } ]\n";
    for (id, good) in [
        ("node-1", true),
        ("a;b", false),
        ("a\r\nX-Evil: 1", false),
        ("a b", false),
        ("ä", false),
        ("a\u{1b}", false),
    ] {
        let body = serde_json::json!({ "access_token": "t", "id": id }).to_string();
        let acme = Acme::with(&format!("{BODY}{inject}"), &[], [answer(200, &body)]);
        assert_eq!(acme.source.token_blocking().is_ok(), good, "{id:?}");
    }
}

#[test]
fn a_captured_number_keeps_its_digits() {
    let logout = "[acme.login.logout]\nmethod = \"DELETE\"\nurl = \"https://api.acme.example/v1/session/${id}\"\n";
    let profile = format!("{BODY}capture = [ {{ json = \"/id\", as = \"id\" }} ]\n{logout}");
    let acme = Acme::with(
        &profile,
        &[],
        [answer(200, r#"{"access_token":"t","id":1234567890123456789}"#)],
    );
    acme.token();
    acme.source.log_out_blocking().unwrap();
    assert_eq!(acme.sent()[1].url.path(), "/v1/session/1234567890123456789");
}

#[test]
fn a_token_that_is_invalid_in_its_cookie_is_refused() {
    let inject = "inject = { header = \"Cookie\", value = \"s=${token}\" }\n";
    for (token, good) in
        [("t", true), ("t; admin=1", false), ("t, u", false), ("t t", false), ("\"t", false)]
    {
        let reply = answer(200, &serde_json::json!({ "access_token": token }).to_string());
        let acme = Acme::with(&format!("{BODY}{inject}"), &[], [reply]);
        match acme.source.token_blocking() {
            Ok(_) => assert!(good, "{token}"),
            Err(error) => {
                assert!(
                    !good
                        && error.kind() == Kind::LoginProtocol
                        && !error.to_string().contains("admin"),
                    "{error}"
                )
            }
        }
    }
}

#[test]
fn a_host_named_in_a_response_is_ignored() {
    let body = r#"{"access_token":"t","api_url":"https://evil.example/","host":"evil.example"}"#;
    let reply =
        answer(200, body).with("location", "https://evil.example/").with("host", "evil.example");
    let acme = Acme::with(BODY, &[], [reply]);
    acme.token();
    let client = acme.source.client();
    let call = client.get("https://evil.example/").send();
    let error = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(call)
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

// ---- Refresh tokens

const REFRESH: &str = "capture = [ { json = \"/refresh_token\", as = \"refresh_token\" } ]\n[acme.login.refresh]\nurl = \"https://api.acme.example/refresh\"\njson = { refresh_token = \"${refresh_token}\" }\n";

fn with_refresh(token: &str, refresh: &str) -> Reply {
    answer(
        200,
        &format!(r#"{{"access_token":"{token}","expires_in":600,"refresh_token":"{refresh}"}}"#),
    )
}

#[test]
fn a_refresh_token_is_used_before_the_password_and_kept_if_no_new_one_comes() {
    let replies =
        [with_refresh("a", "r1"), with_refresh("b", "r2"), token("c", 600), token("d", 600)];
    let acme = Acme::with(&format!("{BODY}{REFRESH}"), &[], replies);
    for expected in ["a", "b", "c", "d"] {
        assert_eq!(acme.token(), expected);
        acme.clock.advance(600 * SECOND);
    }
    let bodies: Vec<String> = acme.sent()[1..].iter().map(body).collect();
    assert_eq!(
        bodies,
        [r#"{"refresh_token":"r1"}"#, r#"{"refresh_token":"r2"}"#, r#"{"refresh_token":"r2"}"#]
    );
    assert_eq!((acme.source.counts().logins, acme.source.counts().refreshes), (1, 3));
}

#[test]
fn after_a_refused_refresh_the_password_is_sent_in_the_same_login() {
    for dead in [
        answer(400, r#"{"error":"invalid_grant"}"#),
        answer(401, ""),
        answer(403, ""),
        answer(200, "{}"),
    ] {
        let acme = Acme::with(
            &format!("{BODY}{REFRESH}"),
            &[],
            [with_refresh("a", "r1"), dead, with_refresh("b", "r2")],
        );
        acme.token();
        acme.clock.advance(600 * SECOND);
        assert_eq!(acme.token(), "b");
        assert_eq!((acme.sent().len(), acme.source.counts().logins), (3, 2));
    }
}

#[test]
fn during_an_outage_neither_refresh_token_nor_password_is_sent_twice() {
    let acme = Acme::with(
        &format!("{BODY}{REFRESH}"),
        &[],
        [with_refresh("a", "r1"), answer(500, ""), with_refresh("b", "r2")],
    );
    acme.token();
    acme.clock.advance(600 * SECOND);
    assert_eq!(acme.error().kind(), Kind::LoginDown);
    assert_eq!(acme.sent().len(), 2, "no password was sent after it");
    acme.clock.advance(SECOND);
    assert_eq!(acme.token(), "b");
    assert_eq!(body(&acme.sent()[2]), r#"{"refresh_token":"r1"}"#);
}

// ---- Two passwords, one-time codes

const NEXT: &[(&str, &str)] = &[("acme.password_next", "canary-next")];

#[test]
fn a_refused_password_makes_one_login_and_with_next_exactly_one_more() {
    let next = format!("{BODY}next = {{ password = \"password_next\" }}\n");
    for (values, logins) in [(&[][..], 1), (NEXT, 2)] {
        let acme = Acme::with(&next, values, [answer(401, ""), answer(401, "")]);
        for _ in 0..100 {
            assert_eq!(acme.error().kind(), Kind::LoginRefused);
            acme.clock.advance(8 * SECOND);
        }
        assert_eq!(acme.sent().len(), logins);
    }
}

#[test]
fn the_next_password_is_sent_first_once_it_has_worked() {
    let next = format!("{BODY}next = {{ password = \"password_next\" }}\n");
    let acme = Acme::with(
        &next,
        NEXT,
        [answer(401, ""), token("a", 600), token("b", 600), answer(401, ""), token("c", 600)],
    );
    assert_eq!(acme.token(), "a");
    acme.clock.advance(600 * SECOND);
    assert_eq!(acme.token(), "b");
    acme.clock.advance(600 * SECOND);
    assert_eq!(acme.token(), "c", "after its refusal the other one is tried");
    let used: Vec<bool> =
        acme.sent().iter().map(|request| body(request).contains("canary-next")).collect();
    assert_eq!(used, [false, true, true, true, false]);
}

#[test]
fn no_one_time_code_is_used_twice() {
    let profile = "json = { user = \"${username}\", password = \"${password}\", otp = \"${totp}\" }\ntotp = { seed = \"otp_seed\" }\n";
    let seed = &[("acme.otp_seed", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")];
    let acme = Acme::with(profile, seed, [token("a", 3600), token("b", 3600)]);
    let first = acme.source.token_blocking().unwrap();
    acme.source.reject(&first);
    let error = acme.error();
    assert_eq!((error.kind(), acme.sent().len()), (Kind::LoginThrottled, 1));
    acme.clock.advance(34 * SECOND);
    assert_eq!(acme.token(), "b");
    let codes: Vec<String> = acme.sent().iter().map(body).collect();
    assert_ne!(codes[0], codes[1]);
    assert!(codes.iter().all(|body| !body.contains("GEZD")));
}

/// The profile with two passwords, and which of them each login was sent with.
const TWO: &str = "json = { user = \"${username}\", password = \"${password}\" }\nnext = { password = \"password_next\" }\n";
const CODE: &str = "headers = { X-Code = \"${totp}\" }\ntotp = { seed = \"otp_seed\" }\n";
const NEXT_AND_SEED: &[(&str, &str)] =
    &[("acme.password_next", "canary-next"), ("acme.otp_seed", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")];

#[test]
fn after_a_refusal_the_next_login_begins_with_the_password_that_was_not_tried() {
    // The second login of an attempt fails, for any reason.
    for undecided in [answer(429, ""), answer(500, ""), answer(302, ""), answer(200, "")] {
        let acme = Acme::with(TWO, NEXT, [answer(401, ""), undecided, answer(401, "")]);
        assert_ne!(acme.error().kind(), Kind::LoginRefused);
        acme.clock.advance(120 * SECOND);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        assert_eq!(acme.used_next(), [false, true, true]);
        // Both were refused: the backoff is that of one refusal.
        acme.clock.advance(899 * SECOND);
        assert_eq!((acme.error().kind(), acme.sent().len()), (Kind::LoginRefused, 3));
    }
}

#[test]
fn two_passwords_with_a_one_time_code_make_one_login_each() {
    let acme =
        Acme::with(&format!("{TWO}{CODE}"), NEXT_AND_SEED, [answer(401, ""), answer(401, "")]);
    for _ in 0..20 {
        acme.error();
        acme.clock.advance(40 * SECOND);
    }
    assert_eq!(
        acme.used_next(),
        [false, true],
        "the first used the code, so the second waits for the next one"
    );
    let acme =
        Acme::with(&format!("{TWO}{CODE}"), NEXT_AND_SEED, [answer(401, ""), token("a", 600)]);
    assert_eq!(acme.error().kind(), Kind::LoginThrottled);
    acme.clock.advance(40 * SECOND);
    assert_eq!(acme.token(), "a");
    acme.clock.advance(600 * SECOND);
    acme.token();
    assert_eq!(acme.used_next(), [false, true, true]);
}

#[test]
fn the_next_password_is_tried_if_a_wrong_one_is_a_400() {
    for wrong in [answer(400, ""), answer(422, "{}")] {
        let acme = Acme::with(TWO, NEXT, [wrong.clone(), wrong.clone(), token("a", 600)]);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        acme.clock.advance(30 * SECOND);
        assert_eq!(acme.token(), "a");
        assert_eq!(acme.used_next(), [false, false, true]);
        // If the next one is wrong too, it is the third such response in a row.
        let acme = Acme::with(TWO, NEXT, vec![wrong; 3]);
        acme.error();
        acme.clock.advance(30 * SECOND);
        for _ in 0..100 {
            assert_eq!(acme.error().kind(), Kind::LoginRefused);
            acme.clock.advance(8 * SECOND);
        }
        assert_eq!(acme.used_next(), [false, false, true]);
    }
}

#[test]
fn the_next_password_is_tried_if_a_wrong_one_is_a_200_without_a_token() {
    let wrong = answer(200, r#"{"error":"wrong password"}"#);
    let acme = Acme::with(TWO, NEXT, [wrong.clone(), wrong.clone(), wrong, token("a", 600)]);
    for seconds in [5, 10] {
        assert_eq!(acme.error().kind(), Kind::LoginProtocol);
        acme.clock.advance(seconds * SECOND);
    }
    assert_eq!(acme.token(), "a");
    assert_eq!(acme.used_next(), [false, false, false, true]);
}

#[test]
fn a_wall_clock_that_was_ahead_does_not_block_later_one_time_codes() {
    for (ahead, free) in [(0, false), (30, false), (60, false), (90, true), (365 * 86_400, true)] {
        let acme = Acme::with(&format!("{BODY}{CODE}"), NEXT_AND_SEED, []);
        acme.clock.set_unix_time(NEW_YEAR + ahead * SECOND);
        let first = acme.source.token_blocking().unwrap();
        acme.clock.set_unix_time(NEW_YEAR);
        acme.source.reject(&first);
        assert_eq!(acme.source.token_blocking().is_ok(), free, "{ahead} s ahead");
        // The error has the start of the first free code, plus a tenth.
        if !free {
            let wait = acme.error().retry_after().unwrap();
            assert!(
                wait >= (ahead + 30) * SECOND && wait <= (ahead + 30) * SECOND * 11 / 10,
                "{wait:?}"
            );
            acme.clock.advance(wait);
            acme.token();
        }
    }
}

#[test]
fn a_failed_before_request_uses_no_one_time_code() {
    let acme = Acme::with(
        &format!(
            "{BODY}totp = {{ seed = \"otp_seed\" }}\n{}",
            CSRF.replacen("headers = { ", "headers = { X-Code = \"${totp}\", ", 1)
        ),
        NEXT_AND_SEED,
        [answer(500, ""), answer(200, "").with("x-csrf-token", "crumb"), token("a", 600)],
    );
    assert_eq!(acme.error().kind(), Kind::LoginDown);
    acme.clock.advance(SECOND);
    assert_eq!(acme.token(), "a");
}

#[test]
fn a_one_time_code_of_an_abandoned_login_is_not_sent_again() {
    let acme = Acme::with(&format!("{BODY}{CODE}"), NEXT_AND_SEED, [hang()]);
    let source = acme.source.clone();
    let waiting = std::thread::spawn(move || source.token_blocking());
    acme.clock.wait_for_sleepers(1);
    acme.clock.advance(15 * SECOND);
    assert_eq!(waiting.join().unwrap().unwrap_err().kind(), Kind::LoginDown);
    acme.clock.advance(SECOND);
    assert_eq!((acme.error().kind(), acme.sent().len()), (Kind::LoginThrottled, 1));
}

#[test]
fn login_timeout_covers_all_requests_of_a_login_together() {
    let profile = format!("{TWO}login_timeout = \"10s\"\n{REFRESH}");
    let replies = [with_refresh("a", "r"), answer(401, ""), answer(401, ""), token("b", 600)];
    let acme = Acme::with(&profile, NEXT, replies);
    acme.token();
    acme.clock.advance(600 * SECOND);
    // Each response takes three seconds.
    *acme.vendor.each.lock().unwrap() = Some((acme.clock.clone(), 3 * SECOND));
    assert_eq!(acme.token(), "b");
    let timeouts: Vec<u64> =
        acme.sent()[1..].iter().map(|request| request.timeout.as_secs()).collect();
    assert_eq!(timeouts, [10, 7, 4]);
    // With no time left, nothing is sent.
    let acme = Acme::with(&profile, NEXT, [answer(401, ""), token("b", 600)]);
    *acme.vendor.each.lock().unwrap() = Some((acme.clock.clone(), 10 * SECOND));
    assert_eq!((acme.error().kind(), acme.sent().len()), (Kind::LoginDown, 1));
    assert_eq!(acme.source.counts().logins, 1);
    acme.clock.advance(SECOND);
    assert_eq!(acme.token(), "b");
    assert_eq!(acme.used_next(), [false, true]);
}

// ---- The content of a response beside its status

#[test]
fn a_200_that_says_refused_is_a_refusal() {
    for (when, reply) in [
        ("{ json = \"/error\" }", r#"{"error":{"code":-32602,"data":"canary"}}"#),
        ("{ json = \"/error/code\", equals = -32602 }", r#"{"error":{"code":-32602}}"#),
        ("{ json = \"/message\", contains = \"password\" }", r#"{"message":"wrong password"}"#),
        ("{ json = \"/ok\", equals = false }", r#"{"ok":false}"#),
    ] {
        let acme = Acme::with(&format!("{BODY}refused_when = {when}\n"), &[], [answer(200, reply)]);
        let error = acme.error();
        assert!(
            error.kind() == Kind::LoginRefused && !error.to_string().contains("canary"),
            "{when} {error}"
        );
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        assert_eq!(acme.sent().len(), 1);
    }
    for body in [
        r#"{"access_token":"t","error":null}"#,
        r#"{"access_token":"t","error":""}"#,
        r#"{"access_token":"t","error":false}"#,
    ] {
        let acme = Acme::with(
            &format!("{BODY}refused_when = {{ json = \"/error\" }}\n"),
            &[],
            [answer(200, body)],
        );
        assert_eq!(acme.token(), "t", "{body}");
    }
}

#[test]
fn the_response_body_can_set_the_time_of_the_next_attempt() {
    for (rule, body, seconds) in [
        ("{ json = \"/retry_after_ms\", unit = \"ms\" }", r#"{"retry_after_ms":7000}"#, 7),
        ("{ json = \"/at\", unit = \"epoch\" }", r#"{"at":1767225609}"#, 9),
        ("{ json = \"/at\", unit = \"iso8601\" }", r#"{"at":"2026-01-01T01:00:11+01:00"}"#, 11),
    ] {
        for status in [429, 503] {
            let acme =
                Acme::with(&format!("{BODY}retry_after = {rule}\n"), &[], [answer(status, body)]);
            acme.clock.set_jitter(0.0);
            assert_eq!(acme.error().kind(), Kind::LoginThrottled, "{rule} {status}");
            assert_eq!(acme.error().retry_after(), Some(seconds * SECOND), "{rule} {status}");
        }
    }
    // In the vendor's own header. The standard one has priority, as seconds and as a date.
    for (rule, name, value, usual, seconds) in [
        ("{ header = \"X-Rate-Reset\", unit = \"epoch\" }", "x-rate-reset", "1767225660", None, 60),
        ("{ header = \"X-Retry-Ms\", unit = \"ms\" }", "x-retry-ms", "2500", None, 2),
        ("{ header = \"X-Retry-Ms\", unit = \"ms\" }", "x-retry-ms", "2000", Some("8"), 8),
        (
            "{ header = \"X-Retry-Ms\", unit = \"ms\" }",
            "x-retry-ms",
            "2000",
            Some("Thu, 01 Jan 2026 00:00:20 GMT"),
            20,
        ),
        ("{ header = \"X-Retry-Ms\", unit = \"ms\" }", "x-retry-ms", "1e300", None, 900),
        ("{ header = \"X-Retry-Ms\", unit = \"ms\" }", "x-retry-ms", "-5", None, 1),
    ] {
        let reply = answer(429, "").with(name, value);
        let reply = usual.map_or(reply.clone(), |usual| reply.with("retry-after", usual));
        let acme = Acme::with(&format!("{BODY}retry_after = {rule}\n"), &[], [reply]);
        acme.clock.set_jitter(0.0);
        assert_eq!(acme.error().kind(), Kind::LoginThrottled, "{rule} {value}");
        assert_eq!(
            acme.error().retry_after().map(|wait| wait.as_secs()),
            Some(seconds),
            "{rule} {value} {usual:?}"
        );
        // The source makes the next attempt at that time.
        acme.clock.advance(acme.error().retry_after().unwrap());
        assert_eq!(acme.token(), "more");
    }
}

// ---- Keeping warm

#[test]
fn keep_warm_gets_the_next_token_before_any_request_for_it() {
    let acme = Acme::with(BODY, &[], [token("a", 600), token("b", 600)]);
    acme.source.keep_warm().unwrap();
    acme.vendor.wait_for(1);
    // It checks each minute, and when the token is due.
    while acme.sent().len() < 2 {
        acme.clock.wait_for_sleepers(1);
        acme.clock.advance(SECOND);
    }
    acme.vendor.wait_for(2);
    assert_eq!((acme.token().as_str(), acme.source.counts().logins), ("b", 2));
}

// ---- Logging out

const LOGOUT: &str = "[acme.login.logout]\nurl = \"https://api.acme.example/logout\"\nform = { token = \"${token}\" }\n";

#[test]
fn the_old_token_is_logged_out_once_a_newer_one_is_in_place() {
    let acme = Acme::with(
        &format!("{BODY}{LOGOUT}"),
        &[],
        [token("a", 600), token("b", 600), answer(200, "")],
    );
    assert_eq!(acme.token(), "a");
    acme.clock.advance(520 * SECOND);
    let stale = acme.source.token_blocking().unwrap();
    assert_eq!(text(&stale), "a", "stale, with a login in the background");
    // A call still uses the old token, so its end is checked each second.
    acme.clock.wait_for_sleepers(1);
    assert_eq!((acme.sent().len(), acme.token().as_str()), (2, "b"));
    drop(stale);
    acme.clock.advance(SECOND);
    acme.vendor.wait_for(3);
    assert_eq!(body(&acme.sent()[2]), "token=a");
}

#[test]
fn with_a_single_session_the_old_token_is_logged_out_before_the_login() {
    let profile = format!("{BODY}{LOGOUT}before = true\n");
    let acme = Acme::with(&profile, &[], [token("a", 600), answer(200, ""), token("b", 600)]);
    assert_eq!(acme.token(), "a");
    acme.clock.advance(520 * SECOND);
    let _ = acme.source.token_blocking();
    acme.vendor.wait_for(3);
    let paths: Vec<String> =
        acme.sent().iter().map(|request| request.url.path().to_owned()).collect();
    assert_eq!(paths, ["/login", "/logout", "/login"]);
}

#[test]
fn log_out_drops_the_token_and_a_rejected_one_is_not_logged_out() {
    let acme = Acme::with(
        &format!("{BODY}{LOGOUT}"),
        &[],
        [token("a", 600), answer(200, ""), token("b", 600), token("c", 600)],
    );
    acme.source.log_out_blocking().unwrap();
    assert_eq!(acme.sent().len(), 0, "there was no token");
    assert_eq!(acme.token(), "a");
    acme.source.log_out_blocking().unwrap();
    let token = acme.source.token_blocking().unwrap();
    acme.source.reject(&token);
    assert_eq!(acme.token(), "c");
    assert_eq!(
        acme.sent().len(),
        4,
        "two logins, one logout, one login: the rejected token needs no logout"
    );
}

// ---- A second account like the first

#[test]
fn like_inherits_every_key_that_is_not_set() {
    let readable = format!(
        "[acme.login]\nurl = \"https://api.acme.example/login\"\n{BODY}max_age = \"1h\"\n[orders.login]\nlike = \"acme\"\nmax_age = \"30m\"\n"
    );
    let values = [
        ("acme.username", "a"),
        ("acme.password", "a"),
        ("orders.username", "b"),
        ("orders.password", "b"),
    ];
    let vault = bootseal::testing::vault(values, &readable).unwrap();
    let vendor = Vendor::default();
    let source = vault
        .token_source_with("orders", Arc::new(Clock::new()), Arc::new(vendor.clone()))
        .unwrap();
    source.token_blocking().unwrap();
    assert_eq!(body(&vendor.sent.lock().unwrap()[0]), r#"{"user":"b","password":"b"}"#);
    assert_eq!(source.profile().max_age, Duration::from_secs(1800));
}

// ---- Secrecy

#[test]
fn debug_output_and_errors_contain_no_secret() {
    let profile = format!("{BODY}{REFRESH}");
    let acme = Acme::with(
        &profile,
        &[],
        [
            with_refresh("canary-token", "canary-refresh"),
            answer(500, "canary-body").with("x-canary", "canary-header"),
        ],
    );
    let token = acme.source.token_blocking().unwrap();
    acme.clock.advance(600 * SECOND);
    let error = acme.error();
    let shown = format!("{token:?} {error} {error:?} {:?} {:?}", acme.source, acme.sent());
    assert!(!shown.contains("canary"), "{shown}");
    // A session id in the URL of its logout.
    let logout = "[acme.login.logout]\nmethod = \"DELETE\"\nurl = \"https://api.acme.example/v1/session/${id}\"\n";
    let profile = format!("{BODY}capture = [ {{ json = \"/id\", as = \"id\" }} ]\n{logout}");
    let acme = Acme::with(
        &profile,
        &[],
        [answer(200, r#"{"access_token":"t","id":"canary"}"#), answer(500, "")],
    );
    acme.token();
    let error = acme.source.log_out_blocking().unwrap_err();
    let shown = format!("{error} {error:?} {:?}", acme.sent());
    assert!(shown.contains("/v1/session/id") && !shown.contains("canary"), "{shown}");
}

// ---- Helpers

struct Acme {
    source: TokenSource,
    clock: Clock,
    vendor: Vendor,
}

impl Acme {
    fn with(
        profile: &str,
        values: &[(&str, &str)],
        replies: impl IntoIterator<Item = Reply>,
    ) -> Acme {
        let (clock, vendor) = (Clock::new(), Vendor::default());
        *vendor.replies.lock().unwrap() = replies.into_iter().collect();
        let readable = format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{profile}");
        let own = [("acme.username", "canary-user"), ("acme.password", "canary-password")];
        let vault =
            bootseal::testing::vault(own.into_iter().chain(values.iter().copied()), &readable)
                .unwrap();
        let source = vault
            .token_source_with("acme", Arc::new(clock.clone()), Arc::new(vendor.clone()))
            .unwrap();
        Acme { source, clock, vendor }
    }

    fn token(&self) -> String {
        text(&self.source.token_blocking().unwrap())
    }

    fn error(&self) -> bootseal::Error {
        self.source.token_blocking().unwrap_err()
    }

    /// For each request, whether it was sent with the password of `next`.
    fn used_next(&self) -> Vec<bool> {
        self.sent().iter().map(|request| body(request).contains("canary-next")).collect()
    }

    fn sent(&self) -> Vec<LoginRequest> {
        self.vendor.sent.lock().unwrap().clone()
    }
}

fn text(token: &Token) -> String {
    token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn body(request: &LoginRequest) -> String {
    request.body.as_ref().unwrap().expose_str(str::to_owned).unwrap()
}

fn header(request: &LoginRequest, name: &str) -> String {
    let (_, value) = request.headers.iter().find(|(other, _)| other == name).unwrap();
    value.expose_str(str::to_owned).unwrap()
}

#[derive(Clone, Default)]
struct Vendor {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    sent: Arc<Mutex<Vec<LoginRequest>>>,
    came: Arc<std::sync::Condvar>,
    /// The time that each response takes on this clock.
    each: Arc<Mutex<Option<(Clock, Duration)>>>,
}

#[derive(Clone)]
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: String,
}

fn answer(status: u16, body: &str) -> Reply {
    Reply { status, headers: HeaderMap::new(), body: body.to_owned() }
}

/// A reply that never comes.
fn hang() -> Reply {
    answer(0, "")
}

fn token(token: &str, seconds: u32) -> Reply {
    answer(200, &format!(r#"{{"access_token":"{token}","expires_in":{seconds}}}"#))
}

impl Reply {
    fn with(mut self, name: &'static str, value: &str) -> Reply {
        self.headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        self
    }
}

impl Vendor {
    fn wait_for(&self, count: usize) {
        drop(self.came.wait_while(self.sent.lock().unwrap(), |sent| sent.len() < count).unwrap());
    }
}

impl Transport for Vendor {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        self.sent.lock().unwrap().push(request);
        self.came.notify_all();
        let reply = self.replies.lock().unwrap().pop_front().unwrap_or_else(|| token("more", 600));
        if let Some((clock, time)) = &*self.each.lock().unwrap() {
            clock.advance(*time);
        }
        Box::pin(async move {
            if reply.status == 0 {
                std::future::pending::<()>().await;
            }
            let body = Secret::copy_of(reply.body.as_bytes()).unwrap();
            Ok(LoginResponse { status: reply.status, headers: reply.headers, body })
        })
    }
}
