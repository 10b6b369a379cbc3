//! The pure framing machine: decides, byte by byte, which request a byte belongs to (RFC 9112).
//!
//! Request smuggling needs two readers that disagree on where a request ends. HTTP libraries are
//! lenient by design: they accept bare line feeds, and they ignore a length beside chunks. This
//! machine accepts only what every reader frames in the same way, and names the first byte that
//! breaks the rules. It uses no timer, socket or runtime; `strict_stream` does.

use memchr::{memchr, memchr2};

/// The preface with which an HTTP/2 client begins (RFC 9113 §3.4). The frames after it carry their
/// own lengths, so they need no framing here.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of [`PREFACE`] that form its request line, line end included.
const PREFACE_REQUEST_LINE: usize = 16;
/// Bytes of a chunk-size line: at most 8 hex digits, and the line end.
const SIZE_LINE: usize = 10;

/// The reason why a byte is invalid at its position. It is also the label `why` of the metric of
/// refusals.
pub(crate) type Violation = &'static str;

/// The size limits of the head of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Bytes of a head, or of trailers.
    pub(crate) head: usize,
    /// Bytes of the request line.
    pub(crate) request_line: usize,
    /// Header lines.
    pub(crate) headers: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { head: 32 * 1024, request_line: 16 * 1024, headers: 100 }
    }
}

/// The part of the stream that the next byte belongs to, in the detail that the timers need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Nothing of the next request, or of the trailers, has been read.
    Idle,
    /// A head that has begun, or the HTTP/2 preface.
    Head,
    /// A body, its chunk framing or its trailers.
    Body,
    /// A protocol that is not framed here: HTTP/2, or the protocol of an upgrade.
    Opaque,
    /// No part: the stream broke the rules.
    Refused,
}

/// The position of a stream in its requests.
#[derive(Debug)]
pub(crate) struct Framing {
    limits: Limits,
    state: State,
    /// The beginning of a line whose end has not been read yet.
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug)]
enum State {
    /// This many bytes of the HTTP/2 preface have matched.
    Preface(usize),
    /// In a head, or in trailers.
    Line {
        trailers: bool,
    },
    /// In a chunk-size line.
    Size,
    /// In the data of a body, or of one chunk, with the bytes that are left of it.
    Data {
        left: u64,
        chunked: bool,
    },
    /// After the data of a chunk; `returned` is set if its carriage return has been read.
    DataEnd {
        returned: bool,
    },
    Opaque,
    Refused,
}

/// The declarations of the current head so far.
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
    pub(crate) fn new(limits: Limits) -> Framing {
        Framing { limits, state: State::Preface(0), line: Vec::new(), head: Head::default() }
    }

    pub(crate) fn phase(&self) -> Phase {
        match self.state {
            State::Preface(0) => Phase::Idle,
            State::Line { .. } if self.head.bytes == 0 => Phase::Idle,
            State::Preface(_) | State::Line { trailers: false } => Phase::Head,
            State::Line { trailers: true }
            | State::Size
            | State::Data { .. }
            | State::DataEnd { .. } => Phase::Body,
            State::Opaque => Phase::Opaque,
            State::Refused => Phase::Refused,
        }
    }

    /// Passes every further byte, after an upgrade to another protocol.
    pub(crate) fn set_opaque(&mut self) {
        self.state = State::Opaque;
    }

    /// Ends the stream: no further byte is read.
    pub(crate) fn set_refused(&mut self) {
        self.state = State::Refused;
    }

    /// Takes the next bytes of the stream, cut anywhere.
    ///
    /// # Errors
    /// The index of the first byte that is invalid at its position, and the reason. Afterwards the
    /// phase is [`Phase::Refused`].
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<(), (usize, Violation)> {
        let fed = self.advance(bytes);
        if fed.is_err() {
            self.set_refused();
        }
        fed
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<(), (usize, Violation)> {
        let mut from = 0;
        if let State::Preface(matched) = self.state {
            let same = PREFACE[matched..]
                .iter()
                .zip(bytes)
                .take_while(|(one, other)| one == other)
                .count();
            let matched = matched + same;
            if matched == PREFACE.len() {
                self.state = State::Opaque;
                return Ok(());
            }
            if same == bytes.len() {
                self.state = State::Preface(matched);
                return Ok(());
            }
            // An HTTP/1 request that begins with the same letters, as POST does.
            self.state = State::Line { trailers: false };
            if matched > PREFACE_REQUEST_LINE {
                // The request line has already passed, perhaps in an earlier piece, so it can no
                // longer be refused. The byte that differs is the same however the stream is cut.
                return Err((same, "unsupported HTTP version"));
            }
            // Only the bytes that earlier calls matched; those of this call are read below.
            self.read_line(&PREFACE[..matched - same]).map_err(|(_, why)| (0, why))?;
        }
        while from < bytes.len() {
            let rest = &bytes[from..];
            let used = match self.state {
                State::Line { .. } | State::Size => self.read_line(rest),
                State::Data { left, chunked } => {
                    let now = left.min(rest.len() as u64);
                    self.state = match (left - now, chunked) {
                        (0, true) => State::DataEnd { returned: false },
                        (0, false) => self.next_request(),
                        (left, chunked) => State::Data { left, chunked },
                    };
                    Ok(now as usize)
                }
                State::DataEnd { returned } => {
                    let wanted = if returned { b'\n' } else { b'\r' };
                    if rest[0] != wanted {
                        return Err((from, "chunk data longer than its size"));
                    }
                    self.state =
                        if returned { State::Size } else { State::DataEnd { returned: true } };
                    Ok(1)
                }
                State::Preface(_) | State::Opaque | State::Refused => return Ok(()),
            };
            from += used.map_err(|(at, why)| (from + at, why))?;
        }
        Ok(())
    }

    fn next_request(&mut self) -> State {
        self.head = Head::default();
        State::Line { trailers: false }
    }

    /// Reads one line, or the beginning of one, and returns its length in bytes.
    ///
    /// # Errors
    /// The first invalid byte. It must be the same byte however the stream is cut into pieces: if a
    /// cut could delay the refusal, bytes of the caller's choice would pass.
    fn read_line(&mut self, bytes: &[u8]) -> Result<usize, (usize, Violation)> {
        // Bytes that may still come before the line is too long. `head.bytes` already counts
        // `self.line`; the two limits of a single line do not.
        let in_head = self.limits.head - self.head.bytes;
        let room = match self.state {
            State::Size => SIZE_LINE - self.line.len(),
            _ if self.head.lines == 0 => in_head.min(self.limits.request_line - self.line.len()),
            _ => in_head,
        };
        let end = self.end_of_line(bytes);
        // A wrong byte counts too: if it is beyond the room, the line was too long before it.
        let length = match end {
            Ok(Some(at)) | Err((at, _)) => at + 1,
            Ok(None) => bytes.len(),
        };
        if length > room {
            return Err((room, "line or head too long"));
        }
        if !matches!(self.state, State::Size) {
            self.head.bytes += length;
        }
        let Some(end) = end? else {
            // Only a line that is cut in two is copied; a whole line is read in place.
            self.line.extend_from_slice(bytes);
            return Ok(length);
        };
        // Taken out and put back, so that its buffer is reused for the next line.
        let mut carried = std::mem::take(&mut self.line);
        let line = if carried.is_empty() {
            &bytes[..end]
        } else {
            carried.extend_from_slice(&bytes[..end]);
            &carried
        };
        let read = self.interpret_line(line.strip_suffix(b"\r").unwrap_or(line));
        carried.clear();
        self.line = carried;
        read.map_err(|why| (end, why))?;
        Ok(length)
    }

    /// Returns the index in `bytes` of the line feed that ends the current line, if it has arrived.
    /// A carriage return and a line feed are valid only together, at the end of a line.
    fn end_of_line(&self, bytes: &[u8]) -> Result<Option<usize>, (usize, Violation)> {
        // The index at which the line feed must be.
        let returned = match self.line.last() {
            // The carriage return came in an earlier piece.
            Some(b'\r') => 0,
            _ => match memchr2(b'\r', b'\n', bytes) {
                None => return Ok(None),
                Some(at) if bytes[at] == b'\n' => {
                    return Err((at, "line feed without a carriage return"));
                }
                Some(at) => at + 1,
            },
        };
        match bytes.get(returned) {
            None => Ok(None),
            Some(b'\n') => Ok(Some(returned)),
            Some(_) => Err((returned, "carriage return inside a line")),
        }
    }

    fn interpret_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        match self.state {
            State::Size => self.chunk_size(line),
            State::Line { trailers: true } => match line {
                b"" => {
                    self.state = self.next_request();
                    Ok(())
                }
                line => {
                    let (name, _) = self.field(line)?;
                    let framing = ["content-length", "transfer-encoding", "host", "trailer"];
                    match framing.iter().any(|other| name.eq_ignore_ascii_case(other.as_bytes())) {
                        true => Err("forbidden trailer field"),
                        false => Ok(()),
                    }
                }
            },
            _ if self.head.lines == 0 => self.request_line(line),
            _ if line.is_empty() => self.end_of_head(),
            _ => self.header(line),
        }
    }

    /// Reads `method SP target SP version` (RFC 9112 §3), of visible characters only.
    fn request_line(&mut self, line: &[u8]) -> Result<(), Violation> {
        self.head.lines = 1;
        let mut parts = line.split(|byte| *byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("invalid request line");
        };
        if method.is_empty() || !is_token(method) {
            return Err("invalid method");
        }
        // A client must not send a fragment (RFC 9112 §3.2): one reader would cut it off, another
        // would not. `fold` instead of `any`: without an early exit the compiler checks 16 bytes at
        // a time.
        if target.is_empty()
            || target
                .iter()
                .fold(false, |found, byte| found | !byte.is_ascii_graphic() | (*byte == b'#'))
        {
            return Err("invalid request target");
        }
        self.head.http_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err("unsupported HTTP version"),
        };
        Ok(())
    }

    /// Splits a header line (RFC 9112 §5): no space before the colon, no folding, no control
    /// characters.
    fn field<'a>(&mut self, line: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Violation> {
        self.head.lines += 1;
        if self.head.lines > self.limits.headers + 1 {
            return Err("too many headers");
        }
        let colon = memchr(b':', line).ok_or("header without a colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !is_token(name) {
            return Err("invalid header name");
        }
        // `fold` as above.
        if value
            .iter()
            .fold(false, |found, byte| found | (*byte < b' ' && *byte != b'\t') | (*byte == 0x7f))
        {
            return Err("control character in a header");
        }
        Ok((name, value))
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Violation> {
        let (name, value) = self.field(line)?;
        let head = &mut self.head;
        let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
        match name.len() {
            4 if is(b"host") => {
                head.hosts = head.hosts.saturating_add(1);
                if head.hosts > 1 {
                    return Err("more than one Host header");
                }
            }
            14 if is(b"content-length") => {
                let value = value.trim_ascii();
                if head.length.is_some() {
                    return Err("more than one Content-Length");
                }
                if value.is_empty() || value.len() > 19 || !value.iter().all(u8::is_ascii_digit) {
                    return Err("invalid Content-Length");
                }
                head.length = Some(
                    value.iter().fold(0, |length, digit| length * 10 + u64::from(digit - b'0')),
                );
            }
            17 if is(b"transfer-encoding") => {
                if head.chunked {
                    return Err("more than one Transfer-Encoding");
                }
                if !value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                    return Err("transfer encoding other than chunked");
                }
                head.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// Chooses the framing of the body (RFC 9112 §6.3). If the RFC leaves a choice, the head is
    /// refused.
    fn end_of_head(&mut self) -> Result<(), Violation> {
        let head = &self.head;
        if head.chunked && head.length.is_some() {
            return Err("Content-Length beside Transfer-Encoding");
        }
        if head.chunked && head.http_1_0 {
            return Err("chunked body in HTTP/1.0");
        }
        if head.hosts == 0 && !head.http_1_0 {
            return Err("no Host header");
        }
        self.state = match (head.chunked, head.length) {
            (true, _) => State::Size,
            (false, Some(left)) if left > 0 => State::Data { left, chunked: false },
            _ => self.next_request(),
        };
        Ok(())
    }

    /// Reads a chunk size (RFC 9112 §7.1). Extensions are refused: clients do not need them, and
    /// readers disagree on where they end.
    fn chunk_size(&mut self, line: &[u8]) -> Result<(), Violation> {
        if line.is_empty() || line.len() > 8 {
            return Err("invalid chunk size");
        }
        let mut size = 0;
        for digit in line {
            let value = char::from(*digit).to_digit(16).ok_or("invalid chunk size")?;
            size = size << 4 | u64::from(value);
        }
        self.state = if size == 0 {
            // Trailers have the same limits as a head, counted separately. `lines` is 1 because no
            // request line comes first.
            (self.head.bytes, self.head.lines) = (0, 1);
            State::Line { trailers: true }
        } else {
            State::Data { left: size, chunked: true }
        };
        Ok(())
    }
}

/// Whether `text` consists of token characters only (RFC 9110 §5.6.2).
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
/// Feeds `pieces` to a new machine, for the fuzzer and the tests. Returns the bytes that passed,
/// and whether the stream was refused.
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
#[cfg_attr(not(fuzzing), allow(unreachable_pub))] // lib.rs exports it to the fuzzer only
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
mod tests;
