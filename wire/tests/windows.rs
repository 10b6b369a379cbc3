//! The windows of HTTP/2 responses: small while nobody reads, large for a reader that keeps up. The
//! test has a process of its own, because the growth of all windows together is bounded.

#![allow(clippy::unwrap_used)] // a test

use bootseal_memory::Secret;
use bootseal_wire::{ArrivingBody, Endpoint, Options, SecretClient};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

const BODY: usize = 32 << 20;
/// The bytes that nobody reads, at most.
const SMALL: usize = 64 << 10;

/// For each path, the bytes sent so far, and the largest window.
type Sent = Arc<Mutex<HashMap<String, (usize, usize)>>>;

async fn serve(stream: TcpStream, tls: TlsAcceptor, sent: Sent) -> Option<()> {
    let stream = tls.accept(stream).await.ok()?;
    let mut builder = h2::server::Builder::new();
    builder.max_send_buffer_size(8 << 20);
    let mut connection = builder.handshake(stream).await.ok()?;
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let (sent, path) = (sent.clone(), request.uri().path().to_owned());
        tokio::spawn(async move {
            let mut body = respond.send_response(Response::new(()), false).ok()?;
            let mut left = BODY;
            while left > 0 {
                body.reserve_capacity(left.min(8 << 20));
                let window = std::future::poll_fn(|cx| body.poll_capacity(cx)).await?.ok()?;
                let now = window.min(left);
                {
                    let mut sent = sent.lock().unwrap();
                    let (all, largest) = sent.entry(path.clone()).or_default();
                    (*all, *largest) = (*all + now, window.max(*largest));
                }
                body.send_data(Bytes::from(vec![0; now]), now == left).ok()?;
                left -= now;
            }
            Some(())
        });
    }
    Some(())
}

async fn call(client: &SecretClient, url: String, with_token: bool) -> ArrivingBody {
    let token = (http::header::AUTHORIZATION, Secret::copy_of(b"token").unwrap());
    let headers = if with_token { &[token][..] } else { &[] };
    let mut request = Request::get(url).body(reqwest::Body::default()).unwrap();
    client.send(&mut request, None, headers).await.unwrap().into_body()
}

#[tokio::test]
async fn a_response_that_nobody_reads_stays_small_and_a_reader_gets_a_large_window() {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let mut config = config.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let sent = Sent::default();
    let recorded = sent.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, tls.clone(), recorded.clone()));
        }
    });
    let endpoint = Endpoint { ca: Some(made.cert.pem()), ..Endpoint::default() };
    let client = SecretClient::new(&endpoint, &Options::default(), |_| Ok(())).unwrap();
    let mut unread = Vec::new();
    for at in 0..80 {
        unread.push(call(&client, format!("{url}/unread/{at}"), true).await);
    }
    // A whole download beside them; without a token, the window is that of h2.
    for (path, with_token) in [("/read", true), ("/other", false)] {
        let mut body = call(&client, format!("{url}{path}"), with_token).await;
        let mut length = 0;
        while let Some(frame) = body.frame().await {
            length += frame.unwrap().data_ref().map_or(0, Bytes::len);
        }
        assert_eq!(length, BODY, "{path}");
        let largest = sent.lock().unwrap()[path].1;
        assert!(largest >= 1 << 20, "{path}: {largest}");
    }
    for at in 0..80 {
        let all = sent.lock().unwrap()[&format!("/unread/{at}")].0;
        assert!(all <= SMALL, "{at}: {all} bytes that nobody reads");
    }
    // A slow reader reads on where it was.
    let mut slow = unread.pop().unwrap();
    let mut length = 0;
    while let Some(frame) = slow.frame().await {
        length += frame.unwrap().data_ref().map_or(0, Bytes::len);
        tokio::task::yield_now().await;
    }
    assert_eq!(length, BODY);
}
