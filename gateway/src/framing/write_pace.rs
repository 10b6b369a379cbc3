//! How many bytes of responses wait for a caller in HTTP/1.1.
//!
//! The HTTP library fills a buffer before it writes. For a caller that reads, large writes are
//! cheap; for one that does not, the buffer would stay full. So the buffer is small at first, grows
//! while the caller reads, and is small again once the caller has kept the gateway waiting.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// The number of bytes that wait for a caller of whom it is not known that it reads.
const SMALL: usize = 16 * 1024;
/// After this many bytes without a wait, the caller is one that reads.
const READS: usize = 256 * 1024;

/// The pace at which a caller reads.
#[derive(Debug, Default)]
pub(crate) struct WritePace {
    /// Bytes that the HTTP library got since it last wrote everything.
    waiting: AtomicUsize,
    /// Bytes written since the caller last kept the gateway waiting.
    flowing: AtomicUsize,
    /// The body that waits until everything is written.
    waker: Mutex<Option<Waker>>,
}

/// `Relaxed` is enough: the values are used by the task of one connection, and guard no memory.
impl WritePace {
    fn waker(&self) -> MutexGuard<'_, Option<Waker>> {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the caller reads as fast as the gateway writes.
    pub(crate) fn is_flowing(&self) -> bool {
        self.flowing.load(Ordering::Relaxed) >= READS
    }

    /// Waits until more of a response may be given to the HTTP library.
    pub(crate) fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_flowing() || self.waiting.load(Ordering::Relaxed) < SMALL {
            return Poll::Ready(());
        }
        *self.waker() = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Counts bytes that were given to the HTTP library.
    pub(crate) fn add(&self, bytes: usize) {
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The caller keeps the gateway waiting.
    pub(crate) fn blocked(&self) {
        self.flowing.store(0, Ordering::Relaxed);
    }

    /// Everything was written.
    pub(crate) fn flushed(&self) {
        if self.waiting.load(Ordering::Relaxed) > 0 {
            let written = self.waiting.swap(0, Ordering::Relaxed);
            if !self.is_flowing() {
                self.flowing.fetch_add(written, Ordering::Relaxed);
            }
            if let Some(waker) = self.waker().take() {
                waker.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buffer_grows_while_the_caller_reads_and_shrinks_when_it_stops() {
        let pace = WritePace::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while !pace.is_flowing() {
            assert!(pace.poll_ready(&mut cx).is_ready());
            pace.add(SMALL);
            assert!(pace.poll_ready(&mut cx).is_pending() && pace.waker().is_some());
            pace.flushed();
            assert!(pace.waker().is_none(), "the body was woken");
            written += SMALL;
        }
        assert_eq!(written, READS);
        pace.add(10 * SMALL);
        assert!(pace.poll_ready(&mut cx).is_ready());
        pace.blocked();
        assert!(pace.poll_ready(&mut cx).is_pending());
        pace.flushed();
        assert!(pace.poll_ready(&mut cx).is_ready());
    }
}
