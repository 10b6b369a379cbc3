//! Connection state that the reader of a connection shares with the handler of its calls and with
//! the table of connection places.

use crate::framing::write_pace::WritePace;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Calls in flight, the last sign of life, an agreed upgrade, and the reason for a refusal.
///
/// `Relaxed` is enough for all of them: each value is independent and guards no other memory.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    since: Instant,
    /// The time of the last sign of life, in milliseconds since `since`.
    heard: AtomicU64,
    in_flight: AtomicUsize,
    /// Bytes of a response wait until the caller reads.
    blocked: AtomicBool,
    /// Responses in HTTP/2 of which a piece waits until the caller gives it a window.
    unread: AtomicUsize,
    opaque: AtomicBool,
    refused: OnceLock<&'static str>,
    evicted: Notify,
    pub(crate) pace: WritePace,
}

impl Default for ConnectionState {
    fn default() -> ConnectionState {
        ConnectionState {
            since: Instant::now(),
            heard: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            blocked: AtomicBool::new(false),
            unread: AtomicUsize::new(0),
            opaque: AtomicBool::new(false),
            refused: OnceLock::new(),
            evicted: Notify::new(),
            pace: WritePace::default(),
        }
    }
}

impl ConnectionState {
    /// Counts a call that begins. While a call is in flight, a silent caller is waiting, not idle.
    pub(crate) fn begin_call(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that ends.
    pub(crate) fn end_call(&self) {
        self.hear();
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_calls(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) > 0
    }

    /// Records a sign of life: bytes of the caller, or the end of a call.
    pub(crate) fn hear(&self) {
        let now = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    /// Returns the time of the last sign of life, or of the beginning of the connection.
    pub(crate) fn heard(&self) -> Instant {
        self.since + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// Records whether bytes of a response wait until the caller reads.
    pub(crate) fn set_blocked(&self, blocked: bool) {
        if blocked {
            self.pace.blocked();
        }
        if self.blocked.load(Ordering::Relaxed) != blocked {
            self.blocked.store(blocked, Ordering::Relaxed);
        }
    }

    /// Counts a response in HTTP/2 of which a piece waits until the caller gives it a window.
    pub(crate) fn add_unread(&self) {
        self.unread.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one that waits no longer.
    pub(crate) fn remove_unread(&self) {
        self.unread.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn has_unread(&self) -> bool {
        self.unread.load(Ordering::Relaxed) > 0
    }

    /// Whether nobody would miss the connection: no call is in flight, and no byte of a response
    /// waits.
    pub(crate) fn is_silent(&self) -> bool {
        !self.has_calls() && !self.blocked.load(Ordering::Relaxed)
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

    /// Closes the connection, whose place another one gets.
    pub(crate) fn evict(&self, why: &'static str) {
        self.refuse(why);
        self.evicted.notify_one();
    }

    /// Waits until the connection must be closed.
    pub(crate) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}
