//! HTTP through the gateway byte by byte: request smuggling, floods, endless streams, slow readers,
//! and callers that disconnect.

use crate::support;
use crate::support::{Client, Upstream, Usual, call, get, length_of, reply};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MIB: usize = 1 << 20;

fn ok_for_all() -> Upstream {
    Upstream::start(|head, stream| {
        read_body(head, stream)?;
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    })
}

fn is_chunked(head: &str) -> bool {
    head.to_ascii_lowercase().contains("transfer-encoding: chunked")
}

fn read_body(head: &str, stream: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = vec![0; length_of(head)];
    stream.read_exact(&mut body)?;
    while is_chunked(head) {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
        if length == 0 {
            loop {
                line.clear();
                stream.read_line(&mut line)?;
                body.extend_from_slice(line.trim_end().as_bytes());
                if line == "\r\n" {
                    return Ok(body);
                }
            }
        }
        let start = body.len();
        body.resize(start + length + 2, 0);
        stream.read_exact(&mut body[start..])?;
        body.truncate(start + length);
    }
    Ok(body)
}

/// The rest of the response, to the end of the connection or the timeout.
fn rest(client: &mut Client) -> String {
    let mut all = Vec::new();
    // A connection that is closed with bytes in flight may be reset.
    let _ = client.0.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn no_request_smuggling_reaches_the_upstream() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    assert_eq!(call(usual.port, &get("/first")).status, 200);
    let second = "GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let post = |headers: &str, body: &str| {
        format!("POST /outer HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n{body}")
    };
    let inner = second.len();
    let mut counted = 0;
    for (request, in_head) in [
        (post(&format!("Content-Length: 0\r\nContent-Length: {inner}\r\n"), second), true),
        (post(&format!("Content-Length: {inner}\r\nContent-Length: {inner}\r\n"), second), true),
        (post(&format!("Content-Length: {inner}, 0\r\n"), second), true),
        (post(&format!("Content-Length: +{inner}\r\n"), second), true),
        (
            post(
                &format!("Content-Length: {inner}\r\nTransfer-Encoding: chunked\r\n"),
                &format!("0\r\n\r\n{second}"),
            ),
            true,
        ),
        (
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", &format!("5c\r\n{second}")),
            true,
        ),
        (
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
                &format!("0\r\n\r\n{second}"),
            ),
            true,
        ),
        (post("Transfer-Encoding: xchunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (post("Transfer-Encoding : chunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (post("X: y\r\n Transfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (post("X: y\nTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (post("X: y\rTransfer-Encoding: chunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (post("Transfer-Encoding: \x0bchunked\r\n", &format!("0\r\n\r\n{second}")), true),
        (format!("POST /outer HTTP/1.1\nHost: 127.0.0.1\n\n{second}"), true),
        (
            format!(
                "POST /outer HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{second}"
            ),
            true,
        ),
        (
            format!("GET /outer HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n{second}"),
            true,
        ),
        (format!("GET /outer HTTP/1.1 \r\nHost: 127.0.0.1\r\n\r\n{second}"), true),
        (post("Transfer-Encoding: chunked\r\n", &format!("0x0\r\n\r\n{second}")), false),
        (post("Transfer-Encoding: chunked\r\n", &format!("0;x=\"\n\r\n\r\n{second}")), false),
        (post("Transfer-Encoding: chunked\r\n", &format!("5\r\nhello0\r\n\r\n{second}")), false),
        (post("Transfer-Encoding: chunked\r\n", &format!("5\nhello\r\n0\r\n\r\n{second}")), false),
        (post("Transfer-Encoding: chunked\r\n", &format!("5\r\nhello\n0\r\n\r\n{second}")), false),
        (
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("0\r\nContent-Length: 5\r\n\r\n{second}"),
            ),
            false,
        ),
        (
            post(
                "Transfer-Encoding: chunked\r\n",
                &format!("00000000000000000000\r\n\r\n{second}"),
            ),
            false,
        ),
    ] {
        counted += 1;
        let before = upstream.heads().len();
        let mut client = Client::connect(usual.port);
        client.send(&request);
        let answer = rest(&mut client);
        let heads = upstream.heads();
        assert!(
            !heads[before..].iter().any(|head| head.contains("/smuggled")),
            "{request:?}\n{heads:?}"
        );
        assert!(!answer.contains("200 OK"), "{request:?}: {answer}");
        if in_head {
            assert!(answer.starts_with("HTTP/1.1 400 "), "{request:?}: {answer}");
            assert_eq!(heads.len(), before, "{request:?}");
        }
    }
    let metrics = call(usual.admin, &get("/metrics")).text();
    let refused = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("bootseal_gateway_refused_connections_total"));
    let refused: u64 =
        refused.filter_map(|line| line.split(' ').next_back()?.parse::<u64>().ok()).sum();
    assert_eq!(refused, counted);
    gateway.log().wait("the caller broke the rules of HTTP/1.1");
    // Other callers are not affected.
    assert_eq!(call(usual.port, &get("/last")).status, 200);
}

#[test]
fn floods_are_refused_or_bounded() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    for request in [
        format!("GET /{} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", "x".repeat(MIB)),
        format!(
            "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{}\r\n",
            "X-Header: value\r\n".repeat(100_000)
        ),
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {}\r\n\r\n", "y".repeat(MIB)),
        format!(
            "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n{}\r\n",
            "X-Trailer: value\r\n".repeat(100_000)
        ),
    ] {
        let mut client = Client::connect(usual.port);
        // The connection may be closed before everything is sent.
        let _ = client.0.get_mut().write_all(request.as_bytes());
        assert!(!rest(&mut client).contains("200 OK"));
    }
    let whole = upstream.heads().iter().filter(|head| !is_chunked(head)).count();
    assert_eq!(whole, 0);
    assert_eq!(call(usual.port, &get("/last")).status, 200);
}

fn resident(pid: u32, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<usize>().unwrap() * 1024
}

#[test]
fn a_gibibyte_streams_up_and_down_in_little_memory() {
    const WHOLE: usize = 1 << 30;
    let upstream = Upstream::start(|head, stream| {
        let mut block = vec![7u8; MIB];
        if head.starts_with("GET /down ") {
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {WHOLE}\r\n\r\n")?;
            for _ in 0..WHOLE / MIB {
                stream.get_mut().write_all(&block)?;
            }
        } else {
            let mut came = 0;
            while came < length_of(head) {
                let read = stream.read(&mut block)?;
                came += read;
                if read == 0 {
                    break;
                }
            }
            reply(stream, "200 OK", &came.to_string())?;
        }
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let before = resident(gateway.pid(), "VmRSS");
    let mut client = Client::connect(usual.port);
    client.send(get("/down"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.0.read_line(&mut head).unwrap();
    }
    let (mut block, mut came) = (vec![0; MIB], 0);
    while came < WHOLE {
        let read = client.0.read(&mut block).unwrap();
        assert!(read > 0 && block[..read].iter().all(|byte| *byte == 7));
        came += read;
    }
    client.send(format!("PUT /up HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {WHOLE}\r\n\r\n"));
    for _ in 0..WHOLE / MIB {
        client.send(&block);
    }
    assert_eq!(client.answer().unwrap().text(), WHOLE.to_string());
    let peak = resident(gateway.pid(), "VmHWM");
    assert!(peak < before + 16 * MIB, "{} MiB more than before", (peak - before) / MIB);
}

#[test]
fn a_slow_reader_slows_the_sender() {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let upstream = Upstream::start(move |_, stream| {
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
        loop {
            stream.get_mut().write_all(&[7; 64 * 1024])?;
            counter.fetch_add(64 * 1024, Ordering::Relaxed);
        }
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send(get("/endless"));
    client.0.fill_buf().unwrap();
    // Without a reader the sender stops once all buffers in between are full.
    let mut last = u64::MAX;
    let halted = (0..300).any(|_| {
        let now = sent.load(Ordering::Relaxed);
        std::thread::park_timeout(Duration::from_millis(100));
        std::mem::replace(&mut last, now) == now && now > 0
    });
    assert!(halted, "it still sends after {} MiB", sent.load(Ordering::Relaxed) >> 20);
    assert!(sent.load(Ordering::Relaxed) < 64 << 20);
    assert!(resident(gateway.pid(), "VmRSS") < 64 * MIB);
}

#[test]
fn a_caller_that_disconnects_ends_its_call() {
    let (ended, ends) = channel();
    let (begun, begins) = channel();
    let (ended, begun) = (Mutex::new(ended), Mutex::new(begun));
    let upstream = Upstream::start(move |head, stream| {
        if head.starts_with("GET /waits ") {
            begun.lock().unwrap().send(()).unwrap();
        } else {
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegun")?;
            begun.lock().unwrap().send(()).unwrap();
        }
        let read = stream.read(&mut [0; 1]);
        ended.lock().unwrap().send(matches!(read, Ok(0) | Err(_))).unwrap();
        Ok(false)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    for path in ["/waits", "/streams"] {
        let mut client = Client::connect(usual.port);
        client.send(get(path));
        begins.recv_timeout(Duration::from_secs(30)).unwrap();
        drop(client);
        assert!(
            ends.recv_timeout(Duration::from_secs(30)).unwrap(),
            "{path}: the upstream notices at once"
        );
    }
}

#[test]
fn expect_100_continue_works_and_trailers_are_forwarded() {
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = bodies.clone();
    let upstream = Upstream::start(move |head, stream| {
        let body = read_body(head, stream)?;
        kept.lock().unwrap().push(body);
        write!(
            stream.get_mut(),
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, X-Token\r\n\r\n4\r\npart\r\n0\r\nX-Sum: 42\r\nX-Token: {}0\r\n\r\n",
            support::TOKEN
        )?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send(
        "POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n",
    );
    let mut interim = String::new();
    client.0.read_line(&mut interim).unwrap();
    assert_eq!(interim, "HTTP/1.1 100 Continue\r\n");
    client.0.read_line(&mut interim).unwrap();
    client.send("a lamp");
    assert_eq!(client.answer().unwrap().text(), "part");
    client.send("POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nTrailer: X-Check\r\n\r\n5\r\nhello\r\n0\r\nX-Check: 1\r\nAuthorization: mine\r\n\r\n");
    let mut all = String::new();
    while !all.ends_with("\r\n\r\n") || all.matches("\r\n\r\n").count() < 2 {
        client.0.read_line(&mut all).unwrap();
    }
    assert!(all.to_ascii_lowercase().contains("x-sum: 42\r\n"), "{all}");
    assert!(!all.contains(support::TOKEN), "{all}");
    let bodies = bodies.lock().unwrap();
    assert_eq!(bodies[0], b"a lamp");
    let streamed = String::from_utf8_lossy(&bodies[1]).to_ascii_lowercase();
    assert_eq!(streamed, "hellox-check: 1");
}

#[test]
fn server_sent_events_are_forwarded_without_delay() {
    let (go, goes) = channel::<()>();
    let goes = Mutex::new(goes);
    let upstream = Upstream::start(move |_, stream| {
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
        for event in 0..3 {
            // Each event is sent in one piece and must arrive at once.
            stream.get_mut().write_all(format!("data: {event}\n\n").as_bytes())?;
            goes.lock().unwrap().recv().map_err(io::Error::other)?;
        }
        Ok(false)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send(get("/events"));
    let mut seen = String::new();
    for event in 0..3 {
        // The next event is not sent before this one was read.
        while !seen.contains(&format!("data: {event}\n\n")) {
            let read = client.0.read_line(&mut seen);
            assert!(read.is_ok(), "{seen:?}");
        }
        go.send(()).unwrap();
    }
}

#[test]
fn an_upgraded_connection_works_in_both_directions() {
    let upstream = Upstream::start(|head, stream| {
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        assert!(head.contains("authorization: Bearer"), "{head}");
        write!(
            stream.get_mut(),
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nwelcome {}0\n",
            support::TOKEN
        )?;
        let mut line = String::new();
        while stream.read_line(&mut line)? > 0 {
            write!(stream.get_mut(), "you said {line}")?;
            line.clear();
        }
        Ok(false)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let mut gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send("GET /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        client.0.read_line(&mut head).unwrap();
    }
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
    let mut line = String::new();
    client.0.read_line(&mut line).unwrap();
    // An echoed token is replaced by asterisks here too.
    assert_eq!(line, format!("welcome {}\n", "*".repeat(support::TOKEN.len() + 1)));
    // After the upgrade the bytes are not HTTP and are not inspected.
    client.send("\0 anything\n");
    line.clear();
    client.0.read_line(&mut line).unwrap();
    assert_eq!(line, "you said \0 anything\n");
    // After the caller closes its side, the other direction continues.
    gateway.signal("TERM");
    gateway.log().wait("stopping");
    client.send("more\n");
    line.clear();
    client.0.read_line(&mut line).unwrap();
    assert_eq!(line, "you said more\n");
    client.0.get_mut().shutdown(std::net::Shutdown::Write).unwrap();
    line.clear();
    assert_eq!(client.0.read_line(&mut line).unwrap(), 0);
    assert_eq!(gateway.ended(), Some(0));
}

#[test]
fn only_upgrades_to_websocket_are_forwarded() {
    let upstream = Upstream::start(|head, stream| {
        if head.starts_with("GET /unasked ") {
            write!(
                stream.get_mut(),
                "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
            )?;
            return Ok(false);
        }
        assert!(!head.to_ascii_lowercase().contains("upgrade"), "{head}");
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let ask = |path: &str, protocol: &str| {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
        );
        call(usual.port, &request)
    };
    for protocol in ["h2c", "TLS/1.0", "websocket, h2c"] {
        assert_eq!(ask("/x", protocol).text(), "ok", "{protocol}");
    }
    let answer = call(usual.port, &get("/unasked"));
    assert_eq!((answer.status, answer.header("x-bootseal-error")), (502, Some("upstream-broken")));
}

#[test]
fn a_body_on_a_get_is_forwarded_and_a_truncated_body_is_the_callers_error() {
    let bodies: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
    let kept = bodies.clone();
    let upstream = Upstream::start(move |head, stream| {
        let body = read_body(head, stream)?;
        kept.lock().unwrap().push(body);
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let chunked = "GET /search HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(call(usual.port, &format!("{chunked}5\r\nquery\r\n0\r\n\r\n")).status, 200);
    assert_eq!(*bodies.lock().unwrap(), [b"query"]);
    let answer = call(usual.port, &format!("{chunked}5\r\nquery\r\nX\r\n"));
    assert_eq!((answer.status, answer.header("x-bootseal-error")), (400, Some("body-incomplete")));
    gateway.log().wait("body-incomplete");
    assert_eq!(bodies.lock().unwrap().len(), 1);
}

#[test]
fn a_slow_caller_is_waited_for_and_a_slow_upstream_times_out() {
    let upstream = Upstream::start(|head, stream| {
        let body = read_body(head, stream)?;
        if body == b"slow" {
            reply(stream, "200 OK", "ok")?;
        }
        // To other requests it sends nothing.
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "answer_timeout = \"2s\"");
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send("POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n");
    for letter in ["s", "l", "o", "w"] {
        std::thread::park_timeout(Duration::from_millis(700));
        client.send(format!("1\r\n{letter}\r\n"));
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.answer().unwrap().status, 200);
    let silent = call(
        usual.port,
        "POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
    );
    assert_eq!((silent.status, silent.header("x-bootseal-error")), (504, Some("upstream-timeout")));
}

#[test]
fn pipelined_calls_are_answered_in_order() {
    let upstream = Upstream::start(|head, stream| {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        reply(stream, "200 OK", &path)?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut client = Client::connect(usual.port);
    client.send([get("/1"), get("/2"), get("/3")].concat());
    for path in ["/1", "/2", "/3"] {
        assert_eq!(client.answer().unwrap().text(), path);
    }
}
