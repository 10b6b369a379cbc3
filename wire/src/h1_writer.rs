//! The HTTP/1.1 writer between HTTP and TLS: it replaces each placeholder with the bytes of its
//! secret, directly from the guarded page, and writes everything else unchanged. The result does
//! not depend on how the stream is split into writes.
//!
//! A write has two steps. `plan` divides the given bytes into pieces. A piece is a part of the
//! given bytes, a secret, or held bytes that turned out not to be a placeholder. The pieces are
//! written together. A secret and its placeholder differ in length, so `commit` then computes how
//! many of the given bytes correspond to the written bytes. Bytes that may begin a placeholder are
//! held until the next write.

mod read_pace;

use crate::placeholder::{DIGITS, FIRST, LENGTH, PREFIX, Placeholders, number};
use bootseal_memory::Exposed;
use read_pace::ReadPace;
use smallvec::SmallVec;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream that writes secrets instead of their placeholders.
pub(crate) struct H1SecretWriter<T> {
    below: T,
    placeholders: Arc<Placeholders>,
    /// Bytes accepted from the caller that may begin a placeholder.
    held: Held,
    /// The rest of a partly written piece, which is written before anything else.
    rest: Option<Rest>,
    reads: ReadPace,
}

#[derive(Clone, Copy)]
struct Held {
    bytes: [u8; LENGTH],
    len: usize,
}

struct Rest {
    what: Unwritten,
    at: usize,
}

enum Unwritten {
    Secret(Exposed),
    Plain(Held),
}

/// The bytes that are written in place of a part of the given bytes.
enum What<'a> {
    Given(&'a [u8]),
    Held(Held),
    Secret(u64, Exposed),
}

struct Piece<'a> {
    /// The number of given bytes that the piece corresponds to.
    taken: usize,
    what: What<'a>,
}

struct Plan<'a> {
    pieces: SmallVec<[Piece<'a>; USUAL]>,
    /// The bytes held after all pieces; `taken` is the number of these bytes that come from the
    /// given bytes.
    held: Held,
    taken: usize,
}

/// More pieces than a usual request has, which are the head before the placeholder, the secret, the
/// head after it, and the body.
const USUAL: usize = 6;

const NOTHING: Held = Held { bytes: [0; LENGTH], len: 0 };

impl<T> H1SecretWriter<T> {
    pub(crate) fn new(below: T, placeholders: Arc<Placeholders>) -> H1SecretWriter<T> {
        H1SecretWriter {
            below,
            placeholders,
            held: NOTHING,
            rest: None,
            reads: ReadPace::default(),
        }
    }

    /// Returns the stream below, for bytes without placeholders.
    ///
    /// # Errors
    /// Fails if earlier bytes are not written yet.
    pub(crate) fn into_below(self) -> io::Result<T> {
        match (self.held.len, self.rest) {
            (0, None) => Ok(self.below),
            _ => Err(io::Error::other("earlier bytes are not written yet")),
        }
    }

    /// Whether `byte` can be at this position of a placeholder.
    fn may_follow(&self, at: usize, byte: u8) -> bool {
        self.placeholders
            .prefix
            .get(at)
            .map_or_else(|| DIGITS.contains(&byte), |expected| *expected == byte)
    }

    /// Divides the given bytes into pieces.
    fn plan<'a>(&self, given: &'a [IoSlice<'a>]) -> Plan<'a> {
        let mut plan = Plan { pieces: SmallVec::new(), held: self.held, taken: 0 };
        for slice in given {
            let mut bytes: &[u8] = slice;
            while !bytes.is_empty() {
                bytes = match plan.held.len {
                    0 => self.find_start(&mut plan, bytes),
                    _ => self.continue_held(&mut plan, bytes),
                };
            }
        }
        plan
    }

    /// Takes the bytes before the next byte that may begin a placeholder, and holds that byte.
    /// Returns the bytes after it.
    fn find_start<'a>(&self, plan: &mut Plan<'a>, bytes: &'a [u8]) -> &'a [u8] {
        let whole = self.placeholders.find.find(bytes);
        // Without a whole prefix, the end of `bytes` may still be the beginning of one.
        let begins = whole.or_else(|| {
            let end = bytes.len().saturating_sub(PREFIX);
            let last = end + memchr::memrchr(FIRST, &bytes[end..])?;
            self.placeholders.prefix.starts_with(&bytes[last..]).then_some(last)
        });
        let (before, rest) = bytes.split_at(begins.unwrap_or(bytes.len()));
        if !before.is_empty() {
            plan.pieces.push(Piece { taken: before.len(), what: What::Given(before) });
        }
        let Some((first, rest)) = rest.split_first() else { return rest };
        plan.held.push(*first);
        plan.taken = 1;
        rest
    }

    /// Takes the bytes that continue the held placeholder. Once it is complete, or turns out to be
    /// ordinary text, it becomes a piece. Returns the bytes after it.
    fn continue_held<'a>(&self, plan: &mut Plan<'a>, bytes: &'a [u8]) -> &'a [u8] {
        let mut rest = bytes;
        while plan.held.len < LENGTH {
            let Some((next, after)) = rest.split_first() else { return rest };
            if !self.may_follow(plan.held.len, *next) {
                break;
            }
            plan.held.push(*next);
            plan.taken += 1;
            rest = after;
        }
        let held = std::mem::replace(&mut plan.held, NOTHING);
        let taken = std::mem::take(&mut plan.taken);
        let number = (held.len == LENGTH).then(|| number(&held.bytes[PREFIX..])).flatten();
        // A placeholder is marked as written only after the plan, so a repetition within the plan
        // is checked here.
        let again = |number| {
            plan.pieces
                .iter()
                .any(|piece| matches!(piece.what, What::Secret(other, _) if other == number))
        };
        let number = number.filter(|number| !again(*number));
        let secret = number.and_then(|number| Some((number, self.placeholders.secret(number)?)));
        let what = secret.map_or(What::Held(held), |(number, secret)| What::Secret(number, secret));
        plan.pieces.push(Piece { taken, what });
        rest
    }

    /// Accounts for `written` bytes of the plan. Returns the number of given bytes that they
    /// correspond to.
    fn commit(&mut self, plan: Plan<'_>, written: usize) -> usize {
        let (mut left, mut taken) = (written, 0);
        for piece in plan.pieces {
            let length = piece.what.bytes().len();
            if left == 0 && length > 0 {
                // This piece was not written. It consists only of given bytes, because earlier held
                // bytes are in the first piece. The caller will pass these bytes again.
                self.held = NOTHING;
                return taken;
            }
            let whole = left >= length;
            let out = left.min(length);
            left -= out;
            match piece.what {
                What::Given(_) => taken += out,
                What::Held(held) => {
                    taken += piece.taken;
                    self.rest = (!whole).then_some(Rest { what: Unwritten::Plain(held), at: out });
                }
                What::Secret(number, secret) => {
                    taken += piece.taken;
                    self.placeholders.written(number);
                    self.rest =
                        (!whole).then_some(Rest { what: Unwritten::Secret(secret), at: out });
                }
            }
            if !whole {
                self.held = NOTHING;
                return taken;
            }
        }
        self.held = plan.held;
        taken + plan.taken
    }
}

impl Held {
    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }
}

impl What<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            What::Given(bytes) => bytes,
            What::Held(held) => &held.bytes[..held.len],
            What::Secret(_, secret) => secret.as_ref(),
        }
    }
}

impl<T: AsyncWrite + Unpin> H1SecretWriter<T> {
    fn write_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = &mut self.rest {
            let bytes = match &rest.what {
                Unwritten::Secret(secret) => secret.as_ref(),
                Unwritten::Plain(held) => &held.bytes[..held.len],
            };
            let written = Pin::new(&mut self.below).poll_write(cx, &bytes[rest.at..]);
            bootseal_memory::scrub_registers();
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            rest.at += written;
            if rest.at == bytes.len() {
                self.rest = None;
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the held bytes as ordinary text, because no more bytes follow that could complete a
    /// placeholder.
    fn write_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_rest(cx))?;
        if self.held.len > 0 {
            let what = Unwritten::Plain(std::mem::replace(&mut self.held, NOTHING));
            self.rest = Some(Rest { what, at: 0 });
        }
        self.write_rest(cx)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for H1SecretWriter<T> {
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
        loop {
            ready!(self.write_rest(cx))?;
            if self.held.len == 0 && !self.placeholders.any()
                || given.iter().all(|slice| slice.is_empty())
            {
                return Pin::new(&mut self.below).poll_write_vectored(cx, given);
            }
            let plan = self.plan(given);
            let written = if plan.pieces.is_empty() {
                0
            } else {
                let out: SmallVec<[IoSlice<'_>; USUAL]> =
                    plan.pieces.iter().map(|piece| IoSlice::new(piece.what.bytes())).collect();
                let written = Pin::new(&mut self.below).poll_write_vectored(cx, &out);
                // memcpy and ciphers leave parts of the secret in the vector registers.
                bootseal_memory::scrub_registers();
                ready!(written)?
            };
            if written == 0 && !plan.pieces.is_empty() {
                return Poll::Ready(Ok(0));
            }
            // The result is 0 if only earlier held bytes were written. A writer must not return 0,
            // so the loop continues.
            match self.commit(plan, written) {
                0 => {}
                taken => return Poll::Ready(Ok(taken)),
            }
        }
    }

    /// If this were `false`, hyper would copy all bytes, including the body of a login, into its
    /// own buffer.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_held(cx))?;
        Pin::new(&mut self.below).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.write_held(cx))?;
        Pin::new(&mut self.below).poll_shutdown(cx)
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for H1SecretWriter<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let H1SecretWriter { below, reads, .. } = &mut *self;
        reads.poll_read(Pin::new(below), cx, into)
    }
}

#[cfg(test)]
mod tests;
