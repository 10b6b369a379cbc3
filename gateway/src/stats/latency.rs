//! Latency histogram of one route, updated in place.
//!
//! The histograms of the metrics exporter remain for the loader's logins, which are rare. They keep
//! every recorded value, with its time, until the next scrape or upkeep; at 30 000 calls a second
//! that would be megabytes of queued values, and a clock reading for each call. Here a call costs
//! two relaxed additions.

use metrics_exporter_prometheus::formatting::sanitize_label_value;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The name of the metric.
const NAME: &str = "bootseal_gateway_call_seconds";
/// Upper limits in seconds: from a call within one machine to a very slow response.
pub(crate) const BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Returns the lines that precede those of all routes.
pub(crate) fn heading() -> String {
    format!(
        "# HELP {NAME} Seconds from the head of a call to the head of its response\n# TYPE {NAME} histogram\n"
    )
}

/// Counts per bucket, and the sum of all durations.
#[derive(Debug, Default)]
pub(crate) struct LatencyHistogram {
    /// The last bucket counts durations above every limit.
    counts: [AtomicU64; BUCKETS.len() + 1],
    nanoseconds: AtomicU64,
}

impl LatencyHistogram {
    pub(crate) fn record(&self, took: Duration) {
        let bucket = BUCKETS.iter().take_while(|limit| **limit < took.as_secs_f64()).count();
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Renders the histogram in the text format of Prometheus.
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
    fn a_call_is_counted_in_each_bucket_whose_limit_it_meets() {
        let latency = LatencyHistogram::default();
        for took in [0, 1_000_000, 1_000_001, 60_000_000_000] {
            latency.record(Duration::from_nanos(took));
        }
        let text = latency.render("acme");
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
        let text = LatencyHistogram::default().render(r#""a.b""#);
        assert!(text.ends_with("_count{route=\"\\\"a.b\\\"\"} 0\n"), "{text}");
    }
}
