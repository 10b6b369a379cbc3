//! Tests of the HTTP/2 writer against a real HTTP/2 server.

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

/// Responds with the received values of the headers for secrets, and the body.
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

/// Accepts at most `most` bytes at a time, and is not ready every other time.
struct Short {
    below: tokio::io::DuplexStream,
    most: usize,
    ready: bool,
}

impl AsyncWrite for Short {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
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
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.below).poll_read(cx, into)
    }
}

struct Client {
    placeholders: Arc<Placeholders>,
    sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
}

impl Client {
    /// Connects to a real server, with writes of at most `most` bytes.
    async fn to_echo(most: usize) -> Client {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        let ours = Short { below: ours, most, ready: false };
        let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.max_header_list_size(1 << 20);
        tokio::spawn(
            server.serve_connection(TokioIo::new(theirs), hyper::service::service_fn(echo)),
        );
        let placeholders = Arc::new(Placeholders::new().unwrap());
        let ours =
            H2SecretWriter::new(ours, placeholders.clone(), ConnectionState::new(Arc::default()));
        let handshake =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(ours));
        let (sender, connection) = handshake.await.unwrap();
        tokio::spawn(connection);
        Client { placeholders, sender }
    }

    /// Sends a request with these headers; `body` makes the body from the first header's
    /// placeholder.
    async fn send(
        &self,
        headers: &[(&'static str, &[u8])],
        body: impl FnOnce(&[u8]) -> Vec<u8>,
    ) -> Result<Bytes, hyper::Error> {
        let secrets = headers.iter().map(|(name, value)| (*name, Secret::copy_of(value).unwrap()));
        let placeholders: Vec<_> =
            secrets.map(|(name, secret)| (name, self.placeholders.stand_in(&secret))).collect();
        let mut request = Request::post("https://api.acme.example/orders?page=2");
        for (name, placeholder) in &placeholders {
            request = request.header(*name, placeholder.header().unwrap());
        }
        let body = body(&placeholders[0].1.text());
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
async fn secrets_of_every_length_arrive_even_in_tiny_writes() {
    for pipe in [1, 7, 31, 64, 100_000] {
        let client = Client::to_echo(pipe).await;
        for length in
            [1, 2, 29, 30, 31, 126, 127, 128, 254, 255, 256, 700, 4_000, 16_000, 16_384, 40_000]
        {
            let token = token(length);
            // The body has the placeholder's bytes too, and keeps them.
            let got = client
                .send(&[("authorization", &token)], |placeholder| placeholder.repeat(100))
                .await
                .unwrap();
            assert!(
                got.starts_with(&[&token[..], b"|!"].concat()),
                "{length} bytes, {pipe} at a time"
            );
            assert_eq!(got.len(), length + 1 + 100 * LENGTH);
        }
        let got = client
            .send(&[("authorization", b"one"), ("x-key", b"two"), ("cookie", b"a=b")], |_| {
                vec![b'x'; 70_000]
            });
        let got = got.await.unwrap();
        assert!(got.starts_with(b"onetwoa=b|x") && got.len() == 70_010);
    }
}

#[tokio::test]
async fn each_of_many_concurrent_calls_sends_its_own_secret() {
    let client = Arc::new(Client::to_echo(1_000).await);
    let calls = (0..200u32).map(|call| {
        let client = client.clone();
        tokio::spawn(async move {
            let token = format!("token {call}").into_bytes();
            let got = client
                .send(&[("authorization", &token)], |_| vec![b'x'; call as usize * 10])
                .await
                .unwrap();
            assert!(got.starts_with(&[&token[..], b"|"].concat()));
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

#[tokio::test]
async fn a_header_block_may_have_several_frames() {
    let client = Client::to_echo(1_000).await;
    let (long, longer) = (token(20_000), token(33_000));
    let headers: [(&str, &[u8]); 3] =
        [("authorization", &long), ("x-key", b"short"), ("cookie", &longer)];
    let got = client.send(&headers, |_| b"body".to_vec()).await.unwrap();
    assert!(got == [&long[..], b"short", &longer, b"|body"].concat());
}

#[test]
fn the_huffman_code_of_a_placeholder_matches_the_rfc() {
    // RFC 7541, appendix B: `!` 1111111000, then `0` 00000, `1` 00001, `2` 00010, `a` 00011.
    let mut prefix = [b'0'; PREFIX];
    prefix[..5].copy_from_slice(b"!012a");
    let code = huffman_prefix(&prefix);
    assert_eq!(
        (code.len(), &code[..4]),
        (PREFIX_CODE, &[0b1111_1110, 0b0000_0000, 0b0001_0001, 0b0000_1100][..])
    );
    assert_eq!(huffman_number(&[0; 10]), Some(0));
    assert_eq!(huffman_number(&[0xFF; 10]), None);
}
