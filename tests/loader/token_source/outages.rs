//! Logins without a response: panics, timeouts, outages.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_panics_is_an_error_for_every_waiter_and_the_next_works() {
    for reply in [Reply::Panic, Reply::PanicAtOnce] {
        let acme = Acme::new([reply]);
        acme.vendor.hold();
        let tasks = acme.ask_a_thousand_times();
        acme.vendor.release();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), Kind::LoginDown);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        assert_eq!(acme.sends(), 1);
        acme.clock.advance(SECOND);
        assert_eq!(acme.token(), "token-2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_hangs_is_abandoned_5_seconds_after_its_timeout() {
    for (profile, seconds) in [("", 15), ("login_timeout = \"3s\"", 8)] {
        let acme = Acme::with(profile, [Reply::Hang]);
        let mut asked = pin!(acme.source.token());
        assert!(poll_once(asked.as_mut()).is_pending());
        acme.clock.wait_for_sleepers(1);
        acme.clock.advance(seconds * SECOND - MILLISECOND);
        assert!(poll_once(asked.as_mut()).is_pending());
        acme.clock.advance(MILLISECOND);
        let error = asked.await.unwrap_err();
        assert_eq!(error.kind(), Kind::LoginDown);
        assert!(
            error.to_string().contains(&format!("did not respond within {seconds}s")),
            "{error}"
        );
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.clock.advance(SECOND);
        assert_eq!(acme.token(), "token-2");
    }
}

#[test]
fn only_a_failed_connection_is_retried_within_a_login_and_only_once() {
    let connect = || Reply::Error(TransportError::Connect("refused".into()));
    let acme = Acme::new([connect()]);
    assert_eq!(
        (acme.token().as_str(), acme.sends(), acme.source.counts().logins),
        ("token-2", 2, 1)
    );

    let acme = Acme::new([connect(), connect()]);
    assert_eq!(acme.error().kind(), Kind::LoginDown);
    assert_eq!(acme.sends(), 2);

    // The result of the second attempt counts.
    let acme = Acme::new([connect(), answer(401, "")]);
    assert_eq!(acme.error().kind(), Kind::LoginRefused);

    for (reply, kind) in [
        (Reply::Error(TransportError::Timeout), Kind::LoginDown),
        (Reply::Error(TransportError::Broken("reset".into())), Kind::LoginDown),
        (Reply::Error(TransportError::Tls("who are you?".into())), Kind::LoginTls),
        (answer(500, ""), Kind::LoginDown),
        (answer(503, ""), Kind::LoginDown),
        (answer(302, ""), Kind::LoginProtocol),
        (answer(200, ""), Kind::LoginProtocol),
        (answer(429, ""), Kind::LoginThrottled),
        (answer(401, ""), Kind::LoginRefused),
    ] {
        let acme = Acme::new([reply]);
        assert_eq!(acme.error().kind(), kind);
        assert_eq!(acme.error().kind(), kind, "the next caller gets the same error");
        assert_eq!(acme.sends(), 1, "{kind:?}");
    }
}

#[test]
fn an_outage_is_retried_with_growing_backoff() {
    let acme = Acme::new(vec![answer(502, ""); 10]);
    acme.clock.set_jitter(1.0);
    for milliseconds in [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000] {
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.backs_off_for(milliseconds * MILLISECOND);
    }
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-11", 11));
}

#[test]
fn a_tls_failure_waits_at_least_half_a_minute() {
    let acme = Acme::new(vec![Reply::Error(TransportError::Tls("expired".into())); 5]);
    for seconds in [30, 60, 120, 240, 300] {
        assert_eq!(acme.error().kind(), Kind::LoginTls);
        acme.backs_off_for(seconds * SECOND);
    }
}

#[test]
fn a_login_that_was_never_sent_is_not_counted() {
    let readable =
        "[acme.login]\nurl = \"https://api.acme.example\"\nheaders = { X-Key = \"${key}\" }\n";
    let vault = bootseal::testing::vault([("acme.key", "a\r\nb")], readable).unwrap();
    let source = vault
        .token_source_with("acme", Arc::new(Clock::new()), Arc::new(Vendor::default()))
        .unwrap();
    source.token_blocking().unwrap_err();
    assert_eq!(source.counts().logins, 0);
}
