//! The login request, and the secrecy of its contents.

use super::*;

#[test]
fn the_login_request_follows_the_profile() {
    let profile = "method = \"PUT\"\nlogin_timeout = \"4s\"\nheaders = { X-Client = \"bootseal ${username}\" }";
    let acme = Acme::with(profile, []);
    acme.token();
    let sent = acme.vendor.requests();
    let [request] = sent.as_slice() else { panic!("{} logins", sent.len()) };
    assert_eq!(
        (request.method.as_str(), request.url.as_str(), request.timeout),
        ("PUT", "https://api.acme.example/login", 4 * SECOND)
    );
    let body = request.body.as_ref().unwrap().expose_str(str::to_owned).unwrap();
    assert_eq!(body, r#"{"user":"canary-user","password":"canary-password"}"#);
    let header = |name: &str| {
        request
            .headers
            .iter()
            .find(|(other, _)| other == name)
            .unwrap()
            .1
            .expose_str(str::to_owned)
            .unwrap()
    };
    assert_eq!(
        (header("content-type").as_str(), header("x-client").as_str()),
        ("application/json", "bootseal canary-user")
    );
}

#[test]
fn a_password_that_is_invalid_in_a_header_is_never_sent() {
    let vault = bootseal::testing::vault(
        [("acme.key", "canary\r\nX-Admin: yes")],
        "[acme.login]\nurl = \"https://api.acme.example\"\nheaders = { X-Key = \"${key}\" }\n",
    )
    .unwrap();
    let vendor = Vendor::default();
    let source =
        vault.token_source_with("acme", Arc::new(Clock::new()), Arc::new(vendor.clone())).unwrap();
    let error = source.token_blocking().unwrap_err();
    assert!(
        error.to_string().contains("line break") && !shown(&error).contains("canary"),
        "{error}"
    );
    assert_eq!(vendor.sent.get(), 0);
}

#[test]
fn debug_output_and_errors_contain_no_password_token_or_body() {
    let body =
        r#"{"error":"canary-error","access_token":"canary-token","message":"canary-message"}"#;
    let cut = &body[..body.len() - 1];
    let replies = [401, 403, 400, 404, 418, 429, 500, 503, 302].map(|status| {
        answer(status, body)
            .with("location", "https://x.example/?canary-query")
            .with("x-auth-token", "canary-header")
    });
    let no_token = [
        answer(200, cut),
        answer(200, r#"{"token":"canary-token"}"#),
        answer(200, r#"{"access_token":["canary-token"]}"#),
        answer(200, "{\"access_token\":\"canary\\u0000\"}"),
    ];
    for profile in [
        "",
        "basic = true",
        "refused_status = [418]",
        "token = { header = \"X-Other\" }",
        "headers = { X-Key = \"${password}\" }",
    ] {
        for reply in
            replies.iter().chain(&no_token).cloned().chain([Reply::Panic, Reply::PanicAtOnce])
        {
            let acme = Acme::with(profile, [reply]);
            let errors = [acme.error(), acme.error()];
            let requests = format!("{:?}", acme.vendor.requests());
            for shown in errors.iter().map(shown).chain([requests, format!("{:?}", acme.source)]) {
                assert!(!shown.contains("canary"), "{shown}");
            }
        }
    }
    let acme = Acme::new([answer(200, r#"{"access_token":"canary-token"}"#)]);
    let token = acme.source.token_blocking().unwrap();
    assert_eq!(text(&token), "canary-token");
    assert!(
        !format!("{token:?} {token:#?} {:?} {:#?}", acme.source, acme.source).contains("canary")
    );
}

#[test]
fn debug_output_of_a_response_hides_the_token_header() {
    let mut headers = HeaderMap::new();
    headers.insert("x-subject-token", HeaderValue::from_static("canary"));
    let answer = LoginResponse { status: 201, headers, body: Secret::copy_of(b"canary").unwrap() };
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
}
