//! Response bodies that report an expired token or carry a new one.

use super::*;

#[tokio::test]
async fn a_200_that_says_expired_is_a_rejection_and_other_bodies_arrive_in_full() {
    let long = format!("[{}1]", "1,".repeat(100_000));
    let served = long.clone();
    let raw = Raw::vendor(move |heard| match (heard.path(), heard.token()) {
        ("/orders", "token-1") => reply(200, &[], r#"{"error":{"code":"SESSION_EXPIRED"}}"#),
        ("/orders", _) => reply(200, &["Content-Type: text/plain"], r#"{"orders":[1]}"#),
        ("/other", _) => reply(200, &[], r#"{"error":{"code":"NOT_FOUND"}}"#),
        ("/text", _) => reply(200, &[], "SESSION_EXPIRED"),
        ("/long", _) => reply(200, &["X-Own: 1"], &served),
        _ => reply(204, &[], ""),
    });
    let source =
        raw.source("rejected_when = { json = \"/error/code\", equals = \"SESSION_EXPIRED\" }\n");
    let client = source.client();
    let answer = client.get(raw.url("/orders")).send().await.unwrap();
    assert_eq!(answer.url().path(), "/orders");
    assert_eq!(answer.text().await.unwrap(), r#"{"orders":[1]}"#);
    assert_eq!((raw.logins(), source.counts().replays), (2, 1));
    for (path, expected) in [
        ("/other", r#"{"error":{"code":"NOT_FOUND"}}"#),
        ("/text", "SESSION_EXPIRED"),
        ("/long", &long),
        ("/none", ""),
    ] {
        let answer = client.get(raw.url(path)).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("x-own"), path == "/long");
        assert_eq!(answer.text().await.unwrap(), expected);
    }
    assert_eq!(raw.logins(), 2);
}

#[tokio::test]
async fn a_stream_is_passed_on_at_once_and_still_reports_an_expired_token() {
    const WHEN: &str = "rejected_when = { json = \"/error/code\", contains = \"EXPIRED\" }\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head =
        "HTTP/1.1 200 Yes\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Streams that stay open, as a Kubernetes watch does: empty, partial, with one event, and with
    // more. None is a rejection, because only the first JSON value of a body is examined.
    for body in [
        String::new(),
        chunk("{\"type\":"),
        chunk("{\"type\":\"ADDED\"}\n"),
        chunk("[1,\n"),
        chunk("{\"type\":\"ADDED\"}\n{\"error\":{\"code\":\"EXPIRED\"}}\n"),
    ] {
        let served = format!("{head}{body}");
        let raw = Raw::vendor(move |_| Reply { bytes: served.clone().into_bytes(), held: true });
        let source = raw.source(WHEN);
        let mut answer =
            soon("the head", source.client().get(raw.url("/watch")).send()).await.unwrap();
        if let Some(line) = body.lines().nth(1) {
            assert!(
                soon("an event", answer.chunk())
                    .await
                    .unwrap()
                    .unwrap()
                    .starts_with(line.as_bytes())
            );
        }
        assert_eq!((raw.logins(), source.counts().rejections), (1, 0), "{body}");
    }
    // If the error arrives after the head, it may be too late for a replay. The caller then gets
    // this response, and the next call uses a new token.
    let rejection =
        format!("{head}{}0\r\n\r\n", chunk("{\"error\":{\"code\":\"SESSION_EXPIRED\"}}"));
    let raw = Raw::vendor(move |heard| match heard.token() {
        "token-1" => Reply { bytes: rejection.clone().into_bytes(), held: false },
        _ => reply(200, &[], "{}"),
    });
    let source = raw.source(WHEN);
    let client = source.client();
    let answer = client.get(raw.url("/orders")).send().await.unwrap();
    answer.text().await.unwrap();
    assert_eq!(source.counts().rejections, 1);
    assert_eq!(client.get(raw.url("/orders")).send().await.unwrap().text().await.unwrap(), "{}");
    assert_eq!(raw.logins(), 2);
}

#[tokio::test]
async fn a_newer_cookie_in_a_response_replaces_the_token() {
    let raw = Raw::start(|heard| match heard.path() {
        "/login" => reply(200, &["Set-Cookie: AuthSession=one; Max-Age=600"], "{}"),
        "/slide" => reply(200, &["Set-Cookie: AuthSession=two; Max-Age=600"], ""),
        "/end" => reply(200, &["Set-Cookie: AuthSession=; Max-Age=0"], ""),
        _ => reply(200, &[], ""),
    });
    let source = raw.source(
        "token = { cookie = \"AuthSession\" }\nexpiry = { cookie = \"AuthSession\" }\nrenew_from_answers = true\n",
    );
    let client = source.client();
    let late = source.token().await.unwrap();
    for path in ["/a", "/slide", "/b", "/end", "/c"] {
        client.get(raw.url(path)).send().await.unwrap();
    }
    let cookies: Vec<String> =
        raw.calls().iter().map(|heard| heard.all("cookie").join("|")).collect();
    assert_eq!(
        cookies,
        [
            "AuthSession=one",
            "AuthSession=one",
            "AuthSession=two",
            "AuthSession=two",
            "AuthSession=two"
        ]
    );
    assert!(source.reject(&late), "a late rejection of the old token");
    client.get(raw.url("/d")).send().await.unwrap();
    assert_eq!(raw.calls().last().unwrap().all("cookie"), ["AuthSession=two"]);
    assert_eq!(raw.logins(), 1);
}
