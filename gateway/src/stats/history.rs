//! Calls and errors of the last hour, minute by minute, for the chart of the status page.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub(crate) const MINUTES: usize = 60;

/// The counts of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    pub(crate) calls: u32,
    pub(crate) errors: u32,
}

/// A ring of the last 60 minutes.
#[derive(Debug)]
pub(crate) struct History {
    since: Instant,
    ring: Mutex<Ring>,
}

#[derive(Debug)]
struct Ring {
    minutes: [Minute; MINUTES],
    /// The newest minute, counted from the start.
    newest: u64,
}

impl History {
    pub(crate) fn new(now: Instant) -> History {
        History {
            since: now,
            ring: Mutex::new(Ring { minutes: [Minute::default(); MINUTES], newest: 0 }),
        }
    }

    pub(crate) fn count(&self, now: Instant, error: bool) {
        let mut ring = self.advanced_to(now);
        let at = (ring.newest % MINUTES as u64) as usize;
        let minute = &mut ring.minutes[at];
        minute.calls = minute.calls.saturating_add(1);
        minute.errors = minute.errors.saturating_add(u32::from(error));
    }

    /// Returns the 60 minutes up to `now`, the oldest first.
    pub(crate) fn hour(&self, now: Instant) -> Vec<Minute> {
        let ring = self.advanced_to(now);
        (1..=MINUTES as u64)
            .map(|step| ring.minutes[((ring.newest + step) % MINUTES as u64) as usize])
            .collect()
    }

    fn advanced_to(&self, now: Instant) -> MutexGuard<'_, Ring> {
        let minute = now.saturating_duration_since(self.since).as_secs() / 60;
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = minute.saturating_sub(ring.newest).min(MINUTES as u64);
        // Clears every minute that passed without a call, at most the whole ring.
        for step in 1..=passed {
            let at = ((ring.newest + step) % MINUTES as u64) as usize;
            ring.minutes[at] = Minute::default();
        }
        ring.newest = ring.newest.max(minute);
        ring
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn only_the_last_hour_is_counted() {
        let start = Instant::now();
        let history = History::new(start);
        let at = |minutes: u64| start + Duration::from_secs(60 * minutes + 1);
        history.count(at(0), false);
        history.count(at(0), true);
        history.count(at(2), false);
        let newest = |now| history.hour(now).split_off(MINUTES - 3);
        let minute = |calls, errors| Minute { calls, errors };
        assert_eq!(newest(at(2)), [minute(2, 1), minute(0, 0), minute(1, 0)]);
        assert_eq!(newest(at(4)), [minute(1, 0), minute(0, 0), minute(0, 0)]);
        assert_eq!(history.hour(at(59))[0], minute(2, 1), "59 minutes ago");
        assert_eq!(history.hour(at(60))[..2], [minute(0, 0), minute(1, 0)]);
        assert!(history.hour(at(500)).iter().all(|minute| minute.calls == 0));
    }
}
