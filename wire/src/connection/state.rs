//! The shared state of a connection: its driver records what the peer announces, and the pool reads
//! it before each call.

use crate::connection::windows::Windows;
use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use tokio::sync::Notify;

/// The number of streams that are opened before the peer has sent its settings (hyper's default).
const STREAMS_AT_FIRST: u32 = 100;

/// The bytes that may arrive in HTTP/1.1 before the head of a response is complete, with all interim
/// responses; far more than a head and what is read with it.
const MAX_INTERIM_BYTES: u64 = 1 << 20;
/// The HEADERS frames that a connection may receive, in all and for each call.
const INTERIM_HEADS: u64 = 100;
const HEADS_PER_CALL: u64 = 8;

/// The size up to which the bodies of requests share a connection.
pub(crate) const SMALL_BODY: usize = 16 << 10;
/// The window of a connection at first (RFC 9113 §6.9.2).
const FIRST_WINDOW: i64 = 65_535;

const NO_PING: u8 = 0;
const PING_WANTED: u8 = 1;
const PING_SENT: u8 = 2;

/// The payload of our PING frames.
pub(crate) const PING_PAYLOAD: [u8; 8] = *b"bootseal";

/// The state of one connection.
#[derive(Debug)]
pub(crate) struct ConnectionState {
    /// The number of reads that returned bytes.
    reads: AtomicU64,
    /// The number of bytes read since a request in HTTP/1.1 waits for the head of its response;
    /// `u64::MAX` if none does.
    head_bytes: AtomicU64,
    /// The number of calls ever made, and of HEADERS frames received, in HTTP/2.
    opened: AtomicU64,
    heads: AtomicU64,
    /// The peer's SETTINGS_MAX_CONCURRENT_STREAMS.
    max_streams: AtomicU32,
    /// The peer's SETTINGS_MAX_HEADER_LIST_SIZE.
    max_head: AtomicU32,
    /// The bytes of request bodies that the peer still takes on the whole connection.
    window: AtomicI64,
    /// The windows for the bodies of responses.
    windows: Mutex<Windows>,
    /// Whether [`Windows`] has extensions to send.
    extended: AtomicBool,
    /// Wakes the task that drives the connection.
    driver: Mutex<Option<Waker>>,
    /// Whether the peer has announced that it takes no more calls.
    going_away: AtomicBool,
    ping: AtomicU8,
    /// The number of calls on an HTTP/2 connection.
    calls: AtomicUsize,
    /// Notified when a call ends.
    freed: Arc<Notify>,
}

impl ConnectionState {
    pub(crate) fn new(freed: Arc<Notify>) -> Arc<ConnectionState> {
        Arc::new(ConnectionState {
            reads: AtomicU64::new(0),
            head_bytes: AtomicU64::new(u64::MAX),
            opened: AtomicU64::new(0),
            heads: AtomicU64::new(0),
            max_streams: AtomicU32::new(STREAMS_AT_FIRST),
            max_head: AtomicU32::new(u32::MAX),
            window: AtomicI64::new(FIRST_WINDOW),
            windows: Mutex::default(),
            extended: AtomicBool::new(false),
            driver: Mutex::default(),
            going_away: AtomicBool::new(false),
            ping: AtomicU8::new(NO_PING),
            calls: AtomicUsize::new(0),
            freed,
        })
    }

    pub(crate) fn count_read(&self) {
        self.reads.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// From now on, a request waits for the head of its response.
    pub(crate) fn begin_head(&self) {
        self.head_bytes.store(0, Ordering::Relaxed);
    }

    /// The head of the response has arrived.
    pub(crate) fn end_head(&self) {
        self.head_bytes.store(u64::MAX, Ordering::Relaxed);
    }

    /// Counts bytes that were read in HTTP/1.1. Returns whether a request has waited for too many.
    pub(crate) fn count_head_bytes(&self, bytes: usize) -> bool {
        let before = self.head_bytes.load(Ordering::Relaxed);
        if before == u64::MAX {
            return false;
        }
        self.head_bytes.store(before + bytes as u64, Ordering::Relaxed);
        before + bytes as u64 > MAX_INTERIM_BYTES
    }

    pub(crate) fn count_heads(&self) {
        self.heads.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether far more heads than calls have arrived: a flood of interim responses.
    pub(crate) fn is_flooded(&self) -> bool {
        let opened = self.opened.load(Ordering::Relaxed);
        self.heads.load(Ordering::Relaxed) > INTERIM_HEADS + HEADS_PER_CALL * opened
    }

    pub(crate) fn max_head(&self) -> u32 {
        self.max_head.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max_head(&self, bytes: u32) {
        self.max_head.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn max_streams(&self) -> u32 {
        self.max_streams.load(Ordering::Relaxed)
    }

    pub(crate) fn set_max_streams(&self, streams: u32) {
        self.max_streams.store(streams, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Counts bytes of request bodies that were sent.
    pub(crate) fn use_window(&self, bytes: usize) {
        self.window.fetch_sub(bytes as i64, Ordering::Relaxed);
    }

    pub(crate) fn extend_window(&self, bytes: u32) {
        if self.window.fetch_add(i64::from(bytes), Ordering::Relaxed) < SMALL_BODY as i64 {
            self.freed.notify_one();
        }
    }

    /// Whether uploads that the peer does not read have used up the window of the connection, so that
    /// even a small body would wait for them.
    fn is_full(&self) -> bool {
        self.window.load(Ordering::Relaxed) < SMALL_BODY as i64
    }

    pub(crate) fn windows(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head of a call is sent on `stream`.
    pub(crate) fn open_stream(&self, number: Option<u64>, stream: u32) {
        if self.windows().open(number, stream) {
            self.extended.store(true, Ordering::Relaxed);
        }
    }

    /// The extensions of windows that must be sent now; the caller sends them.
    pub(crate) fn take_extensions(&self) -> Vec<(u32, u32)> {
        match self.extended.swap(false, Ordering::Relaxed) {
            true => self.windows().take_pending(),
            false => Vec::new(),
        }
    }

    /// Whether frames of our own must be sent.
    pub(crate) fn has_frames(&self) -> bool {
        self.extended.load(Ordering::Relaxed) || self.ping.load(Ordering::Relaxed) == PING_WANTED
    }

    /// The task that drives the connection waits for the peer.
    pub(crate) fn set_driver(&self, waker: &Waker) {
        let mut driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner);
        if driver.as_ref().is_none_or(|driver| !driver.will_wake(waker)) {
            *driver = Some(waker.clone());
        }
    }

    fn wake_driver(&self) {
        let driver = self.driver.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    pub(crate) fn is_going_away(&self) -> bool {
        self.going_away.load(Ordering::Relaxed)
    }

    pub(crate) fn set_going_away(&self) {
        self.going_away.store(true, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Asks the peer for a sign of life. Until it answers, the connection takes no new calls.
    pub(crate) fn doubt(&self) {
        let order = Ordering::Relaxed;
        if self.ping.compare_exchange(NO_PING, PING_WANTED, order, order).is_ok() {
            self.wake_driver();
        }
    }

    /// Whether the peer still owes a sign of life.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.ping.load(Ordering::Relaxed) != NO_PING
    }

    /// Whether a PING must be sent now; the caller sends it.
    pub(crate) fn take_ping(&self) -> bool {
        self.ping.load(Ordering::Relaxed) == PING_WANTED
            && self.ping.swap(PING_SENT, Ordering::Relaxed) == PING_WANTED
    }

    pub(crate) fn ping_answered(&self) {
        self.ping.store(NO_PING, Ordering::Relaxed);
        self.freed.notify_one();
    }

    /// Whether no call is on this HTTP/2 connection.
    pub(crate) fn is_idle(&self) -> bool {
        self.calls.load(Ordering::Relaxed) == 0
    }

    /// Takes a place for one more call, if the peer allows it and nothing speaks against it.
    pub(crate) fn take_slot(self: &Arc<ConnectionState>) -> Option<Slot> {
        if self.is_going_away() || self.is_doubtful() || self.is_full() {
            return None;
        }
        let most = self.max_streams() as usize;
        let one_more = |calls: usize| (calls < most).then_some(calls + 1);
        self.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        Some(Slot { state: self.clone(), number: None })
    }
}

/// A call's place on an HTTP/2 connection, until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: Arc<ConnectionState>,
    /// The number of the call's first placeholder, by which its stream is found.
    number: Option<u64>,
}

impl Slot {
    /// The call with this number is about to be sent.
    pub(crate) fn begin(&mut self, number: Option<u64>) {
        self.number = number;
        if let Some(number) = number {
            self.state.windows().begin(number);
        }
    }

    /// Bytes of the response's body are read.
    pub(crate) fn read(&self, bytes: usize) {
        if self.number.is_some_and(|number| self.state.windows().read(number, bytes)) {
            self.state.extended.store(true, Ordering::Relaxed);
            self.state.wake_driver();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            self.state.windows().end(number);
        }
        self.state.calls.fetch_sub(1, Ordering::Relaxed);
        self.state.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> Arc<ConnectionState> {
        ConnectionState::new(Arc::default())
    }

    #[test]
    fn no_more_calls_have_a_place_than_the_peer_allows() {
        let state = state();
        state.set_max_streams(2);
        let (one, two) = (state.take_slot(), state.take_slot());
        assert!(one.is_some() && two.is_some() && state.take_slot().is_none());
        drop(one);
        assert!(state.take_slot().is_some() && !state.is_idle());
        state.set_going_away();
        assert!(state.take_slot().is_none());
    }

    #[test]
    fn a_connection_whose_window_is_used_up_takes_no_call() {
        let state = state();
        state.use_window(65_535);
        assert!(state.take_slot().is_none());
        state.extend_window(SMALL_BODY as u32);
        assert!(state.take_slot().is_some());
    }

    #[test]
    fn a_doubtful_connection_takes_no_call_until_its_peer_answers_one_ping() {
        let state = state();
        state.doubt();
        state.doubt();
        assert!(state.take_slot().is_none());
        assert!(state.take_ping() && !state.take_ping());
        state.doubt();
        assert!(!state.take_ping() && state.take_slot().is_none());
        state.ping_answered();
        assert!(state.take_slot().is_some());
    }
}
