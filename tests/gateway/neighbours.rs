//! One caller with stalled uploads, unread downloads and a flood of interim responses does not hold
//! up another.

use crate::support::{Client, Upstream, Usual, call, get, length_of, post, reply};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const EACH: usize = 30;

#[test]
fn a_caller_that_neither_sends_nor_reads_does_not_hold_up_others() {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let upstream = Upstream::start(move |head, stream| {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path != "/other" {
            count.fetch_add(1, Ordering::Relaxed);
        }
        match path {
            "/download" => {
                write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")?;
                for _ in 0..1000 {
                    stream.get_mut().write_all(&[b'x'; 50_000])?;
                }
            }
            // Until the gateway closes the connection.
            "/interim" => loop {
                let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(100);
                stream.get_mut().write_all(interim.as_bytes())?;
            },
            _ => {
                std::io::copy(&mut stream.take(length_of(head) as u64), &mut std::io::sink())?;
                reply(stream, "200 OK", "ok")?;
            }
        }
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut greedy: Vec<TcpStream> = Vec::new();
    for request in [
        get("/download"),
        get("/interim"),
        "POST /upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000000\r\n\r\nx".into(),
    ] {
        for _ in 0..EACH {
            let mut stream = TcpStream::connect(("127.0.0.1", usual.port)).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            greedy.push(stream);
        }
    }
    // All of them have reached the upstream.
    let mut other = Client::connect(usual.port);
    while begun.load(Ordering::Relaxed) < 3 * EACH {
        assert_eq!(other.call(&get("/other")).status, 200);
    }
    for _ in 0..100 {
        assert_eq!(other.call(&get("/other")).status, 200);
        assert_eq!(call(usual.port, &post("/other", "a lamp")).status, 200);
    }
    assert_eq!(call(usual.admin, &get("/ready")).status, 200);
}
