//! Tokens that the vendor rejects before they expire.

use super::*;

#[test]
fn five_hundred_concurrent_rejections_cause_one_login() {
    // For a young token and for one that is older than ten seconds.
    for age in [Duration::ZERO, 11 * SECOND] {
        let acme = Acme::new([]);
        let dead = acme.source.token_blocking().unwrap();
        acme.clock.advance(age);
        // The clock is held, so the first rejection stops where it reads the clock. It continues
        // when all others have started.
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
        // The 500 rejections count as one, so rejecting the second token still starts a login.
        assert!(acme.source.reject(&acme.source.token_blocking().unwrap()));
        assert_eq!(acme.token(), "token-3");
    }
}

#[test]
fn a_rejected_token_is_never_returned_again() {
    let acme = Acme::new([token("first", 3600), answer(502, "")]);
    let dead = acme.source.token_blocking().unwrap();
    assert!(acme.source.reject(&dead));
    assert_eq!(
        acme.error().kind(),
        Kind::LoginDown,
        "its login failed, and the rejected token is not used instead"
    );
    assert!(acme.source.reject(&dead));
    assert_eq!((acme.error().kind(), acme.sends()), (Kind::LoginDown, 2));
}

#[test]
fn a_late_rejection_of_an_older_token_is_ignored() {
    let acme = Acme::new([]);
    let old = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.token();
    acme.landings.wait_for(2);
    assert_eq!(acme.token(), "token-2");
    for _ in 0..100 {
        assert!(acme.source.reject(&old), "there is a newer token, so a replay is worthwhile");
    }
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn a_rejection_during_a_login_does_not_affect_its_token() {
    let acme = Acme::new([]);
    let old = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.vendor.hold();
    acme.token();
    acme.vendor.sent.wait_for(2);
    assert!(acme.source.reject(&old));
    let mut asked = pin!(acme.source.token());
    assert!(
        poll_once(asked.as_mut()).is_pending(),
        "the old token is rejected, so callers wait now"
    );
    acme.vendor.release();
    acme.landings.wait_for(2);
    acme.clock.advance(STALE - MILLISECOND);
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-2", 2));
}

#[test]
fn repeated_rejections_of_fresh_tokens_cause_no_loop() {
    let acme = Acme::new([]);
    for login in 1..=2 {
        let young = acme.source.token_blocking().unwrap();
        assert!(acme.source.reject(&young));
        acme.landings.wait_for(login + 1);
    }
    let third = acme.source.token_blocking().unwrap();
    for _ in 0..1000 {
        assert!(!acme.source.reject(&third), "the caller gets the vendor's response");
    }
    acme.clock.advance(30 * SECOND - MILLISECOND);
    assert!(!acme.source.reject(&third));
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-3", 3));
    acme.clock.advance(MILLISECOND);
    assert!(acme.source.reject(&third));
    assert_eq!((acme.token().as_str(), acme.sends()), ("token-4", 4));
}

#[test]
fn reset_backoff_also_ends_the_loop_guard() {
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
fn tokens_rejected_after_ten_seconds_are_renewed_every_time() {
    let acme = Acme::new([]);
    for login in 1..=20 {
        let token = acme.source.token_blocking().unwrap();
        acme.clock.advance(10 * SECOND);
        assert!(acme.source.reject(&token));
        assert_eq!(acme.token(), format!("token-{}", login + 1));
    }
}

#[test]
fn a_rejection_causes_no_login_during_retry_after() {
    let acme = Acme::new([token("first", 3600), answer(429, "").with("retry-after", "600")]);
    let first = acme.source.token_blocking().unwrap();
    acme.clock.advance(STALE);
    acme.token();
    acme.landings.wait_for(2);
    acme.source.reject(&first);
    assert_eq!((acme.error().kind(), acme.sends()), (Kind::LoginThrottled, 2));
}

#[test]
fn rejected_fresh_tokens_cause_one_login_per_wait() {
    let acme = Acme::new([]);
    for _ in 0..2 {
        assert!(acme.source.reject(&acme.source.token_blocking().unwrap()));
    }
    let third = acme.source.token_blocking().unwrap();
    assert!(!acme.source.reject(&third));
    acme.clock.advance(30 * SECOND);
    assert!(acme.source.reject(&third));
    let fourth = acme.source.token_blocking().unwrap();
    assert!(
        !acme.source.reject(&fourth),
        "the fourth token was rejected as young as the earlier ones: the next wait is a minute"
    );
    acme.clock.advance(MINUTE);
    assert!(acme.source.reject(&fourth));
}

#[test]
fn after_a_token_that_arrived_expired_is_rejected_the_error_states_the_wait() {
    let acme = Acme::new([token("dead", 0)]);
    acme.source.reject(&acme.source.token_blocking().unwrap());
    assert_eq!(acme.error().retry_after(), Some(5 * SECOND));
}

#[test]
fn a_token_of_another_account_cannot_be_rejected() {
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
