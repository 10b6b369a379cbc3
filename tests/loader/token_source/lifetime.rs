//! The lifetime of a token: fresh, stale, expired, by both clocks.

use super::*;

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
fn a_stale_token_is_returned_at_once_and_one_login_starts_in_the_background() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(STALE);
    acme.vendor.hold();
    for _ in 0..1000 {
        assert_eq!(acme.token(), "token-1", "the login is held, so no caller waited for it");
    }
    acme.vendor.sent.wait_for(2);
    acme.vendor.release();
    acme.landings.wait_for(2);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn during_an_outage_a_token_is_returned_until_it_expires_and_no_longer() {
    let acme = Acme::new([vec![token("first", 3600)], vec![answer(503, ""); 20]].concat());
    acme.token();
    acme.clock.advance(STALE);
    for failures in 1..=11 {
        assert_eq!(acme.token(), "first");
        acme.landings.wait_for(1 + failures);
        assert_eq!(acme.token(), "first", "a failed login does not remove the token");
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
async fn callers_with_an_expired_token_wait_for_one_login() {
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
fn no_login_is_made_unless_a_token_is_requested() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(24 * 60 * MINUTE);
    assert_eq!(acme.sends(), 1);
}

#[test]
fn without_refresh_ahead_a_login_is_made_only_after_expiry() {
    let acme = Acme::with("refresh_ahead = false", []);
    acme.token();
    acme.clock.advance(DEAD - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_token_without_an_expiry_lasts_until_a_rejection_or_for_a_day() {
    let acme = Acme::with("expiry = \"on-reject\"", []);
    let first = acme.source.token_blocking().unwrap();
    assert_eq!((first.lifetime(), first.expiry_from()), (24 * 60 * MINUTE, ExpiryFrom::OnReject));
    acme.clock.advance(23 * 60 * MINUTE + 58 * MINUTE);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    assert!(acme.source.reject(&first));
    assert_eq!(acme.token(), "token-2");
}

#[test]
fn the_lifetime_of_a_token_starts_when_its_login_is_sent() {
    let acme = Acme::with("refresh_ahead = false", []);
    acme.log_in_for(9 * SECOND);
    acme.clock.advance(DEAD - 9 * SECOND - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_token_ages_while_the_machine_is_suspended() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.advance(10 * MINUTE);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1), "still valid");
    acme.clock.advance(60 * MINUTE);
    assert_eq!(
        (acme.token().as_str(), acme.sends()),
        ("token-2", 2),
        "it expired during the suspension"
    );
}

#[test]
fn a_token_ages_by_whichever_clock_moved() {
    // A suspended machine whose wall clock was held back, then one whose boot clock stopped.
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
fn tokens_of_a_second_or_less_cause_at_most_one_login_a_second() {
    for lifetime in ["1", "0.5", "0.001", "1.9"] {
        let body = format!(r#"{{"access_token":"x","expires_in":{lifetime}}}"#);
        let acme = Acme::new(vec![answer(200, &body); 20]);
        // A call every fifty milliseconds for ten seconds.
        for _ in 0..200 {
            acme.token();
            acme.clock.advance(50 * MILLISECOND);
        }
        assert!((9..=11).contains(&acme.sends()), "{lifetime}: {}", acme.sends());
    }
}

#[test]
fn a_token_that_arrives_expired_does_not_replace_a_valid_one() {
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
fn a_wall_clock_set_forward_ages_a_token_once() {
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
fn a_wall_clock_set_back_does_not_make_a_token_younger() {
    let acme = Acme::new([]);
    acme.token();
    acme.clock.set_unix_time(NEW_YEAR - 24 * 60 * MINUTE);
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-1", 1));
    acme.clock.advance(DEAD - STALE + MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_clock_skew_of_an_hour_causes_no_login_loop_and_no_expired_token() {
    // The vendor's clock when ours shows midnight.
    for (there, date) in [
        (NEW_YEAR - 60 * MINUTE, "Wed, 31 Dec 2025 23:00:00 GMT"),
        (NEW_YEAR + 60 * MINUTE, "Thu, 01 Jan 2026 01:00:00 GMT"),
    ] {
        let jwt = jwt(&format!(r#"{{"exp":{}}}"#, there.as_secs() + 600));
        let acme = Acme::new(vec![
            answer(200, &format!(r#"{{"access_token":"{jwt}"}}"#))
                .with("date", date);
            2
        ]);
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
fn a_token_that_arrives_expired_is_kept_5_seconds_and_causes_no_loop() {
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

#[test]
fn a_token_that_arrives_expired_is_kept_5_seconds_after_a_slow_login() {
    let acme = Acme::new([token("dead", 0)]);
    acme.log_in_for(6 * SECOND);
    acme.clock.advance(5 * SECOND - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("dead", 1));
}

#[test]
fn a_token_that_expires_during_its_login_causes_no_loop() {
    let acme = Acme::new(vec![token("short", 2); 3]);
    acme.log_in_for(3 * SECOND);
    acme.vendor.hold();
    let mut asked = pin!(acme.source.token());
    assert!(
        poll_once(asked.as_mut()).is_ready(),
        "a token or an error is kept for a moment: no login at each call"
    );
    acme.vendor.release();
}
