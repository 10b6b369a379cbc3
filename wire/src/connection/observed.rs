//! The stream of a connection, observed: reads are counted and an HTTP/2 peer's frames are scanned.

use crate::connection::frames::FrameScanner;
use crate::connection::state::ConnectionState;
use crate::io::Stream;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

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
        let before = into.filled().len();
        ready!(Pin::new(&mut this.below).poll_read(cx, into))?;
        let bytes = &into.filled()[before..];
        if !bytes.is_empty() {
            this.state.count_read();
            if let Some(scanner) = &mut this.scanner {
                scanner.scan(bytes, &this.state);
            }
        }
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
