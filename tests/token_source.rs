//! Does a token source log in when it must, once, and never when it need not? A vendor by script and a clock that stands still: no
//! test sleeps, none leaves the machine.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

use bootseal::testing::Clock;
use bootseal::{
    Error, ExpiryFrom, Kind, LoginRequest, LoginResponse, Secret, Token, TokenSource, Transport, TransportError,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use std::time::Duration;

// A token lives an hour unless a test says otherwise: with the clock's draw of 0.5 it is stale after 2880 s and dead after 3540 s.
const STALE: Duration = Duration::from_secs(2880);
const DEAD: Duration = Duration::from_secs(3540);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

// ---- One login for all

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_that_ask_at_once_make_one_login_and_get_one_token() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let tasks = acme.ask_a_thousand_times();
    acme.vendor.release();
    for task in tasks {
        assert_eq!(text(&task.await.unwrap().unwrap()), "token-1");
    }
    assert_eq!((acme.sends(), acme.source.counts().logins), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_but_the_last_are_cancelled_the_last_gets_the_token_of_the_one_login() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let mut tasks = acme.ask_a_thousand_times();
    let last = tasks.pop().unwrap();
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
    for task in tasks {
        assert!(task.await.unwrap_err().is_cancelled());
    }
    acme.vendor.release();
    assert_eq!(text(&last.await.unwrap().unwrap()), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[test]
fn a_login_outlives_the_runtime_of_the_caller_who_started_it() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let first = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let (source, arrivals) = (acme.source.clone(), Counter::default());
    first.spawn(arriving(arrivals.clone(), async move { source.token().await }));
    arrivals.wait_for(1);
    drop(first);
    acme.vendor.release();
    assert_eq!(acme.token(), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_and_tasks_wait_for_the_same_login() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let tasks = acme.ask_a_thousand_times();
    let started = Counter::default();
    let threads: Vec<_> = (0..50)
        .map(|_| {
            let (source, started) = (acme.source.clone(), started.clone());
            std::thread::spawn(move || {
                started.add();
                source.token_blocking()
            })
        })
        .collect();
    started.wait_for(50);
    acme.vendor.release();
    for task in tasks {
        assert_eq!(text(&task.await.unwrap().unwrap()), "token-1");
    }
    for thread in threads {
        assert_eq!(text(&thread.join().unwrap().unwrap()), "token-1");
    }
    assert_eq!(acme.sends(), 1);
}

#[test]
fn token_blocking_needs_no_runtime_and_does_not_mind_one() {
    let acme = Acme::new([]);
    assert_eq!(acme.token(), "token-1");
    // On the only thread of a runtime: the login does not need it.
    let acme = Acme::new([]);
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(async { assert_eq!(acme.token(), "token-1") });
}

#[test]
fn the_future_of_a_token_needs_no_runtime_either() {
    let acme = Acme::new([]);
    acme.vendor.hold();
    let mut asked = pin!(acme.source.token());
    assert!(poll_once(asked.as_mut()).is_pending());
    acme.vendor.release();
    acme.landings.wait_for(1);
    // The cell is filled before the waiters are woken, so that whoever asks now is answered at once.
    assert_eq!(acme.token(), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[test]
fn clones_and_later_handles_share_one_state() {
    let (clock, vendor) = (Clock::new(), Vendor::default());
    let vault = vault("");
    let source =
        |vendor: &Vendor| vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(vendor.clone())).unwrap();
    let first = source(&vendor);
    assert_eq!(text(&first.token_blocking().unwrap()), "token-1");
    assert_eq!(text(&first.clone().token_blocking().unwrap()), "token-1");
    assert_eq!(text(&source(&Vendor::default()).token_blocking().unwrap()), "token-1");
    assert_eq!(vendor.sent.get(), 1);
}

// ---- A wrong password

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
        acme.stays_shut_for(minutes * MINUTE);
    }
}

#[test]
fn who_comes_while_nobody_may_log_in_is_told_how_long() {
    let acme = Acme::new([answer(403, "")]);
    assert_eq!(acme.error().retry_after(), None, "the waiters of the login itself");
    assert_eq!(acme.error().retry_after(), Some(15 * MINUTE));
    acme.clock.advance(5 * MINUTE);
    let error = acme.error();
    assert_eq!(error.retry_after(), Some(10 * MINUTE));
    assert!(error.to_string().contains("(next attempt in 600 s)"), "{error}");
}

#[test]
fn a_good_token_is_served_to_its_end_though_the_password_is_refused() {
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
fn a_probe_that_works_opens_the_gate_and_forgets_the_refusals() {
    let acme = Acme::new([answer(401, ""), answer(401, ""), token("good", 60), answer(401, "")]);
    acme.error();
    acme.clock.advance(15 * MINUTE);
    acme.error();
    acme.clock.advance(30 * MINUTE);
    assert_eq!(acme.token(), "good");
    acme.clock.advance(MINUTE);
    acme.error();
    acme.stays_shut_for(15 * MINUTE);
}

#[test]
fn a_400_is_a_refusal_when_it_comes_again_after_30_seconds() {
    for status in [400, 422] {
        let acme = Acme::new([answer(status, "{}"), answer(status, r#"{"error":"invalid_request"}"#)]);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        acme.stays_shut_for(30 * SECOND);
        assert_eq!(acme.error().kind(), Kind::LoginRefused);
        assert_eq!(acme.sends(), 2);
        acme.stays_shut_for(15 * MINUTE);
    }
    let acme = Acme::new([answer(400, ""), token("it was not the password", 60)]);
    acme.error();
    acme.clock.advance(30 * SECOND);
    assert_eq!(acme.token(), "it was not the password");
}

#[test]
fn these_answers_are_a_refusal_at_once() {
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
        acme.stays_shut_for(15 * MINUTE);
    }
}

#[test]
fn where_the_profile_lists_what_is_refused_nothing_else_is() {
    for (status, kind) in
        [(401, Kind::LoginProtocol), (400, Kind::LoginProtocol), (500, Kind::LoginDown), (429, Kind::LoginThrottled)]
    {
        let acme = Acme::with("refused_status = [418]", [answer(status, r#"{"error":"invalid_grant"}"#)]);
        assert_eq!(acme.error().kind(), kind, "{status}");
    }
}

#[test]
fn the_profile_says_which_answers_are_success() {
    let acme = Acme::with("ok_status = [299, 404]", [answer(200, TOKEN), answer(404, TOKEN)]);
    assert_eq!(acme.error().kind(), Kind::LoginProtocol);
    acme.clock.advance(5 * SECOND);
    assert_eq!(acme.token(), "found");
}

#[test]
fn retry_now_opens_the_gate_and_forgets_what_was() {
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

// ---- Logins that come to no answer

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_panics_is_an_error_for_all_and_the_next_one_works() {
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
async fn a_login_that_hangs_is_given_up_5_seconds_after_its_timeout() {
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
        assert!(error.to_string().contains(&format!("no answer within {seconds}s")), "{error}");
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.clock.advance(SECOND);
        assert_eq!(acme.token(), "token-2");
    }
}

#[test]
fn only_a_failure_to_connect_is_tried_again_within_a_login_and_only_once() {
    let connect = || Reply::Error(TransportError::Connect("refused".into()));
    let acme = Acme::new([connect()]);
    assert_eq!((acme.token().as_str(), acme.sends(), acme.source.counts().logins), ("token-2", 2, 1));

    let acme = Acme::new([connect(), connect()]);
    assert_eq!(acme.error().kind(), Kind::LoginDown);
    assert_eq!(acme.sends(), 2);

    // What the second attempt comes to is what counts.
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
        assert_eq!(acme.error().kind(), kind, "the next one gets the same");
        assert_eq!(acme.sends(), 1, "{kind:?}");
    }
}

#[test]
fn an_outage_is_asked_after_ever_more_rarely_until_it_is_over() {
    let acme = Acme::new(vec![answer(502, ""); 10]);
    acme.clock.set_jitter(1.0);
    for milliseconds in [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000] {
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.stays_shut_for(milliseconds * MILLISECOND);
    }
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-11", 11));
}

#[test]
fn no_trustworthy_connection_waits_half_a_minute_at_least() {
    let acme = Acme::new(vec![Reply::Error(TransportError::Tls("expired".into())); 5]);
    for seconds in [30, 60, 120, 240, 300] {
        assert_eq!(acme.error().kind(), Kind::LoginTls);
        acme.stays_shut_for(seconds * SECOND);
    }
}

// ---- Answers that are no token

#[test]
fn an_answer_without_a_token_is_a_protocol_error_and_asked_again_after_5_seconds() {
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
        acme.stays_shut_for(5 * SECOND);
        assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
    }
}

#[test]
fn three_answers_without_a_token_may_be_a_wrong_password_in_disguise() {
    let acme = Acme::new(vec![answer(200, r#"{"error":"wrong password"}"#); 4]);
    for wait in [5 * SECOND, 10 * SECOND, 15 * MINUTE, 30 * MINUTE] {
        assert_eq!(acme.error().kind(), Kind::LoginProtocol);
        acme.stays_shut_for(wait);
    }
    assert_eq!(acme.token(), "token-5");
}

#[test]
fn a_redirect_is_not_followed_and_names_the_origin_only() {
    for (location, named) in [
        ("https://evil.example:8443/canary-path?password=canary-query", " to https://evil.example:8443;"),
        ("https://user:canary-user@evil.example/", " to https://evil.example;"),
        ("/canary-path?canary-query#canary-fragment", " to https://api.acme.example;"),
        ("http://api.acme.example/login", " to http://api.acme.example;"),
        ("https://[canary", " would redirect;"),
    ] {
        for status in [301, 302, 303, 307, 308] {
            let acme = Acme::new([answer(status, "canary-body").with("location", location)]);
            let error = acme.error();
            assert_eq!((error.kind(), error.status()), (Kind::LoginProtocol, Some(status)));
            assert!(error.to_string().contains(named) && !error.to_string().contains("canary"), "{error}");
            assert_eq!(acme.sends(), 1);
            acme.stays_shut_for(MINUTE);
        }
    }
}

#[test]
fn the_vendor_says_when_to_come_again() {
    // The clock stands at 2026-01-01T00:00:00Z.
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
        acme.stays_shut_for(seconds * SECOND);
        assert_eq!(acme.token(), "token-2", "{status} {retry_after}");
    }
}

#[test]
fn the_vendors_wait_is_stretched_by_up_to_a_tenth_so_that_not_all_come_at_once() {
    let acme = Acme::new([answer(429, "").with("retry-after", "100")]);
    acme.clock.set_jitter(1.0);
    acme.error();
    acme.stays_shut_for(110 * SECOND);
    assert_eq!(acme.token(), "token-2");
}

#[test]
fn a_503_that_names_no_time_is_an_outage() {
    for retry_after in ["", "soon"] {
        let acme = Acme::new([answer(503, "").with("retry-after", retry_after)]);
        assert_eq!(acme.error().kind(), Kind::LoginDown);
        acme.clock.advance(SECOND);
        assert_eq!(acme.token(), "token-2");
    }
}

// ---- The life of a token

#[test]
fn a_fresh_token_is_returned_without_a_login() {
    let acme = Acme::new([]);
    for _ in 0..1000 {
        assert_eq!(acme.token(), "token-1");
    }
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!(acme.token(), "token-1");
    assert_eq!(acme.sends(), 1);
}

#[test]
fn a_stale_token_is_returned_at_once_and_one_login_starts_behind() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(STALE);
    acme.vendor.hold();
    for _ in 0..1000 {
        assert_eq!(acme.token(), "token-1", "the login is held, so nobody waited for it");
    }
    acme.vendor.sent.wait_for(2);
    acme.vendor.release();
    acme.landings.wait_for(2);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn an_old_token_is_served_to_its_end_while_the_vendor_is_down_and_no_longer() {
    let acme = Acme::new([vec![token("first", 3600)], vec![answer(503, ""); 20]].concat());
    acme.token();
    acme.clock.advance(STALE);
    for failures in 1..=11 {
        assert_eq!(acme.token(), "first");
        acme.landings.wait_for(1 + failures);
        assert_eq!(acme.token(), "first", "a failed login takes nothing away");
        acme.clock.advance(MINUTE - MILLISECOND);
    }
    acme.clock.advance(10 * MILLISECOND);
    assert_eq!(acme.token(), "first", "one millisecond before its end");
    acme.landings.wait_for(13);
    acme.clock.advance(MILLISECOND);
    assert_eq!(acme.error().kind(), Kind::LoginDown);
    assert_eq!(acme.sends(), 13);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_an_expired_token_waits_for_the_one_login() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(DEAD);
    acme.vendor.hold();
    let tasks = acme.ask_a_thousand_times();
    acme.vendor.release();
    for task in tasks {
        assert_eq!(text(&task.await.unwrap().unwrap()), "token-2");
    }
    assert_eq!(acme.sends(), 2);
}

#[test]
fn nobody_logs_in_while_nobody_asks() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(24 * 60 * MINUTE);
    assert_eq!(acme.sends(), 1);
}

#[test]
fn without_refresh_ahead_a_login_is_made_only_when_the_token_is_dead() {
    let acme = Acme::with("refresh_ahead = false", []);
    acme.token();
    acme.clock.advance(DEAD - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_token_without_an_expiry_of_its_own_lives_until_a_call_is_rejected_or_a_day() {
    let acme = Acme::with("expiry = \"on-reject\"", []);
    let first = acme.source.token_blocking().unwrap();
    assert_eq!((first.lifetime(), first.expiry_from()), (24 * 60 * MINUTE, ExpiryFrom::OnReject));
    acme.clock.advance(23 * 60 * MINUTE + 58 * MINUTE);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    assert!(acme.source.reject(&first));
    assert_eq!(acme.token(), "token-2");
}

#[test]
fn the_life_of_a_token_counts_from_the_sending_of_its_login() {
    let acme = Acme::with("refresh_ahead = false", []);
    acme.log_in_for(9 * SECOND);
    acme.clock.advance(DEAD - 9 * SECOND - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_suspended_machine_wakes_up_with_an_older_token() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(10 * MINUTE);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1), "still good");
    acme.clock.advance(60 * MINUTE);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2), "slept through its end");
}

#[test]
fn a_token_grows_old_by_the_clock_that_moved_whichever_it_was() {
    // A suspended machine whose wall clock was held back, then one whose boot clock stood still.
    for boot_moves in [true, false] {
        let acme = Acme::new([]);
        acme.token();
        if boot_moves {
            acme.clock.advance(DEAD);
            acme.clock.set_unix_time(NEW_YEAR);
        } else {
            acme.clock.set_unix_time(NEW_YEAR + DEAD);
        }
        assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2), "{boot_moves}");
        acme.clock.advance(STALE - MILLISECOND);
        assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2), "{boot_moves}");
    }
}

#[test]
fn tokens_of_a_second_or_less_make_a_login_a_second_at_most() {
    for lifetime in ["1", "0.5", "0.001", "1.9"] {
        let body = format!(r#"{{"access_token":"x","expires_in":{lifetime}}}"#);
        let acme = Acme::new(vec![answer(200, &body); 20]);
        // Under load: a call each fifty milliseconds for ten seconds.
        for _ in 0..200 {
            acme.token();
            acme.clock.advance(50 * MILLISECOND);
        }
        assert!((9..=11).contains(&acme.sends()), "{lifetime}: {}", acme.sends());
    }
}

#[test]
fn a_token_that_is_dead_when_it_comes_takes_the_place_of_no_good_one() {
    let acme = Acme::new([token("good", 3600), token("dead", 0), token("newer", 3600)]);
    acme.token();
    acme.clock.advance(STALE);
    acme.token();
    acme.landings.wait_for(2);
    for _ in 0..100 {
        assert_eq!((acme.token().as_str(), acme.sends()), ("good", 2));
    }
    acme.clock.advance(5 * SECOND);
    acme.token();
    acme.landings.wait_for(3);
    assert_eq!((acme.token().as_str(), acme.sends()), ("newer", 3));
}

#[test]
fn a_wall_clock_that_is_set_forward_makes_a_token_older_once() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.set_unix_time(NEW_YEAR + 60 * MINUTE);
    for _ in 0..100 {
        assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
    }
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_wall_clock_that_is_set_back_makes_no_token_younger() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.set_unix_time(NEW_YEAR - 24 * 60 * MINUTE);
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(DEAD - STALE + MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_host_whose_clock_is_wrong_by_an_hour_neither_loops_nor_serves_dead_tokens() {
    // What the vendor's clock shows, when ours says midnight.
    for (there, date) in [
        (NEW_YEAR - 60 * MINUTE, "Wed, 31 Dec 2025 23:00:00 GMT"),
        (NEW_YEAR + 60 * MINUTE, "Thu, 01 Jan 2026 01:00:00 GMT"),
    ] {
        let jwt = jwt(&format!(r#"{{"exp":{}}}"#, there.as_secs() + 600));
        let acme = Acme::new(vec![answer(200, &format!(r#"{{"access_token":"{jwt}"}}"#)).with("date", date); 2]);
        let first = acme.source.token_blocking().unwrap();
        assert_eq!((first.lifetime(), first.expiry_from()), (10 * MINUTE, ExpiryFrom::Jwt));
        acme.clock.advance(7 * MINUTE);
        acme.token();
        assert_eq!(acme.sends(), 1);
        acme.clock.advance(2 * MINUTE);
        acme.token();
        assert_eq!(acme.sends(), 2);
    }
}

#[test]
fn a_token_that_was_dead_when_it_came_is_kept_5_seconds_and_makes_no_loop() {
    let dead = jwt(&format!(r#"{{"exp":{}}}"#, NEW_YEAR.as_secs() - 1));
    for body in [
        format!(r#"{{"access_token":"{dead}"}}"#),
        r#"{"access_token":"x","expires_in":0}"#.into(),
        r#"{"access_token":"x","expires_in":-3600}"#.into(),
    ] {
        let acme = Acme::new(vec![answer(200, &body); 4]);
        for logins in 1..=3 {
            for _ in 0..1000 {
                acme.token();
            }
            acme.clock.advance(5 * SECOND - MILLISECOND);
            acme.token();
            assert_eq!(acme.sends(), logins, "{body}");
            acme.clock.advance(MILLISECOND);
        }
    }
}

// ---- A token that the vendor no longer takes

#[test]
fn five_hundred_calls_that_are_rejected_at_once_make_one_login() {
    // Whether its token was young or had lived a while.
    for age in [Duration::ZERO, 11 * SECOND] {
        let acme = Acme::new([]);
        let dead = acme.source.token_blocking().unwrap();
        acme.clock.advance(age);
        // The first holds the clock, and the lock with it, until all others are on their way.
        let (reads, started) = (acme.reads.get(), Counter::default());
        acme.time.hold();
        std::thread::scope(|scope| {
            let reject = || {
                started.add();
                assert!(acme.source.reject(&dead));
                assert_eq!(acme.token(), "token-2");
            };
            scope.spawn(reject);
            acme.reads.wait_for(reads + 1);
            (1..500).for_each(|_| drop(scope.spawn(reject)));
            started.wait_for(500);
            acme.time.release();
        });
        assert_eq!((acme.sends(), acme.source.counts().rejections), (2, 1));
        // One token was rejected, however often: the second one makes no loop yet.
        assert!(acme.source.reject(&acme.source.token_blocking().unwrap()));
        assert_eq!(acme.token(), "token-3");
    }
}

#[test]
fn a_rejected_token_is_never_returned_again() {
    let acme = Acme::new([token("first", 3600), answer(502, "")]);
    let dead = acme.source.token_blocking().unwrap();
    assert!(acme.source.reject(&dead));
    assert_eq!(acme.error().kind(), Kind::LoginDown, "its login failed, and the rejected token is no way out");
    assert!(acme.source.reject(&dead));
    assert_eq!((acme.error().kind(), acme.sends()), (Kind::LoginDown, 2));
}

#[test]
fn a_late_word_about_an_older_token_touches_nothing() {
    let acme = Acme::new([]);
    let old = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.token();
    acme.landings.wait_for(2);
    assert_eq!(acme.token(), "token-2");
    for _ in 0..100 {
        assert!(acme.source.reject(&old), "there is a newer one: worth while to call again");
    }
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_rejection_during_a_login_does_not_kill_its_token() {
    let acme = Acme::new([]);
    let old = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.vendor.hold();
    acme.token();
    acme.vendor.sent.wait_for(2);
    assert!(acme.source.reject(&old));
    let mut asked = pin!(acme.source.token());
    assert!(poll_once(asked.as_mut()).is_pending(), "the old one is dead, so who asks now waits");
    acme.vendor.release();
    acme.landings.wait_for(2);
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn fresh_tokens_that_are_rejected_again_and_again_make_no_loop() {
    let acme = Acme::new([]);
    for login in 1..=2 {
        let young = acme.source.token_blocking().unwrap();
        assert!(acme.source.reject(&young));
        acme.landings.wait_for(login + 1);
    }
    let third = acme.source.token_blocking().unwrap();
    for _ in 0..1000 {
        assert!(!acme.source.reject(&third), "the vendor's answer is the caller's");
    }
    acme.clock.advance(30 * SECOND - MILLISECOND);
    assert!(!acme.source.reject(&third));
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-3", 3));
    acme.clock.advance(MILLISECOND);
    assert!(acme.source.reject(&third));
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-4", 4));
}

#[test]
fn retry_now_ends_the_hold_on_rejections_too() {
    let acme = Acme::new([]);
    for _ in 0..2 {
        acme.source.reject(&acme.source.token_blocking().unwrap());
    }
    let third = acme.source.token_blocking().unwrap();
    assert!(!acme.source.reject(&third));
    acme.source.reset_backoff();
    assert!(acme.source.reject(&third));
    assert_eq!(acme.token(), "token-4");
}

#[test]
fn tokens_that_lived_a_while_are_renewed_however_often_they_are_rejected() {
    let acme = Acme::new([]);
    for login in 1..=20 {
        let token = acme.source.token_blocking().unwrap();
        acme.clock.advance(10 * SECOND);
        assert!(acme.source.reject(&token));
        assert_eq!(acme.token(), format!("token-{}", login + 1));
    }
}

#[test]
fn a_rejection_makes_no_login_while_the_vendor_asks_for_patience() {
    let acme = Acme::new([token("first", 3600), answer(429, "").with("retry-after", "600")]);
    let first = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.token();
    acme.landings.wait_for(2);
    acme.source.reject(&first);
    assert_eq!((acme.error().kind(), acme.sends()), (Kind::LoginThrottled, 2));
}

// ---- What is sent, and what is never shown

#[test]
fn what_is_sent_is_what_the_profile_says() {
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
        request.headers.iter().find(|(other, _)| other == name).unwrap().1.expose_str(str::to_owned).unwrap()
    };
    assert_eq!(
        (header("content-type").as_str(), header("x-client").as_str()),
        ("application/json", "bootseal canary-user")
    );
}

#[test]
fn a_password_that_cannot_be_put_into_a_header_is_never_sent() {
    let vault = bootseal::testing::vault(
        [("acme.key", "canary\r\nX-Admin: yes")],
        "[acme.login]\nurl = \"https://api.acme.example\"\nheaders = { X-Key = \"${key}\" }\n",
    )
    .unwrap();
    let vendor = Vendor::default();
    let source = vault.token_source_with("acme", Arc::new(Clock::new()), Arc::new(vendor.clone())).unwrap();
    let error = source.token_blocking().unwrap_err();
    assert!(error.to_string().contains("line break") && !shown(&error).contains("canary"), "{error}");
    assert_eq!(vendor.sent.get(), 0);
}

#[test]
fn nothing_that_is_shown_holds_password_token_or_body() {
    let body = r#"{"error":"canary-error","access_token":"canary-token","message":"canary-message"}"#;
    let cut = &body[..body.len() - 1];
    let replies = [401, 403, 400, 404, 418, 429, 500, 503, 302].map(|status| {
        answer(status, body).with("location", "https://x.example/?canary-query").with("x-auth-token", "canary-header")
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
        for reply in replies.iter().chain(&no_token).cloned().chain([Reply::Panic, Reply::PanicAtOnce]) {
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
    assert!(!format!("{token:?} {token:#?} {:?} {:#?}", acme.source, acme.source).contains("canary"));
}

// ---- Mistakes that were made once

#[test]
fn a_token_that_was_dead_when_it_came_is_kept_5_seconds_however_slow_its_login_was() {
    let acme = Acme::new([token("dead", 0)]);
    acme.log_in_for(6 * SECOND);
    acme.clock.advance(5 * SECOND - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("dead", 1));
}

#[test]
fn a_token_that_ran_out_during_its_login_makes_no_loop() {
    let acme = Acme::new(vec![token("short", 2); 3]);
    acme.log_in_for(3 * SECOND);
    acme.vendor.hold();
    let mut asked = pin!(acme.source.token());
    assert!(poll_once(asked.as_mut()).is_ready(), "kept for a moment, or an error for a moment: no login at each call");
    acme.vendor.release();
}

#[test]
fn while_fresh_tokens_are_rejected_there_is_one_login_for_each_hold() {
    let acme = Acme::new([]);
    for _ in 0..2 {
        assert!(acme.source.reject(&acme.source.token_blocking().unwrap()));
    }
    let third = acme.source.token_blocking().unwrap();
    assert!(!acme.source.reject(&third));
    acme.clock.advance(30 * SECOND);
    assert!(acme.source.reject(&third));
    let fourth = acme.source.token_blocking().unwrap();
    assert!(!acme.source.reject(&fourth), "rejected as young as the ones before: the next hold, a minute");
    acme.clock.advance(MINUTE);
    assert!(acme.source.reject(&fourth));
}

#[test]
fn a_rejected_token_that_was_dead_when_it_came_tells_how_long_to_wait() {
    let acme = Acme::new([token("dead", 0)]);
    acme.source.reject(&acme.source.token_blocking().unwrap());
    assert_eq!(acme.error().retry_after(), Some(5 * SECOND));
}

#[test]
fn another_accounts_token_cannot_be_rejected_here() {
    let (ours, theirs) = (Acme::new([]), Acme::new([]));
    for _ in 0..5 {
        theirs.token();
        theirs.clock.advance(DEAD);
    }
    let foreign = theirs.source.token_blocking().unwrap();
    ours.token();
    ours.source.reject(&foreign);
    for _ in 0..5 {
        ours.token();
    }
    assert!(ours.sends() <= 2, "{} logins for five calls", ours.sends());
}

#[test]
fn a_wait_beyond_all_numbers_is_the_longest_we_wait() {
    let acme = Acme::new([answer(429, "").with("retry-after", "99999999999999999999")]);
    acme.clock.set_jitter(0.0);
    acme.error();
    acme.stays_shut_for(15 * MINUTE);
}

#[test]
fn a_date_to_come_again_counts_from_the_vendors_now() {
    // Our clock says midnight, theirs an hour earlier: they ask for two minutes.
    let reply = answer(429, "")
        .with("date", "Wed, 31 Dec 2025 23:00:00 GMT")
        .with("retry-after", "Wed, 31 Dec 2025 23:02:00 GMT");
    let acme = Acme::new([reply]);
    acme.clock.set_jitter(0.0);
    acme.error();
    acme.stays_shut_for(2 * MINUTE);
}

#[test]
fn a_login_that_was_never_sent_is_not_counted() {
    let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nheaders = { X-Key = \"${key}\" }\n";
    let vault = bootseal::testing::vault([("acme.key", "a\r\nb")], readable).unwrap();
    let source = vault.token_source_with("acme", Arc::new(Clock::new()), Arc::new(Vendor::default())).unwrap();
    source.token_blocking().unwrap_err();
    assert_eq!(source.counts().logins, 0);
}

#[test]
fn an_answer_does_not_show_the_token_in_its_header() {
    let mut headers = HeaderMap::new();
    headers.insert("x-subject-token", HeaderValue::from_static("canary"));
    let answer = LoginResponse { status: 201, headers, body: Secret::copy_of(b"canary").unwrap() };
    assert!(!format!("{answer:?}").contains("canary"), "{answer:?}");
}

// ---- Support

const NEW_YEAR: Duration = Duration::from_secs(1_767_225_600);
const TOKEN: &str = r#"{"access_token":"found"}"#;

/// One account: its source, the clock that it lives by, and its vendor.
struct Acme {
    source: TokenSource,
    clock: Clock,
    /// How many logins have come to their end.
    landings: Counter,
    /// How often the clock was read; it can be held.
    reads: Counter,
    time: Latch,
    vendor: Vendor,
}

impl Acme {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Acme {
        Acme::with("", replies)
    }

    /// `profile` is added to `[acme.login]`; once the replies are used up, login n gives the token `token-n`, for an hour.
    fn with(profile: &str, replies: impl IntoIterator<Item = Reply>) -> Acme {
        let (clock, vendor) = (Clock::new(), Vendor::default());
        *vendor.replies.lock().unwrap() = replies.into_iter().collect();
        let watched = Watched { clock: clock.clone(), ..Watched::default() };
        let (landings, reads, time) = (watched.landings.clone(), watched.reads.clone(), watched.time.clone());
        let source = vault(profile).token_source_with("acme", Arc::new(watched), Arc::new(vendor.clone())).unwrap();
        Acme { source, clock, landings, reads, time, vendor }
    }

    fn token(&self) -> String {
        text(&self.source.token_blocking().unwrap())
    }

    fn error(&self) -> Error {
        self.source.token_blocking().unwrap_err()
    }

    fn sends(&self) -> usize {
        self.vendor.sent.get()
    }

    /// A thousand tasks that wait for a login which is held.
    fn ask_a_thousand_times(&self) -> Vec<tokio::task::JoinHandle<Result<Token, Error>>> {
        let arrivals = Counter::default();
        let ask = |_| {
            let source = self.source.clone();
            tokio::spawn(arriving(arrivals.clone(), async move { source.token().await }))
        };
        let tasks = (0..1000).map(ask).collect();
        arrivals.wait_for(1000);
        tasks
    }

    /// The first login, which takes `time`.
    fn log_in_for(&self, time: Duration) {
        self.vendor.hold();
        let mut asked = pin!(self.source.token());
        assert!(poll_once(asked.as_mut()).is_pending());
        self.vendor.sent.wait_for(1);
        self.clock.advance(time);
        self.vendor.release();
        self.landings.wait_for(1);
    }

    /// Lets `wait` pass, and asks in vain a millisecond before it is over.
    fn stays_shut_for(&self, wait: Duration) {
        let before = self.sends();
        self.clock.advance(wait - MILLISECOND);
        assert_eq!(self.error().retry_after(), Some(MILLISECOND));
        assert_eq!(self.sends(), before);
        self.clock.advance(MILLISECOND);
    }
}

fn vault(profile: &str) -> bootseal::Secrets {
    let json = r#"json = { user = "${username}", password = "${password}" }"#;
    let readable = format!("[acme.login]\nurl = \"https://api.acme.example/login\"\n{json}\n{profile}\n");
    bootseal::testing::vault([("acme.username", "canary-user"), ("acme.password", "canary-password")], &readable)
        .unwrap()
}

/// The test's clock, watched: each login draws once, under the lock under which its result is published.
#[derive(Default)]
struct Watched {
    clock: Clock,
    landings: Counter,
    reads: Counter,
    time: Latch,
}

impl bootseal::Clock for Watched {
    fn monotonic(&self) -> Duration {
        self.reads.add();
        self.time.pass();
        self.clock.monotonic()
    }

    fn unix_time(&self) -> Duration {
        self.clock.unix_time()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.clock.sleep(time)
    }

    fn jitter(&self) -> f64 {
        self.landings.add();
        self.clock.jitter()
    }
}

/// A vendor by script.
#[derive(Clone, Default)]
struct Vendor {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<LoginRequest>>>,
    sent: Counter,
    held: Latch,
}

#[derive(Clone)]
enum Reply {
    Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    },
    Error(TransportError),
    Panic,
    /// Before there is even a future.
    PanicAtOnce,
    Hang,
}

fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer { status, headers: HeaderMap::new(), body: body.to_owned() }
}

fn token(token: &str, seconds: u32) -> Reply {
    answer(200, &format!(r#"{{"access_token":"{token}","expires_in":{seconds}}}"#))
}

impl Reply {
    fn with(mut self, name: &'static str, value: &str) -> Reply {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        self
    }
}

impl Vendor {
    fn hold(&self) {
        self.held.hold();
    }

    fn release(&self) {
        self.held.release();
    }

    fn requests(&self) -> Vec<LoginRequest> {
        self.requests.lock().unwrap().clone()
    }
}

impl Transport for Vendor {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let reply = self.replies.lock().unwrap().pop_front();
        self.requests.lock().unwrap().push(request);
        let number = self.sent.add();
        let reply = reply.unwrap_or_else(|| token(&format!("token-{number}"), 3600));
        // A login has a thread of its own, so it may be blocked.
        self.held.pass();
        assert!(!matches!(reply, Reply::PanicAtOnce), "canary: this panic belongs to a test");
        Box::pin(async move {
            match reply {
                Reply::Answer { status, headers, body } => {
                    Ok(LoginResponse { status, headers, body: Secret::copy_of(body.as_bytes()).unwrap() })
                }
                Reply::Error(error) => Err(error),
                Reply::Hang => std::future::pending().await,
                Reply::Panic | Reply::PanicAtOnce => panic!("canary: this panic belongs to a test"),
            }
        })
    }
}

/// A number that only grows, and that can be waited for.
#[derive(Clone, Default)]
struct Counter(Arc<(Mutex<usize>, Condvar)>);

impl Counter {
    fn add(&self) -> usize {
        let mut count = self.0.0.lock().unwrap();
        *count += 1;
        self.0.1.notify_all();
        *count
    }

    fn get(&self) -> usize {
        *self.0.0.lock().unwrap()
    }

    fn wait_for(&self, count: usize) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |now| *now < count).unwrap());
    }
}

/// Passed at once, but while it is held.
#[derive(Clone, Default)]
struct Latch(Arc<(Mutex<bool>, Condvar)>);

impl Latch {
    fn hold(&self) {
        *self.0.0.lock().unwrap() = true;
    }

    fn release(&self) {
        *self.0.0.lock().unwrap() = false;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        drop(self.0.1.wait_while(self.0.0.lock().unwrap(), |held| *held).unwrap());
    }
}

/// `future`, which says that it has been polled for the first time.
async fn arriving<T>(arrivals: Counter, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let first = poll_once(future.as_mut());
    arrivals.add();
    match first {
        Poll::Ready(done) => done,
        Poll::Pending => future.await,
    }
}

/// Wakes nobody: who goes on polls again.
fn poll_once<T>(future: Pin<&mut impl Future<Output = T>>) -> Poll<T> {
    future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}

fn text(token: &Token) -> String {
    token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
}

fn shown(error: &Error) -> String {
    format!("{error} {error:?} {error:#?} {:?}", error.help())
}

fn jwt(payload: &str) -> String {
    use base64::Engine as _;
    format!("eyJhbGciOiJub25lIn0.{}.c2ln", base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(payload))
}
