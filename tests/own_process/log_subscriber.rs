//! A log subscriber may ask for a token while it handles an event. The subscriber belongs to the
//! whole process, hence one test.

#![allow(clippy::unwrap_used)] // a test

use bootseal::testing::Clock;
use bootseal::{LoginRequest, LoginResponse, Secret, TokenSource, Transport, TransportError};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

static HEARD: Mutex<Vec<String>> = Mutex::new(Vec::new());
static SOURCE: Mutex<Option<TokenSource>> = Mutex::new(None);

/// Asks for a token at each event.
struct Asks;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Asks {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "bootseal"
    }

    fn event(&self, event: &Event<'_>) {
        let mut text = Text(String::new());
        event.record(&mut text);
        HEARD.lock().unwrap().push(text.0);
        let source = SOURCE.lock().unwrap().clone();
        if let Some(source) = source {
            let _ = source.token_blocking();
            let _ = source.counts();
        }
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Sends these statuses, then tokens.
struct Script(Mutex<VecDeque<u16>>);

impl Transport for Script {
    fn send(
        &self,
        _: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let status = self.0.lock().unwrap().pop_front().unwrap_or(200);
        let body = Secret::copy_of(br#"{"access_token":"t","expires_in":600}"#).unwrap();
        Box::pin(async move { Ok(LoginResponse { status, headers: Default::default(), body }) })
    }
}

#[test]
fn a_log_subscriber_may_ask_for_a_token() {
    tracing::subscriber::set_global_default(Asks).unwrap();
    let login = "[acme.login]\nurl = \"https://api.acme.example\"\nbasic = true\n";
    let vault =
        bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "hunter2")], login)
            .unwrap();
    let (clock, script) = (Clock::new(), Script(Mutex::new([503, 401].into())));
    let source =
        vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(script)).unwrap();
    *SOURCE.lock().unwrap() = Some(source.clone());
    source.token_blocking().unwrap_err();
    clock.advance(Duration::from_secs(1));
    source.token_blocking().unwrap_err();
    source.reset_backoff();
    // Three fresh tokens in a row are rejected, so that the loop guard logs its event too.
    for _ in 0..3 {
        source.reject(&source.token_blocking().unwrap());
    }
    let heard = HEARD.lock().unwrap();
    for word in ["login failed", "refused", "refreshed", "rejected", "fresh_token_rejected"] {
        assert!(heard.iter().any(|text| text.starts_with(word)), "{word}: {heard:?}");
    }
}
