//! Redaction of the token in responses: an upstream that echoes its request would echo the token.
//!
//! Each occurrence is replaced by stars of the same length, so no length header changes: in header
//! values, in bodies as they stream through, and in what the upstream sends over a WebSocket.

use bootseal::Token;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const STAR: u8 = b'*';
/// Shorter tokens are not redacted: they would be found by chance.
const MIN_TOKEN: usize = 8;
/// If a piece ends with at least this many bytes of the token, they are held back until the next
/// piece arrives. Fewer bytes are passed on: a paused event stream must not be delayed because its
/// last bytes happen to be a prefix of the token.
const MIN_HELD: usize = 16;

/// Up to this many bytes the simple search of [`find`] is faster than `memmem`.
const SHORT: usize = 8 * 1024;

/// The size of one read from an upgraded connection, in bytes.
const READ: usize = 8 * 1024;

/// Redacts one token in one response.
pub(crate) struct Redactor {
    token: Token,
    /// The last bytes of the body so far, redacted: one less than the length of the token, which is
    /// the most that an occurrence can have before the next piece.
    tail: BytesMut,
    /// The number of bytes at the end of `tail` that were not passed on yet.
    held: usize,
}

impl Redactor {
    pub(crate) fn of(token: Token) -> Redactor {
        Redactor { token, tail: BytesMut::new(), held: 0 }
    }

    /// Redacts the values of headers or trailers.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        self.token.expose(|token| {
            if token.len() < MIN_TOKEN {
                return;
            }
            for value in headers.values_mut() {
                if value.len() >= token.len() && find(value.as_bytes(), token).is_some() {
                    let mut bytes = BytesMut::from(value.as_bytes());
                    star(&mut bytes, token);
                    *value = HeaderValue::from_maybe_shared(bytes.freeze())
                        .unwrap_or(HeaderValue::from_static("***"));
                }
            }
        });
    }

    /// Redacts the next piece of a body; `last` is set if it is known that no piece follows. The
    /// result lacks the bytes that are held back now, and begins with those that were held back
    /// before.
    pub(crate) fn piece(&mut self, piece: Bytes, last: bool) -> Bytes {
        let Redactor { token, tail, held } = self;
        token.expose(|token| {
            if token.len() < MIN_TOKEN || tail.is_empty() && last && find(&piece, token).is_none() {
                return piece;
            }
            // An occurrence is within the piece, or across its border with `tail`.
            let border = token.len() - 1;
            let mut around = tail.clone();
            around.extend_from_slice(&piece[..border.min(piece.len())]);
            let clean = find(&around, token).is_none() && find(&piece, token).is_none();
            // The bytes of `tail` up to here were already passed on.
            let sent = tail.len() - *held;
            if clean && *held == 0 && piece.len() >= border {
                // The usual case: only the tail is copied.
                *tail = BytesMut::from(&piece[piece.len() - border..]);
                *held = to_hold(tail, token, last);
                return piece.slice(..piece.len() - *held);
            }
            // Everything else is joined and redacted in place. Stars of the same length keep the
            // offsets of `sent` and `held` valid.
            let mut whole = std::mem::take(tail);
            whole.extend_from_slice(&piece);
            if !clean {
                star(&mut whole, token);
            }
            *tail = BytesMut::from(&whole[whole.len() - border.min(whole.len())..]);
            // Bytes that were already sent cannot be held back.
            *held = to_hold(tail, token, last).min(whole.len() - sent);
            // Held bytes stay in `tail`; bytes that were sent before are not sent again.
            whole.truncate(whole.len() - *held);
            whole.split_off(sent).freeze()
        })
    }

    /// Redacts an upgraded connection: copies all of `from` to `to`, and then shuts `to` down.
    pub(crate) async fn stream(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut read = BytesMut::new();
        loop {
            read.reserve(READ);
            if from.read_buf(&mut read).await? == 0 {
                break;
            }
            to.write_all(&self.piece(read.split().freeze(), false)).await?;
            to.flush().await?;
        }
        if let Some(rest) = self.rest() {
            to.write_all(&rest).await?;
        }
        to.shutdown().await
    }

    /// Returns how many bytes are held back.
    pub(crate) fn held(&self) -> u64 {
        self.held as u64
    }

    /// Returns the bytes that were held back, at the end of a body.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        (held > 0).then(|| self.tail.split_off(self.tail.len() - held).freeze())
    }
}

/// Finds the token. Most pieces are short and do not contain it: for those, a search for its rarest
/// byte is faster than preparing `memmem`, whose advantage is that it stays linear for any input.
fn find(bytes: &[u8], token: &[u8]) -> Option<usize> {
    if bytes.len() > SHORT {
        return memmem::find(bytes, token);
    }
    // Upper-case letters are rare in JSON and HTML; E, T and Z occur in numbers and dates.
    let rare = |byte: &u8| byte.is_ascii_uppercase() && !b"ETZ".contains(byte);
    let at = token.iter().position(rare).unwrap_or(0);
    let byte = *token.get(at)?;
    let begins = memchr::memchr_iter(byte, bytes).filter_map(|found| found.checked_sub(at));
    begins.into_iter().find(|begin| bytes[*begin..].starts_with(token))
}

fn star(bytes: &mut [u8], token: &[u8]) {
    let mut from = 0;
    while let Some(at) = memmem::find(&bytes[from..], token) {
        let (start, end) = (from + at, from + at + token.len());
        bytes[start..end].fill(STAR);
        from = end;
    }
}

/// Returns the length of the longest prefix of the token with which `end` ends, or 0 if that is
/// short enough to occur by chance.
fn to_hold(end: &[u8], token: &[u8], last: bool) -> usize {
    let Some(first) = token.first().filter(|_| !last) else { return 0 };
    let begins = |at: &usize| token.starts_with(&end[*at..]);
    let length = memchr::memchr_iter(*first, end).find(begins).map_or(0, |at| end.len() - at);
    if length >= MIN_HELD.min(token.len() / 2) { length } else { 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "eyJ0b2tlbiI6.eyJ0.b2tlbg-eyJ0b2tlbiI6";

    fn token(text: &str) -> Token {
        let vendor = "[acme.login]\nurl = \"https://a.example/\"\nbasic = true\nexpiry = { fixed = \"5m\" }\ntoken = { body = \"text\" }\n";
        let vault =
            bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "one")], vendor)
                .unwrap();
        let says = Says(text.to_owned());
        let clock = std::sync::Arc::new(bootseal::SystemClock);
        vault
            .token_source_with("acme", clock, std::sync::Arc::new(says))
            .unwrap()
            .token_blocking()
            .unwrap()
    }

    struct Says(String);

    impl bootseal::Transport for Says {
        fn send(
            &self,
            _: bootseal::LoginRequest,
        ) -> std::pin::Pin<
            Box<
                dyn Future<Output = Result<bootseal::LoginResponse, bootseal::TransportError>>
                    + Send,
            >,
        > {
            let body = bootseal::Secret::copy_of(self.0.as_bytes()).unwrap();
            Box::pin(async move {
                Ok(bootseal::LoginResponse { status: 200, headers: HeaderMap::new(), body })
            })
        }
    }

    fn through(redactor: &mut Redactor, pieces: &[&[u8]], known: bool) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let last = known && at + 1 == pieces.len();
            out.push(redactor.piece(Bytes::copy_from_slice(piece), last).to_vec());
        }
        out.extend(redactor.rest().map(|rest| rest.to_vec()));
        out
    }

    #[test]
    fn header_values_are_redacted() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("you sent Bearer {TOKEN}!").parse().unwrap());
        headers.insert("x-other", "as it was".parse().unwrap());
        Redactor::of(token(TOKEN)).headers(&mut headers);
        assert_eq!(headers["x-echo"], format!("you sent Bearer {}!", "*".repeat(TOKEN.len())));
        assert_eq!(headers["x-other"], "as it was");
    }

    #[test]
    fn a_paused_stream_is_not_delayed() {
        let mut redactor = Redactor::of(token(TOKEN));
        assert_eq!(redactor.piece(Bytes::from_static(b"data: eyJ0"), false), "data: eyJ0");
        assert_eq!(redactor.piece(Bytes::from_static(b"\n\n"), false), "\n\n");
        // A prefix of this length does not occur by chance.
        assert_eq!(redactor.piece(Bytes::copy_from_slice(&TOKEN.as_bytes()[..20]), false), "");
        assert_eq!(
            redactor.piece(Bytes::copy_from_slice(&TOKEN.as_bytes()[20..]), false),
            "*".repeat(TOKEN.len())
        );
    }

    proptest! {
        #[test]
        fn only_the_token_is_redacted_however_the_body_is_cut(
            texts in prop::collection::vec("[eyJ0b2]{0,40}|.{0,8}", 1..5),
            cuts in prop::collection::vec(0usize..400, 0..8),
            known in any::<bool>(),
        ) {
            let whole = texts.join(TOKEN).into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut % (whole.len() + 1)).collect();
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts {
                pieces.push(&whole[from..cut]);
                from = cut;
            }
            pieces.push(&whole[from..]);
            let out = through(&mut Redactor::of(token(TOKEN)), &pieces, known).concat();
            prop_assert_eq!(out.len(), whole.len());
            let mut expected = whole.clone();
            star(&mut expected, TOKEN.as_bytes());
            let mut run = 0;
            for (at, byte) in out.iter().enumerate() {
                // At most a short prefix of a token passes before it is recognised.
                run = if expected[at] == *byte { 0 } else { run + 1 };
                prop_assert!(*byte == whole[at] || expected[at] == *byte);
                prop_assert!(run < MIN_HELD, "{} bytes of it", run);
            }
        }
    }
}
