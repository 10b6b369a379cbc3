//! The stream of a connection, observed: reads are counted and an HTTP/2 peer's frames are scanned.

use crate::connection::frames::FrameScanner;
use crate::connection::state::ConnectionState;
use crate::io::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::coop::poll_proceed;

/// The most that one read takes, so that a response that nobody reads occupies no more than twice as
/// much.
const READ_AT_MOST: usize = 32 << 10;
/// The bytes for which one unit of a task's budget is spent: a task has 128 units until it must let
/// others run.
const BYTES_PER_UNIT: usize = 4 << 10;

/// Spends the budget of the present task, so that an upstream whose bytes are cheap to send does not
/// keep the thread.
fn pay_for(bytes: usize, cx: &mut Context<'_>) {
    for _ in 0..bytes / BYTES_PER_UNIT {
        match poll_proceed(cx) {
            Poll::Ready(unit) => unit.made_progress(),
            Poll::Pending => return,
        }
    }
}

/// A stream whose state others can see.
pub(crate) struct ObservedStream {
    below: Box<dyn Stream>,
    state: Arc<ConnectionState>,
    /// Only in HTTP/2.
    scanner: Option<FrameScanner>,
    /// Whether a write has failed in HTTP/2. The peer may have sent a GOAWAY before it closed the
    /// connection; if HTTP learnt of the failed write first, it would never read that frame, and
    /// could not tell which calls were not processed. So later writes are discarded, and the next
    /// read reports the end.
    broken: bool,
}

impl ObservedStream {
    pub(crate) fn new(
        below: Box<dyn Stream>,
        http2: bool,
        state: Arc<ConnectionState>,
    ) -> ObservedStream {
        let scanner = http2.then(FrameScanner::default);
        ObservedStream { below, state, scanner, broken: false }
    }

    fn discard<T>(&mut self, written: Poll<io::Result<T>>, all: T) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(Err(_)) if self.scanner.is_some() => {
                self.broken = true;
                self.state.set_going_away();
                Poll::Ready(Ok(all))
            }
            written => written,
        }
    }
}

impl AsyncRead for ObservedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.scanner.is_some() {
            this.state.set_driver(cx.waker());
            if this.state.has_frames() && !this.broken {
                // Whether it is complete does not matter here: the task is woken for the rest.
                let flushed = Pin::new(&mut this.below).poll_flush(cx);
                drop(this.discard(flushed, ()));
            }
        }
        let before = into.filled().len();
        if this.scanner.is_none() && into.remaining() > READ_AT_MOST {
            let mut part = ReadBuf::new(into.initialize_unfilled_to(READ_AT_MOST));
            ready!(Pin::new(&mut this.below).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            into.advance(read);
        } else {
            ready!(Pin::new(&mut this.below).poll_read(cx, into))?;
        }
        let bytes = &into.filled()[before..];
        if bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        this.state.count_read();
        let flooded = match &mut this.scanner {
            Some(scanner) => {
                scanner.scan(bytes, &this.state);
                this.state.is_flooded()
            }
            None => this.state.count_head_bytes(bytes.len()),
        };
        if flooded {
            let text = "the upstream sends interim responses without end";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        pay_for(bytes.len(), cx);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ObservedStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all = || given.iter().map(|slice| slice.len()).sum();
        if self.broken {
            return Poll::Ready(Ok(all()));
        }
        let written = Pin::new(&mut self.below).poll_write_vectored(cx, given);
        self.discard(written, all())
    }

    fn is_write_vectored(&self) -> bool {
        self.below.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.broken {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.below).poll_flush(cx);
        self.discard(flushed, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_shutdown(cx)
    }
}
