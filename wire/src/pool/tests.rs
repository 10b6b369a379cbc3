//! Tests of the pool: which connection serves which call.

#![allow(clippy::unwrap_used)]
use super::*;
use crate::body::ArrivingBody;
use crate::client::{Options, SecretClient};
use crate::endpoint::Endpoint;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A vendor that sends `response` for each request head, and closes the connection after
/// `calls` responses.
struct Scripted {
    url: String,
    connections: Arc<AtomicUsize>,
    /// Receives a message for each connection that has ended.
    ended: tokio::sync::mpsc::UnboundedReceiver<()>,
}

async fn scripted(response: &'static str, calls: usize) -> Scripted {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let (end, ended) = tokio::sync::mpsc::unbounded_channel();
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let end = end.clone();
            tokio::spawn(async move {
                let mut read = Vec::new();
                for _ in 0..calls {
                    while !read.ends_with(b"\r\n\r\n") {
                        if stream.read_buf(&mut read).await.unwrap_or(0) == 0 {
                            return end.send(());
                        }
                    }
                    read.clear();
                    if stream.write_all(response.as_bytes()).await.is_err() {
                        break;
                    }
                }
                end.send(())
            });
        }
    });
    Scripted { url, connections, ended }
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";

fn client(options: Options) -> SecretClient {
    SecretClient::new(&Endpoint::default(), &options, |_| Ok(())).unwrap()
}

async fn call(client: &SecretClient, vendor: &Scripted) -> Response<ArrivingBody> {
    let mut request = Request::post(&vendor.url).body(reqwest::Body::default()).unwrap();
    client.send(&mut request, None, &[]).await.unwrap()
}

async fn read(response: Response<ArrivingBody>) {
    use http_body_util::BodyExt;
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "ok");
}

#[tokio::test]
async fn a_connection_is_reused_once_its_response_has_ended() {
    let vendor = scripted(OK, usize::MAX).await;
    let client = client(Options::default());
    for _ in 0..3 {
        read(call(&client, &vendor).await).await;
    }
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
    // A response that has arrived completely need not be read.
    let unread = call(&client, &vendor).await;
    drop(call(&client, &vendor).await);
    read(call(&client, &vendor).await).await;
    read(unread).await;
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn an_unfinished_response_blocks_no_call_and_dropping_it_closes_its_connection() {
    let mut vendor = scripted(HALF, usize::MAX).await;
    let client = client(Options::default());
    let (one, other) = (call(&client, &vendor).await, call(&client, &vendor).await);
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
    drop((one, other));
    vendor.ended.recv().await.unwrap();
    vendor.ended.recv().await.unwrap();
}

#[tokio::test]
async fn a_connection_closed_while_idle_fails_no_call() {
    let vendor = scripted(OK, 1).await;
    let client = client(Options::default());
    for _ in 0..20 {
        read(call(&client, &vendor).await).await;
    }
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 20);
}

#[tokio::test]
async fn a_connection_that_is_idle_for_too_long_is_closed() {
    let mut vendor = scripted(OK, usize::MAX).await;
    let client = client(Options { idle_for: Duration::from_millis(20), ..Options::default() });
    read(call(&client, &vendor).await).await;
    vendor.ended.recv().await.unwrap();
    read(call(&client, &vendor).await).await;
    vendor.ended.recv().await.unwrap();
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let mut vendor = scripted(OK, usize::MAX).await;
    let client = client(Options { idle_per_host: 1, ..Options::default() });
    let (one, other) = tokio::join!(call(&client, &vendor), call(&client, &vendor));
    read(one).await;
    read(other).await;
    vendor.ended.recv().await.unwrap();
    read(call(&client, &vendor).await).await;
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 2);
}

#[test]
fn the_host_header_omits_the_default_port() {
    for (url, name) in [
        ("http://a.example", "a.example"),
        ("http://a.example:80", "a.example"),
        ("https://a.example:443", "a.example"),
        ("https://a.example:80", "a.example:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ] {
        let uri: Uri = url.parse().unwrap();
        let origin = Origin::of(&uri).unwrap();
        assert_eq!(origin.host_header().unwrap(), name, "{url}");
    }
}
