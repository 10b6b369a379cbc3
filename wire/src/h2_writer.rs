//! How does a secret get into an HTTP/2 request? There a header is a compressed string in a frame: the placeholder's is found by its
//! Huffman code, and replaced by the secret as a literal that is never indexed (RFC 7541 §6.2.3); the frame's length follows.

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

/// What a client sends first (RFC 9113 §3.4).
const PREFACE: usize = 24;
const FRAME_HEAD: usize = 9;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;
/// The longest payload that every peer takes (RFC 9113 §4.2).
const MAX_FRAME: usize = 16_384;
/// A placeholder's code: a character of ten bits, the others of five each.
const CODE: usize = (10 + 5 * (LENGTH - 1)) / 8;
const PREFIX_CODE: usize = (10 + 5 * (PREFIX - 1)) / 8;
const _: () =
    assert!(8 * PREFIX_CODE == 10 + 5 * (PREFIX - 1) && 8 * CODE == 10 + 5 * (LENGTH - 1), "codes end at whole bytes");
/// The byte before it: compressed, and its length.
const LENGTH_BYTE: u8 = 0x80 | CODE as u8;

/// A connection of HTTP/2 on which placeholders become what they stand for.
pub(crate) struct H2SecretWriter<T> {
    below: T,
    placeholders: Arc<Placeholders>,
    find: Finder<'static>,
    at: At,
    /// The first of several frames of headers, with the payloads of all so far.
    block: Option<Vec<u8>>,
    /// What was taken from the caller, and must be written before anything else; `done` bytes of the first are.
    queue: VecDeque<Unwritten>,
    done: usize,
}

enum At {
    /// So many bytes go on as they are given.
    Through(usize),
    /// A frame's head, and its payload where that is one of headers.
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

    /// What is behind `at`, where that is within.
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
    pub(crate) fn new(below: T, placeholders: Arc<Placeholders>) -> H2SecretWriter<T> {
        let find = Finder::new(&huffman_prefix(&placeholders.prefix)).into_owned();
        H2SecretWriter {
            below,
            placeholders,
            find,
            at: At::Through(PREFACE),
            block: None,
            queue: VecDeque::new(),
            done: 0,
        }
    }

    /// Takes heads of frames, and frames of headers, up to the first byte that goes on as it is. Returns how many bytes that were.
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
                let whole = if frame.len() < FRAME_HEAD { FRAME_HEAD } else { FRAME_HEAD + payload(frame) };
                let (now, rest) = bytes.split_at(bytes.len().min(whole - frame.len()));
                frame.extend_from_slice(now);
                (bytes, taken) = (rest, taken + now.len());
                if frame.len() < whole {
                    continue;
                }
                let of_headers = matches!(frame[3], HEADERS | CONTINUATION);
                if of_headers && whole == FRAME_HEAD && payload(frame) > 0 {
                    continue;
                }
                let mut frame = std::mem::take(frame);
                self.at = At::Through(if of_headers { 0 } else { payload(&frame) });
                if !of_headers {
                    self.queue.push_back(Unwritten::Plain(frame));
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

    /// Queues a block of headers, with the secrets in it. Before it stands the head of its first frame.
    fn rewrite(&mut self, mut block: Vec<u8>) {
        let mut head = [0; FRAME_HEAD];
        head.copy_from_slice(&block[..FRAME_HEAD]);
        let mut pieces = VecDeque::new();
        let (mut from, mut at) = (FRAME_HEAD, FRAME_HEAD);
        while let Some(found) = self.find.find(&block[at..]).map(|found| found + at) {
            at = found + 1;
            let number = block.get(found + PREFIX_CODE..found + CODE).and_then(huffman_number);
            let secret = number.and_then(|number| Some((number, self.placeholders.secret(number)?)));
            let Some((number, secret)) = secret.filter(|_| block[found - 1] == LENGTH_BYTE) else { continue };
            let length = secret.as_ref().len();
            let mut plain = block[from..found - 1].to_vec();
            push_length(&mut plain, length);
            pieces.push_back(Unwritten::Plain(plain));
            pieces.push_back(Unwritten::Secret(secret, 0..length));
            self.placeholders.written(number);
            (from, at) = (found + CODE, found + CODE);
        }
        pieces.push_back(Unwritten::Plain(block.split_off(from)));
        self.frames(head, pieces);
    }

    /// Cuts a block into frames that every peer takes.
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
            // What follows is the same stream's, and has no flag but the one for its end.
            (head[3], head[4]) = (CONTINUATION, 0);
        }
    }

    /// `written` bytes of the queue, and of what goes on behind it, went out. Returns how many were of the latter.
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
    /// Writes the queue, and behind it of `given`, whose first `taken` bytes are in the queue, what goes on as it is. Returns how many bytes
    /// of `given` went out behind it.
    fn write(&mut self, cx: &mut Context<'_>, given: &[IoSlice<'_>], taken: usize) -> Poll<io::Result<usize>> {
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

fn payload(frame: &[u8]) -> usize {
    usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2])
}

/// A string's length, not compressed (RFC 7541 §5.1, §5.2).
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
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        given: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // So that who writes faster than it goes out is held back.
        while !self.queue.is_empty() {
            ready!(self.write(cx, &[], 0))?;
        }
        let taken = self.take(given);
        loop {
            match self.write(cx, given, taken) {
                // What was taken goes out with the next write, or with the flush that follows.
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
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use bootseal_memory::Secret;
    use bytes::Bytes;
    use http::{Request, Response};
    use http_body_util::{BodyExt, Full};
    use hyper::body::Incoming;
    use hyper_util::rt::{TokioExecutor, TokioIo};
    use std::convert::Infallible;
    use tokio::io::{AsyncRead, ReadBuf};

    /// What arrives, as a body: the headers that carry secrets, and the body that was sent.
    async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let names = ["authorization", "x-key", "cookie"];
        let mut all: Vec<u8> = names
            .iter()
            .filter_map(|name| head.headers.get(*name))
            .flat_map(|value| value.as_bytes().to_vec())
            .collect();
        all.push(b'|');
        all.extend_from_slice(&body.collect().await.unwrap().to_bytes());
        Ok(Response::new(Full::new(all.into())))
    }

    /// Takes at most so many bytes at a time, and is not ready each other time.
    struct Short {
        below: tokio::io::DuplexStream,
        most: usize,
        ready: bool,
    }

    impl AsyncWrite for Short {
        fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.ready = !self.ready;
            if !self.ready {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let bytes = &bytes[..bytes.len().min(self.most)];
            Pin::new(&mut self.below).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.below).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.below).poll_shutdown(cx)
        }
    }

    impl AsyncRead for Short {
        fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.below).poll_read(cx, into)
        }
    }

    struct Client {
        placeholders: Arc<Placeholders>,
        sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    }

    impl Client {
        /// To a real server, by writes of at most so many bytes.
        async fn to_echo(most: usize) -> Client {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let ours = Short { below: ours, most, ready: false };
            let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            server.max_header_list_size(1 << 20);
            tokio::spawn(server.serve_connection(TokioIo::new(theirs), hyper::service::service_fn(echo)));
            let placeholders = Arc::new(Placeholders::new().unwrap());
            let ours = H2SecretWriter::new(ours, placeholders.clone());
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours));
            let (sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            Client { placeholders, sender }
        }

        /// With these values in these headers; `body` is given the first placeholder.
        async fn send(
            &self,
            headers: &[(&'static str, &[u8])],
            body: impl FnOnce(&[u8]) -> Vec<u8>,
        ) -> Result<Bytes, hyper::Error> {
            let secrets = headers.iter().map(|(name, value)| (*name, Secret::copy_of(value).unwrap()));
            let stands: Vec<_> = secrets.map(|(name, secret)| (name, self.placeholders.stand_in(&secret))).collect();
            let mut request = Request::post("https://api.acme.example/orders?page=2");
            for (name, stand) in &stands {
                request = request.header(*name, stand.header().unwrap());
            }
            let body = body(&stands[0].1.text());
            let request = request.body(Full::new(body.into())).unwrap();
            let mut sender = self.sender.clone();
            sender.ready().await?;
            Ok(sender.send_request(request).await?.into_body().collect().await?.to_bytes())
        }
    }

    fn token(length: usize) -> Vec<u8> {
        (0..length).map(|at| b'!' + (at * 7 % 90) as u8).collect()
    }

    #[tokio::test]
    async fn every_length_arrives_at_a_real_peer_however_little_goes_out_at_a_time() {
        for pipe in [1, 7, 31, 64, 100_000] {
            let client = Client::to_echo(pipe).await;
            for length in [1, 2, 29, 30, 31, 126, 127, 128, 254, 255, 256, 700, 4_000, 16_000, 16_384, 40_000] {
                let token = token(length);
                // The body has the same bytes, as they are and as a compressed header would have them: both stay.
                let got =
                    client.send(&[("authorization", &token)], |placeholder| placeholder.repeat(100)).await.unwrap();
                assert!(got.starts_with(&[&token[..], b"|!"].concat()), "{length} bytes, {pipe} at a time");
                assert_eq!(got.len(), length + 1 + 100 * LENGTH);
            }
            let got = client
                .send(&[("authorization", b"one"), ("x-key", b"two"), ("cookie", b"a=b")], |_| vec![b'x'; 70_000]);
            let got = got.await.unwrap();
            assert!(got.starts_with(b"onetwoa=b|x") && got.len() == 70_010);
        }
    }

    #[tokio::test]
    async fn calls_at_the_same_time_have_each_their_own() {
        let client = Arc::new(Client::to_echo(1_000).await);
        let calls = (0..200u32).map(|call| {
            let client = client.clone();
            tokio::spawn(async move {
                let token = format!("token {call}").into_bytes();
                let got = client.send(&[("authorization", &token)], |_| vec![b'x'; call as usize * 10]).await.unwrap();
                assert!(got.starts_with(&[&token[..], b"|"].concat()));
            })
        });
        for call in calls.collect::<Vec<_>>() {
            call.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_head_of_several_frames_is_one_block() {
        let client = Client::to_echo(1_000).await;
        let (long, longer) = (token(20_000), token(33_000));
        let headers: [(&str, &[u8]); 3] = [("authorization", &long), ("x-key", b"short"), ("cookie", &longer)];
        let got = client.send(&headers, |_| b"body".to_vec()).await.unwrap();
        assert!(got == [&long[..], b"short", &longer, b"|body"].concat());
    }

    #[test]
    fn the_code_of_a_placeholder_is_what_a_real_encoder_makes_of_it() {
        // RFC 7541, appendix B: `!` 1111111000, then `0` 00000, `1` 00001, `2` 00010, `a` 00011.
        let mut prefix = [b'0'; PREFIX];
        prefix[..5].copy_from_slice(b"!012a");
        let code = huffman_prefix(&prefix);
        assert_eq!((code.len(), &code[..4]), (PREFIX_CODE, &[0b1111_1110, 0b0000_0000, 0b0001_0001, 0b0000_1100][..]));
        assert_eq!(huffman_number(&[0; 10]), Some(0));
        assert_eq!(huffman_number(&[0xFF; 10]), None);
    }
}
