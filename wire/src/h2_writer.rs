//! The HTTP/2 writer between HTTP and TLS: in a HEADERS frame, a placeholder is a Huffman-coded
//! string. The writer finds this string by its code, replaces it with the secret as a plain string,
//! and corrects the length of the frame.
//!
//! The `http` crate marks such a header as sensitive, so hyper encodes it as a literal that is
//! never indexed (RFC 7541 §6.2.3). No later frame refers to the header by number, so the
//! replacement does not change the meaning of any other header.

use crate::connection::state::{ConnectionState, PING_PAYLOAD};
use crate::connection::windows;
use crate::io::read_from_below;
use crate::placeholder::{LENGTH, PREFIX, Placeholders, huffman_number, huffman_prefix};
use bootseal_memory::Exposed;
use memchr::memmem::Finder;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// The length of the connection preface, which a client sends first (RFC 9113 §3.4).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;
/// The length of one setting, and the number of the setting for the windows of streams.
const SETTING: usize = 6;
const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
/// The longest payload that every peer accepts (RFC 9113 §4.2).
const MAX_FRAME: usize = 16_384;
/// The length of a placeholder's Huffman code in bytes: ten bits for the first character, five for
/// each of the others.
const CODE: usize = (10 + 5 * (LENGTH - 1)) / 8;
const PREFIX_CODE: usize = (10 + 5 * (PREFIX - 1)) / 8;
const _: () = assert!(
    8 * PREFIX_CODE == 10 + 5 * (PREFIX - 1) && 8 * CODE == 10 + 5 * (LENGTH - 1),
    "codes end at whole bytes"
);
/// The byte before the code: the flag for a Huffman-coded string, and its length (RFC 7541 §5.2).
const LENGTH_BYTE: u8 = 0x80 | CODE as u8;

/// An HTTP/2 stream that writes secrets instead of their placeholders.
pub(crate) struct H2SecretWriter<T> {
    below: T,
    placeholders: Arc<Placeholders>,
    /// Says when the peer must be asked for a sign of life.
    state: Arc<ConnectionState>,
    /// Finds the code of the placeholders' prefix.
    find: Finder<'static>,
    at: At,
    /// The highest stream so far.
    last_stream: u32,
    /// An unfinished header block: the head of its first frame, and the payloads of all its frames
    /// so far.
    block: Option<Vec<u8>>,
    /// Bytes accepted from the caller, which are written before anything else.
    queue: VecDeque<Unwritten>,
    /// The number of bytes already written of the first piece in the queue.
    done: usize,
}

/// The position in the stream of frames.
enum At {
    /// This many bytes pass through unchanged: the preface, or the payload of a frame without
    /// headers.
    Through(usize),
    /// Inside the head of a frame, or inside the payload of a frame with headers; contains the
    /// bytes so far.
    Frame(Vec<u8>),
}

enum Unwritten {
    Plain(Vec<u8>),
    Secret(Exposed, Range<usize>),
}

impl Unwritten {
    fn bytes(&self) -> &[u8] {
        match self {
            Unwritten::Plain(bytes) => bytes,
            Unwritten::Secret(secret, range) => &secret.as_ref()[range.clone()],
        }
    }

    /// Splits off the bytes from `at` on, if there are any.
    fn split_off(&mut self, at: usize) -> Option<Unwritten> {
        (at < self.bytes().len()).then(|| match self {
            Unwritten::Plain(bytes) => Unwritten::Plain(bytes.split_off(at)),
            Unwritten::Secret(secret, range) => {
                let behind = range.start + at..range.end;
                range.end = behind.start;
                Unwritten::Secret(secret.clone(), behind)
            }
        })
    }
}

impl<T> H2SecretWriter<T> {
    pub(crate) fn new(
        below: T,
        placeholders: Arc<Placeholders>,
        state: Arc<ConnectionState>,
    ) -> H2SecretWriter<T> {
        let find = Finder::new(&huffman_prefix(&placeholders.prefix)).into_owned();
        H2SecretWriter {
            below,
            placeholders,
            state,
            find,
            at: At::Through(PREFACE),
            last_stream: 0,
            block: None,
            queue: VecDeque::new(),
            done: 0,
        }
    }

    /// Queues frames of our own between two frames: a PING, if the peer must be asked for a sign of
    /// life, and the extensions of the windows of streams.
    fn own_frames(&mut self) {
        if !self.state.has_frames() {
            return;
        }
        let between_frames = match &self.at {
            At::Through(left) => *left == 0,
            At::Frame(frame) => frame.is_empty(),
        };
        if !between_frames || self.block.is_some() {
            return;
        }
        if self.state.take_ping() {
            let head = [0, 0, PING_PAYLOAD.len() as u8, PING, 0, 0, 0, 0, 0];
            self.queue.push_back(Unwritten::Plain([&head[..], &PING_PAYLOAD].concat()));
        }
        for (stream, bytes) in self.state.take_extensions() {
            let head = [0, 0, 4, WINDOW_UPDATE, 0];
            let frame = [&head[..], &stream.to_be_bytes(), &bytes.to_be_bytes()].concat();
            self.queue.push_back(Unwritten::Plain(frame));
        }
    }

    /// Takes frame heads and whole frames with headers, up to the first byte that passes through
    /// unchanged. Returns the number of bytes taken.
    fn take(&mut self, given: &[IoSlice<'_>]) -> usize {
        let mut taken = 0;
        for slice in given {
            let mut bytes: &[u8] = slice;
            while !bytes.is_empty() {
                let frame = match &mut self.at {
                    At::Through(0) => {
                        self.at = At::Frame(Vec::with_capacity(FRAME_HEAD));
                        continue;
                    }
                    At::Through(_) => return taken,
                    At::Frame(frame) => frame,
                };
                let whole =
                    if frame.len() < FRAME_HEAD { FRAME_HEAD } else { FRAME_HEAD + payload(frame) };
                let (now, rest) = bytes.split_at(bytes.len().min(whole - frame.len()));
                frame.extend_from_slice(now);
                (bytes, taken) = (rest, taken + now.len());
                if frame.len() < whole {
                    continue;
                }
                let of_headers = matches!(frame[3], HEADERS | CONTINUATION);
                let collected = of_headers || matches!(frame[3], SETTINGS | WINDOW_UPDATE | RESET);
                if collected && whole == FRAME_HEAD && payload(frame) > 0 {
                    continue;
                }
                let mut frame = std::mem::take(frame);
                self.at = At::Through(if collected { 0 } else { payload(&frame) });
                if !of_headers {
                    self.control(frame);
                    continue;
                }
                let last = frame[4] & END_HEADERS != 0;
                let block = match self.block.take() {
                    Some(mut block) => {
                        block.extend(frame.drain(FRAME_HEAD..));
                        block
                    }
                    None => frame,
                };
                if last { self.rewrite(block) } else { self.block = Some(block) }
            }
        }
        taken
    }

    /// Queues a frame without headers, or its head.
    fn control(&mut self, mut frame: Vec<u8>) {
        match frame[3] {
            DATA => self.state.use_window(payload(&frame)),
            SETTINGS if frame[4] & ACK == 0 => {
                for setting in frame[FRAME_HEAD..].chunks_exact_mut(SETTING) {
                    if setting[..2] == INITIAL_WINDOW_SIZE {
                        setting[2..].copy_from_slice(&(windows::FIRST as u32).to_be_bytes());
                    }
                }
            }
            RESET => self.state.windows().close(stream(&frame)),
            WINDOW_UPDATE => {
                let stream = stream(&frame);
                if stream != 0 && !self.state.windows().is_extended_by_h2(stream) {
                    return;
                }
            }
            _ => {}
        }
        self.queue.push_back(Unwritten::Plain(frame));
    }

    /// Queues a header block with the secrets inserted. `block` begins with the head of its first
    /// frame.
    fn rewrite(&mut self, mut block: Vec<u8>) {
        let mut head = [0; FRAME_HEAD];
        head.copy_from_slice(&block[..FRAME_HEAD]);
        let mut pieces = VecDeque::new();
        let (mut from, mut at) = (FRAME_HEAD, FRAME_HEAD);
        let mut first = None;
        while let Some(found) = self.find.find(&block[at..]).map(|found| found + at) {
            at = found + 1;
            let number = block.get(found + PREFIX_CODE..found + CODE).and_then(huffman_number);
            let secret =
                number.and_then(|number| Some((number, self.placeholders.secret(number)?)));
            let Some((number, secret)) = secret.filter(|_| block[found - 1] == LENGTH_BYTE) else {
                continue;
            };
            first = first.or(Some(number));
            let length = secret.as_ref().len();
            let mut plain = block[from..found - 1].to_vec();
            push_length(&mut plain, length);
            pieces.push_back(Unwritten::Plain(plain));
            pieces.push_back(Unwritten::Secret(secret, 0..length));
            self.placeholders.written(number);
            (from, at) = (found + CODE, found + CODE);
        }
        // A block on an old stream has trailers.
        if stream(&head) > self.last_stream {
            self.last_stream = stream(&head);
            self.state.open_stream(first, self.last_stream);
        }
        pieces.push_back(Unwritten::Plain(block.split_off(from)));
        self.frames(head, pieces);
    }

    /// Queues a block as frames of a length that every peer accepts.
    fn frames(&mut self, mut head: [u8; FRAME_HEAD], mut pieces: VecDeque<Unwritten>) {
        let mut left: usize = pieces.iter().map(|piece| piece.bytes().len()).sum();
        loop {
            let mut room = left.min(MAX_FRAME);
            left -= room;
            head[..3].copy_from_slice(&(room as u32).to_be_bytes()[1..]);
            head[4] = if left == 0 { head[4] | END_HEADERS } else { head[4] & !END_HEADERS };
            self.queue.push_back(Unwritten::Plain(head.to_vec()));
            while room > 0
                && let Some(mut piece) = pieces.pop_front()
            {
                if let Some(behind) = piece.split_off(room) {
                    pieces.push_front(behind);
                }
                room -= piece.bytes().len();
                self.queue.push_back(piece);
            }
            if left == 0 {
                return;
            }
            // More frames of the same stream follow, with no flag except END_HEADERS on the last.
            (head[3], head[4]) = (CONTINUATION, 0);
        }
    }

    /// Accounts for `written` bytes of the queue and of the bytes that pass through after it.
    /// Returns the number of the latter.
    fn wrote(&mut self, mut written: usize) -> usize {
        while let Some(first) = self.queue.front() {
            let left = first.bytes().len() - self.done;
            if written < left {
                self.done += written;
                return 0;
            }
            written -= left;
            self.done = 0;
            self.queue.pop_front();
        }
        if let At::Through(left) = &mut self.at {
            *left -= written;
        }
        written
    }
}

impl<T: AsyncWrite + Unpin> H2SecretWriter<T> {
    /// Writes the queue, and after it the bytes of `given` that pass through. The first `taken`
    /// bytes of `given` are in the queue. Returns the number of other bytes written.
    fn write(
        &mut self,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
        taken: usize,
    ) -> Poll<io::Result<usize>> {
        let mut out: Vec<IoSlice<'_>> = Vec::with_capacity(self.queue.len() + given.len());
        let mut skip = self.done;
        for piece in &self.queue {
            out.push(IoSlice::new(&piece.bytes()[skip..]));
            skip = 0;
        }
        let mut skip = taken;
        let mut left = if let At::Through(left) = self.at { left } else { 0 };
        for slice in given {
            let rest = &slice[skip.min(slice.len())..];
            skip = skip.saturating_sub(slice.len());
            let rest = &rest[..rest.len().min(left)];
            left -= rest.len();
            out.extend((!rest.is_empty()).then(|| IoSlice::new(rest)));
        }
        if out.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = Pin::new(&mut self.below).poll_write_vectored(cx, &out);
        bootseal_memory::scrub_registers();
        match ready!(written)? {
            0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            written => Poll::Ready(Ok(self.wrote(written))),
        }
    }
}

fn stream(frame: &[u8]) -> u32 {
    u32::from_be_bytes([frame[5] & 0x7F, frame[6], frame[7], frame[8]])
}

fn payload(frame: &[u8]) -> usize {
    usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2])
}

/// Writes the length of a plain string (RFC 7541 §5.1, §5.2).
fn push_length(into: &mut Vec<u8>, length: usize) {
    const PREFIX: usize = 0x7F;
    if length < PREFIX {
        into.push(length as u8);
        return;
    }
    into.push(PREFIX as u8);
    let mut rest = length - PREFIX;
    while rest >= 0x80 {
        into.push(0x80 | (rest & 0x7F) as u8);
        rest >>= 7;
    }
    into.push(rest as u8);
}

impl<T: AsyncWrite + Unpin> AsyncWrite for H2SecretWriter<T> {
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
        self.own_frames();
        // Backpressure: flush what is queued before accepting more.
        while !self.queue.is_empty() {
            ready!(self.write(cx, &[], 0))?;
        }
        let taken = self.take(given);
        loop {
            match self.write(cx, given, taken) {
                // The next write or flush writes the queue.
                Poll::Pending if taken > 0 => return Poll::Ready(Ok(taken)),
                Poll::Pending => return Poll::Pending,
                Poll::Ready(through) => match taken + through? {
                    0 if !self.queue.is_empty() => {}
                    taken => return Poll::Ready(Ok(taken)),
                },
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.own_frames();
        while !self.queue.is_empty() {
            ready!(self.write(cx, &[], 0))?;
        }
        Pin::new(&mut self.below).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.queue.is_empty() {
            ready!(self.write(cx, &[], 0))?;
        }
        Pin::new(&mut self.below).poll_shutdown(cx)
    }
}

read_from_below!(H2SecretWriter);

#[cfg(test)]
mod tests;
