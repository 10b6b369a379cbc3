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
        let bytes = &mut into.filled_mut()[before..];
        let read = bytes.len();
        if read == 0 {
            return Poll::Ready(Ok(()));
        }
        this.state.count_read();
        let flooded = match &mut this.scanner {
            Some(scanner) => {
                scanner.scan(bytes, &this.state);
                this.state.is_flooded()
            }
            None => this.state.count_head_bytes(read),
        };
        if flooded {
            into.set_filled(before);
            let text = "the upstream sends interim responses without end";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        pay_for(read, cx);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// A peer that has sent `sent`, and whose connection no write reaches.
    struct Gone {
        sent: Vec<u8>,
    }

    impl AsyncRead for Gone {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            into: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let bytes = self.sent.len().min(into.remaining());
            into.put_slice(&self.sent[..bytes]);
            self.sent.drain(..bytes);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Gone {
        fn poll_write(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            _: &[u8],
        ) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn observed(sent: Vec<u8>, http2: bool) -> (ObservedStream, Arc<ConnectionState>) {
        let state = ConnectionState::new(Arc::default());
        (ObservedStream::new(Box::new(Gone { sent }), http2, state.clone()), state)
    }

    #[tokio::test]
    async fn a_failed_write_does_not_hide_what_the_peer_had_sent() {
        let goaway = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0];
        let (mut stream, state) = observed(goaway.to_vec(), true);
        stream.write_all(b"a head").await.unwrap();
        stream.flush().await.unwrap();
        assert!(state.is_going_away());
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, goaway);
        // HTTP/1.1 learns it at once.
        let (mut stream, _) = observed(Vec::new(), false);
        assert!(stream.write_all(b"a head").await.is_err());
    }

    #[tokio::test]
    async fn one_read_is_bounded_and_interim_responses_without_end_are_an_error() {
        let (mut stream, state) = observed(vec![b'x'; 4 << 20], false);
        let mut buffer = vec![0; 1 << 20];
        for _ in 0..3 {
            assert_eq!(stream.read(&mut buffer).await.unwrap(), READ_AT_MOST);
        }
        assert_eq!(state.reads(), 3);
        state.begin_head();
        let mut read = 0;
        let error = loop {
            match stream.read(&mut buffer).await {
                Ok(bytes) => read += bytes,
                Err(error) => break error,
            }
        };
        assert_eq!((error.kind(), read), (io::ErrorKind::InvalidData, 1 << 20));
    }

    #[tokio::test]
    async fn more_heads_than_calls_can_have_are_an_error_in_http_2() {
        let head = [0, 0, 0, 1, 4, 0, 0, 0, 1];
        let (mut stream, state) = observed(head.repeat(108), true);
        let _slot = state.take_slot().unwrap();
        let mut read = Vec::new();
        stream.read_to_end(&mut read).await.unwrap();
        let (mut stream, state) = observed(head.repeat(109), true);
        let _slot = state.take_slot().unwrap();
        assert!(stream.read_to_end(&mut read).await.is_err());
    }
}
