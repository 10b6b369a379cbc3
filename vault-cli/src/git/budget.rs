//! The limits of the work that the versions of one file may cause.

use std::time::{Duration, Instant};

/// The maximum number of bytes that are read from all versions together.
pub(super) const MOST_BYTES: u64 = 4 << 30;
/// The maximum time for all versions of one file.
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// The rest of the work that is allowed for one file.
pub(crate) struct Budget {
    bytes: u64,
    until: Instant,
}

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget { bytes: MOST_BYTES, until: Instant::now() + LONGEST }
    }

    pub(crate) fn is_late(&self) -> bool {
        Instant::now() > self.until
    }

    /// Takes `bytes` from the rest. Returns false if that is too much, or too late.
    pub(super) fn spend(&mut self, bytes: u64) -> bool {
        let rest = self.bytes.checked_sub(bytes);
        self.bytes = rest.unwrap_or_default();
        rest.is_some() && !self.is_late()
    }
}
