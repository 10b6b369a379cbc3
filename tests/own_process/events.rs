//! Each event that an operator needs is logged once, under its name. The log belongs to the whole
//! process, hence one test.

#![allow(clippy::unwrap_used)] // a test

use bootseal::testing::Clock;
use bootseal::{LoginRequest, LoginResponse, Secret, TokenSource, Transport, TransportError};
use std::collections::VecDeque;
use std::io::Write;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The events since the last call: the level and the first word of each of our lines.
    fn events(&self) -> Vec<String> {
        let said = String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap();
        let ours = said.lines().filter_map(|line| {
            let (before, after) = line.split_once(" bootseal: ")?;
            let level = before.split_whitespace().last()?.to_owned();
            Some(format!("{level} {}", after.split(':').next()?))
        });
        ours.collect()
    }
}

#[derive(Clone, Default)]
struct Vendor(Arc<Mutex<VecDeque<(u16, &'static str)>>>);

impl Transport for Vendor {
    fn send(
        &self,
        _: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        let (status, body) = self.0.lock().unwrap().pop_front().unwrap();
        let body = Secret::copy_of(body.as_bytes()).unwrap();
        Box::pin(async move { Ok(LoginResponse { status, headers: Default::default(), body }) })
    }
}

const GOOD: (u16, &str) = (200, r#"{"access_token":"t","expires_in":600}"#);
const REFUSED: (u16, &str) = (401, "");

fn acme(more: &str, replies: &[(u16, &'static str)]) -> (TokenSource, Clock) {
    let readable = format!(
        "[acme.login]\nurl = \"https://api.acme.example/\"\njson = {{ u = \"${{username}}\", p = \"${{password}}\" }}\n{more}"
    );
    let values = [("acme.username", "u"), ("acme.password", "p"), ("acme.password_next", "q")];
    let vendor = Vendor(Arc::new(Mutex::new(replies.iter().copied().collect())));
    let clock = Clock::new();
    let vault = bootseal::testing::vault(values, &readable).unwrap();
    (vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(vendor)).unwrap(), clock)
}

#[test]
fn each_event_is_logged_exactly_once() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
    let forget = |log: &Log| drop(log.events());

    // A login and a rejected call: one event, however often the token is rejected.
    let (source, _) = acme("", &[GOOD, GOOD]);
    forget(&log);
    let token = source.token_blocking().unwrap();
    assert_eq!(log.events(), ["INFO refreshed"]);
    (0..5).for_each(|_| assert!(source.reject(&token)));
    source.token_blocking().unwrap();
    let mut events = log.events();
    events.sort();
    assert_eq!(events, ["INFO refreshed", "INFO rejected"]);

    // Refused, requested again and again, and finally accepted.
    let (source, clock) = acme("", &[REFUSED, GOOD]);
    forget(&log);
    (0..5).for_each(|_| drop(source.token_blocking().unwrap_err()));
    assert_eq!(log.events(), ["WARN refused"]);
    clock.advance(900 * SECOND);
    (0..5).for_each(|_| drop(source.token_blocking().unwrap()));
    assert_eq!(log.events(), ["INFO recovered", "INFO refreshed"]);

    // The next password works: logged when this is found out, and not at each login.
    let (source, clock) = acme("next = { password = \"password_next\" }\n", &[REFUSED, GOOD, GOOD]);
    forget(&log);
    source.token_blocking().unwrap();
    assert_eq!(
        log.events(),
        ["WARN these credentials were refused", "WARN next_in_use", "INFO refreshed"]
    );
    clock.advance(600 * SECOND);
    source.token_blocking().unwrap();
    assert_eq!(log.events(), ["INFO refreshed"]);

    // Tokens that are rejected as soon as they arrive.
    let (source, _) = acme("", &[GOOD, GOOD, GOOD]);
    forget(&log);
    for _ in 0..2 {
        source.reject(&source.token_blocking().unwrap());
    }
    let third = source.token_blocking().unwrap();
    (0..5).for_each(|_| assert!(!source.reject(&third)));
    let events = log.events();
    let count = |event: &str| events.iter().filter(|said| said.ends_with(event)).count();
    assert_eq!(
        (count("fresh_token_rejected"), count("INFO rejected"), count("refreshed")),
        (1, 2, 3),
        "{events:?}"
    );
    assert_eq!(events.len(), 6);

    // A token without a lifetime, and one that arrives expired.
    for (answer, event) in [
        ((200, r#"{"access_token":"t"}"#), "WARN expiry_unknown"),
        ((200, r#"{"access_token":"t","expires_in":0}"#), "WARN clock_skew"),
    ] {
        let (source, _) = acme("", &[answer]);
        forget(&log);
        (0..5).for_each(|_| drop(source.token_blocking().unwrap()));
        assert_eq!(log.events(), [event, "INFO refreshed"]);
    }
}
