//! A caller's connection as a stream that passes only strictly framed HTTP/1.1, within time limits.
//!
//! The stream is below the HTTP library. If a request breaks the rules of [`Framing`], the stream
//! replaces the offending byte by one that no parser accepts: the library answers 400, and no byte
//! after it is read.

use crate::framing::connection_state::ConnectionState;
use crate::framing::http2_heads::Http2Heads;
use crate::framing::machine::{Framing, Limits, PREFACE, Phase};
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

/// The reason for closing the connection of a caller that is too slow with a head.
const HEAD_TOO_SLOW: &str = "head not completed in time";
/// The reason for closing the connection of a caller that does not read.
const NOT_READ: &str = "response not read in time";

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
    /// Between two pieces of a response that the caller reads.
    pub(crate) unread: Duration,
}

impl Timeouts {
    /// Those of the admin address, whose callers are probes.
    pub(crate) fn of_admin() -> Timeouts {
        let short = Duration::from_secs(5);
        Timeouts {
            first_byte: short,
            head: short,
            body_idle: short,
            keep_alive: short,
            unread: short,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            first_byte: Duration::from_secs(60),
            head: Duration::from_secs(10),
            body_idle: Duration::from_secs(60),
            keep_alive: Duration::from_secs(600),
            unread: Duration::from_secs(60),
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
    /// Bytes were written since the timer was set.
    wrote: bool,
    /// Runs while a write waits for the caller.
    write_timer: Option<Pin<Box<Sleep>>>,
    /// The bytes of the HTTP/2 preface that have not been read, and the heads after it.
    preface_left: usize,
    http2: Http2Heads,
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
            wrote: false,
            write_timer: None,
            preface_left: PREFACE.len(),
            http2: Http2Heads::default(),
            head_since: None,
            unused: true,
            unread_break: &[],
        }
    }

    /// Notes whether bytes after the preface leave a head incomplete.
    fn follow_http2(&mut self, received: &[u8]) {
        self.http2.feed(received);
        self.head_since = match self.http2.in_head() {
            true => self.head_since.or_else(|| Some(Instant::now())),
            false => None,
        };
    }

    /// Notes the result of a write, and polls the time limit of one that waits for the caller.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.connection.set_blocked(written.is_pending());
        if written.is_ready() {
            self.wrote = true;
            self.write_timer = None;
        } else if !self.connection.is_upgraded() {
            let limit = self.timeouts.unread;
            let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            if timer.as_mut().poll(cx).is_ready() {
                self.connection.refuse(NOT_READ);
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, NOT_READ)));
            }
        }
        written
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
            Phase::Opaque if self.http2.in_head() => (self.timeouts.head, Some(HEAD_TOO_SLOW)),
            // The caller gives no window for the rest of a response.
            Phase::Opaque if self.connection.has_unread() => (self.timeouts.unread, Some(NOT_READ)),
            // For HTTP/2, it is only known whether a call is in flight.
            Phase::Idle | Phase::Opaque => (self.timeouts.keep_alive, None),
            Phase::Head => (self.timeouts.head, Some(HEAD_TOO_SLOW)),
            Phase::Body => (self.timeouts.body_idle, Some("body stalled")),
        };
        // The limit of a head covers the whole head; every other limit starts over with each byte.
        let since = self.head_since.filter(|_| violation == Some(HEAD_TOO_SLOW));
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
                None => {
                    let wrote = std::mem::take(&mut self.wrote) && violation == Some(NOT_READ);
                    std::mem::take(&mut self.progress) || wrote || violation.is_none() && in_flight
                }
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
            if !this.connection.is_upgraded() {
                this.follow_http2(into.filled().get(before..).unwrap_or_default());
            }
            return Poll::Ready(Ok(()));
        }
        if this.connection.is_upgraded() {
            this.framing.set_opaque();
            return Poll::Ready(Ok(()));
        }
        let received = into.filled_mut().get_mut(before..).unwrap_or_default();
        let of_preface = this.preface_left.min(received.len());
        this.preface_left -= of_preface;
        if let Err((at, why)) = this.framing.feed(received) {
            // Take back everything from the offending byte on.
            into.set_filled(before + at);
            let (now, later) = BREAK.split_at(BREAK.len().min(into.remaining()));
            into.put_slice(now);
            this.unread_break = later;
            this.connection.refuse(why);
        } else if this.framing.phase() == Phase::Opaque {
            let received = into.filled().get(before..).unwrap_or_default();
            this.follow_http2(received.get(of_preface..).unwrap_or_default());
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
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.written(cx, written)
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
mod tests;
