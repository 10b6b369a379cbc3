//! Connection state that the reader of a connection shares with the handler of its calls.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Calls in flight, an agreed upgrade, and the reason for a refusal.
///
/// `Relaxed` is enough for all of them: each flag is independent and guards no other memory.
#[derive(Debug, Default)]
pub(crate) struct ConnectionState {
    in_flight: AtomicUsize,
    opaque: AtomicBool,
    refused: OnceLock<&'static str>,
}

impl ConnectionState {
    /// Counts a call that begins. While a call is in flight, a silent caller is waiting, not idle.
    pub(crate) fn begin_call(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that ends.
    pub(crate) fn end_call(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Marks the connection as upgraded: the bytes that follow are not HTTP.
    pub(crate) fn set_upgraded(&self) {
        self.opaque.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_upgraded(&self) -> bool {
        self.opaque.load(Ordering::Relaxed)
    }

    /// Records why the connection is closed; the first reason stays.
    pub(crate) fn refuse(&self, why: &'static str) {
        let _ = self.refused.set(why);
    }

    /// Returns why the connection was closed, if the gateway closed it.
    pub(crate) fn refused(&self) -> Option<&'static str> {
        self.refused.get().copied()
    }
}
