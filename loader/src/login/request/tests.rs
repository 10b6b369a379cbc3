//! Tests of the requests that a login sends.

use super::*;
use std::collections::BTreeMap;

const JSON: &str = r#"json = { user = "${username}", password = "${password}" }"#;

const VALUES: [&str; 4] =
    ["acme.username", "acme.password", "acme.client_id", "acme.client_secret"];

fn profile(login: &str) -> Profile {
    let readable = format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{login}\n");
    let vault = crate::testing::vault(VALUES.map(|name| (name, "x")), &readable).unwrap();
    vault.token_source("acme").unwrap().profile().clone()
}

fn values(username: &[u8], password: &[u8]) -> Values {
    [
        ("username", username),
        ("password", password),
        ("client_id", username),
        ("client_secret", password),
    ]
    .map(|(name, value)| (name.to_owned(), Secret::copy_of(value).unwrap()))
    .into()
}

fn build_with(profile: &Profile, values: &Values) -> Result<LoginRequest, Error> {
    LoginRequest::build(profile, &profile.login, values)
}

fn build(login: &str, username: &str, password: &str) -> LoginRequest {
    build_with(&profile(login), &values(username.as_bytes(), password.as_bytes())).unwrap()
}

fn body(request: &LoginRequest) -> String {
    request.body.as_ref().unwrap().expose_str(str::to_owned).unwrap()
}

/// All values of the header with this name.
fn headers(request: &LoginRequest, name: &str) -> Vec<String> {
    let named = request.headers.iter().filter(|(other, _)| other == name);
    named.map(|(_, value)| value.expose_str(str::to_owned).unwrap()).collect()
}

#[test]
fn a_value_in_json_is_escaped_and_read_back_unchanged() {
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
fn json_keeps_its_order_nesting_and_numbers() {
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
        let login =
            r#"form = { "grant type" = "client credentials", key = "x ${password}", number = 7 }"#;
        let request = build(login, "", value);
        assert_eq!(
            body(&request),
            format!("grant+type=client+credentials&key=x+{encoded}&number=7")
        );
        assert_eq!(headers(&request, "content-type"), ["application/x-www-form-urlencoded"]);
        let read_back: BTreeMap<_, _> =
            url::form_urlencoded::parse(body(&request).as_bytes()).into_owned().collect();
        assert_eq!(read_back["key"], format!("x {value}"));
    }
}

#[test]
fn a_form_carries_bytes_that_are_not_text_and_json_cannot() {
    let values = values(b"", b"canary\xff");
    let form = build_with(&profile(r#"form = { key = "${password}" }"#), &values).unwrap();
    assert_eq!(body(&form), "key=canary%FF");
    let error = build_with(&profile(JSON), &values).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_filled_in_value_is_not_expanded_again() {
    let (username, password) = ("${password}", "${username}${token}${");
    assert_eq!(
        body(&build(JSON, username, password)),
        r#"{"user":"${password}","password":"${username}${token}${"}"#
    );
    assert_eq!(
        body(&build(r#"form = { u = "${username}" }"#, username, password)),
        "u=%24%7Bpassword%7D"
    );
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
        assert_eq!(
            headers(&request, "authorization"),
            [format!("Basic {}", BASE64_STANDARD.encode(pair))]
        );
        assert!(request.body.is_none() && headers(&request, "content-type").is_empty());
    }
    // The example of RFC 7617 §2.
    assert_eq!(
        headers(&build("basic = true", "Aladdin", "open sesame"), "authorization"),
        ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="]
    );
}

#[test]
fn a_colon_in_the_user_of_http_basic_is_an_error() {
    let error =
        build_with(&profile("basic = true"), &values(b"canary:1", b"canary-2")).unwrap_err();
    assert_eq!(error.kind(), Kind::Malformed);
    assert!(
        error.to_string().contains("acme.username contains a colon")
            && !error.to_string().contains("canary"),
        "{error}"
    );
}

#[test]
fn a_value_cannot_inject_a_header() {
    let profile = profile(r#"headers = { X-Key = "key ${password}" }"#);
    for value in [
        "canary\r\nX-Admin: yes",
        "canary\n",
        "\rcanary",
        "canary\0",
        "canary\u{1b}[2J",
        "canary\u{7f}",
    ] {
        let error = build_with(&profile, &values(b"", value.as_bytes())).unwrap_err();
        assert_eq!(error.kind(), Kind::Malformed);
        assert!(
            error.to_string().contains("`X-Key`") && !error.to_string().contains("canary"),
            "{error}"
        );
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
fn a_missing_value_is_named() {
    let error = build_with(&profile(JSON), &Values::new()).unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    assert!(error.to_string().contains("`username`"), "{error}");
}

#[test]
fn the_debug_output_of_a_request_contains_no_secret() {
    let login = format!("basic = true\nheaders = {{ X-Key = \"${{password}}\" }}\n{JSON}");
    let shown = format!("{:?}", build(&login, "canary-user", "canary-password"));
    let in_base64 = BASE64_STANDARD.encode("canary-user:canary-password");
    assert!(
        !shown.contains("canary")
            && !shown.contains(&in_base64)
            && shown.contains("api.acme.example"),
        "{shown}"
    );
}
