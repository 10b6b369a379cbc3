//! A call carries the client's token and no other.

use super::*;

#[tokio::test]
async fn a_call_carries_the_token_and_debug_output_hides_it() {
    let acme = acme("");
    let token = acme.source.token().await.unwrap();
    let text = token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let call = acme.client.post(acme.vendor.url("/orders")).body("lamp");
    let printed = format!("{call:?}");
    let request = call.build().unwrap();
    let printed = format!("{printed}{request:?}{:?}{:?}{token:?}", acme.client, acme.source);
    let answer = acme.client.execute(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let printed = format!("{printed}{answer:?}");
    let tail = text.rsplit('.').next().unwrap();
    assert!(!printed.contains(tail) && !printed.contains("Bearer"), "{printed}");
    assert!(
        acme.vendor
            .seen()
            .iter()
            .all(|seen| seen.path == "/login" || seen.headers.contains(&"authorization".into()))
    );
}

#[tokio::test]
async fn the_callers_own_token_header_is_replaced_however_often_it_is_set() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    for (more, header, expected) in [
        ("", "authorization", "Bearer token-1"),
        ("inject = { header = \"X-Auth-Token\", value = \"${token}\" }", "x-auth-token", "token-1"),
        (
            "inject = { header = \"Cookie\", value = \"a=1; session=${token}; b=2\" }",
            "cookie",
            "a=1; session=token-1; b=2",
        ),
    ] {
        let raw = Raw::vendor(|_| reply(200, &[], ""));
        let client = raw.source(more).client();
        let call = client
            .get(raw.url("/"))
            .header(header, "mine")
            .header(header.to_uppercase(), "mine too");
        call.send().await.unwrap();
        let request = client.get(raw.url("/")).build().unwrap();
        client.execute(request).await.unwrap();
        let calls = raw.calls();
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|heard| heard.all(header) == [expected]), "{calls:?}");
    }
    // If the token is sent in another header, the caller's header is kept.
    let client =
        raw.source("inject = { header = \"X-Auth-Token\", value = \"${token}\" }").client();
    client.get(raw.url("/")).header("authorization", "Basic bWluZQ==").send().await.unwrap();
    assert_eq!(raw.calls()[0].all("authorization"), ["Basic bWluZQ=="]);
}

#[tokio::test]
async fn the_methods_of_the_request_builder_send_the_expected_request() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source("").client();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, "text/plain".parse().unwrap());
    let call = |method: Method, path: &str| client.request(method, raw.url(path));
    call(Method::PATCH, "/json").json(&json!({ "item": "lämp" })).send().await.unwrap();
    call(Method::PUT, "/form").form(&[("item", "a b&c=ä")]).send().await.unwrap();
    call(Method::DELETE, "/query?a=1")
        .query(&[("b", "x y&z")])
        .headers(headers)
        .send()
        .await
        .unwrap();
    client
        .post(raw.url("/bytes"))
        .header(CONTENT_TYPE, "text/csv")
        .body(vec![0, 1, 255])
        .send()
        .await
        .unwrap();
    client.head(raw.url("/head")).send().await.unwrap();
    client.get(raw.url("/old")).version(reqwest::Version::HTTP_10).send().await.unwrap();
    let calls = raw.calls();
    let expected: [(&str, &str, &str, &[u8]); 6] = [
        ("PATCH", "/json", "application/json", "{\"item\":\"lämp\"}".as_bytes()),
        ("PUT", "/form", "application/x-www-form-urlencoded", b"item=a+b%26c%3D%C3%A4"),
        ("DELETE", "/query?a=1&b=x+y%26z", "", b""),
        ("POST", "/bytes", "text/csv", &[0, 1, 255]),
        ("HEAD", "/head", "", b""),
        ("GET", "/old", "", b""),
    ];
    for (heard, (method, target, kind, body)) in calls.iter().zip(expected) {
        assert_eq!(
            (heard.method.as_str(), heard.target.as_str(), heard.body.as_slice()),
            (method, target, body)
        );
        assert_eq!(
            heard.all("content-type").first().copied().unwrap_or_default(),
            kind,
            "{target}"
        );
        assert_eq!(heard.all("authorization"), ["Bearer token-1"], "{target}");
        assert_eq!(heard.all("referer"), [""; 0], "{target}");
    }
    assert_eq!((calls.len(), calls[2].all("accept")), (6, vec!["text/plain"]));
}

#[tokio::test]
async fn http_1_and_http_2_carry_and_renew_the_token() {
    for (http1_only, version) in
        [(false, reqwest::Version::HTTP_2), (true, reqwest::Version::HTTP_11)]
    {
        let acme = acme("");
        let builder = acme.source.client_builder();
        let client = if http1_only { builder.http1_only() } else { builder }.build();
        for revoked in [false, true] {
            if revoked {
                acme.vendor.revoke_all();
            }
            let answer = client.post(acme.vendor.url("/orders")).body("lamp").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (201, version));
        }
        assert_eq!(acme.vendor.logins(), 2);
    }
}
