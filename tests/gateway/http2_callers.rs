//! The limits on callers hold in HTTP/2 too, frame by frame, and for callers that do not read.

use crate::support::{Gateway, Sealed, Upstream, Usual, VALUES, call, frame, get, reply};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// A caller that sends and receives single frames.
struct Http2 {
    stream: TcpStream,
    next: u32,
}

/// A head without compression: names and values as they are (RFC 7541 §6.2.2).
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut head = Vec::new();
    let length = |length: usize, head: &mut Vec<u8>| match length {
        0..=126 => head.push(length as u8),
        _ => {
            head.push(127);
            let mut left = length - 127;
            while left >= 128 {
                head.push((left % 128) as u8 | 128);
                left /= 128;
            }
            head.push(left as u8);
        }
    };
    for (name, value) in fields {
        head.push(0);
        length(name.len(), &mut head);
        head.extend(name.as_bytes());
        length(value.len(), &mut head);
        head.extend(value.as_bytes());
    }
    head
}

fn usual(path: &str) -> Vec<(&str, &str)> {
    vec![(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "127.0.0.1")]
}

impl Http2 {
    fn connect(port: u16, window: u32) -> Http2 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
        let [one, two, three, four] = window.to_be_bytes();
        stream.write_all(&frame(4, 0, 0, &[0, 4, one, two, three, four])).unwrap();
        Http2 { stream, next: 1 }
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let _ = self.stream.write_all(&frame(kind, flags, stream, payload));
    }

    /// Sends a call and returns the number of its stream.
    fn call(&mut self, fields: &[(&str, &str)], flags: u8) -> u32 {
        let stream = self.next;
        self.next += 2;
        // A head of more than one frame is continued.
        let head = head(fields);
        let mut parts = head.chunks(16_000).peekable();
        let mut kind = HEADERS;
        while let Some(part) = parts.next() {
            let last = if parts.peek().is_none() { END_HEADERS } else { 0 };
            let ends = if kind == HEADERS { flags } else { 0 };
            self.send(kind, last | ends, stream, part);
            kind = 9;
        }
        stream
    }

    fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut header = [0; 9];
        self.stream.read_exact(&mut header).ok()?;
        let [a, b, c, kind, flags, s1, s2, s3, s4] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.stream.read_exact(&mut payload).ok()?;
        Some((kind, flags, u32::from_be_bytes([s1, s2, s3, s4]), payload))
    }

    /// The status of the response in this stream: 1 if the stream was reset, 0 if the connection
    /// ended.
    fn status(&mut self, stream: u32) -> u16 {
        while let Some((kind, _, of, payload)) = self.frame() {
            match kind {
                GOAWAY => return 0,
                RST_STREAM if of == stream => return 1,
                // The first field is the status, by its index or in Huffman's code (RFC 7541).
                HEADERS if of == stream => {
                    return match payload[..] {
                        [0x88, ..] => 200,
                        [0x8c, ..] => 400,
                        [0x8d, ..] => 404,
                        [0x48, 0x83, 0x69, 0x90, ..] => 431,
                        [0x48, 0x82, 0x68, 0x41, ..] => 421,
                        _ => panic!("{payload:x?}"),
                    };
                }
                _ => {}
            }
        }
        0
    }
}

fn echo() -> Upstream {
    Upstream::start(|head, stream| {
        if head.starts_with("GET /large ") {
            write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")?;
            stream.get_mut().write_all(&vec![b'x'; 10_000_000])?;
        } else {
            reply(stream, "200 OK", "ok")?;
        }
        Ok(true)
    })
}

fn with_limits(usual: &Usual, limits: &[&str]) -> Gateway {
    let mut command = usual.sealed.command();
    for limit in limits {
        command.args(["--time-limit", limit]);
    }
    Gateway::run(command)
}

fn status_of(port: u16, fields: &[(&str, &str)]) -> u16 {
    let mut caller = Http2::connect(port, 65_535);
    let stream = caller.call(fields, END_STREAM);
    caller.status(stream)
}

#[test]
fn heads_that_http_1_refuses_are_refused_in_http_2() {
    let upstream = echo();
    let file = Usual::new(&upstream.origin(), "", "");
    let _gateway = file.start();
    let status = |more: &[(&str, &str)]| status_of(file.port, &[&usual("/x")[..], more].concat());
    let (long, value) = (format!("/{}", "x".repeat(16 * 1024)), "y".repeat(1000));
    assert_eq!(status(&[]), 200);
    assert_eq!(status(&[("x", "y"); 100]), 200);
    assert_eq!(status(&[("x", "y"); 101]), 431);
    assert_eq!(status(&[("x", value.as_str()); 40]), 431);
    assert_eq!(status(&[("content-length", "0"); 2]), 400);
    assert_eq!(status(&[("host", "b.example")]), 400);
    assert_eq!(status(&[("host", "127.0.0.1"); 2]), 400);
    assert_eq!(status_of(file.port, &usual(&long)), 431);
    assert!([1, 400].contains(&status_of(file.port, &usual("/\u{e9}"))));
    // As without Host in HTTP/1.1, and with the name of another machine.
    assert_eq!(status_of(file.port, &usual("/x")[..3]), 400);
    let other = [&usual("/x")[..3], &[(":authority", "evil.example")]].concat();
    assert_eq!(status_of(file.port, &other), 421);
    // A length that the body does not have.
    assert_eq!(status(&[("content-length", "4")]), 1);
    assert_eq!(upstream.heads().len(), 2, "only those that got 200");
}

#[test]
fn slow_heads_and_unread_responses_end_the_connection_in_time() {
    let upstream = echo();
    let file = Usual::new(&upstream.origin(), "", "");
    let gateway = with_limits(&file, &["head=200", "unread=200", "idle=200"]);
    let refused = |why: &str| {
        let name = "bootseal_gateway_refused_connections_total";
        let line = format!("{name}{{why=\"{why}\"}} 1");
        let metrics = call(file.admin, &get("/metrics")).text();
        assert!(metrics.lines().any(|found| found == line), "{line} in {metrics}");
    };
    // A head without its end.
    let mut caller = Http2::connect(file.port, 65_535);
    caller.send(HEADERS, END_STREAM, 1, &head(&usual("/x")));
    assert_eq!(caller.status(1), 0);
    refused("head not completed in time");
    // A response without a window.
    let mut caller = Http2::connect(file.port, 0);
    let stream = caller.call(&usual("/x"), END_STREAM);
    assert_eq!(caller.status(stream), 200);
    assert_eq!(caller.status(stream), 0);
    gateway.log().wait("response not read in time");
    refused("response not read in time");
    // An idle connection, which is no violation.
    let mut caller = Http2::connect(file.port, 65_535);
    let stream = caller.call(&usual("/x"), END_STREAM);
    assert_eq!((caller.status(stream), caller.status(stream)), (200, 0));
}

#[test]
fn an_http_1_caller_that_does_not_read_is_closed_and_frees_the_upstream() {
    let (ended, ends) = std::sync::mpsc::channel();
    let ended = std::sync::Mutex::new(ended);
    let upstream = Upstream::start(move |_, stream| {
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")?;
        let result = stream.get_mut().write_all(&vec![b'x'; 100_000_000]);
        ended.lock().unwrap().send(result.is_err()).unwrap();
        Ok(false)
    });
    let file = Usual::new(&upstream.origin(), "", "");
    let gateway = with_limits(&file, &["unread=200"]);
    let mut stream = TcpStream::connect(("127.0.0.1", file.port)).unwrap();
    stream.write_all(get("/large").as_bytes()).unwrap();
    gateway.log().wait("response not read in time");
    assert!(ends.recv_timeout(Duration::from_secs(60)).unwrap(), "its response was cut off");
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_unix_socket_without_callers_is_for_its_own_user() {
    let upstream = echo();
    let folder = tempfile::tempdir().unwrap();
    let (open, keyed) = (folder.path().join("open.sock"), folder.path().join("keyed.sock"));
    let origin = upstream.origin();
    let login = format!("url = \"{origin}/login\"\nbasic = true\n");
    let route = |path: &std::path::Path| {
        format!("listen = \"unix:{}\"\nupstream = \"{origin}\"\n", path.display())
    };
    let sealed = Sealed::new(
        &[VALUES[0], VALUES[1], VALUES[2], ("b.username", "x"), ("b.password", "y")],
        &format!(
            "[acme.login]\n{login}[acme.route]\n{}callers = {{ bearer = \"${{caller_key}}\" }}\n[b.login]\n{login}[b.route]\n{}",
            route(&keyed),
            route(&open),
        ),
    );
    let _gateway = Gateway::start(&sealed);
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&open), mode(&keyed)), (0o600, 0o666));
    let mut stream = std::os::unix::net::UnixStream::connect(&open).unwrap();
    stream.write_all(get("/x").as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
}
