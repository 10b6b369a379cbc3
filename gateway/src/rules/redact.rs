//! How is it kept from the caller? An upstream that repeats what it was sent repeats the token: it is starred out, in heads and in bodies as
//! they stream by, and in what a WebSocket says.

use bootseal::Token;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};
use memchr::memmem;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const STAR: u8 = b'*';
/// A shorter token would be found by chance.
const SHORTEST: usize = 8;
/// The beginning of a token is held back from this length on, until it is known how it goes on: a stream that pauses is not kept waiting for
/// less.
const HOLD: usize = 16;

/// Bytes in which a search of any kind is soon over.
const SHORT: usize = 8 * 1024;

/// Bytes that are read at once of another protocol.
const READ: usize = 8 * 1024;

/// Stars out one token.
pub(crate) struct Mask {
    token: Token,
    /// The end of what went by, up to a token's length less one.
    before: BytesMut,
    /// Of it, what was not handed on yet.
    held: usize,
}

impl Mask {
    pub(crate) fn of(token: Token) -> Mask {
        Mask { token, before: BytesMut::new(), held: 0 }
    }

    /// In the values of headers or trailers.
    pub(crate) fn headers(&self, headers: &mut HeaderMap) {
        self.token.expose(|token| {
            if token.len() < SHORTEST {
                return;
            }
            for value in headers.values_mut() {
                if value.len() >= token.len() && find(value.as_bytes(), token).is_some() {
                    let mut bytes = BytesMut::from(value.as_bytes());
                    star(&mut bytes, token);
                    *value = HeaderValue::from_maybe_shared(bytes.freeze()).unwrap_or(HeaderValue::from_static("***"));
                }
            }
        });
    }

    /// The next piece of a body; `last`: it is known that none follows. What comes back may be shorter, by what is held back, or longer by what
    /// was.
    pub(crate) fn piece(&mut self, piece: Bytes, last: bool) -> Bytes {
        let Mask { token, before, held } = self;
        token.expose(|token| {
            if token.len() < SHORTEST || before.is_empty() && last && find(&piece, token).is_none() {
                return piece;
            }
            let border = token.len() - 1;
            let mut around = before.clone();
            around.extend_from_slice(&piece[..border.min(piece.len())]);
            let clean = find(&around, token).is_none() && find(&piece, token).is_none();
            let unsent = before.len() - *held;
            if clean && *held == 0 && piece.len() >= border {
                // Nearly always: nothing is copied but the end.
                *before = BytesMut::from(&piece[piece.len() - border..]);
                *held = to_hold(before, token, last);
                return piece.slice(..piece.len() - *held);
            }
            let mut whole = std::mem::take(before);
            whole.extend_from_slice(&piece);
            if !clean {
                star(&mut whole, token);
            }
            *before = BytesMut::from(&whole[whole.len() - border.min(whole.len())..]);
            *held = to_hold(before, token, last).min(whole.len() - unsent);
            whole.truncate(whole.len() - *held);
            whole.split_off(unsent).freeze()
        })
    }

    /// All that `from` says, to `to`, which is then shut down: for connections that speak another protocol.
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

    /// How many bytes are held back.
    pub(crate) fn held(&self) -> u64 {
        self.held as u64
    }

    /// What was held back, at the end of a body.
    pub(crate) fn rest(&mut self) -> Option<Bytes> {
        let held = std::mem::take(&mut self.held);
        (held > 0).then(|| self.before.split_off(self.before.len() - held).freeze())
    }
}

/// Where the token is. In what is short, by its least common byte: to prepare the search that is linear whatever it meets takes longer than
/// this does.
fn find(bytes: &[u8], token: &[u8]) -> Option<usize> {
    if bytes.len() > SHORT {
        return memmem::find(bytes, token);
    }
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

/// How long the longest beginning of the token is that `end` ends with, where that is long enough to be none by chance.
fn to_hold(end: &[u8], token: &[u8], last: bool) -> usize {
    let Some(first) = token.first().filter(|_| !last) else { return 0 };
    let begins = |at: &usize| token.starts_with(&end[*at..]);
    let begun = memchr::memchr_iter(*first, end).find(begins).map_or(0, |at| end.len() - at);
    if begun >= HOLD.min(token.len() / 2) { begun } else { 0 }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "eyJ0b2tlbiI6.eyJ0.b2tlbg-eyJ0b2tlbiI6";

    fn token(text: &str) -> Token {
        let vendor = "[acme.login]\nurl = \"https://a.example/\"\nbasic = true\nexpiry = { fixed = \"5m\" }\ntoken = { body = \"text\" }\n";
        let vault = bootseal::testing::vault([("acme.username", "bob"), ("acme.password", "one")], vendor).unwrap();
        let says = Says(text.to_owned());
        let clock = std::sync::Arc::new(bootseal::SystemClock);
        vault.token_source_with("acme", clock, std::sync::Arc::new(says)).unwrap().token_blocking().unwrap()
    }

    struct Says(String);

    impl bootseal::Transport for Says {
        fn send(
            &self,
            _: bootseal::LoginRequest,
        ) -> std::pin::Pin<Box<dyn Future<Output = Result<bootseal::LoginResponse, bootseal::TransportError>> + Send>>
        {
            let body = bootseal::Secret::copy_of(self.0.as_bytes()).unwrap();
            Box::pin(async move { Ok(bootseal::LoginResponse { status: 200, headers: HeaderMap::new(), body }) })
        }
    }

    fn through(mask: &mut Mask, pieces: &[&[u8]], known: bool) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            let last = known && at + 1 == pieces.len();
            out.push(mask.piece(Bytes::copy_from_slice(piece), last).to_vec());
        }
        out.extend(mask.rest().map(|rest| rest.to_vec()));
        out
    }

    #[test]
    fn headers_lose_it() {
        let mut headers = HeaderMap::new();
        headers.insert("x-echo", format!("you sent Bearer {TOKEN}!").parse().unwrap());
        headers.insert("x-other", "as it was".parse().unwrap());
        Mask::of(token(TOKEN)).headers(&mut headers);
        assert_eq!(headers["x-echo"], format!("you sent Bearer {}!", "*".repeat(TOKEN.len())));
        assert_eq!(headers["x-other"], "as it was");
    }

    #[test]
    fn a_stream_that_pauses_is_not_kept_waiting() {
        let mut mask = Mask::of(token(TOKEN));
        assert_eq!(mask.piece(Bytes::from_static(b"data: eyJ0"), false), "data: eyJ0");
        assert_eq!(mask.piece(Bytes::from_static(b"\n\n"), false), "\n\n");
        // So long a beginning is none by chance.
        assert_eq!(mask.piece(Bytes::copy_from_slice(&TOKEN.as_bytes()[..20]), false), "");
        assert_eq!(mask.piece(Bytes::copy_from_slice(&TOKEN.as_bytes()[20..]), false), "*".repeat(TOKEN.len()));
    }

    proptest! {
        #[test]
        fn however_it_is_cut_the_rest_is_as_it_was(
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
            let out = through(&mut Mask::of(token(TOKEN)), &pieces, known).concat();
            prop_assert_eq!(out.len(), whole.len());
            let mut expected = whole.clone();
            star(&mut expected, TOKEN.as_bytes());
            let mut run = 0;
            for (at, byte) in out.iter().enumerate() {
                // Of a token at most its beginning goes out, before it is known to be one.
                run = if expected[at] == *byte { 0 } else { run + 1 };
                prop_assert!(*byte == whole[at] || expected[at] == *byte);
                prop_assert!(run < HOLD, "{} bytes of it", run);
            }
        }
    }
}
