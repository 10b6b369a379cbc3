//! Commands to the vendor process, and its counts.

use crate::process::{Process, example};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub(crate) struct Vendor(Process);

impl Vendor {
    pub(crate) fn start() -> Vendor {
        Vendor(Process::start(example("memory-vendor", None)))
    }

    fn tell(&mut self, what: Value) -> Value {
        serde_json::from_str(&self.0.ask(&what.to_string())).unwrap()
    }

    fn state(&mut self) -> Value {
        self.tell(json!({ "do": "tell" }))
    }

    pub(crate) fn add_user(&mut self, name: &str, password: &str) {
        self.tell(json!({ "do": "user", "name": name, "password": password }));
    }

    /// Sets the lifetime of new tokens.
    pub(crate) fn lifetime(&mut self, lifetime: Duration) {
        self.tell(json!({ "do": "life", "ms": lifetime.as_millis() }));
    }

    /// Sets the delay of responses.
    pub(crate) fn slow(&mut self, delay: Duration) {
        self.tell(json!({ "do": "slow", "ms": delay.as_millis() }));
    }

    pub(crate) fn revoke(&mut self) {
        self.tell(json!({ "do": "revoke" }));
    }

    /// `login`, `orders` or `ca`.
    pub(crate) fn text(&mut self, name: &str) -> String {
        self.state()[name].as_str().unwrap().to_owned()
    }

    /// The number of `logins` or `calls` so far.
    pub(crate) fn count(&mut self, name: &str) -> u64 {
        self.state()[name].as_u64().unwrap()
    }

    pub(crate) fn wait_for(&mut self, name: &str, count: u64) {
        let begin = Instant::now();
        while self.count(name) < count {
            assert!(
                begin.elapsed() < Duration::from_secs(120),
                "the vendor has not seen {count} {name}"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// All tokens that were ever issued.
    pub(crate) fn tokens(&mut self) -> Vec<Vec<u8>> {
        let state = self.state();
        state["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token.as_str().unwrap().as_bytes().to_vec())
            .collect()
    }
}
