//! Is what a caller sends HTTP/1.1 that everyone reads alike? What two readers could take for different requests ends here.
//!
//! A stream below the HTTP library, which is lenient as libraries have to be: it takes bare line feeds, and passes over a length beside chunks. Here
//! each request is framed by the letter of RFC 9112, and where one breaks it, the byte that does is replaced by what no parser takes: the
//! library answers 400, and nothing behind it is read.

use memchr::{memchr, memchr2};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// What a client of HTTP/2 says first (RFC 9113 §3.4). Its frames have lengths of their own.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How much of it a request line is.
const REQUEST_LINE: usize = 16;
/// Where one breaks it: no parser takes the first byte, and what follows ends the head, for which the library waits.
const BREAK: &[u8] = b"\0\r\n\r\n";
/// A chunk's size: 8 digits, and the end of the line.
const SIZE_LINE: usize = 10;

/// How long a request may be, in bytes and in time.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a head, or of trailers.
    pub head: usize,
    /// Bytes of the request line.
    pub line: usize,
    /// Header lines.
    pub lines: usize,
    /// From the first byte of a head to its last.
    pub head_within: Duration,
    /// Without a byte of a body that somebody waits for.
    pub body_idle: Duration,
    /// Without a call, on a connection that is kept.
    pub keep_idle: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head: 32 * 1024,
            line: 16 * 1024,
            lines: 100,
            head_within: Duration::from_secs(10),
            body_idle: Duration::from_secs(60),
            keep_idle: Duration::from_secs(600),
        }
    }
}

/// What the reader of a connection and the service that answers on it tell each other.
#[derive(Debug, Default)]
pub struct Watch {
    in_flight: AtomicUsize,
    opaque: AtomicBool,
    refused: OnceLock<&'static str>,
}

impl Watch {
    /// A call began: until it ends, a silent caller is one that waits.
    pub fn begin(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// A call ended.
    pub fn end(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Another protocol was agreed on: what comes from here on is not HTTP.
    pub fn upgraded(&self) {
        self.opaque.store(true, Ordering::Relaxed);
    }

    /// Why the connection was ended, where it was.
    pub fn refused(&self) -> Option<&'static str> {
        self.refused.get().copied()
    }
}

/// A connection of a caller, whose requests are what they seem.
#[derive(Debug)]
pub struct Strict<S> {
    stream: S,
    watch: Arc<Watch>,
    framing: Framing,
    timer: Option<Pin<Box<Sleep>>>,
    /// Something came in since the timer was set.
    progress: bool,
    head_since: Option<Instant>,
    /// Of [`BREAK`], what is still to be read.
    end: &'static [u8],
}

impl<S> Strict<S> {
    /// Holds what comes from `stream` to `limits`.
    pub fn new(stream: S, limits: Limits, watch: Arc<Watch>) -> Strict<S> {
        Strict {
            stream,
            watch,
            framing: Framing::new(limits),
            timer: None,
            progress: false,
            head_since: None,
            end: &[],
        }
    }

    fn refuse(&self, why: &'static str) {
        let _ = self.watch.refused.set(why);
    }

    /// Nothing is there to be read: is it time to give up? `true`: the stream ends.
    fn waits(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let limits = self.framing.limits;
        let in_flight = self.watch.in_flight.load(Ordering::Relaxed) > 0;
        let (limit, what) = match &self.framing.at {
            At::Refused => return Poll::Pending,
            _ if self.watch.opaque.load(Ordering::Relaxed) => return Poll::Pending,
            At::Line { .. } if self.framing.head_is_empty() && in_flight => return Poll::Pending,
            // Of HTTP/2 all that is known is whether a call runs.
            At::Opaque | At::Preface(0) => (limits.keep_idle, None),
            At::Line { .. } if self.framing.head_is_empty() => (limits.keep_idle, None),
            At::Preface(_) | At::Line { trailers: false, .. } => (limits.head_within, Some("a head that does not end")),
            _ => (limits.body_idle, Some("a body that does not go on")),
        };
        // A head has its time as a whole; for all else each byte starts it anew.
        let since = self.head_since.filter(|_| limit == limits.head_within && what.is_some());
        let until = |now: Instant| since.unwrap_or(now) + limit;
        let timer = match &mut self.timer {
            Some(timer) => timer,
            none => {
                self.progress = false;
                none.insert(Box::pin(tokio::time::sleep_until(until(Instant::now()))))
            }
        };
        if what.is_some() {
            let until = until(Instant::now());
            if timer.deadline() > until {
                timer.as_mut().reset(until);
                self.progress = false;
            }
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            let now = Instant::now();
            let left = match since {
                Some(since) => since + limit > now,
                None => std::mem::take(&mut self.progress) || what.is_none() && in_flight,
            };
            if !left {
                break;
            }
            timer.as_mut().reset(until(now));
        }
        self.framing.at = At::Refused;
        match what {
            None => Poll::Ready(Ok(())),
            Some(what) => {
                self.refuse(what);
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Strict<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if matches!(self.framing.at, At::Refused) {
            let (now, later) = self.end.split_at(self.end.len().min(into.remaining()));
            into.put_slice(now);
            self.end = later;
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(result) => result?,
            Poll::Pending => return self.waits(cx),
        }
        let this = &mut *self;
        this.progress = true;
        if matches!(this.framing.at, At::Opaque) {
            return Poll::Ready(Ok(()));
        }
        if this.watch.opaque.load(Ordering::Relaxed) {
            this.framing.at = At::Opaque;
            return Poll::Ready(Ok(()));
        }
        let came = into.filled_mut().get_mut(before..).unwrap_or_default();
        if let Err((at, why)) = this.framing.feed(came) {
            into.set_filled(before + at);
            let (now, later) = BREAK.split_at(BREAK.len().min(into.remaining()));
            into.put_slice(now);
            this.end = later;
            this.framing.at = At::Refused;
            this.refuse(why);
        } else if this.framing.in_head() {
            this.head_since.get_or_insert_with(Instant::now);
        } else {
            this.head_since = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Strict<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Why a byte cannot stand where it does.
type Wrong = &'static str;

/// Where in its requests a stream is.
#[derive(Debug)]
struct Framing {
    limits: Limits,
    at: At,
    /// The beginning of a line whose end is still to come.
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug)]
enum At {
    /// So much of HTTP/2's first words was said.
    Preface(usize),
    /// In a head, or in trailers.
    Line {
        trailers: bool,
    },
    Size,
    /// Data of a body, and whether it is a chunk's.
    Data {
        left: u64,
        chunked: bool,
    },
    /// Behind a chunk's data: whether its carriage return was there.
    DataEnd {
        returned: bool,
    },
    Opaque,
    Refused,
}

/// What a head has said so far.
#[derive(Debug, Default)]
struct Head {
    bytes: usize,
    lines: usize,
    http_1_0: bool,
    hosts: u8,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    fn new(limits: Limits) -> Framing {
        Framing { limits, at: At::Preface(0), line: Vec::new(), head: Head::default() }
    }

    fn head_is_empty(&self) -> bool {
        self.head.bytes == 0
    }

    fn in_head(&self) -> bool {
        match self.at {
            At::Preface(said) => said > 0,
            At::Line { trailers } => !trailers && self.head.bytes > 0,
            _ => false,
        }
    }

    /// # Errors
    /// Which of these bytes no request may have there, and why.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), (usize, Wrong)> {
        let mut from = 0;
        if let At::Preface(said) = self.at {
            let same = PREFACE[said..].iter().zip(bytes).take_while(|(one, other)| one == other).count();
            let said = said + same;
            if said == PREFACE.len() {
                self.at = At::Opaque;
                return Ok(());
            }
            if same == bytes.len() {
                self.at = At::Preface(said);
                return Ok(());
            }
            // It is HTTP/1 that begins alike, as POST does.
            self.at = At::Line { trailers: false };
            if said > REQUEST_LINE {
                // Its request line has passed, whichever piece that came in: what is refused is the byte that differs.
                return Err((same, "another version than HTTP/1.1 and 1.0"));
            }
            self.lines(&PREFACE[..said - same]).map_err(|(_, why)| (0, why))?;
        }
        while from < bytes.len() {
            let rest = &bytes[from..];
            let used = match self.at {
                At::Line { .. } | At::Size => self.lines(rest),
                At::Data { left, chunked } => {
                    let now = left.min(rest.len() as u64);
                    self.at = match (left - now, chunked) {
                        (0, true) => At::DataEnd { returned: false },
                        (0, false) => self.next_request(),
                        (left, chunked) => At::Data { left, chunked },
                    };
                    Ok(now as usize)
                }
                At::DataEnd { returned } => {
                    let wanted = if returned { b'\n' } else { b'\r' };
                    if rest[0] != wanted {
                        return Err((from, "a chunk that is longer than it says"));
                    }
                    self.at = if returned { At::Size } else { At::DataEnd { returned: true } };
                    Ok(1)
                }
                At::Preface(_) | At::Opaque | At::Refused => return Ok(()),
            };
            from += used.map_err(|(at, why)| (from + at, why))?;
        }
        Ok(())
    }

    fn next_request(&mut self) -> At {
        self.head = Head::default();
        At::Line { trailers: false }
    }

    /// Reads one line, or the beginning of one, and returns how many bytes it has.
    ///
    /// # Errors
    /// The first byte that cannot stand there. It is the same byte however the stream is cut into pieces: what was refused later in one cut than in
    /// another would let bytes through that the caller could choose.
    fn lines(&mut self, bytes: &[u8]) -> Result<usize, (usize, Wrong)> {
        let in_head = self.limits.head - self.head.bytes;
        let room = match self.at {
            At::Size => SIZE_LINE - self.line.len(),
            _ if self.head.lines == 0 => in_head.min(self.limits.line - self.line.len()),
            _ => in_head,
        };
        let end = self.end_of_line(bytes);
        let length = match end {
            Ok(Some(at)) | Err((at, _)) => at + 1,
            Ok(None) => bytes.len(),
        };
        if length > room {
            return Err((room, "more than fits"));
        }
        if !matches!(self.at, At::Size) {
            self.head.bytes += length;
        }
        let Some(end) = end? else {
            self.line.extend_from_slice(bytes);
            return Ok(length);
        };
        let mut carried = std::mem::take(&mut self.line);
        let line = if carried.is_empty() {
            &bytes[..end]
        } else {
            carried.extend_from_slice(&bytes[..end]);
            &carried
        };
        let read = self.line(line.strip_suffix(b"\r").unwrap_or(line));
        carried.clear();
        self.line = carried;
        read.map_err(|why| (end, why))?;
        Ok(length)
    }

    /// The line feed that ends the current line, where it is among `bytes`. A carriage return and a line feed stand in a line only as its end.
    fn end_of_line(&self, bytes: &[u8]) -> Result<Option<usize>, (usize, Wrong)> {
        let returned = match self.line.last() {
            Some(b'\r') => 0,
            _ => match memchr2(b'\r', b'\n', bytes) {
                None => return Ok(None),
                Some(at) if bytes[at] == b'\n' => return Err((at, "a line that ends without a carriage return")),
                Some(at) => at + 1,
            },
        };
        match bytes.get(returned) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(returned)),
            Some(_) => Err((returned, "a carriage return within a line")),
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        match self.at {
            At::Size => self.size(line),
            At::Line { trailers: true } => match line {
                b"" => {
                    self.at = self.next_request();
                    Ok(())
                }
                line => {
                    let (name, _) = self.field(line)?;
                    let framing = ["content-length", "transfer-encoding", "host", "trailer"];
                    match framing.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes())) {
                        true => Err("a trailer that belongs into a head"),
                        false => Ok(()),
                    }
                }
            },
            _ if self.head.lines == 0 => self.request_line(line),
            _ if line.is_empty() => self.end_of_head(),
            _ => self.header(line),
        }
    }

    /// RFC 9112 §3: `method SP target SP version`, and nothing that is not seen.
    fn request_line(&mut self, line: &[u8]) -> Result<(), Wrong> {
        self.head.lines = 1;
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("a request line that is none");
        };
        if method.is_empty() || !is_token(method) {
            return Err("a method that is none");
        }
        // A fragment is for the caller alone (RFC 9112 §3.2): one reader would cut it off, another not.
        if target.is_empty()
            || target.iter().fold(false, |found, byte| found | !byte.is_ascii_graphic() | (*byte == b'#'))
        {
            return Err("a target that is none");
        }
        self.head.http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err("another version than HTTP/1.1 and 1.0"),
        };
        Ok(())
    }

    /// RFC 9112 §5: no space ahead of the colon, no line that goes on another, no control characters.
    fn field<'a>(&mut self, line: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Wrong> {
        self.head.lines += 1;
        if self.head.lines > self.limits.lines + 1 {
            return Err("too many headers");
        }
        let colon = memchr(b':', line).ok_or("a header without a colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !is_token(name) {
            return Err("a header's name that is none");
        }
        // Not `any`: this is looked at sixteen at a time.
        if value.iter().fold(false, |found, byte| found | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f)) {
            return Err("a control character in a header");
        }
        Ok((name, value))
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Wrong> {
        let (name, value) = self.field(line)?;
        let head = &mut self.head;
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is(b"host") => {
                head.hosts = head.hosts.saturating_add(1);
                if head.hosts > 1 {
                    return Err("two hosts");
                }
            }
            14 if is(b"content-length") => {
                let value = value.trim_ascii();
                if head.length.is_some() {
                    return Err("two lengths");
                }
                if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
                    return Err("a length that is none");
                }
                head.length = Some(value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')));
            }
            17 if is(b"transfer-encoding") => {
                if head.chunked {
                    return Err("two transfer encodings");
                }
                if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err("another transfer encoding than chunked");
                }
                head.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// RFC 9112 §6.3, and where it leaves a choice, no.
    fn end_of_head(&mut self) -> Result<(), Wrong> {
        let head = &self.head;
        if head.chunked && head.length.is_some() {
            return Err("a length beside chunks");
        }
        if head.chunked && head.http_1_0 {
            return Err("chunks in HTTP/1.0");
        }
        if head.hosts == 0 && !head.http_1_0 {
            return Err("no host");
        }
        self.at = match (head.chunked, head.length) {
            (true, _) => At::Size,
            (false, Some(left)) if left > 0 => At::Data { left, chunked: false },
            _ => self.next_request(),
        };
        Ok(())
    }

    /// RFC 9112 §7.1, without extensions: nobody needs them, and their ends are read in different ways.
    fn size(&mut self, line: &[u8]) -> Result<(), Wrong> {
        if line.is_empty() || line.len() > 8 {
            return Err("a chunk's size that is none");
        }
        let mut size = 0;
        for digit in line {
            let value = char::from(*digit).to_digit(16).ok_or("a chunk's size that is none")?;
            size = size << 4 | u64::from(value);
        }
        self.at = if size == 0 {
            (self.head.bytes, self.head.lines) = (0, 1);
            At::Line { trailers: true }
        } else {
            At::Data { left: size, chunked: true }
        };
        Ok(())
    }
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    text.iter().all(|byte| TOKEN[usize::from(*byte)])
}

static TOKEN: [bool; 256] = {
    let mut token = [false; 256];
    let marks = b"!#$%&'*+-.^_`|~";
    let mut at = 0;
    while at < 256 {
        token[at] = (at as u8).is_ascii_alphanumeric();
        at += 1;
    }
    at = 0;
    while at < marks.len() {
        token[marks[at] as usize] = true;
        at += 1;
    }
    token
};

/// For the fuzzer: what becomes of a stream that comes in these pieces. The bytes that pass, and whether it was refused.
#[doc(hidden)]
pub fn fuzzed(pieces: &[&[u8]]) -> (Vec<u8>, bool) {
    let mut framing = Framing::new(Limits::default());
    let mut passed = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
        match framing.feed(piece) {
            Ok(()) => passed.extend_from_slice(piece),
            Err((at, _)) => {
                passed.extend_from_slice(&piece[..at]);
                return (passed, true);
            }
        }
    }
    (passed, false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn refusal(stream: &str) -> Option<Wrong> {
        Framing::new(Limits::default()).feed(stream.as_bytes()).err().map(|(_, why)| why)
    }

    #[test]
    fn what_is_by_the_letter_passes() {
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X-A: b\r\n".repeat(98));
        for stream in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.0\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nhost:a\r\n\r\n",
            "GET http://a/b?c HTTP/1.1\r\nHost: a\r\nX: \t b\u{e4}\t\r\nX:\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\na\r\n\0bGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\na\r\n\0b\r\n00a\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0",
            &long,
        ] {
            assert_eq!(refusal(stream), None, "{stream}");
        }
    }

    #[test]
    fn each_form_of_smuggling_is_refused() {
        let get = |headers: &str| format!("GET / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let chunks = |chunks: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        for (stream, why) in [
            (get("Content-Length: 5\r\nContent-Length: 5\r\n"), "two lengths"),
            (get("Content-Length: 5\r\ncontent-length: 6\r\n"), "two lengths"),
            (get("Content-Length: 5, 5\r\n"), "a length that is none"),
            (get("Content-Length: +5\r\n"), "a length that is none"),
            (get("Content-Length: -1\r\n"), "a length that is none"),
            (get("Content-Length: 0x5\r\n"), "a length that is none"),
            (get("Content-Length:\r\n"), "a length that is none"),
            (get("Content-Length: 5 5\r\n"), "a length that is none"),
            (get("Content-Length: 00000000000000000005\r\n"), "a length that is none"),
            (get("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), "a length beside chunks"),
            (get("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), "a length beside chunks"),
            (get("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), "two transfer encodings"),
            (get("Transfer-Encoding: chunked, chunked\r\n"), "another transfer encoding than chunked"),
            (get("Transfer-Encoding: gzip, chunked\r\n"), "another transfer encoding than chunked"),
            (get("Transfer-Encoding: identity\r\n"), "another transfer encoding than chunked"),
            (get("Transfer-Encoding: xchunked\r\n"), "another transfer encoding than chunked"),
            (get("Transfer-Encoding: \x0bchunked\r\n"), "a control character in a header"),
            (get("Transfer-Encoding : chunked\r\n"), "a header's name that is none"),
            (get("Transfer-Encoding\t: chunked\r\n"), "a header's name that is none"),
            (get(" Transfer-Encoding: chunked\r\n"), "a header's name that is none"),
            (get("X: a\r\n b\r\n"), "a header without a colon"),
            (get("X: a\r\n\tContent-Length: 5\r\n"), "a header's name that is none"),
            (get(": a\r\n"), "a header's name that is none"),
            (get("X\r\n"), "a header without a colon"),
            (get("X: a\nContent-Length: 5\r\n"), "a line that ends without a carriage return"),
            (get("X: a\rContent-Length: 5\r\n"), "a carriage return within a line"),
            (get("X: a\r\r\n"), "a carriage return within a line"),
            (get("\r\r\n"), "a carriage return within a line"),
            (chunks("A\r\r0123456789\r\n"), "a carriage return within a line"),
            (chunks("0\r\nX: a\rb\r\n"), "a carriage return within a line"),
            (get("X: a\0\r\n"), "a control character in a header"),
            (get("X: a\x7f\r\n"), "a control character in a header"),
            (get("Host: b\r\n"), "two hosts"),
            (get(&"X: y\r\n".repeat(100)), "too many headers"),
            (get(&format!("X: {}\r\n", "y".repeat(32 * 1024))), "more than fits"),
            (format!("GET /{} HTTP/1.1\r\n", "y".repeat(16 * 1024)), "more than fits"),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n".into(), "a request line that is none"),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), "a line that ends without a carriage return"),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n".into(), "a line that ends without a carriage return"),
            ("GET / HTTP/1.1\r\n\r\n".into(), "no host"),
            ("GET  / HTTP/1.1\r\n\r\n".into(), "a request line that is none"),
            ("GET / HTTP/1.1 \r\n\r\n".into(), "a request line that is none"),
            ("GET\t/ HTTP/1.1\r\n\r\n".into(), "a request line that is none"),
            ("GET /\x01 HTTP/1.1\r\n\r\n".into(), "a target that is none"),
            ("GET /\u{e4} HTTP/1.1\r\n\r\n".into(), "a target that is none"),
            ("G(T / HTTP/1.1\r\n\r\n".into(), "a method that is none"),
            ("GET /\r\n\r\n".into(), "a request line that is none"),
            ("GET / HTTP/0.9\r\n\r\n".into(), "another version than HTTP/1.1 and 1.0"),
            ("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into(), "another version than HTTP/1.1 and 1.0"),
            ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), "chunks in HTTP/1.0"),
            (chunks("0x5\r\n"), "a chunk's size that is none"),
            (chunks("+5\r\n"), "a chunk's size that is none"),
            (chunks(" 5\r\n"), "a chunk's size that is none"),
            (chunks("5 \r\n"), "a chunk's size that is none"),
            (chunks("5;a\r\n"), "a chunk's size that is none"),
            (chunks("\r\n"), "a chunk's size that is none"),
            (chunks("5_0\r\n"), "a chunk's size that is none"),
            (chunks("000000005\r\n"), "more than fits"),
            (chunks("5;aaaaaaaaaaaaaaa"), "more than fits"),
            (chunks("5\nhello"), "a line that ends without a carriage return"),
            (chunks("5\r\nhello!\r\n"), "a chunk that is longer than it says"),
            (chunks("5\r\nhello\n0\r\n"), "a chunk that is longer than it says"),
            (chunks("5\r\nhello\r0\r\n"), "a chunk that is longer than it says"),
            (chunks("0\r\nContent-Length: 5\r\n"), "a trailer that belongs into a head"),
            (chunks("0\r\nX: a\nY: b\r\n"), "a line that ends without a carriage return"),
            (chunks(&format!("0\r\n{}", "X: y\r\n".repeat(101))), "too many headers"),
        ] {
            assert_eq!(refusal(&stream), Some(why), "{stream:?}");
        }
    }

    const GOOD: [&str; 6] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n\r\n\r\n\r\nGET",
        "POST /y HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        "PUT /z HTTP/1.0\r\nContent-Length: 0\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "P / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];

    /// A slow reader, by the letter, of a whole stream: how many requests end in it, or that one is none.
    fn requests(stream: &[u8]) -> Result<usize, ()> {
        let mut rest = stream;
        let mut count = 0;
        while !rest.is_empty() {
            let Some(end) = rest.windows(4).position(|four| four == b"\r\n\r\n") else { return Err(()) };
            let head = std::str::from_utf8(&rest[..end + 2]).map_err(drop)?;
            rest = &rest[end + 4..];
            let lines: Vec<&str> = head.split_terminator("\r\n").collect();
            let plain = |line: &&str| !line.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f);
            if !lines.iter().all(plain) || head.replace("\r\n", "").contains(['\r', '\n']) {
                return Err(());
            }
            let [method, target, version] = lines[0].split(' ').collect::<Vec<_>>()[..] else { return Err(()) };
            let token = |name: &str| !name.is_empty() && is_token(name.as_bytes());
            if !token(method)
                || target.is_empty()
                || !["HTTP/1.1", "HTTP/1.0"].contains(&version)
                || lines[0].contains('\t')
                || !target.is_ascii()
            {
                return Err(());
            }
            let mut fields = Vec::new();
            for line in &lines[1..] {
                let (name, value) = line.split_once(':').ok_or(())?;
                if !token(name) {
                    return Err(());
                }
                fields.push((name.to_ascii_lowercase(), value.trim_matches([' ', '\t']).to_owned()));
            }
            let all = |wanted: &str| {
                fields.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.clone()).collect::<Vec<_>>()
            };
            let (lengths, codings, hosts) = (all("content-length"), all("transfer-encoding"), all("host"));
            if hosts.len() > 1
                || hosts.is_empty() && version == "HTTP/1.1"
                || !lengths.is_empty() && !codings.is_empty()
            {
                return Err(());
            }
            match (&lengths[..], &codings[..]) {
                ([], []) => {}
                ([length], []) => {
                    if length.is_empty() || !length.bytes().all(|digit| digit.is_ascii_digit()) {
                        return Err(());
                    }
                    let length: usize = length.parse().map_err(drop)?;
                    rest = rest.get(length..).ok_or(())?;
                }
                ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => loop {
                    let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(())?;
                    let size = std::str::from_utf8(&rest[..end]).map_err(drop)?;
                    if size.is_empty() || !size.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                        return Err(());
                    }
                    let size = usize::from_str_radix(size, 16).map_err(drop)?;
                    rest = &rest[end + 2..];
                    if size == 0 {
                        loop {
                            let end = rest.windows(2).position(|two| two == b"\r\n").ok_or(())?;
                            let line = std::str::from_utf8(&rest[..end]).map_err(drop)?;
                            rest = &rest[end + 2..];
                            if line.is_empty() {
                                break;
                            }
                            let (name, value) = line.split_once(':').ok_or(())?;
                            if !token(name) || !plain(&line) || value.contains(['\r', '\n']) {
                                return Err(());
                            }
                        }
                        break;
                    }
                    let data = rest.get(..size + 2).ok_or(())?;
                    if &data[size..] != b"\r\n" {
                        return Err(());
                    }
                    rest = &rest[size + 2..];
                },
                _ => return Err(()),
            }
            count += 1;
        }
        Ok(count)
    }

    fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
        cuts.sort_unstable();
        cuts.push(stream.len());
        let mut from = 0;
        cuts.into_iter().map(|cut| &stream[std::mem::replace(&mut from, cut)..cut]).collect()
    }

    /// Each was refused at another byte where it came in other pieces.
    #[test]
    fn a_wrong_byte_is_refused_at_the_same_place_however_the_stream_is_cut() {
        let chunks = |chunks: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}");
        let long = "y".repeat(40 * 1024);
        for stream in [
            chunks("3\r\nabc\r\nA\r\r0123456789\r\n0\r\nX: y\r\n\r\n"),
            chunks("5;aaaaaaaaaaaaaaaaaaaaaaaa"),
            chunks("000000005\r\nhello"),
            format!("GET /{long} HTTP/1.1\r\n"),
            format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"),
            chunks(&format!("0\r\nX: {long}\r\n\r\n")),
            "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n".into(),
            "GET /\r HTTP/1.1\r\n\r\n".into(),
            "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".into(),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\rX".into(),
            "PRI * HTTP/2.0\rX".into(),
            "PRI * HTTP/2.1\r\n\r\n".into(),
        ] {
            let stream = stream.as_bytes();
            let whole = fuzzed(&[stream]);
            assert!(whole.1);
            for at in (1..stream.len()).step_by(1 + stream.len() / 200) {
                assert!(fuzzed(&[&stream[..at], &stream[at..]]) == whole, "cut at {at}");
            }
            assert!(fuzzed(&stream.chunks(1).collect::<Vec<_>>()) == whole, "in single bytes");
        }
    }

    /// A head of the greatest length leaves room for what its body needs.
    #[test]
    fn chunks_behind_the_longest_head_pass() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: ";
        let pad = "y".repeat(Limits::default().head - head.len() - 4);
        assert_eq!(refusal(&format!("{head}{pad}\r\n\r\n5\r\nhello\r\n0\r\n\r\n")), None);
        assert_eq!(refusal(&format!("{head}{pad}y\r\n\r\n")), Some("more than fits"));
    }

    proptest! {
        #[test]
        fn good_requests_pass_however_they_are_cut(which in prop::collection::vec(0..GOOD.len(), 1..5), cuts in prop::collection::vec(any::<usize>(), 0..12)) {
            let stream = which.iter().map(|at| GOOD[*at]).collect::<String>();
            prop_assert_eq!(fuzzed(&cut(stream.as_bytes(), &cuts)), (stream.clone().into_bytes(), false));
            prop_assert_eq!(requests(stream.as_bytes()), Ok(which.len()));
        }

        /// What a slow reader, by the letter, does not take for whole requests does not pass as such.
        #[test]
        fn one_wrong_byte_makes_no_other_request(
            which in prop::collection::vec(0..GOOD.len(), 1..4), at in any::<usize>(), byte in prop::sample::select(&b"\r\n\0 \t:;,05aX+-Ghc\x7f\x0b"[..]), cuts in prop::collection::vec(any::<usize>(), 0..6), insert in any::<bool>()
        ) {
            let mut stream = which.iter().map(|at| GOOD[*at]).collect::<String>().into_bytes();
            let at = at % stream.len();
            if insert { stream.insert(at, byte) } else { stream[at] = byte }
            let (passed, refused) = fuzzed(&cut(&stream, &cuts));
            let whole = fuzzed(&[&stream]);
            prop_assert_eq!((&passed, refused), (&whole.0, whole.1), "however it is cut");
            if !refused && requests(&stream).is_err() {
                // Then the last of them has not ended yet.
                let mut framing = Framing::new(Limits::default());
                framing.feed(&stream).unwrap();
                let ended = matches!(framing.at, At::Line { trailers: false }) && framing.head.bytes == 0;
                prop_assert!(!ended, "all of it passed as whole requests");
            }
        }
    }

    fn pair(limits: Limits) -> (tokio::io::DuplexStream, Strict<tokio::io::DuplexStream>, Arc<Watch>) {
        let (caller, stream) = tokio::io::duplex(64 * 1024);
        let watch = Arc::new(Watch::default());
        (caller, Strict::new(stream, limits, watch.clone()), watch)
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_trickles_has_its_time_as_a_whole() {
        let (mut caller, mut strict, watch) = pair(Limits::default());
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
        assert_eq!(watch.refused(), Some("a head that does not end"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_be_slow_and_not_stand_still() {
        let (mut caller, mut strict, watch) = pair(Limits::default());
        tokio::spawn(async move {
            caller.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await.unwrap();
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(50)).await;
                caller.write_all(b"x").await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        let start = Instant::now();
        let mut read = Vec::new();
        assert_eq!(strict.read_to_end(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!((250 + 60..250 + 121).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(watch.refused(), Some("a body that does not go on"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_without_calls_ends_and_one_with_a_call_waits() {
        let (mut caller, mut strict, watch) = pair(Limits::default());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        watch.begin();
        let mut bytes = [0; 100];
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 27);
        let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
        assert!(hours.is_err(), "an answer may take hours");
        watch.end();
        let start = Instant::now();
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
        assert_eq!(start.elapsed().as_secs(), 600);
        assert_eq!(watch.refused(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_let_go_in_http_2_too() {
        for first in [&b""[..], PREFACE] {
            let (mut caller, mut strict, watch) = pair(Limits::default());
            caller.write_all(first).await.unwrap();
            let mut bytes = [0; 100];
            if !first.is_empty() {
                assert_eq!(strict.read(&mut bytes).await.unwrap(), first.len());
                watch.begin();
                let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
                assert!(hours.is_err(), "an answer may take hours");
                watch.end();
            }
            let start = Instant::now();
            assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
            assert!(start.elapsed().as_secs() <= 600, "{:?}", start.elapsed());
            assert_eq!(watch.refused(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_upgrade_anything_goes() {
        let (mut caller, mut strict, watch) = pair(Limits::default());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").await.unwrap();
        let mut bytes = [0; 100];
        assert!(strict.read(&mut bytes).await.unwrap() > 0);
        watch.upgraded();
        caller.write_all(b"\n\0\r any").await.unwrap();
        assert_eq!(strict.read(&mut bytes).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_refusal_ends_the_head_however_little_is_read_at_once() {
        let (mut caller, mut strict, _) = pair(Limits::default());
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
    async fn the_byte_that_breaks_it_is_the_last_that_is_read() {
        let (mut caller, mut strict, watch) = pair(Limits::default());
        caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\nGET /2 HTTP/1.1\r\n").await.unwrap();
        let mut read = Vec::new();
        strict.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0\r\n\r\n");
        assert_eq!(watch.refused(), Some("a line that ends without a carriage return"));
    }
}
