//! Upstreams that speak HTTP/2: they refuse calls, limit their number, go silent, or send more than
//! anyone reads.

#![allow(unreachable_pub)] // a test

use crate::support::reply;
use crate::support::{Client, Gateway, Sealed, Upstream, VALUES, ca, call, free_port, get, post};
use std::sync::atomic::Ordering;
pub use upstream::tls;
use upstream::{Act, Http2Upstream, Limits};

mod upstream;

/// A gateway before an upstream, with a vendor of its own for the logins.
pub struct Shop {
    pub port: u16,
    pub admin: u16,
    gateway: Gateway,
    _sealed: Sealed,
}

impl Shop {
    /// `login` and `route` are further lines of these tables.
    pub fn open(origin: &str, login: &str, route: &str) -> Shop {
        let vendor = Upstream::start(|_, stream| {
            reply(stream, "200 OK", "ok")?;
            Ok(true)
        });
        let (port, admin) = (free_port(), free_port());
        let host = origin.split("//").nth(1).unwrap();
        let readable = format!(
            "[acme.login]\nurl = \"{}/login\"\nbasic = true\nhosts = [\"{host}\"]\n{login}\n[acme.route]\nlisten = \"127.0.0.1:{port}\"\nupstream = \"{origin}\"\n{route}\n[gateway]\nadmin = \"127.0.0.1:{admin}\"\n",
            vendor.origin()
        );
        let sealed = Sealed::new(&VALUES, &readable);
        Shop { port, admin, gateway: Gateway::start(&sealed), _sealed: sealed }
    }

    fn of(upstream: &Http2Upstream, login: &str, route: &str) -> Shop {
        Shop::open(&upstream.origin, &format!("{}{login}", ca(&upstream.ca)), route)
    }

    pub fn log(&self) -> Vec<String> {
        self.gateway.log().lines()
    }

    /// The memory of the gateway now, in KiB.
    pub fn memory(&self) -> usize {
        let status = format!("/proc/{}/status", self.gateway.pid());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// The number of descriptors that the gateway has open.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.gateway.pid())).unwrap().count()
    }

    /// The value of the metric for calls that were sent again.
    pub fn resent(&self, why: &str) -> u64 {
        let metrics = call(self.admin, &get("/metrics")).text();
        let name = format!("bootseal_gateway_resent_total{{why=\"{why}\"}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok());
        value.unwrap_or(0)
    }
}

#[test]
fn a_refused_stream_is_sent_once_more() {
    let upstream = Http2Upstream::start(Limits::default(), |path, times| match path {
        "/once" | "/once/post" if times == 1 => Act::Refuse,
        "/always" => Act::Refuse,
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "");
    assert_eq!(call(shop.port, &get("/once")).status, 200);
    assert_eq!(call(shop.port, &post("/once/post", &"x".repeat(1000))).status, 200);
    assert_eq!((upstream.seen.times("/once"), upstream.seen.times("/once/post")), (2, 2));
    let answer = call(shop.port, &get("/always"));
    assert_eq!(answer.header("x-bootseal-error"), Some("upstream-broken"));
    assert_eq!((answer.status, upstream.seen.times("/always")), (502, 2));
    assert_eq!(shop.resent("refused"), 3);
}

#[test]
fn a_body_that_is_not_kept_is_not_sent_again() {
    let upstream = Http2Upstream::start(Limits::default(), |path, times| match path {
        "/once" if times == 1 => Act::Refuse,
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "replay_body_limit = \"1KiB\"");
    assert_eq!(call(shop.port, &post("/once", &"x".repeat(2000))).status, 502);
    assert_eq!(upstream.seen.times("/once"), 1);
}

#[test]
fn no_call_is_sent_again_without_replays() {
    let upstream = Http2Upstream::start(Limits::default(), |path, _| match path {
        "/refused" => Act::Refuse,
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "replay = \"none\"\n", "");
    assert_eq!(call(shop.port, &get("/refused")).status, 502);
    assert_eq!((upstream.seen.times("/refused"), shop.resent("refused")), (1, 0));
}

#[test]
fn more_calls_than_one_connection_takes_use_further_connections() {
    let upstream =
        Http2Upstream::start(Limits { streams: Some(2), head: None }, |path, _| match path {
            "/first" => Act::Answer,
            _ => Act::Together(7),
        });
    let shop = Shop::of(&upstream, "", "");
    assert_eq!(call(shop.port, &get("/first")).status, 200);
    let port = shop.port;
    let calls = (0..6)
        .map(|at| std::thread::spawn(move || call(port, &get(&format!("/together/{at}"))).status));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.join().unwrap(), 200);
    }
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 3);
}

#[test]
fn many_first_calls_share_one_handshake() {
    let upstream =
        Http2Upstream::start(Limits { streams: Some(1000), head: None }, |_, _| Act::Together(60));
    let shop = Shop::of(&upstream, "", "");
    let port = shop.port;
    let calls =
        (0..60).map(|at| std::thread::spawn(move || call(port, &get(&format!("/{at}"))).status));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.join().unwrap(), 200);
    }
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_cold_start_over_http_1_opens_fewer_connections_than_calls() {
    let upstream = Http2Upstream::start(Limits::default(), |_, _| Act::Answer);
    let shop = Shop::of(&upstream, "http2 = false\n", "");
    let port = shop.port;
    let calls =
        (0..200).map(|at| std::thread::spawn(move || call(port, &get(&format!("/{at}"))).status));
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.join().unwrap(), 200);
    }
    let made = upstream.seen.connections.load(Ordering::SeqCst);
    assert!(made < 100, "{made} connections for 200 calls");
}

#[test]
fn a_connection_that_went_silent_gets_no_new_calls() {
    let upstream = Http2Upstream::start(Limits::default(), |_, _| Act::Answer);
    let shop = Shop::of(&upstream, "", "answer_timeout = \"1s\"");
    assert_eq!(call(shop.port, &get("/first")).status, 200);
    upstream.seen.silent.store(true, Ordering::SeqCst);
    let late = call(shop.port, &get("/late"));
    assert_eq!(late.header("x-bootseal-error"), Some("upstream-timeout"));
    for _ in 0..4 {
        assert_eq!(call(shop.port, &get("/next")).status, 200);
    }
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 2);
}

#[test]
fn a_slow_call_leaves_its_connection_in_use() {
    let upstream = Http2Upstream::start(Limits::default(), |path, _| match path {
        "/never" => Act::Together(usize::MAX),
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "answer_timeout = \"1s\"");
    assert_eq!(call(shop.port, &get("/first")).status, 200);
    for _ in 0..4 {
        assert_eq!(call(shop.port, &get("/never")).status, 504);
    }
    assert_eq!(call(shop.port, &get("/next")).status, 200);
    // A call that came before the answer to a PING made the second one.
    assert!(upstream.seen.connections.load(Ordering::SeqCst) <= 2);
}

#[test]
fn http2_can_be_disabled_in_the_profile() {
    let upstream = Http2Upstream::start(Limits::default(), |_, _| Act::Answer);
    let shop = Shop::of(&upstream, "http2 = false\n", "");
    assert_eq!(call(shop.port, &get("/x")).status, 200);
    assert_eq!((upstream.seen.http1.load(Ordering::SeqCst), upstream.seen.times("/x")), (1, 0));
}

#[test]
fn responses_that_nobody_reads_do_not_stop_the_calls_beside_them() {
    let upstream = Http2Upstream::start(Limits::default(), |path, _| match path {
        "/large" => Act::Body(8 << 20),
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "");
    let unread: Vec<Client> = (0..40)
        .map(|_| {
            let mut client = Client::connect(shop.port);
            client.send(get("/large"));
            let mut first = [0; 12];
            std::io::Read::read_exact(&mut client.0, &mut first).unwrap();
            assert_eq!(&first, b"HTTP/1.1 200");
            client
        })
        .collect();
    assert_eq!(call(shop.port, &get("/small")).status, 200);
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 1);
    drop(unread);
}

#[test]
fn uploads_that_the_upstream_does_not_read_do_not_stop_the_calls_beside_them() {
    let upstream = Http2Upstream::start(Limits::default(), |path, _| match path {
        "/stalled" => Act::Stall,
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "answer_timeout = \"600s\"");
    assert_eq!(call(shop.port, &get("/first")).status, 200);
    let mut stalled = Client::connect(shop.port);
    let body = vec![b'x'; 65_536];
    stalled.send("POST /stalled HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n");
    stalled.send(&body);
    stalled.send(&body);
    while upstream.seen.times("/stalled") == 0 {
        std::thread::yield_now();
    }
    for _ in 0..10 {
        assert_eq!(call(shop.port, &post("/order", &"x".repeat(1000))).status, 200);
    }
    drop(stalled);
}

#[test]
fn interim_responses_without_end_end_their_connection() {
    let upstream = Http2Upstream::start(Limits::default(), |path, _| match path {
        "/flood" => Act::Interim,
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "answer_timeout = \"600s\"");
    let answer = call(shop.port, &get("/flood"));
    assert_eq!(answer.header("x-bootseal-error"), Some("upstream-broken"), "{}", answer.text());
    assert_eq!(call(shop.port, &get("/next")).status, 200);
}

#[test]
fn interim_responses_without_end_end_their_call_in_http_1() {
    let upstream = Upstream::start(|head, stream| {
        while head.starts_with("GET /flood") {
            std::io::Write::write_all(stream.get_mut(), b"HTTP/1.1 103 Early Hints\r\n\r\n")?;
        }
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let shop = Shop::open(&upstream.origin(), "", "answer_timeout = \"600s\"");
    let answer = call(shop.port, &get("/flood"));
    assert_eq!(answer.header("x-bootseal-error"), Some("upstream-broken"), "{}", answer.text());
    assert!(answer.text().contains("interim responses"), "{}", answer.text());
    assert_eq!(call(shop.port, &get("/next")).status, 200);
}

#[test]
fn a_head_that_is_too_large_ends_only_its_call() {
    let limits = Limits { streams: None, head: Some(3000) };
    let upstream = Http2Upstream::start(limits, |path, _| match path {
        "/beside" => Act::Together(2),
        "/large/response" => Act::Head(300 << 10),
        _ => Act::Answer,
    });
    let shop = Shop::of(&upstream, "", "");
    assert_eq!(call(shop.port, &get("/first")).status, 200);
    let port = shop.port;
    let beside = std::thread::spawn(move || call(port, &post("/beside", "an order")).status);
    while upstream.seen.times("/beside") == 0 {
        std::thread::yield_now();
    }
    let large = format!("Cookie: {}\r\n\r\n", "c".repeat(3900));
    let answer =
        call(shop.port, &get("/large/request").replace("\r\n\r\n", &format!("\r\n{large}")));
    assert_eq!(answer.header("x-bootseal-error"), Some("upstream-broken"));
    assert!(answer.text().contains("the upstream takes at most 3000"), "{}", answer.text());
    assert_eq!(upstream.seen.times("/large/request"), 0);
    let answer = call(shop.port, &get("/large/response"));
    assert!(answer.text().contains("more than 256 KiB"), "{}", answer.text());
    assert_eq!(call(shop.port, &get("/last")).status, 200);
    assert_eq!(beside.join().unwrap(), 200);
    assert_eq!(upstream.seen.connections.load(Ordering::SeqCst), 1);
}

/// An upstream over HTTP/1.1 that closes each kept connection as the next request arrives, once for
/// each path.
#[test]
fn a_kept_connection_closed_unread_costs_only_calls_that_are_not_idempotent() {
    let start = || {
        let closed = std::sync::Mutex::new(std::collections::HashSet::new());
        Upstream::start(move |head, stream| {
            let path = head.split(' ').nth(1).unwrap().to_owned();
            let length = crate::support::length_of(head);
            std::io::Read::read_exact(stream, &mut vec![0; length])?;
            if path.starts_with("/closed") && closed.lock().unwrap().insert(path) {
                return Ok(false);
            }
            reply(stream, "200 OK", if head.starts_with("HEAD ") { "" } else { "ok" })?;
            Ok(true)
        })
    };
    let upstream = start();
    let shop = Shop::open(&upstream.origin(), "", "");
    for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        assert_eq!(call(shop.port, &get("/keep")).status, 200);
        let request = get(&format!("/closed/{method}")).replace("GET", method);
        assert_eq!(call(shop.port, &request).status, 200, "{method}");
    }
    assert_eq!(shop.resent("closed"), 5);
    for method in ["POST", "PATCH"] {
        assert_eq!(call(shop.port, &get("/keep")).status, 200);
        let path = format!("/closed/{method}");
        let request = post(&path, "an order").replace("POST /", &format!("{method} /"));
        let answer = call(shop.port, &request);
        assert_eq!(answer.header("x-bootseal-error"), Some("upstream-broken"), "{method}");
        let arrived = upstream.heads().iter().filter(|head| head.contains(&path)).count();
        assert_eq!(arrived, 1, "{method}");
    }
    let upstream = start();
    let shop = Shop::open(&upstream.origin(), "replay = \"none\"\n", "");
    assert_eq!(call(shop.port, &get("/keep")).status, 200);
    assert_eq!(call(shop.port, &get("/closed")).status, 502);
}
