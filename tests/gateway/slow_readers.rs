//! Callers that do not read their responses: what the gateway keeps for them is bounded, and is
//! returned to the system afterwards.

use crate::support::{Client, Gateway, Upstream, Usual, call, frame, get};
use socket2::{Domain, Socket, Type};
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;
const CALLERS: usize = 1000;

/// An upstream whose responses have `length` bytes, and the number of those that it began.
fn large(length: usize) -> (Upstream, Arc<AtomicUsize>) {
    let begun = Arc::new(AtomicUsize::new(0));
    let count = begun.clone();
    let upstream = Upstream::start(move |head, stream| {
        let length = if head.starts_with("GET /small ") { 2 } else { length };
        write!(stream.get_mut(), "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
        let block = vec![b'x'; length.min(64 * 1024)];
        count.fetch_add(1, Ordering::Relaxed);
        let mut left = length;
        while left > 0 {
            let now = left.min(block.len());
            stream.get_mut().write_all(&block[..now])?;
            left -= now;
        }
        Ok(true)
    });
    (upstream, begun)
}

/// A connection with a small buffer, so that the rest of a response stays where it comes from.
fn narrow(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).unwrap();
    socket.into()
}

fn more_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn memory(gateway: &Gateway, what: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_matches([' ', '\t', 'k', 'B']).parse::<usize>().unwrap() * 1024
}

fn resident(gateway: &Gateway) -> usize {
    memory(gateway, "VmRSS:")
}

fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !is_true() {
        assert!(Instant::now() < until, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Waits until the memory of the gateway no longer grows, and returns it.
fn settled(gateway: &Gateway) -> usize {
    let mut last = 0;
    wait_until("the memory still grows", || {
        let now = resident(gateway);
        std::thread::park_timeout(Duration::from_millis(300));
        std::mem::replace(&mut last, now) == now
    });
    last
}

fn check(connect: impl Fn(u16) -> Vec<TcpStream>) {
    more_files();
    let (upstream, begun) = large(MIB);
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    assert_eq!(call(usual.port, &get("/small")).status, 200);
    let before = settled(&gateway);
    let callers = connect(usual.port);
    wait_until("not all calls arrived", || begun.load(Ordering::Relaxed) > CALLERS);
    let with = settled(&gateway).saturating_sub(before);
    assert!(with <= 96 * MIB, "{} MiB for {CALLERS} callers", with / MIB);
    // A caller that reads is served meanwhile.
    assert_eq!(call(usual.port, &get("/small")).status, 200);
    drop(callers);
    wait_until("the memory is not returned", || resident(&gateway) <= before + 4 * MIB);
    assert_eq!(call(usual.port, &get("/small")).status, 200);
}

#[test]
fn a_thousand_http_1_callers_that_do_not_read_take_little_memory() {
    check(|port| {
        let callers = (0..CALLERS).map(|_| {
            let mut stream = narrow(port);
            stream.write_all(get("/large").as_bytes()).unwrap();
            stream
        });
        callers.collect()
    });
}

#[test]
fn a_thousand_http_2_calls_that_nobody_reads_take_little_memory() {
    check(|port| {
        let connections = (0..8).map(|_| {
            let mut stream = narrow(port);
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            // The windows are as large as possible.
            bytes.extend(frame(4, 0, 0, &[0, 4, 0x7f, 0xff, 0xff, 0xff]));
            bytes.extend(frame(8, 0, 0, &[0x7f, 0, 0, 0]));
            for call in 0..CALLERS as u32 / 8 {
                let mut head = vec![0x82, 0x86, 0x04, 6];
                head.extend(b"/large");
                head.extend([0x01, 9]);
                head.extend(b"127.0.0.1");
                bytes.extend(frame(1, 5, 2 * call + 1, &head));
            }
            stream.write_all(&bytes).unwrap();
            stream
        });
        connections.collect()
    });
}

#[test]
fn a_caller_that_reads_slowly_gets_every_byte() {
    let (upstream, _) = large(8 * MIB);
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = usual.start();
    let mut stream = narrow(usual.port);
    stream.write_all(get("/large").as_bytes()).unwrap();
    let mut client = Client(BufReader::with_capacity(1000, stream));
    assert_eq!(client.answer().unwrap().body.len(), 8 * MIB);
    let mut end = [0; 1];
    client.send("GET /small HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    assert_eq!(client.answer().unwrap().body, b"xx");
    assert_eq!(client.0.read(&mut end).unwrap(), 0);
}

#[test]
fn five_hundred_downloads_at_once_fit_into_the_limit_of_the_sidecar() {
    more_files();
    let (upstream, _) = large(MIB);
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let callers: Vec<_> = (0..500)
        .map(|_| {
            let mut client = Client::connect(usual.port);
            std::thread::spawn(move || client.call(&get("/large")).body.len())
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), MIB);
    }
    let peak = memory(&gateway, "VmHWM:");
    // The limit in examples/kubernetes/sidecar.yaml.
    assert!(peak < 64 * MIB, "{} MiB", peak / MIB);
}
