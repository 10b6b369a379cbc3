//! Seeded fuzzing of the callers' side by raw sockets, in HTTP/1.1 and HTTP/2: requests that are
//! changed, cut, repeated and joined at random. The gateway neither panics, hangs nor grows, and
//! nothing reaches the upstream that is not one whole call with the token.
//!
//! `just fuzz-callers 10000` runs more rounds; `BOOTSEAL_TEST_FUZZ_SEED` repeats a run.

use crate::support::{self, Client, Gateway, Upstream, Usual, call, frame, get, reply};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const MIB: usize = 1 << 20;
const THREADS: u64 = 8;

/// A generator of the same numbers for the same seed (SplitMix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

/// A sound request in HTTP/1.1.
fn http1(random: &mut Random) -> Vec<u8> {
    let mut request = Vec::new();
    for _ in 0..=random.below(3) {
        let path = random.pick(&[
            "/x",
            "/%2e%2e/x",
            "/a/../b",
            "/x?q=%00",
            "//h/x",
            "*",
            "http://127.0.0.1/x",
        ]);
        let method = random.pick(&["GET", "POST", "PUT", "HEAD", "OPTIONS", "TRACE", "BREW"]);
        let (headers, body) = match random.below(6) {
            0 => ("Content-Length: 5\r\n", "hello"),
            1 => ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n3\r\nabc\r\n0\r\n\r\n"),
            2 => ("Transfer-Encoding: chunked\r\nTrailer: X\r\n", "1\r\na\r\n0\r\nX: y\r\n\r\n"),
            3 => ("Expect: 100-continue\r\nContent-Length: 2\r\n", "ok"),
            4 => ("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n", ""),
            _ => ("Accept: */*\r\nCookie: a=b\r\nConnection: keep-alive, x\r\n", ""),
        };
        let marker = random.next();
        request.extend(
            format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Call: {marker}\r\n{headers}\r\n{body}")
                .bytes(),
        );
    }
    request
}

/// Sound frames of HTTP/2 after the preface, and some that are only sound elsewhere.
fn http2(random: &mut Random) -> Vec<u8> {
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]));
    let mut stream = 1;
    for _ in 0..=random.below(6) {
        let mut head = vec![random.pick(&[&[0x82][..], &[0x83]])[0], 0x86, 0x04, 2, b'/', b'x'];
        head.extend([0x01, 9]);
        head.extend(b"127.0.0.1");
        match random.below(9) {
            0 => bytes.extend(frame(1, 4, stream, &head)),
            1 => {
                bytes.extend(frame(1, 0, stream, &head[..5]));
                bytes.extend(frame(9, 4, stream, &head[5..]));
            }
            2 => bytes.extend(frame(3, 0, stream, &[0, 0, 0, 8])),
            3 => bytes.extend(frame(6, 0, 0, &[0; 8])),
            4 => bytes.extend(frame(8, 0, random.pick(&[&[0u32], &[1]])[0], &[0, 1, 0, 0])),
            5 => bytes.extend(frame(7, 0, 0, &[0; 8])),
            6 => bytes.extend(frame(2, 0, stream, &[0, 0, 0, 1, 5])),
            _ => {
                bytes.extend(frame(1, 4, stream, &head));
                bytes.extend(frame(0, 1, stream, b"hello"));
            }
        }
        stream += 2;
    }
    bytes
}

/// Changes a few places.
fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..random.below(4) {
        let at = random.below(bytes.len());
        match random.below(8) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => {
                bytes[at] = random.pick(&[&[0u8], b"\r", b"\n", b" ", b":", b"0", b"\xff"])[0]
            }
            2 => drop(
                bytes.splice(
                    at..at,
                    random
                        .pick(&[
                            &b"\r\n"[..],
                            b"\0",
                            b"\r\n\r\n",
                            b": ",
                            b"Content-Length: 0\r\n",
                            b"Transfer-Encoding: chunked\r\n",
                            b"Host: evil\r\n",
                        ])
                        .iter()
                        .copied(),
                ),
            ),
            3 => bytes.truncate(at),
            4 => {
                let end = (at + random.below(40)).min(bytes.len());
                drop(bytes.drain(at..end));
            }
            5 => {
                let end = (at + random.below(200)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                drop(bytes.splice(at..at, piece));
            }
            6 => {
                let times = 1 + random.below(2000);
                let long = vec![random.pick(&[b"a", b"\r", b" ", b"\0"])[0]; times];
                drop(bytes.splice(at..at, long));
            }
            _ => {
                let other = if random.below(2) == 0 { http1(random) } else { http2(random) };
                bytes.extend(other);
            }
        }
    }
}

/// Sends the bytes in pieces, and returns everything that came back, to the end of the connection.
fn exchange(port: u16, random: &mut Random, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    let mut rest = bytes;
    while !rest.is_empty() {
        let length = if random.below(3) == 0 { 1 + random.below(9) } else { rest.len() };
        let (piece, after) = rest.split_at(length.min(rest.len()));
        // The gateway may have closed the connection.
        if stream.write_all(piece).is_err() {
            break;
        }
        rest = after;
    }
    let mut answer = vec![0; 64 * 1024];
    // A caller that closes its side at once wants no response any more.
    let waits = random.below(2) == 0;
    stream.set_read_timeout(Some(Duration::from_millis(if waits { 100 } else { 1 })))?;
    let read = stream.read(&mut answer).unwrap_or(0);
    answer.truncate(read);
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    match stream.read_to_end(&mut answer) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
        _ => Ok(answer),
    }
}

fn memory(gateway: &Gateway) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim_matches([' ', '\t', 'k', 'B']).parse::<usize>().unwrap() * 1024
}

fn open_files(gateway: &Gateway) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", gateway.pid())).unwrap().count()
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn run(port: u16, seed: u64, rounds: u64) {
    for round in 0..rounds {
        let mut random = Random(seed ^ round << 32);
        let mut bytes = if random.below(2) == 0 { http1(&mut random) } else { http2(&mut random) };
        mutate(&mut random, &mut bytes);
        let answer = exchange(port, &mut random, &bytes)
            .unwrap_or_else(|error| panic!("seed {seed}, round {round}: {error}: {bytes:?}"));
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains(support::TOKEN), "seed {seed}, round {round}: {bytes:?}");
    }
}

#[test]
fn no_bytes_of_a_caller_end_the_gateway_or_make_it_hang_or_grow() {
    let bad: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = bad.clone();
    let upstream = Upstream::start(move |head, stream| {
        let lines: Vec<&str> = head.trim_end().split("\r\n").collect();
        let tokens = lines.iter().filter(|line| line.contains(support::TOKEN)).count();
        let lower = head.to_ascii_lowercase();
        let framed = lower.matches("\ncontent-length:").count()
            + lower.matches("\ntransfer-encoding:").count();
        if tokens != 1
            || framed > 1
            || lower.matches("\nhost:").count() != 1
            || lower.contains("\nhost: evil")
        {
            kept.lock().unwrap().push(head.to_owned());
        }
        // Whatever follows in the connection is not read.
        reply(stream, "200 OK\r\nConnection: close", "ok")?;
        Ok(false)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let (rounds, seed) =
        (number("BOOTSEAL_TEST_FUZZ_ROUNDS", 2000), number("BOOTSEAL_TEST_FUZZ_SEED", 26));
    let (port, each) = (usual.port, rounds / THREADS);
    // The first rounds fill caches; the rest must not add to them.
    run(port, seed.wrapping_add(99), 50);
    assert_eq!(call(port, &get("/x")).status, 200);
    let (before, files) = (memory(&gateway), open_files(&gateway));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| std::thread::spawn(move || run(port, seed.wrapping_add(thread << 16), each)))
        .collect();
    // Another caller is served meanwhile.
    let mut other = Client::connect(port);
    while !threads.iter().all(std::thread::JoinHandle::is_finished) {
        assert_eq!(other.call(&get("/other")).status, 200);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(*bad.lock().unwrap(), [""; 0]);
    let of_others = |head: &&String| !head.contains("/other");
    let reached = upstream.heads().iter().filter(of_others).count() as u64;
    assert!(reached > rounds / 4, "{reached} calls reached the upstream in {rounds} rounds");
    assert_eq!(call(usual.admin, &get("/ready")).status, 200);
    let more = memory(&gateway).saturating_sub(before);
    assert!(more < 16 * MIB, "{} MiB more after {rounds} rounds", more / MIB);
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while open_files(&gateway) > files + 8 {
        assert!(
            std::time::Instant::now() < until,
            "{} files, {files} before",
            open_files(&gateway)
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
    let panicked: Vec<String> =
        gateway.log().lines().into_iter().filter(|line| line.contains("panicked")).collect();
    assert!(panicked.is_empty(), "{panicked:?}");
}
