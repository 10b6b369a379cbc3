//! A caller's connection as a stream that passes only strictly framed HTTP/1.1, within time limits.
//!
//! The stream is below the HTTP library. If a request breaks the rules of [`Framing`], the stream
//! replaces the offending byte by one that no parser accepts: the library answers 400, and no byte
//! after it is read.

use crate::framing::connection_state::ConnectionState;
use crate::framing::machine::{Framing, Limits, Phase};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// The replacement of a byte that breaks the rules. No parser accepts the first byte; the rest ends
/// the head, because the library parses a head only when it is complete.
const BREAK: &[u8] = b"\0\r\n\r\n";

/// The time limits for a caller.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// From the beginning of a connection to its first byte.
    pub(crate) first_byte: Duration,
    /// From the first byte of a head to its last.
    pub(crate) head: Duration,
    /// Between two pieces of a body that the HTTP library waits for.
    pub(crate) body_idle: Duration,
    /// Between two calls on one connection.
    pub(crate) keep_alive: Duration,
}

impl Timeouts {
    /// Those of the admin address, whose callers are probes.
    pub(crate) fn of_admin() -> Timeouts {
        let short = Duration::from_secs(5);
        Timeouts { first_byte: short, head: short, body_idle: short, keep_alive: short }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            first_byte: Duration::from_secs(60),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(600),
        }
    }
}

/// A caller's connection whose requests every reader frames in the same way.
#[derive(Debug)]
pub(crate) struct StrictStream<S> {
    stream: S,
    connection: Arc<ConnectionState>,
    framing: Framing,
    timeouts: Timeouts,
    timer: Option<Pin<Box<Sleep>>>,
    /// Bytes were read since the timer was set.
    progress: bool,
    head_since: Option<Instant>,
    /// No byte has come yet.
    unused: bool,
    /// The part of [`BREAK`] that the library has not read yet.
    unread_break: &'static [u8],
}

impl<S> StrictStream<S> {
    pub(crate) fn new(
        stream: S,
        limits: Limits,
        timeouts: Timeouts,
        connection: Arc<ConnectionState>,
    ) -> StrictStream<S> {
        StrictStream {
            stream,
            connection,
            framing: Framing::new(limits),
            timeouts,
            timer: None,
            progress: false,
            head_since: None,
            unused: true,
            unread_break: &[],
        }
    }

    /// Polls the time limit of the current phase; called when there is no byte to read. `Ready(Ok)`
    /// is the end of an idle connection, `Ready(Err)` a caller that is too slow.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let in_flight = self.connection.has_calls();
        let (limit, violation) = match self.framing.phase() {
            Phase::Refused => return Poll::Pending,
            _ if self.connection.is_upgraded() => return Poll::Pending,
            // The caller waits for a response, which may take hours.
            Phase::Idle if in_flight => return Poll::Pending,
            Phase::Idle if self.unused => (self.timeouts.first_byte, Some("no first byte in time")),
            // For HTTP/2, it is only known whether a call is in flight.
            Phase::Idle | Phase::Opaque => (self.timeouts.keep_alive, None),
            Phase::Head => (self.timeouts.head, Some("head not completed in time")),
            Phase::Body => (self.timeouts.body_idle, Some("body stalled")),
        };
        // The limit of a head covers the whole head; every other limit starts over with each byte.
        let since = self.head_since.filter(|_| self.framing.phase() == Phase::Head);
        let until = |now: Instant| since.unwrap_or(now) + limit;
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => {
                self.progress = false;
                none.insert(Box::pin(tokio::time::sleep_until(until(Instant::now()))))
            }
        };
        // One timer serves all phases and is not reset at each byte, which would cost a lock per
        // read. It may be set too late only when a phase with a shorter limit begins.
        if violation.is_some() {
            let until = until(Instant::now());
            if timer.deadline() > until {
                timer.as_mut().reset(until);
                self.progress = false;
            }
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            // The timer fired, but bytes may have come, or the phase may have changed, since it
            // was set.
            let has_time = match since {
                Some(since) => since + limit > now,
                None => std::mem::take(&mut self.progress) || violation.is_none() && in_flight,
            };
            if !has_time {
                break;
            }
            timer.as_mut().reset(until(now));
        }
        self.framing.set_refused();
        match violation {
            None => Poll::Ready(Ok(())),
            Some(why) => {
                self.connection.refuse(why);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, why)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StrictStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.framing.phase() == Phase::Refused {
            let (now, later) =
                self.unread_break.split_at(self.unread_break.len().min(into.remaining()));
            into.put_slice(now);
            self.unread_break = later;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(result) => result?,
            Poll::Pending => return self.poll_timeout(cx),
        }
        let this = &mut *self;
        (this.progress, this.unused) = (true, false);
        this.connection.hear();
        if this.framing.phase() == Phase::Opaque {
            return Poll::Ready(Ok(()));
        }
        if this.connection.is_upgraded() {
            this.framing.set_opaque();
            return Poll::Ready(Ok(()));
        }
        let received = into.filled_mut().get_mut(before..).unwrap_or_default();
        if let Err((at, why)) = this.framing.feed(received) {
            // Take back everything from the offending byte on.
            into.set_filled(before + at);
            let (now, later) = BREAK.split_at(BREAK.len().min(into.remaining()));
            into.put_slice(now);
            this.unread_break = later;
            this.connection.refuse(why);
        } else if this.framing.phase() == Phase::Head {
            this.head_since.get_or_insert_with(Instant::now);
        } else {
            this.head_since = None;
        }
        Poll::Ready(Ok(()))
    }
}

/// Responses to the caller are not framed here; it is only noted whether they wait for the caller.
impl<S: AsyncWrite + Unpin> AsyncWrite for StrictStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.connection.set_blocked(written.is_pending());
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.connection.set_blocked(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.connection.pace.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::framing::machine::PREFACE;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn pair(
        timeouts: Timeouts,
    ) -> (tokio::io::DuplexStream, StrictStream<tokio::io::DuplexStream>, Arc<ConnectionState>)
    {
        let (caller, stream) = tokio::io::duplex(64 * 1024);
        let connection = Arc::new(ConnectionState::default());
        (
            caller,
            StrictStream::new(stream, Limits::default(), timeouts, connection.clone()),
            connection,
        )
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_head_must_be_complete_within_one_time_limit() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        tokio::spawn(async move {
            for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
                if caller.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(900)).await;
            }
            std::future::pending::<()>().await;
        });
        let start = Instant::now();
        let mut read = Vec::new();
        let error = strict.read_to_end(&mut read).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!((10..11).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(connection.refused(), Some("head not completed in time"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_but_not_stall() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        tokio::spawn(async move {
            caller
                .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
                .await
                .unwrap();
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                caller.write_all(b"x").await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let start = Instant::now();
        let mut read = Vec::new();
        assert_eq!(
            strict.read_to_end(&mut read).await.unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert!(
            (250 + 60..250 + 121).contains(&start.elapsed().as_secs()),
            "{:?}",
            start.elapsed()
        );
        assert_eq!(connection.refused(), Some("body stalled"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_and_one_with_a_call_is_not() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        connection.begin_call();
        let mut bytes = [0; 100];
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 27);
        let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
        assert!(hours.is_err(), "a response may take hours");
        connection.end_call();
        let start = Instant::now();
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), 600);
        assert_eq!(connection.refused(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_a_first_byte_is_closed_soon() {
        for (timeouts, limit) in [(Timeouts::default(), 60), (Timeouts::of_admin(), 5)] {
            let (_caller, mut strict, connection) = pair(timeouts);
            let start = Instant::now();
            assert!(strict.read(&mut [0; 100]).await.is_err());
            assert_eq!(start.elapsed().as_secs(), limit);
            assert_eq!(connection.refused(), Some("no first byte in time"));
        }
        let (mut caller, mut strict, connection) = pair(Timeouts::of_admin());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        assert!(strict.read(&mut [0; 100]).await.unwrap() > 0);
        let start = Instant::now();
        assert_eq!(strict.read(&mut [0; 100]).await.unwrap(), 0);
        assert_eq!((start.elapsed().as_secs(), connection.refused()), (5, None));
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_in_http_2_too() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        caller.write_all(PREFACE).await.unwrap();
        let mut bytes = [0; 100];
        assert_eq!(strict.read(&mut bytes).await.unwrap(), PREFACE.len());
        connection.begin_call();
        let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
        assert!(hours.is_err(), "a response may take hours");
        connection.end_call();
        let start = Instant::now();
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
        assert!(start.elapsed().as_secs() <= 600, "{:?}", start.elapsed());
        assert_eq!(connection.refused(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_upgrade_every_byte_passes() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        caller
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
            .await
            .unwrap();
        let mut bytes = [0; 100];
        assert!(strict.read(&mut bytes).await.unwrap() > 0);
        connection.set_upgraded();
        caller.write_all(b"\n\0\r any").await.unwrap();
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_refusal_ends_the_head_even_if_it_is_read_byte_by_byte() {
        let (mut caller, mut strict, _) = pair(Timeouts::default());
        caller.write_all(b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n").await.unwrap();
        let mut read = Vec::new();
        loop {
            let mut bytes = [0; 1];
            match strict.read(&mut bytes).await.unwrap() {
                0 => break,
                _ => read.push(bytes[0]),
            }
        }
        assert_eq!(read, b"GET / HTTP/1.1\r\nX: a\0\r\n\r\n");
    }

    #[tokio::test]
    async fn no_byte_after_the_offending_byte_is_read() {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        caller
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\nGET /2 HTTP/1.1\r\n")
            .await
            .unwrap();
        let mut read = Vec::new();
        strict.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0\r\n\r\n");
        assert_eq!(connection.refused(), Some("line feed without a carriage return"));
    }
}
