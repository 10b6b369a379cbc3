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
        let origin = Origin::of(&uri, false).unwrap();
        assert_eq!(origin.host_header().unwrap(), name, "{url}");
    }
}

#[tokio::test]
async fn a_freed_connection_serves_a_waiting_call_and_few_connections_are_made_at_once() {
    let vendor = scripted(OK, usize::MAX).await;
    let client = Arc::new(client(Options::default()));
    let calls = (0..200).map(|_| {
        let (client, url) = (client.clone(), vendor.url.clone());
        tokio::spawn(async move {
            let mut request = Request::post(&url).body(reqwest::Body::default()).unwrap();
            read(client.send(&mut request, None, &[]).await.unwrap()).await;
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
    let made = vendor.connections.load(Ordering::Relaxed);
    assert!(made < 100, "{made} connections for 200 short calls");
}

#[tokio::test]
async fn calls_that_hold_their_connections_all_get_one() {
    let mut vendor = scripted(HALF, usize::MAX).await;
    let client = Arc::new(client(Options::default()));
    let calls = (0..100).map(|_| {
        let (client, url) = (client.clone(), vendor.url.clone());
        tokio::spawn(async move {
            let mut request = Request::post(&url).body(reqwest::Body::default()).unwrap();
            client.send(&mut request, None, &[]).await.unwrap()
        })
    });
    let mut unfinished = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        unfinished.push(call.await.unwrap());
    }
    assert_eq!(vendor.connections.load(Ordering::Relaxed), 100);
    drop(unfinished);
    for _ in 0..100 {
        vendor.ended.recv().await.unwrap();
    }
}

#[tokio::test]
async fn without_an_upstream_every_waiting_call_fails_at_once() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", closed.local_addr().unwrap());
    drop(closed);
    let client = Arc::new(client(Options::default()));
    let calls = (0..100).map(|_| {
        let (client, url) = (client.clone(), url.clone());
        tokio::spawn(async move {
            let mut request = Request::post(&url).body(reqwest::Body::default()).unwrap();
            client.send(&mut request, None, &[]).await.unwrap_err()
        })
    });
    for call in calls.collect::<Vec<_>>() {
        let error = call.await.unwrap();
        assert!(error.is_connect() && error.to_string().contains("refused"), "{error}");
    }
}

/// A connection is made in a task of the runtime of the call that needs it first.
#[test]
fn a_call_survives_the_end_of_the_runtime_that_was_connecting_for_it() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let connect = crate::ConnectOptions {
        connect_timeout: Some(Duration::from_millis(300)),
        ..Default::default()
    };
    let client = Arc::new(client(Options { connect, ..Options::default() }));
    let send = |client: Arc<SecretClient>, url: String| async move {
        let mut request = Request::post(&url).body(reqwest::Body::default()).unwrap();
        client.send(&mut request, None, &[]).await.unwrap_err()
    };
    let (one, other) = (tokio::runtime::Runtime::new(), tokio::runtime::Runtime::new());
    let (one, other) = (one.unwrap(), other.unwrap());
    one.spawn(send(client.clone(), url.clone()));
    drop(silent.accept().unwrap());
    let late = other.spawn(send(client.clone(), url.clone()));
    one.shutdown_background();
    let error = other.block_on(late).unwrap();
    assert!(error.is_connect(), "{error}");
}
