//! Connections that send nothing, too many connections, and a process that has reached the limit on
//! open files: other callers, other addresses and the health check still get through.

use crate::support::{
    Client, Gateway, Sealed, Upstream, Usual, VALUES, call, free_port, get, reply,
};
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The gateway with this limit on open files.
fn limited(sealed: &Sealed, files: usize) -> Gateway {
    let program = sealed.command();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {files} && exec \"$0\" \"$@\""));
    command.arg(program.get_program()).args(program.get_args()).env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Gateway::run(command)
}

fn connect(port: u16) -> TcpStream {
    TcpStream::connect(("127.0.0.1", port)).unwrap()
}

fn metric(admin: u16, line: &str) -> u64 {
    let metrics = call(admin, &get("/metrics")).text();
    let found = metrics.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(' '));
    found.map_or(0, |number| number.trim().parse().unwrap())
}

fn at_once() -> Upstream {
    Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    })
}

#[test]
fn silent_connections_keep_neither_callers_nor_the_health_check_out() {
    let upstream = at_once();
    let usual = Usual::new(&upstream.origin(), "", "");
    let _gateway = limited(&usual.sealed, 256);
    let mut keeps_its_connection = Client::connect(usual.port);
    assert_eq!(keeps_its_connection.call(&get("/first")).status, 200);
    // Far more than there are places.
    let mut silent: Vec<TcpStream> = (0..200).map(|_| connect(usual.port)).collect();
    silent.extend((0..100).map(|_| connect(usual.admin)));
    assert_eq!(call(usual.port, &get("/second")).status, 200);
    assert_eq!(call(usual.admin, &get("/ready")).status, 200);
    let evicted = "bootseal_gateway_refused_connections_total{why=\"silent for the longest time when places ran out\"}";
    assert!(metric(usual.admin, evicted) > 200);
    assert_eq!(metric(usual.admin, "bootseal_gateway_connections_limit"), 96);
    assert!(metric(usual.admin, "bootseal_gateway_connections") <= 48, "half of all places");
    // The longest-silent ones were closed, the newest are open.
    assert_eq!(silent[0].read(&mut [0; 1]).unwrap_or(0), 0);
    silent[199].write_all(get("/third").as_bytes()).unwrap();
    assert_eq!(Client(BufReader::new(silent.remove(199))).answer().unwrap().status, 200);
}

#[test]
fn a_connection_without_a_first_byte_is_closed() {
    let upstream = at_once();
    let usual = Usual::new(&upstream.origin(), "", "");
    let mut command = usual.sealed.command();
    command.args(["--time-limit", "first-byte=100"]);
    let _gateway = Gateway::run(command);
    assert_eq!(connect(usual.port).read(&mut [0; 1]).unwrap(), 0);
    let why = "bootseal_gateway_refused_connections_total{why=\"no first byte in time\"}";
    assert_eq!(metric(usual.admin, why), 1);
}

/// An upstream whose calls end when the test says so.
fn on_command() -> (Upstream, std::sync::mpsc::Receiver<()>, std::sync::mpsc::Sender<()>) {
    let ((begin, begun), (end, ends)) = (channel(), channel::<()>());
    let (begin, ends) = (Mutex::new(begin), Arc::new(Mutex::new(ends)));
    let upstream = Upstream::start(move |head, stream| {
        if head.starts_with("GET /waits ") {
            begin.lock().unwrap().send(()).unwrap();
            let _ = ends.lock().unwrap().recv();
        }
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    (upstream, begun, end)
}

#[test]
fn one_peer_with_half_of_all_places_gets_503_and_others_are_served() {
    let (upstream, begun, end) = on_command();
    let (port, admin) = (free_port(), free_port());
    let origin = upstream.origin();
    let other = tempfile::tempdir().unwrap();
    let socket = other.path().join("b.sock");
    let sealed = Sealed::new(
        &[VALUES[0], VALUES[1], ("b.username", "x"), ("b.password", "y")],
        &format!(
            "[acme.login]\nurl = \"{origin}/login\"\nbasic = true\n[acme.route]\nlisten = \"127.0.0.1:{port}\"\nupstream = \"{origin}\"\n[b.login]\nlike = \"acme\"\n[b.route]\nlisten = \"unix:{}\"\nupstream = \"{origin}\"\n[gateway]\nadmin = \"127.0.0.1:{admin}\"\n",
            socket.display()
        ),
    );
    let _gateway = limited(&sealed, 192);
    let places = metric(admin, "bootseal_gateway_connections_limit");
    assert_eq!(places, 64);
    let mut waiting = Vec::new();
    for _ in 0..places / 2 {
        let mut client = Client::connect(port);
        client.send(get("/waits"));
        begun.recv_timeout(Duration::from_secs(60)).unwrap();
        waiting.push(client);
    }
    let refused = Client::connect(port).answer().unwrap();
    assert_eq!((refused.status, refused.header("x-bootseal-error")), (503, Some("overloaded")));
    let ready = call(admin, &get("/ready"));
    assert_eq!((ready.status, ready.text().contains("no place")), (503, true));
    assert!(call(admin, &get("/")).text().contains("No place for another connection"));
    let why = "bootseal_gateway_refused_connections_total{why=\"one peer has half of all places\"}";
    assert_eq!(metric(admin, why), 1);
    // Another user is another peer.
    let mut stream = UnixStream::connect(&socket).unwrap();
    stream.write_all(get("/x").as_bytes()).unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    drop(end);
    for mut client in waiting {
        assert_eq!(client.answer().unwrap().status, 200);
    }
}

fn set_limit(gateway: &Gateway, files: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &gateway.pid().to_string(), &format!("--nofile={files}:4096")])
        .status();
    assert!(status.unwrap().success());
}

/// A limit on open files below which the gateway has no free number.
const NONE_FREE: usize = 8;

#[test]
fn without_descriptors_a_call_gets_503_and_a_failed_login_does_not_count() {
    let upstream = at_once();
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = limited(&usual.sealed, 4096);
    let mut client = Client::connect(usual.port);
    let ask = |client: &mut Client, status: u16| {
        let answer = client.call(&get("/x"));
        assert_eq!(answer.status, status, "{}", answer.text());
        (answer.header("x-bootseal-error").map(str::to_owned), answer.text())
    };
    // The connection of the caller is open, as the refusal of a path shows.
    assert_eq!(client.call(&get("/../x")).status, 400);
    set_limit(&gateway, NONE_FREE);
    for _ in 0..3 {
        let (error, text) = ask(&mut client, 503);
        assert_eq!(error.as_deref(), Some("overloaded"), "{text}");
        assert!(text.contains("open files"), "{text}");
    }
    set_limit(&gateway, 4096);
    assert_eq!(call(usual.admin, &get("/ready")).status, 503);
    // No backoff: the next login may be made within a second, and is the first one of the vendor.
    let until = Instant::now() + Duration::from_secs(30);
    while client.call(&get("/x")).status != 200 {
        assert!(Instant::now() < until);
    }
    let page = call(usual.admin, &get("/")).text();
    assert!(page.contains("1 login"), "{page}");
    // With a token, but without a descriptor for the upstream.
    let mut second = Client::connect(usual.port);
    assert_eq!(second.call(&get("/../x")).status, 400);
    let upgrade =
        "GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    set_limit(&gateway, NONE_FREE);
    let answer = second.call(upgrade);
    assert_eq!((answer.status, answer.header("x-bootseal-error")), (503, Some("overloaded")));
    set_limit(&gateway, 4096);
    assert_eq!(second.call(upgrade).status, 200);
}

#[test]
fn without_locked_memory_a_login_is_reported_as_that_and_does_not_count() {
    // A login response that needs pages of its own.
    let large = std::sync::atomic::AtomicUsize::new(0);
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 64 * 1024]);
            let number = large.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let body = format!(
                "{{\"access_token\":\"token-number-{number}\",\"x\":\"{}\"}}",
                "x".repeat(700_000)
            );
            let length = body.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    let usual = Usual::new(&origin, "", "");
    let program = usual.sealed.command();
    // Root has the capability that lifts the limit.
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.arg("--bounding-set=-ipc_lock").arg(program.get_program());
            command
        }
        false => Command::new(program.get_program()),
    };
    command.args(program.get_args());
    command.env_clear();
    command.envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let gateway = Gateway::run(command);
    let limit = |bytes: &str| {
        let pid = gateway.pid().to_string();
        let status = Command::new("prlimit").args(["--pid", &pid, bytes]).status().unwrap();
        assert!(status.success());
    };
    limit("--memlock=300000:");
    for _ in 0..2 {
        let answer = call(usual.port, &get("/x"));
        let error = answer.header("x-bootseal-error").map(str::to_owned);
        assert_eq!(
            (answer.status, error.as_deref()),
            (503, Some("overloaded")),
            "{}",
            answer.text()
        );
        assert!(answer.text().contains("locked memory"), "{}", answer.text());
    }
    limit("--memlock=8000000:");
    let until = Instant::now() + Duration::from_secs(60);
    while call(usual.port, &get("/x")).status != 200 {
        assert!(Instant::now() < until);
        std::thread::park_timeout(Duration::from_millis(100));
    }
}
