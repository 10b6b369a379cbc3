//! How long do calls take? Counted by buckets, in place: a recorder that keeps each value until it is asked needs memory for each call.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// As it is named in the metrics.
const NAME: &str = "bootseal_gateway_call_seconds";
/// Microseconds, and as seconds say it: from a call within one machine to the limit of an answer.
const BUCKETS: [(u64, &str); 12] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (250_000, "0.25"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (5_000_000, "5"),
    (30_000_000, "30"),
];

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
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let at = BUCKETS.iter().take_while(|(limit, _)| limit * 1_000 < nanoseconds).count();
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// Its lines in the text format of Prometheus. `route` is the name of a table, in which nothing has to be escaped.
    pub(crate) fn render(&self, route: &str) -> String {
        let mut text = String::new();
        let mut sum = 0;
        let limits = BUCKETS.iter().map(|(_, limit)| *limit).chain(["+Inf"]);
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
}
