//! Redaction of the token in responses: an upstream that echoes its request would echo the token.
//!
//! Each occurrence is replaced by stars of the same length, so no length header changes: in header
//! values, in bodies as they stream through, and in what the upstream sends over a WebSocket.

use crate::rules::token_search::{Search, find};
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

/// The size of one read from an upgraded connection, in bytes.
const READ: usize = 8 * 1024;

/// Redacts one token in one response. The work is linear in the length of the response, however it
/// is cut into pieces.
pub(crate) struct Redactor {
    token: Token,
    search: Search,
    /// The number of bytes at the end of the body so far that were not passed on yet. They are the
    /// last of the `search.matched` bytes, so they need not be stored.
    held: usize,
}

impl Redactor {
    pub(crate) fn of(token: Token) -> Redactor {
        Redactor { token, search: Search::default(), held: 0 }
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
        let Redactor { token, search, held } = self;
        token.expose(|token| {
            if token.len() < MIN_TOKEN || piece.is_empty() {
                return piece;
            }
            let before = search.matched;
            let mut ends = Vec::new();
            search.read(&piece, token, last, |end| ends.push(end));
            let was_held = std::mem::replace(held, 0);
            // Bytes that were already sent cannot be held back.
            let unsent = was_held + piece.len();
            if !last && search.matched >= MIN_HELD.min(token.len() / 2) {
                *held = search.matched.min(unsent);
            }
            if was_held == 0 && ends.is_empty() {
                // The usual case: nothing is copied.
                return piece.slice(..unsent - *held);
            }
            let sent = unsent - *held;
            let mut out = BytesMut::with_capacity(sent);
            let from_held = was_held.min(sent);
            let first = before - was_held;
            out.extend_from_slice(&token[first..first + from_held]);
            out.extend_from_slice(&piece[..sent - from_held]);
            for end in ends {
                let end = was_held + end;
                out[end.saturating_sub(token.len())..end].fill(STAR);
            }
            out.freeze()
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
        let (held, matched) = (std::mem::take(&mut self.held), self.search.matched);
        let rest =
            || self.token.expose(|token| Bytes::copy_from_slice(&token[matched - held..matched]));
        (held > 0).then(rest)
    }
}

fn star(bytes: &mut [u8], token: &[u8]) {
    let mut from = 0;
    while let Some(at) = memmem::find(&bytes[from..], token) {
        let (start, end) = (from + at, from + at + token.len());
        bytes[start..end].fill(STAR);
        from = end;
    }
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

    #[test]
    fn a_body_in_pieces_of_one_byte_takes_linear_work() {
        let text = format!("{}b", "a".repeat(16 * 1024));
        // Each prefix of the token is followed by a byte that does not continue it.
        for length in [1, 2, 9, 17, 1000, text.len() - 1] {
            let mut redactor = Redactor::of(token(&text));
            let body = format!("{}c", &text[..length]).repeat(40_000 / (length + 1));
            let mut passed = 0;
            for byte in body.bytes() {
                passed += redactor.piece(Bytes::copy_from_slice(&[byte]), false).len();
            }
            assert_eq!(passed as u64 + redactor.held(), body.len() as u64);
            assert!(redactor.search.steps() <= 4 * body.len(), "{}", redactor.search.steps());
        }
    }

    proptest! {
        #[test]
        fn a_token_that_overlaps_itself_is_redacted_however_the_body_is_cut(
            token_text in "[ab]{8,60}",
            texts in prop::collection::vec("[ab]{0,70}", 1..6),
            cuts in prop::collection::vec(1usize..90, 1..30),
        ) {
            let whole = texts.join(&token_text).into_bytes();
            let mut pieces = Vec::new();
            let mut rest = &whole[..];
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                pieces.push(piece);
                rest = after;
            }
            pieces.push(rest);
            let out = through(&mut Redactor::of(token(&token_text)), &pieces, false).concat();
            let mut expected = whole.clone();
            star(&mut expected, token_text.as_bytes());
            prop_assert_eq!(out.len(), whole.len());
            let mut run = 0;
            for (at, byte) in out.iter().enumerate() {
                run = if expected[at] == *byte { 0 } else { run + 1 };
                prop_assert!(*byte == whole[at] || expected[at] == *byte);
                prop_assert!(run < MIN_HELD, "{} bytes of it", run);
            }
        }

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
