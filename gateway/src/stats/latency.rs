//! How long do calls take? Counted by buckets, in place: a recorder that keeps each value until it is asked needs memory for each call.

use metrics_exporter_prometheus::formatting::sanitize_label_value;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// As it is named in the metrics.
const NAME: &str = "bootseal_gateway_call_seconds";
/// Seconds; from a call within one machine to the limit of an answer.
pub(crate) const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// What stands above the lines of all routes.
pub(crate) fn heading() -> String {
    format!("# HELP {NAME} From a call's head to its answer's\n# TYPE {NAME} histogram\n")
}

/// The histogram of one route.
#[derive(Debug, Default)]
pub(crate) struct Seconds {
    /// Those above all limits are the last.
    counts: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Seconds {
    pub(crate) fn record(&self, took: Duration) {
        let at = BUCKETS.iter().take_while(|limit| **limit < took.as_secs_f64()).count();
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Its lines in the text format of Prometheus.
    pub(crate) fn render(&self, route: &str) -> String {
        let route = sanitize_label_value(route);
        let mut text = String::new();
        let mut sum = 0;
        let limits = BUCKETS.iter().map(f64::to_string).chain(["+Inf".into()]);
        for (count, limit) in self.counts.iter().zip(limits) {
            sum += count.load(Ordering::Relaxed);
            let _ = writeln!(text, "{NAME}_bucket{{route=\"{route}\",le=\"{limit}\"}} {sum}");
        }
        let seconds = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64();
        let _ = writeln!(text, "{NAME}_sum{{route=\"{route}\"}} {seconds}");
        let _ = writeln!(text, "{NAME}_count{{route=\"{route}\"}} {sum}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_each_bucket_that_is_wide_enough() {
        let seconds = Seconds::default();
        for took in [0, 1_000_000, 1_000_001, 60_000_000_000] {
            seconds.record(Duration::from_nanos(took));
        }
        let text = seconds.render("acme");
        for line in [
            "bootseal_gateway_call_seconds_bucket{route=\"acme\",le=\"0.001\"} 2",
            "bootseal_gateway_call_seconds_bucket{route=\"acme\",le=\"0.0025\"} 3",
            "bootseal_gateway_call_seconds_bucket{route=\"acme\",le=\"30\"} 3",
            "bootseal_gateway_call_seconds_bucket{route=\"acme\",le=\"+Inf\"} 4",
            "bootseal_gateway_call_seconds_sum{route=\"acme\"} 60.002000001",
            "bootseal_gateway_call_seconds_count{route=\"acme\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_routes_name_may_have_quotes() {
        let text = Seconds::default().render(r#""a.b""#);
        assert!(text.ends_with("_count{route=\"\\\"a.b\\\"\"} 0\n"), "{text}");
    }
}
