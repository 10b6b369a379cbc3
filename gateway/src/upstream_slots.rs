//! The number of calls that may have a connection of their own to an upstream at once, so that the
//! descriptors of the process suffice for callers, upstreams and logins.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Slots for connections to upstreams.
#[derive(Debug)]
pub(crate) struct UpstreamSlots {
    limit: usize,
    used: AtomicUsize,
}

/// The slot of one call, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct UpstreamSlot(Option<Arc<UpstreamSlots>>);

impl UpstreamSlots {
    pub(crate) fn new(limit: usize) -> Arc<UpstreamSlots> {
        Arc::new(UpstreamSlots { limit, used: AtomicUsize::new(0) })
    }

    /// Takes a slot. A call whose upstream is `multiplexed` shares a connection with others, and
    /// needs none. Returns `None` if all are in use.
    pub(crate) fn take(self: &Arc<UpstreamSlots>, multiplexed: bool) -> Option<UpstreamSlot> {
        if multiplexed {
            return Some(UpstreamSlot(None));
        }
        // Counted first, so that two calls never take the last slot.
        let slot = UpstreamSlot(Some(self.clone()));
        let before = self.used.fetch_add(1, Ordering::Relaxed);
        (before < self.limit).then_some(slot)
    }
}

impl Drop for UpstreamSlot {
    fn drop(&mut self) {
        if let Some(slots) = &self.0 {
            slots.used.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_after_its_call_and_after_a_refusal() {
        let slots = UpstreamSlots::new(2);
        let (one, two) = (slots.take(false), slots.take(false));
        assert!(one.is_some() && two.is_some());
        assert!(slots.take(false).is_none() && slots.take(false).is_none());
        assert!(slots.take(true).is_some(), "a call that shares a connection needs none");
        drop(one);
        assert!(slots.take(false).is_some());
    }
}
