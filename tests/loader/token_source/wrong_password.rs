//! The backoff after a refused password.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_tried_once_and_then_after_15_30_and_60_minutes() {
    let acme = Acme::new(vec![answer(401, ""); 5]);
    for (attempt, minutes) in [(1, 15), (2, 30), (3, 60), (4, 60)] {
        acme.vendor.hold();
        let tasks = acme.ask_a_thousand_times();
        acme.vendor.release();
        for task in tasks {
            let error = task.await.unwrap().unwrap_err();
            assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(401)));
        }
        assert_eq!(acme.sends(), attempt);
        for _ in 0..1000 {
            assert_eq!(acme.source.token().await.unwrap_err().kind(), Kind::LoginRefused);
        }
        acme.backs_off_for(minutes * MINUTE);
    }
}

#[test]
fn a_request_during_the_backoff_gets_the_remaining_time() {
    let acme = Acme::new([answer(403, "")]);
    assert_eq!(acme.error().retry_after(), None, "the waiters of the login itself");
    assert_eq!(acme.error().retry_after(), Some(15 * MINUTE));
    acme.clock.advance(5 * MINUTE);
    let error = acme.error();
    assert_eq!(error.retry_after(), Some(10 * MINUTE));
    assert!(error.to_string().contains("(next attempt in 600 s)"), "{error}");
}

#[test]
fn a_valid_token_is_returned_until_it_expires_after_a_refused_password() {
    let acme = Acme::new([token("first", 3600), answer(401, "")]);
    assert_eq!(acme.token(), "first");
    acme.clock.advance(STALE);
    assert_eq!(acme.token(), "first");
    acme.landings.wait_for(2);
    acme.clock.advance(DEAD - STALE - MILLISECOND);
    assert_eq!(acme.token(), "first");
    acme.clock.advance(MILLISECOND);
    assert_eq!(acme.error().kind(), Kind::LoginRefused);
    assert_eq!(acme.sends(), 2);
}

#[test]
fn a_successful_attempt_ends_the_backoff_and_resets_the_refusals() {
    let acme = Acme::new([answer(401, ""), answer(401, ""), token("good", 60), answer(401, "")]);
    acme.error();
    acme.clock.advance(15 * MINUTE);
    acme.error();
    acme.clock.advance(30 * MINUTE);
    assert_eq!(acme.token(), "good");
    acme.clock.advance(MINUTE);
    acme.error();
    acme.backs_off_for(15 * MINUTE);
}

#[test]
fn a_repeated_400_after_30_seconds_is_a_refusal() {
    for status in [400, 422] {
        let acme =
            Acme::new([answer(status, "{}"), answer(status, r#"{"error":"invalid_request"}"#)]);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        acme.backs_off_for(30 * SECOND);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        assert_eq!(acme.sends(), 2);
        acme.backs_off_for(15 * MINUTE);
    }
    let acme = Acme::new([answer(400, ""), token("it was not the password", 60)]);
    acme.error();
    acme.clock.advance(30 * SECOND);
    assert_eq!(acme.token(), "it was not the password");
}

#[test]
fn clear_refusals_count_at_once() {
    for (profile, status, body) in [
        ("", 401, ""),
        ("", 403, ""),
        ("", 423, ""),
        ("", 400, r#"{"error":"invalid_grant","error_description":"no"}"#),
        ("", 400, r#"{"error":"invalid_client"}"#),
        ("", 422, r#"{"error":"unauthorized_client"}"#),
        ("refused_status = [400, 418]", 400, ""),
        ("refused_status = [400, 418]", 418, ""),
        ("refused_status = [200]", 200, r#"{"access_token":"x"}"#),
    ] {
        let acme = Acme::with(profile, [answer(status, body)]);
        assert_eq!(acme.error().kind(), Kind::LoginRefused, "{profile} {status} {body}");
        acme.backs_off_for(15 * MINUTE);
    }
}

#[test]
fn refused_status_replaces_the_default_refusals() {
    for (status, kind) in [
        (401, Kind::LoginProtocol),
        (400, Kind::LoginProtocol),
        (500, Kind::LoginDown),
        (429, Kind::LoginThrottled),
    ] {
        let acme =
            Acme::with("refused_status = [418]", [answer(status, r#"{"error":"invalid_grant"}"#)]);
        assert_eq!(acme.error().kind(), kind, "{status}");
    }
}

#[test]
fn ok_status_says_which_responses_are_success() {
    let acme = Acme::with("ok_status = [299, 404]", [answer(200, TOKEN), answer(404, TOKEN)]);
    assert_eq!(acme.error().kind(), Kind::LoginProtocol);
    acme.clock.advance(5 * SECOND);
    assert_eq!(acme.token(), "found");
}

#[test]
fn reset_backoff_ends_the_backoff_and_resets_the_refusals() {
    let acme = Acme::new([answer(401, ""), answer(401, ""), answer(429, ""), token("at last", 60)]);
    acme.error();
    acme.source.reset_backoff();
    acme.error();
    assert_eq!(acme.sends(), 2);
    assert_eq!(acme.error().retry_after(), Some(15 * MINUTE), "not the second in a row");
    for _ in 0..2 {
        acme.source.reset_backoff();
        let _ = acme.source.token_blocking();
    }
    assert_eq!((acme.token().as_str(), acme.sends()), ("at last", 4));
}
