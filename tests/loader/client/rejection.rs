//! A rejected call: one new login, one replay, and a guard against loops.

use super::*;

#[tokio::test]
async fn a_rejected_call_is_answered_after_one_login_and_one_replay() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.revoke_all();
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!(
        (acme.vendor.logins(), acme.vendor.rejected_calls(), acme.vendor.calls()),
        (2, 1, 4)
    );
    let counts = acme.source.counts();
    assert_eq!((counts.logins, counts.rejections, counts.replays), (2, 1, 1));
}

#[tokio::test]
async fn a_rejected_replay_is_returned_to_the_caller() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.reject_calls_with(Some(401));
    let answer = acme.client.get(acme.vendor.url("/orders")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()),
        (401, json!({ "error": "rejected" }))
    );
    assert_eq!((acme.vendor.calls(), acme.vendor.logins()), (3, 2), "there was a third attempt");
    // The fresh token stays in use.
    acme.vendor.reject_calls_with(None);
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!((acme.vendor.calls(), acme.vendor.logins()), (4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_rejected_calls_share_one_login() {
    for used_before in [true, false] {
        let acme = acme("");
        acme.source.ready().await.unwrap();
        if used_before {
            assert_eq!(acme.get("/orders").await.unwrap(), 200);
        }
        acme.vendor.revoke_all();
        let calls: Vec<_> = (0..100)
            .map(|index| {
                let call = match index % 2 {
                    0 => acme.client.get(acme.vendor.url("/orders")),
                    _ => acme.client.post(acme.vendor.url("/orders")).body(vec![7; 1000]),
                };
                tokio::spawn(call.send())
            })
            .collect();
        for (index, call) in calls.into_iter().enumerate() {
            let status = call.await.unwrap().unwrap().status().as_u16();
            assert_eq!(status, if index % 2 == 0 { 200 } else { 201 });
        }
        assert_eq!(acme.vendor.logins(), 2, "used before: {used_before}");
        assert_eq!(acme.source.counts().rejections, 1);
    }
}

#[tokio::test]
async fn a_body_of_bytes_is_replayed_in_full() {
    let raw =
        Raw::vendor(|heard| reply(if heard.token() == "token-1" { 401 } else { 201 }, &[], ""));
    let client = raw.source("").client();
    let body: Vec<u8> = (0..300_000_u32).map(|index| index as u8).collect();
    let answer = client
        .post(raw.url("/orders?a=1"))
        .header("x-own", "kept")
        .body(body.clone())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let calls = raw.calls();
    assert_eq!(calls.iter().map(Heard::token).collect::<Vec<_>>(), ["token-1", "token-2"]);
    for heard in &calls {
        assert_eq!(
            (heard.method.as_str(), heard.target.as_str(), heard.all("x-own")),
            ("POST", "/orders?a=1", vec!["kept"])
        );
        assert!(heard.body == body);
    }
}

#[tokio::test]
async fn a_stream_that_can_be_recreated_is_replayed_in_full() {
    let acme = acme("");
    // The streams are responses to earlier calls, one for each attempt.
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(acme.client.get(acme.vendor.url("/orders")).send().await.unwrap());
    }
    let length = answers[0].content_length().unwrap() as usize;
    let answers = Mutex::new(answers);
    let stream = move || Body::from(answers.lock().unwrap().pop().unwrap());
    acme.vendor.revoke_all();
    let answer =
        acme.client.post(acme.vendor.url("/orders")).body_from(stream).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let sent = acme
        .vendor
        .seen()
        .into_iter()
        .filter(|seen| seen.method == "POST" && seen.path == "/orders");
    assert_eq!(sent.map(|seen| seen.body_len).collect::<Vec<_>>(), [length, length]);
}

#[tokio::test]
async fn a_streamed_body_is_not_replayed_but_the_token_is_replaced() {
    for wrap in [|answer: reqwest::Response| Body::wrap_stream(answer.bytes_stream()), Body::from] {
        let acme = acme("");
        // The response to one call is streamed into the next.
        let stream = wrap(acme.client.get(acme.vendor.url("/orders")).send().await.unwrap());
        acme.vendor.revoke_all();
        let answer =
            acme.client.post(acme.vendor.url("/orders")).body(stream).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        assert_eq!(
            answer.json::<Value>().await.unwrap()["error"],
            "invalid_token",
            "the caller gets the complete first response"
        );
        let sent = acme
            .vendor
            .seen()
            .into_iter()
            .filter(|seen| seen.method == "POST" && seen.path == "/orders");
        let sent: Vec<usize> = sent.map(|seen| seen.body_len).collect();
        assert!(matches!(sent[..], [length] if length > 0), "{sent:?}");
        until("the login", || acme.vendor.logins() == 2).await;
        assert_eq!(acme.get("/orders").await.unwrap(), 200);
        assert_eq!(
            (acme.vendor.logins(), acme.vendor.rejected_calls(), acme.source.counts().replays),
            (2, 1, 0)
        );
    }
}

#[tokio::test]
async fn the_profile_says_which_calls_are_replayed() {
    for (replay, method, replayed) in [
        ("all", Method::POST, true),
        ("idempotent", Method::POST, false),
        ("idempotent", Method::PATCH, false),
        ("idempotent", Method::GET, true),
        ("idempotent", Method::PUT, true),
        ("idempotent", Method::DELETE, true),
        ("none", Method::GET, false),
        ("none", Method::POST, false),
    ] {
        let raw =
            Raw::vendor(|heard| reply(if heard.token() == "token-1" { 401 } else { 200 }, &[], ""));
        let source = raw.source(&format!("replay = \"{replay}\""));
        let client = source.client();
        let status = client
            .request(method.clone(), raw.url("/"))
            .body("x")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16();
        assert_eq!(
            (status, raw.calls().len()),
            if replayed { (200, 2) } else { (401, 1) },
            "{replay} {method}"
        );
        // The token is replaced in any case.
        assert_eq!(client.get(raw.url("/")).send().await.unwrap().status().as_u16(), 200);
        assert_eq!(
            (raw.logins(), source.counts().replays),
            (2, u64::from(replayed)),
            "{replay} {method}"
        );
    }
}

#[tokio::test]
async fn insufficient_scope_is_not_a_rejection() {
    for (challenges, rejection) in [
        (
            vec![
                "WWW-Authenticate: Bearer realm=\"acme\", error=\"insufficient_scope\", scope=\"orders\"",
            ],
            false,
        ),
        (
            vec![
                "WWW-Authenticate: Basic realm=\"acme\"",
                "WWW-Authenticate: Bearer error=insufficient_scope",
            ],
            false,
        ),
        // A header with bytes that are not ASCII.
        (vec!["WWW-Authenticate: Bearer realm=\"Zürich\", error=\"insufficient_scope\""], false),
        (vec!["WWW-Authenticate: Bearer error=\"invalid_token\""], true),
        (vec![], true),
    ] {
        let headers = challenges.clone();
        let raw = Raw::vendor(move |_| reply(401, &headers, "no"));
        let source = raw.source("");
        let client = source.client();
        for _ in 0..3 {
            let answer = client.get(raw.url("/")).send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), answer.text().await.unwrap().as_str()),
                (401, "no")
            );
        }
        let expected = if rejection { (4, 2, 1) } else { (3, 1, 0) };
        assert_eq!(
            (raw.calls().len(), raw.logins(), source.counts().rejections),
            expected,
            "{challenges:?}"
        );
    }
}

#[tokio::test]
async fn the_profile_says_which_statuses_are_rejections() {
    for (rejected, other) in [(403, 401), (419, 403), (401, 403)] {
        let more =
            if rejected == 401 { String::new() } else { format!("rejected_status = [{rejected}]") };
        let raw = Raw::vendor(move |heard| match heard.path() {
            "/denied" => reply(other, &[], ""),
            _ => reply(if heard.token() == "token-1" { rejected } else { 200 }, &[], ""),
        });
        let client = raw.source(&more).client();
        for (path, status, sent, logins) in
            [("/denied", other, 1, 1), ("/", 200, 3, 2), ("/denied", other, 4, 2)]
        {
            assert_eq!(
                client.get(raw.url(path)).send().await.unwrap().status().as_u16(),
                status,
                "{rejected}"
            );
            assert_eq!((raw.calls().len(), raw.logins()), (sent, logins), "{rejected} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vendor_that_rejects_every_fresh_token_gets_few_logins() {
    for at_once in [1, 50] {
        let acme = acme("");
        acme.vendor.reject_calls_with(Some(401));
        for _ in 0..50 / at_once {
            let calls: Vec<_> = (0..at_once)
                .map(|_| tokio::spawn(acme.client.get(acme.vendor.url("/orders")).send()))
                .collect();
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap().status().as_u16(), 401);
            }
        }
        assert!(acme.vendor.calls() <= 100, "{} calls", acme.vendor.calls());
        assert!(acme.vendor.logins() <= 3, "{} logins, {at_once} at once", acme.vendor.logins());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_replay_does_not_lift_the_loop_guard_of_a_call_always_rejected() {
    // Each login ends the previous session, and the vendor also uses 401 for missing permissions.
    let (newest, hold) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (arrived, arrivals) = mpsc::channel::<mpsc::Sender<()>>();
    let (count, held) = (newest.clone(), hold.clone());
    let raw = Raw::start(move |heard| match heard.path() {
        "/login" => token_reply(&format!("token-{}", count.fetch_add(1, Ordering::SeqCst) + 1)),
        "/denied" => reply(401, &[], ""),
        _ => {
            if held.swap(false, Ordering::SeqCst) {
                let (go, wait) = mpsc::channel();
                arrived.send(go).unwrap();
                wait.recv().unwrap();
            }
            let good = heard.token() == format!("token-{}", count.load(Ordering::SeqCst));
            reply(if good { 200 } else { 401 }, &[], "")
        }
    });
    let client = raw.source("").client();
    for _ in 0..10 {
        // This call is in flight while the other is denied, and its response comes later.
        hold.store(true, Ordering::SeqCst);
        let good = tokio::spawn(client.get(raw.url("/orders")).send());
        let go = arrivals.recv_timeout(Duration::from_secs(60)).unwrap();
        assert_eq!(client.get(raw.url("/denied")).send().await.unwrap().status().as_u16(), 401);
        go.send(()).unwrap();
        assert_eq!(good.await.unwrap().unwrap().status().as_u16(), 200);
    }
    let logins = newest.load(Ordering::SeqCst);
    assert!(logins <= 3, "{logins} logins for 10 denied calls");
}

#[tokio::test]
async fn an_endless_rejection_body_does_not_delay_the_replay() {
    for body in ["Content-Length: 5\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"] {
        let raw = Raw::vendor(move |heard| match heard.token() {
            "token-1" => {
                Reply { bytes: format!("HTTP/1.1 401 No\r\n{body}").into_bytes(), held: true }
            }
            _ => reply(200, &[], ""),
        });
        let client = raw.source("").client();
        let answer = soon("the replay", client.get(raw.url("/")).send()).await.unwrap();
        assert_eq!((answer.status().as_u16(), raw.calls().len()), (200, 2));
    }
}

#[tokio::test]
async fn only_a_little_of_a_rejection_body_is_read() {
    let raw = Raw::vendor(|heard| match heard.token() {
        "token-1" => reply(401, &[], &"x".repeat(64 << 20)),
        _ => reply(200, &[], ""),
    });
    let client = raw.source("").client();
    let answer = soon("the replay", client.get(raw.url("/")).send()).await.unwrap();
    assert_eq!((answer.status().as_u16(), raw.calls().len()), (200, 2));
}

#[tokio::test]
async fn a_call_that_gets_no_new_token_fails_with_the_login_error_after_one_login() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.revoke_all();
    acme.vendor.refuse(true);
    for _ in 0..20 {
        let error = acme.get("/orders").await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(401)), "{error}");
    }
    assert_eq!(
        (acme.vendor.refused_logins(), acme.vendor.calls()),
        (1, 2),
        "nothing is sent without a token"
    );
    acme.vendor.refuse(false);
    acme.source.reset_backoff();
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
}
