//! How does a secret get into a request at last? The writer between HTTP and TLS puts its bytes in the placeholder's place, straight from
//! the guarded page; everything else it writes as it is given, whatever the cuts between writes.

use crate::io::read_from_below;
use crate::placeholder::{DIGITS, FIRST, LENGTH, PREFIX, Placeholders, number};
use bootseal_memory::Exposed;
use smallvec::SmallVec;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A connection on which placeholders become what they stand for.
pub(crate) struct H1SecretWriter<T> {
    below: T,
    placeholders: Arc<Placeholders>,
    /// What was taken from the caller, and may be the beginning of a placeholder.
    held: Held,
    /// What was taken from the caller, and must be written before anything else.
    rest: Option<Rest>,
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

/// What is written for some of the given bytes.
enum What<'a> {
    Given(&'a [u8]),
    Held(Held),
    Secret(u64, Exposed),
}

struct Piece<'a> {
    /// How many of this call's bytes it stands for.
    taken: usize,
    what: What<'a>,
}

struct Plan<'a> {
    pieces: SmallVec<[Piece<'a>; USUAL]>,
    /// What is held after all of them, and how many of this call's bytes are in it.
    held: Held,
    taken: usize,
}

/// A head before its placeholder, the secret, the head after it; a body's pieces.
const USUAL: usize = 6;

const NOTHING: Held = Held { bytes: [0; LENGTH], len: 0 };

impl<T> H1SecretWriter<T> {
    pub(crate) fn new(below: T, placeholders: Arc<Placeholders>) -> H1SecretWriter<T> {
        H1SecretWriter { below, placeholders, held: NOTHING, rest: None }
    }

    /// What it writes to, for what needs no placeholders.
    ///
    /// # Errors
    /// Where something is still to be written.
    pub(crate) fn into_below(self) -> io::Result<T> {
        match (self.held.len, self.rest) {
            (0, None) => Ok(self.below),
            _ => Err(io::Error::other("what was written before is not through yet")),
        }
    }

    fn may_follow(&self, at: usize, byte: u8) -> bool {
        self.placeholders.prefix.get(at).map_or_else(|| DIGITS.contains(&byte), |expected| *expected == byte)
    }

    fn plan<'a>(&self, given: &'a [IoSlice<'a>]) -> Plan<'a> {
        let mut plan = Plan { pieces: SmallVec::new(), held: self.held, taken: 0 };
        for slice in given {
            let mut bytes: &[u8] = slice;
            while !bytes.is_empty() {
                bytes = if plan.held.len > 0 { self.go_on(&mut plan, bytes) } else { self.look(&mut plan, bytes) };
            }
        }
        plan
    }

    /// Takes up to the next byte that may begin a placeholder, and that one.
    fn look<'a>(&self, plan: &mut Plan<'a>, bytes: &'a [u8]) -> &'a [u8] {
        let whole = self.placeholders.find.find(bytes);
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

    /// Takes what goes on with the placeholder that is held.
    fn go_on<'a>(&self, plan: &mut Plan<'a>, bytes: &'a [u8]) -> &'a [u8] {
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
        let again =
            |number| plan.pieces.iter().any(|piece| matches!(piece.what, What::Secret(other, _) if other == number));
        let number = number.filter(|number| !again(*number));
        let secret = number.and_then(|number| Some((number, self.placeholders.secret(number)?)));
        let what = secret.map_or(What::Held(held), |(number, secret)| What::Secret(number, secret));
        plan.pieces.push(Piece { taken, what });
        rest
    }

    /// `written` bytes of the plan went out. Returns how many of the given ones they stand for.
    fn commit(&mut self, plan: Plan<'_>, written: usize) -> usize {
        let (mut left, mut taken) = (written, 0);
        for piece in plan.pieces {
            let length = piece.what.bytes().len();
            if left == 0 && length > 0 {
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
                    self.rest = (!whole).then_some(Rest { what: Unwritten::Secret(secret), at: out });
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

    /// What is held begins no placeholder after all: nothing follows.
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.write_rest(cx))?;
            if self.held.len == 0 && !self.placeholders.any() || given.iter().all(|slice| slice.is_empty()) {
                return Pin::new(&mut self.below).poll_write_vectored(cx, given);
            }
            let plan = self.plan(given);
            let written = if plan.pieces.is_empty() {
                0
            } else {
                let out: SmallVec<[IoSlice<'_>; USUAL]> =
                    plan.pieces.iter().map(|piece| IoSlice::new(piece.what.bytes())).collect();
                let written = Pin::new(&mut self.below).poll_write_vectored(cx, &out);
                // memcpy and ciphers leave pieces of what they moved in the vector registers.
                bootseal_memory::scrub_registers();
                ready!(written)?
            };
            if written == 0 && !plan.pieces.is_empty() {
                return Poll::Ready(Ok(0));
            }
            // Nothing is taken where only what was held before went out: then there is more to write.
            match self.commit(plan, written) {
                0 => {}
                taken => return Poll::Ready(Ok(taken)),
            }
        }
    }

    /// Or the layer above would copy what it is given, a login's body among it, into a buffer of its own.
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

read_from_below!(H1SecretWriter);

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use crate::placeholder::StandIn;
    use bootseal_memory::Secret;
    use proptest::prelude::*;

    /// Takes as many bytes as the next number says, and is not ready where that is 0.
    struct Short {
        takes: Vec<usize>,
        at: usize,
        got: Vec<u8>,
    }

    impl AsyncWrite for Short {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
        }

        fn poll_write_vectored(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            given: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let takes = self.takes[self.at % self.takes.len()];
            self.at += 1;
            if takes == 0 {
                return Poll::Pending;
            }
            let given: Vec<u8> = given.iter().flat_map(|slice| slice.to_vec()).take(takes).collect();
            self.got.extend_from_slice(&given);
            Poll::Ready(Ok(given.len()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// What arrives when `stream` is written: cut at `cuts` into slices, `together` of them at a time, below which `takes` are taken.
    fn arrives(
        placeholders: &Arc<Placeholders>,
        stream: &[u8],
        cuts: &[usize],
        together: usize,
        takes: &[usize],
    ) -> Vec<u8> {
        let mut writer =
            H1SecretWriter::new(Short { takes: takes.to_vec(), at: 0, got: Vec::new() }, placeholders.clone());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let (mut at, mut cut) = (0, 0);
        while at < stream.len() {
            let mut slices = Vec::new();
            let mut from = at;
            for step in cuts[cut..].iter().chain([&stream.len()]).take(together.max(1)) {
                let to = stream.len().min(from + step.max(&1));
                slices.push(IoSlice::new(&stream[from..to]));
                from = to;
            }
            let mut tries = 0;
            at += loop {
                match Pin::new(&mut writer).poll_write_vectored(&mut cx, &slices) {
                    Poll::Ready(taken) => break taken.unwrap(),
                    Poll::Pending => tries += 1,
                }
                assert!(tries < 10_000);
            };
            cut = (cut + 1).min(cuts.len());
        }
        while Pin::new(&mut writer).poll_flush(&mut cx).is_pending() {}
        writer.below.got
    }

    fn one() -> Arc<Placeholders> {
        Arc::new(Placeholders::new().unwrap())
    }

    fn secret(text: &[u8]) -> Secret {
        Secret::copy_of(text).unwrap()
    }

    fn request(value: &[u8], body: &[u8]) -> Vec<u8> {
        let length = body.len();
        [b"POST / HTTP/1.1\r\nauthorization: ", value, format!("\r\ncontent-length: {length}\r\n\r\n").as_bytes(), body]
            .concat()
    }

    #[test]
    fn every_cut_above_and_below_two_requests_with_the_same_bytes_in_their_bodies() {
        for token in [&b"x"[..], b"Bearer !!", &[b'J'; 200]] {
            let placeholders = one();
            let written = || {
                let stands: Vec<StandIn> = (0..2).map(|_| placeholders.stand_in(&secret(token))).collect();
                let (first, second) = (stands[0].text(), stands[1].text());
                // What stands in a body is a text like any other.
                let stream = [request(&first, &first), request(&second, b"!")].concat();
                let expected = [request(token, &first), request(token, b"!")].concat();
                (stands, stream, expected)
            };
            let length = written().1.len();
            for size in 1..=length {
                let (_stands, stream, expected) = written();
                assert!(arrives(&placeholders, &stream, &[], 1, &[size]) == expected, "below, {size} at a time");
                let (_stands, stream, expected) = written();
                let cuts = vec![size; length / size];
                assert!(arrives(&placeholders, &stream, &cuts, 1, &[usize::MAX]) == expected, "above, {size} each");
                let (_stands, stream, expected) = written();
                assert!(arrives(&placeholders, &stream, &cuts, 3, &[size, 0]) == expected, "three of {size}");
                let (_stands, stream, expected) = written();
                assert!(arrives(&placeholders, &stream, &[size], 2, &[usize::MAX]) == expected, "cut at {size}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_in_whatever_pieces_arrives_with_the_secrets_in_place(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| (0, bytes)),
                    Just((1, Vec::new())), // a placeholder
                    (1..LENGTH).prop_map(|len| (2, vec![0; len])), // the beginning of one
                    Just((3, b"!!".to_vec())),
                ],
                0..12,
            ),
            cuts in prop::collection::vec(1..60usize, 0..30),
            takes in prop::collection::vec(0..50usize, 1..8),
            together in 1..4usize,
        ) {
            prop_assume!(takes.iter().any(|takes| *takes > 0));
            let placeholders = one();
            let (mut stands, mut stream, mut expected) = (Vec::new(), Vec::new(), Vec::new());
            for (kind, bytes) in parts {
                match kind {
                    1 => {
                        let token = format!("token {}!", stands.len());
                        let stand = placeholders.stand_in(&secret(token.as_bytes()));
                        stream.extend_from_slice(&stand.text());
                        expected.extend_from_slice(token.as_bytes());
                        stands.push(stand);
                    }
                    2 => {
                        // Of one that does not stand for anything, so that no part after it makes it whole.
                        let text = [&placeholders.prefix[..], &[b's'; LENGTH - PREFIX]].concat();
                        stream.extend_from_slice(&text[..bytes.len()]);
                        expected.extend_from_slice(&text[..bytes.len()]);
                    }
                    _ => {
                        stream.extend_from_slice(&bytes);
                        expected.extend_from_slice(&bytes);
                    }
                }
            }
            prop_assert_eq!(arrives(&placeholders, &stream, &cuts, together, &takes), expected);
        }
    }

    #[test]
    fn what_is_no_longer_waited_for_is_written_as_it_stands() {
        let placeholders = one();
        let gone = placeholders.stand_in(&secret(b"token")).text();
        let _other = placeholders.stand_in(&secret(b"other"));
        let stream = request(&gone, b"");
        assert_eq!(arrives(&placeholders, &stream, &[], 1, &[usize::MAX]), stream);
    }
}
