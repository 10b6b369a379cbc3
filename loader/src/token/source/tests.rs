//! Tests of a token's lifetime with a manual clock.

use super::*;
use crate::login::transport::{LoginRequest, LoginResponse, TransportError};
use std::pin::Pin;

struct Always(&'static str);

impl Transport for Always {
    fn send(
        &self,
        _: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let body = bootseal_core::Secret::copy_of(self.0.as_bytes()).unwrap();
        Box::pin(async { Ok(LoginResponse { status: 200, headers: http::HeaderMap::new(), body }) })
    }
}

#[test]
fn use_extends_the_lifetime_of_an_idle_token_up_to_max_age() {
    let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\nexpiry = { fixed = \"30m\", idle = true }\nmax_age = \"2h\"\n";
    let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
    let clock = crate::testing::Clock::new();
    let transport = Arc::new(Always(r#"{"access_token":"x"}"#));
    let source = vault.token_source_with("acme", Arc::new(clock.clone()), transport).unwrap();
    for _ in 0..12 {
        let token = source.token_blocking().unwrap();
        source.accepted(&token, clock.monotonic());
        clock.advance(Duration::from_secs(600));
    }
    assert_eq!(source.counts().logins, 1, "used every ten minutes");
    source.token_blocking().unwrap();
    assert_eq!(source.counts().logins, 2, "two hours old");
}

#[test]
fn an_idle_lifetime_is_counted_from_when_the_last_call_was_sent() {
    let readable = "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\nexpiry = { fixed = \"30m\", idle = true }\nrefresh_ahead = false\n";
    let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
    let clock = crate::testing::Clock::new();
    let transport = Arc::new(Always(r#"{"access_token":"x"}"#));
    let source = vault.token_source_with("acme", Arc::new(clock.clone()), transport).unwrap();
    let token = source.token_blocking().unwrap();
    let sent = clock.monotonic();
    clock.advance(Duration::from_secs(1700)); // a slow response
    source.accepted(&token, sent);
    clock.advance(Duration::from_secs(100));
    source.token_blocking().unwrap();
    assert_eq!(source.counts().logins, 2);
}

/// A vendor whose clock is three seconds slow. All logins within a minute get the same JWT, which
/// expires at the end of that minute.
struct Minutes(crate::testing::Clock);

impl Minutes {
    fn now(&self) -> u64 {
        self.0.unix_time().as_secs() - 3
    }
}

impl Transport for Minutes {
    fn send(
        &self,
        _: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        use base64::Engine as _;
        let exp = self.now() / 60 * 60 + 60;
        let payload = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\":{exp}}}"));
        let body = bootseal_core::Secret::copy_of(
            format!("{{\"access_token\":\"e30.{payload}.x\"}}").as_bytes(),
        )
        .unwrap();
        Box::pin(async { Ok(LoginResponse { status: 200, headers: http::HeaderMap::new(), body }) })
    }
}

#[test]
fn a_jwt_that_a_vendor_returns_until_it_expires_causes_no_outage() {
    let readable =
        "[acme.login]\nurl = \"https://api.acme.example\"\nform = { key = \"${key}\" }\n";
    let vault = crate::testing::vault([("acme.key", "x")], readable).unwrap();
    let clock = crate::testing::Clock::new();
    let vendor = Minutes(clock.clone());
    let source = vault
        .token_source_with("acme", Arc::new(clock.clone()), Arc::new(Minutes(clock.clone())))
        .unwrap();
    // Ten calls a second, for ten minutes.
    for _ in 0..6000 {
        let is_good = |token: &Token| {
            let claims = token.claims().unwrap();
            claims.trim_start_matches("{\"exp\":").trim_end_matches('}').parse::<u64>().unwrap()
                > vendor.now()
        };
        let mut token = source.token_blocking().unwrap();
        if !is_good(&token) {
            assert!(source.reject(&token));
            token = source.token_blocking().unwrap();
        }
        assert!(is_good(&token));
        source.accepted(&token, clock.monotonic());
        clock.advance(Duration::from_millis(100));
    }
    let logins = source.counts().logins;
    assert!(logins <= 200, "{logins} in ten minutes");
}
