//! Log lines about events that may occur thousands of times a second: at most one line in 10 s for
//! each kind, with the number of events.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The shortest interval between two log lines about one kind of event.
pub(crate) const INTERVAL: Duration = Duration::from_secs(10);

/// Counts events by their kind.
#[derive(Debug, Default)]
pub(crate) struct Repeats(Mutex<HashMap<&'static str, Kind>>);

/// When one kind was last logged, and how many events have occurred since.
#[derive(Debug, Default)]
struct Kind {
    last: Option<Instant>,
    unlogged: u64,
}

impl Repeats {
    /// Counts an event. Returns the number of events for a log line, if one is due: the first event
    /// of a kind is logged at once.
    pub(crate) fn count(&self, kind: &'static str) -> Option<u64> {
        self.count_at(kind, Instant::now())
    }

    /// Returns the kinds of which events were not logged for the interval, with their numbers, for a
    /// log line about each.
    pub(crate) fn due(&self) -> Vec<(&'static str, u64)> {
        self.due_at(Instant::now())
    }

    fn due_at(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = kinds.iter_mut().filter(|(_, kind)| kind.unlogged > 0 && kind.is_due(now));
        due.map(|(name, kind)| {
            kind.last = Some(now);
            (*name, std::mem::take(&mut kind.unlogged))
        })
        .collect()
    }

    fn count_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = kinds.entry(kind).or_default();
        kind.unlogged += 1;
        if !kind.is_due(now) {
            return None;
        }
        kind.last = Some(now);
        Some(std::mem::take(&mut kind.unlogged))
    }
}

impl Kind {
    fn is_due(&self, now: Instant) -> bool {
        self.last.is_none_or(|last| now.saturating_duration_since(last) >= INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_event_is_in_the_number_of_one_log_line() {
        let (start, repeats) = (Instant::now(), Repeats::default());
        let lines: Vec<Option<u64>> = [0, 1, 9, 10, 11, 25]
            .map(|seconds| repeats.count_at("one", start + Duration::from_secs(seconds)))
            .to_vec();
        assert_eq!(lines, [Some(1), None, None, Some(3), None, Some(2)]);
        assert_eq!(repeats.count_at("another", start), Some(1));
        let at = |seconds| repeats.due_at(start + Duration::from_secs(seconds));
        assert_eq!(repeats.count_at("one", start + Duration::from_secs(26)), None);
        assert_eq!((at(34), at(35), at(99)), (vec![], vec![("one", 1)], vec![]));
    }
}
