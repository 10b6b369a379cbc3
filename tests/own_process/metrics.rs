//! Metrics reach the recorder that the application installed. The recorder belongs to the whole
//! process, hence one test.

#![allow(clippy::unwrap_used)] // a test

use bootseal_vendor_sim::Vendor;
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata,
    SharedString, Unit,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The last value of each gauge, the sum of each counter and the number of records of each
/// histogram, by name and labels.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<BTreeMap<String, f64>>>);

struct One(Heard, String);

impl One {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut all = self.0.0.lock().unwrap();
        let value = all.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for One {
    fn increment(&self, value: u64) {
        self.change(|sum| sum + value as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for One {
    fn increment(&self, value: f64) {
        self.change(|sum| sum + value);
    }
    fn decrement(&self, value: f64) {
        self.change(|sum| sum - value);
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for One {
    fn record(&self, _: f64) {
        self.change(|count| count + 1.0);
    }
}

impl Heard {
    fn one(&self, key: &Key) -> Arc<One> {
        let labels: Vec<String> =
            key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(One(self.clone(), format!("{} {}", key.name(), labels.join(" "))))
    }
}

impl metrics::Recorder for Heard {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.one(key))
    }
}

#[test]
fn logins_rejections_and_replays_are_counted() {
    let heard = Heard::default();
    metrics::set_global_recorder(heard.clone()).ok().unwrap();
    let vendor = Vendor::start_plain().unwrap();
    let readable = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    let values = [("acme.username", "quickstart"), ("acme.password", "open sesame")];
    let source = bootseal::testing::vault(values, &readable).unwrap().token_source("acme").unwrap();
    let client = source.client();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let call = || runtime.block_on(client.get(vendor.url("/orders")).send());
    call().unwrap();
    vendor.revoke_all();
    call().unwrap();
    vendor.refuse(true);
    vendor.revoke_all();
    call().unwrap_err();
    // The first of two passwords is wrong.
    let readable =
        readable.replace("[acme.", "[orders.") + "next = { password = \"password_next\" }\n";
    let values = [
        ("orders.username", "quickstart"),
        ("orders.password", "old"),
        ("orders.password_next", "open sesame"),
    ];
    vendor.refuse(false);
    bootseal::testing::vault(values, &readable)
        .unwrap()
        .token_source("orders")
        .unwrap()
        .token_blocking()
        .unwrap();
    let all = heard.0.lock().unwrap().clone();
    let is = |name: &str, value: f64| assert_eq!(all.get(name), Some(&value), "{name} in {all:?}");
    is("bootseal_login_total profile=acme class=ok", 2.0);
    is("bootseal_login_total profile=acme class=login-refused", 1.0);
    is("bootseal_login_seconds profile=acme", 3.0);
    is("bootseal_token_age_seconds profile=acme", 1.0);
    is("bootseal_rejected_total profile=acme why=revoked", 2.0);
    is("bootseal_replays_total profile=acme result=ok", 1.0);
    is("bootseal_gate profile=acme", 2.0);
    is("bootseal_waiters profile=acme", 0.0);
    is("bootseal_next_in_use profile=orders", 1.0);
    assert!(all["bootseal_expires_in_seconds profile=acme"] > 60.0, "{all:?}");
    assert!(!format!("{all:?}").contains("sesame"));
}
