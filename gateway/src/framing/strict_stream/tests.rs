//! Tests of the time limits and of the bytes that pass.

#![allow(clippy::unwrap_used, clippy::panic)]
use super::*;
use crate::framing::machine::PREFACE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn pair(
    timeouts: Timeouts,
) -> (tokio::io::DuplexStream, StrictStream<tokio::io::DuplexStream>, Arc<ConnectionState>) {
    let (caller, stream) = tokio::io::duplex(64 * 1024);
    let connection = Arc::new(ConnectionState::default());
    (caller, StrictStream::new(stream, Limits::default(), timeouts, connection.clone()), connection)
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_must_be_complete_within_one_time_limit() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    tokio::spawn(async move {
        for byte in b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
            if caller.write_all(&[*byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(900)).await;
        }
        std::future::pending::<()>().await;
    });
    let start = Instant::now();
    let mut read = Vec::new();
    let error = strict.read_to_end(&mut read).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!((10..11).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(connection.refused(), Some("head not completed in time"));
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_in_http_2_must_be_complete_within_the_same_limit() {
    // A head of two frames whose second one comes byte by byte, and a frame's header alone.
    let two = [&[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82][..], &[0, 0, 60, 9, 4, 0, 0, 0, 1]].concat();
    for (first, slow) in [(&two[..], 60), (&[0, 0][..], 0)] {
        let (mut caller, mut strict, connection) = pair(Timeouts::default());
        caller.write_all(PREFACE).await.unwrap();
        caller.write_all(first).await.unwrap();
        connection.begin_call();
        tokio::spawn(async move {
            for _ in 0..slow {
                tokio::time::sleep(Duration::from_millis(900)).await;
                if caller.write_all(&[0]).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        let start = Instant::now();
        assert!(strict.read_to_end(&mut Vec::new()).await.is_err());
        assert!((10..11).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
        assert_eq!(connection.refused(), Some(HEAD_TOO_SLOW));
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_nobody_reads_ends_the_connection() {
    // In HTTP/1.1, and in HTTP/2 if the caller reads nothing at all: a write waits.
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    let start = Instant::now();
    assert!(strict.write_all(&[b'x'; 100_000]).await.is_err());
    assert_eq!(start.elapsed().as_secs(), 60);
    assert_eq!(connection.refused(), Some(NOT_READ));
    assert!(!connection.is_silent());
    // A caller that reads, however slowly, is waited for.
    let (mut slow, mut strict, connection) = pair(Timeouts::default());
    tokio::spawn(async move {
        let mut bytes = [0; 50_000];
        loop {
            tokio::time::sleep(Duration::from_secs(50)).await;
            let _ = slow.read(&mut bytes).await.unwrap();
        }
    });
    strict.write_all(&[b'x'; 400_000]).await.unwrap();
    assert_eq!(connection.refused(), None);
    // In HTTP/2, the caller may read, and give no window for a response.
    let (mut silent, mut strict, connection) = pair(Timeouts::default());
    silent.write_all(PREFACE).await.unwrap();
    assert_eq!(strict.read(&mut [0; 100]).await.unwrap(), PREFACE.len());
    connection.begin_call();
    connection.add_unread();
    let start = Instant::now();
    assert!(strict.read(&mut [0; 100]).await.is_err());
    assert!((60..=120).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(connection.refused(), Some(NOT_READ));
    drop(caller.read(&mut [0; 1]).await);
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_slow_but_not_stall() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    tokio::spawn(async move {
        caller.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n").await.unwrap();
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(50)).await;
            caller.write_all(b"x").await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    let start = Instant::now();
    let mut read = Vec::new();
    assert_eq!(strict.read_to_end(&mut read).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert!((250 + 60..250 + 121).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert_eq!(connection.refused(), Some("body stalled"));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_and_one_with_a_call_is_not() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    connection.begin_call();
    let mut bytes = [0; 100];
    assert_eq!(strict.read(&mut bytes).await.unwrap(), 27);
    let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
    assert!(hours.is_err(), "a response may take hours");
    connection.end_call();
    let start = Instant::now();
    assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
    assert_eq!(start.elapsed().as_secs(), 600);
    assert_eq!(connection.refused(), None);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_first_byte_is_closed_soon() {
    for (timeouts, limit) in [(Timeouts::default(), 60), (Timeouts::of_admin(), 5)] {
        let (_caller, mut strict, connection) = pair(timeouts);
        let start = Instant::now();
        assert!(strict.read(&mut [0; 100]).await.is_err());
        assert_eq!(start.elapsed().as_secs(), limit);
        assert_eq!(connection.refused(), Some("no first byte in time"));
    }
    let (mut caller, mut strict, connection) = pair(Timeouts::of_admin());
    caller.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    assert!(strict.read(&mut [0; 100]).await.unwrap() > 0);
    let start = Instant::now();
    assert_eq!(strict.read(&mut [0; 100]).await.unwrap(), 0);
    assert_eq!((start.elapsed().as_secs(), connection.refused()), (5, None));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_http_2_too() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    caller.write_all(PREFACE).await.unwrap();
    let mut bytes = [0; 100];
    assert_eq!(strict.read(&mut bytes).await.unwrap(), PREFACE.len());
    connection.begin_call();
    let hours = tokio::time::timeout(Duration::from_secs(7200), strict.read(&mut bytes)).await;
    assert!(hours.is_err(), "a response may take hours");
    connection.end_call();
    let start = Instant::now();
    assert_eq!(strict.read(&mut bytes).await.unwrap(), 0);
    assert!(start.elapsed().as_secs() <= 600, "{:?}", start.elapsed());
    assert_eq!(connection.refused(), None);
}

#[tokio::test(start_paused = true)]
async fn after_an_upgrade_every_byte_passes() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    caller
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = [0; 100];
    assert!(strict.read(&mut bytes).await.unwrap() > 0);
    connection.set_upgraded();
    caller.write_all(b"\n\0\r any").await.unwrap();
    assert_eq!(strict.read(&mut bytes).await.unwrap(), 7);
}

#[tokio::test]
async fn a_refusal_ends_the_head_even_if_it_is_read_byte_by_byte() {
    let (mut caller, mut strict, _) = pair(Timeouts::default());
    caller.write_all(b"GET / HTTP/1.1\r\nX: a\nY: b\r\n\r\n").await.unwrap();
    let mut read = Vec::new();
    loop {
        let mut bytes = [0; 1];
        match strict.read(&mut bytes).await.unwrap() {
            0 => break,
            _ => read.push(bytes[0]),
        }
    }
    assert_eq!(read, b"GET / HTTP/1.1\r\nX: a\0\r\n\r\n");
}

#[tokio::test]
async fn no_byte_after_the_offending_byte_is_read() {
    let (mut caller, mut strict, connection) = pair(Timeouts::default());
    caller
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\nGET /2 HTTP/1.1\r\n")
        .await
        .unwrap();
    let mut read = Vec::new();
    strict.read_to_end(&mut read).await.unwrap();
    assert_eq!(read, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0\r\n\r\n");
    assert_eq!(connection.refused(), Some("line feed without a carriage return"));
}
