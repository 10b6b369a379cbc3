//! A process without free file descriptors closes idle connections to make a new one. The test has
//! a process of its own, because the limit is that of the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test

use bootseal_wire::{Endpoint, Options, SecretClient};
use http::Request;
use http_body_util::BodyExt;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::fs::File;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::Barrier;

/// A server that answers each request once `together` requests are there.
async fn serve(together: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let barrier = Arc::new(Barrier::new(together));
    tokio::spawn(async move {
        loop {
            // Without a descriptor, the connection stays in the queue of the kernel.
            let Ok((mut stream, _)) = listener.accept().await else {
                tokio::task::yield_now().await;
                continue;
            };
            let barrier = barrier.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while stream.read_buf(&mut head).await.unwrap_or(0) > 0 {
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        barrier.wait().await;
                        let _ =
                            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                    }
                }
            });
        }
    });
    url
}

async fn call(client: &SecretClient, url: &str) {
    let mut request = Request::get(url).body(reqwest::Body::default()).unwrap();
    let response = client.send(&mut request, None, &[]).await.unwrap();
    response.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn idle_connections_make_room_for_a_new_one() {
    let client = || {
        let client = SecretClient::new(&Endpoint::default(), &Options::default(), |_| Ok(()));
        Arc::new(client.unwrap())
    };
    let (many, one) = (serve(20).await, serve(1).await);
    let (first, other) = (client(), client());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (first, many) = (first.clone(), many.clone());
            tokio::spawn(async move { call(&first, &many).await })
        })
        .collect();
    for done in calls {
        done.await.unwrap();
    }
    let highest = File::open("/dev/null").unwrap();
    let limit = getrlimit(Resource::Nofile);
    let most = std::os::fd::AsRawFd::as_raw_fd(&highest) as u64;
    setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
    let _all: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(File::open("/dev/null").is_err());
    call(&other, &one).await;
    assert_eq!((first.close_idle(), other.close_idle()), (0, 1));
}
