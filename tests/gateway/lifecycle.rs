//! The gateway over time: files that change under load, tokens that expire or are revoked, a
//! graceful end, and its status.

use crate::support;
use crate::support::{
    Client, Gateway, Sealed, Upstream, Usual, VALUES, ca, call, free_port, get, post, reply,
};
use bootseal_vendor_sim::Vendor;
use std::os::fd::AsRawFd;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

fn ok_for_all() -> Upstream {
    Upstream::start(|_, stream| {
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    })
}

/// Callers that make calls until they are stopped; each call must succeed.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    callers: Vec<std::thread::JoinHandle<()>>,
}

impl Load {
    fn start(port: u16, callers: usize) -> Load {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let callers = (0..callers).map(|_| {
            let (stop, calls) = (stop.clone(), calls.clone());
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                while !stop.load(Ordering::Relaxed) {
                    let answer = client.call(&get("/orders"));
                    assert_eq!(answer.status, 200, "{answer:?}");
                    calls.fetch_add(1, Ordering::Relaxed);
                }
            })
        });
        let callers = callers.collect();
        Load { stop, calls, callers }
    }

    /// Waits until 200 more calls have succeeded.
    fn wait_for_calls(&self) {
        let (from, until) =
            (self.calls.load(Ordering::Relaxed), Instant::now() + Duration::from_secs(30));
        while self.calls.load(Ordering::Relaxed) < from + 200 && Instant::now() < until {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        assert!(self.calls.load(Ordering::Relaxed) >= from + 200, "calls do not continue");
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.callers.into_iter().for_each(|caller| caller.join().unwrap());
        self.calls.load(Ordering::Relaxed)
    }
}

fn metric(port: u16, name: &str) -> Option<f64> {
    let metrics = call(port, &get("/metrics")).text();
    metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn under_load_only_a_valid_file_is_loaded_and_no_call_fails() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let first = std::fs::read_to_string(usual.sealed.path()).unwrap();
    let gateway = usual.start();
    let load = Load::start(usual.port, 8);
    load.wait_for_calls();
    // The signal and the gateway's own check may each reload the same text, so a line about the
    // previous text may come late. Each wait is for a message that only this text causes.
    let say = |text: &str, hears: &[&str]| {
        let from = gateway.log().lines().len();
        usual.sealed.replace(text);
        gateway.signal("HUP");
        let line = gateway.log().wait_for_all(from, hears);
        load.wait_for_calls();
        line
    };
    let loaded = || metric(usual.admin, "bootseal_gateway_generation{which=\"loaded\"}").unwrap();

    let second = usual.sealed.changed(|vault| {
        vault.set_readable(&"acme.note".parse().unwrap(), &"two".into()).unwrap();
    });
    say(&second, &["reloaded", "generation=2"]);
    assert_eq!(loaded(), 2.0);

    let broken = second.replace("two", "2wo");
    let line = say(&broken, &["not accepted", "signature"]);
    assert!(line.contains("WARN"), "{line}");
    let (foreign, foreign_id) =
        usual.sealed.text(&VALUES, "[acme.login]\nurl = \"http://127.0.0.1:1/\"\nbasic = true\n");
    say(&foreign, &["not accepted", &foreign_id]);
    say(&first, &["not accepted", "generation 1"]);
    let page = call(usual.admin, &get("/")).text();
    assert!(
        page.contains("Loaded: generation 2.") && page.contains("On disk: generation 1"),
        "{page}"
    );
    assert!(page.contains("was not accepted"), "{page}");

    // A signed file with a route that is not allowed.
    usual.sealed.replace(&second);
    let wrong = usual.sealed.changed(|vault| {
        vault
            .set_readable(&"acme.route.upstream".parse().unwrap(), &"https://evil.example/".into())
            .unwrap();
    });
    say(&wrong, &["not accepted", "must not be sent"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    usual.sealed.replace(&second);
    let elsewhere = usual.sealed.changed(|vault| {
        vault
            .set_readable(
                &"acme.route.listen".parse().unwrap(),
                &taken.local_addr().unwrap().to_string().into(),
            )
            .unwrap();
    });
    say(&elsewhere, &["not accepted", "cannot listen on"]);
    assert_eq!(loaded(), 2.0);
    assert_eq!(metric(usual.admin, "bootseal_gateway_generation{which=\"disk\"}"), Some(3.0));

    usual.sealed.replace(&second);
    let third = usual.sealed.changed(|vault| {
        vault.set_readable(&"acme.note".parse().unwrap(), &"three".into()).unwrap();
    });
    say(&third, &["reloaded", "generation=3"]);
    assert_eq!(loaded(), 3.0);
    assert!(load.end() > 1000);
}

#[test]
fn a_changed_file_and_a_swapped_link_are_noticed() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let next = |note: &str| {
        usual.sealed.changed(|vault| {
            vault.set_readable(&"acme.note".parse().unwrap(), &note.into()).unwrap();
        })
    };
    // As Kubernetes mounts a Secret: through a link to a folder that is swapped.
    let mount = usual.sealed.at("mount");
    let version = |name: &str, text: &str| {
        let folder = mount.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("app.sealed.toml"), text).unwrap();
        symlink(name, mount.join("..new")).unwrap();
        std::fs::rename(mount.join("..new"), mount.join("..data")).unwrap();
    };
    version("..1", &std::fs::read_to_string(usual.sealed.path()).unwrap());
    symlink("..data/app.sealed.toml", mount.join("app.sealed.toml")).unwrap();
    let mut command = usual.sealed.unnamed();
    command.env("BOOTSEAL_FILE", mount.join("app.sealed.toml"));
    let gateway = Gateway::run(command);
    let text = next("two");
    version("..2", &text);
    gateway.log().wait("reloaded generation=2");
    usual.sealed.replace(&text);
    let text = next("three");
    version("..3", &text);
    gateway.log().wait("reloaded generation=3");
    assert_eq!(call(usual.port, &get("/")).status, 200);
}

#[test]
fn routes_are_added_and_removed_with_the_file() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let (old, new) = (usual.port, free_port());
    let mut kept = Client::connect(old);
    assert_eq!(kept.call(&get("/")).status, 200);
    let moved = usual.sealed.changed(|vault| {
        vault
            .set_readable(&"acme.route.listen".parse().unwrap(), &format!("127.0.0.1:{new}").into())
            .unwrap();
    });
    usual.sealed.replace(&moved);
    gateway.log().wait("reloaded");
    assert_eq!(call(new, &get("/")).status, 200);
    // The old address is released.
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpListener::bind(("127.0.0.1", old)).is_err() {
        assert!(Instant::now() < until);
        std::thread::park_timeout(Duration::from_millis(10));
    }
    let keyed = usual.sealed.changed(|vault| {
        vault.append("[acme.route.callers]\nbearer = \"${caller_key}\"\n").unwrap();
    });
    let from = gateway.log().lines().len();
    usual.sealed.replace(&keyed);
    gateway.log().wait_from(from, "reloaded");
    assert_eq!(call(new, &get("/")).status, 403);
}

/// The time that this many concurrent callers take for two calls each.
fn round(port: u16, callers: usize) -> Duration {
    let begun = Instant::now();
    let callers: Vec<_> = (0..callers)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                (0..2).for_each(|_| assert_eq!(client.call(&get("/orders")).status, 200));
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    begun.elapsed()
}

/// 10,000 calls, 256 at a time, with a token that expires every 2 s and is revoked every 3 s; on a
/// slow machine the intervals are longer. A call is replayed only once, so it fails if its second
/// token also becomes invalid during the call.
#[test]
fn no_call_fails_while_tokens_expire_and_are_revoked() {
    const CALLS: usize = 10_000;
    const AT_A_TIME: usize = 256;
    let vendor = Arc::new(Vendor::start().unwrap());
    let usual = Usual::new(
        vendor.url("").trim_end_matches('/'),
        &format!("{}expiry = {{ json = \"/expires_in\" }}\n", ca(vendor.ca_pem())),
        "",
    );
    let _gateway = usual.start();
    let lifetime = Duration::from_secs(
        (6.0 * round(usual.port, AT_A_TIME).as_secs_f64()).ceil().max(2.0) as u64,
    );
    let between_revocations = lifetime.mul_f64(1.5);
    vendor.lifetime(lifetime);
    vendor.revoke_all();
    let logins_before = vendor.logins();
    let (left, begun) = (Arc::new(AtomicUsize::new(CALLS)), Instant::now());
    let posts = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let revoked = Arc::new(AtomicUsize::new(0));
    let revoking = {
        let (vendor, done, revoked) = (vendor.clone(), done.clone(), revoked.clone());
        std::thread::spawn(move || {
            let mut last = Instant::now();
            while !done.load(Ordering::Relaxed) {
                if last.elapsed() >= between_revocations {
                    vendor.revoke_all();
                    revoked.fetch_add(1, Ordering::Relaxed);
                    // Revocations are never repeated to catch up: a replay may meet one of two, not
                    // both.
                    last = Instant::now();
                }
                std::thread::park_timeout(Duration::from_millis(20));
            }
        })
    };
    let callers: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let (left, posts, port, revoked) =
                (left.clone(), posts.clone(), usual.port, revoked.clone());
            std::thread::spawn(move || {
                let mut client = Client::connect(port);
                loop {
                    let number = left.load(Ordering::Relaxed);
                    if number == 0 {
                        // Until two revocations have happened, however late.
                        if begun.elapsed() > lifetime.mul_f64(3.5)
                            && revoked.load(Ordering::Relaxed) >= 2
                        {
                            return;
                        }
                    } else if left
                        .compare_exchange(number, number - 1, Ordering::Relaxed, Ordering::Relaxed)
                        .is_err()
                    {
                        continue;
                    }
                    let answer = match number % 2 {
                        0 => client.call(&get("/orders")),
                        _ => {
                            posts.fetch_add(1, Ordering::Relaxed);
                            client.call(&post("/orders", &"x".repeat(1 + number % 3000)))
                        }
                    };
                    let expected = if number % 2 == 0 { 200 } else { 201 };
                    assert_eq!(answer.status, expected, "{answer:?}");
                    if number == 0 {
                        std::thread::park_timeout(Duration::from_millis(50));
                    }
                }
            })
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    done.store(true, Ordering::Relaxed);
    revoking.join().unwrap();
    let revocations = revoked.load(Ordering::Relaxed) as u64;
    assert!(revocations >= 2);
    let lifetimes = begun.elapsed().as_secs_f64() / lifetime.as_secs_f64();
    let expiries = lifetimes as u64 + 1;
    // `refresh_ahead` gets a new token before expiry: at 75 % of the lifetime at the earliest.
    let ahead = (lifetimes / 0.75).ceil() as u64;
    let logins = vendor.logins() - logins_before;
    assert!(
        logins <= ahead.max(expiries) + revocations + 1,
        "{logins} logins, {expiries} expiries, {revocations} revocations"
    );
    // Each accepted call was accepted once: the vendor's count equals that of the callers.
    let seen =
        metric(usual.admin, "bootseal_gateway_calls_total{route=\"acme\",status=\"201\"}").unwrap();
    assert_eq!(seen as usize, posts.load(Ordering::Relaxed));
    let gets = metric(usual.admin, "bootseal_gateway_calls_total{route=\"acme\",status=\"200\"}")
        .unwrap() as u64;
    assert_eq!(
        vendor.calls() - vendor.rejected_calls(),
        gets + seen as u64,
        "a call was sent twice without a rejection"
    );
    assert_eq!(
        metric(usual.admin, "bootseal_gateway_calls_total{route=\"acme\",status=\"401\"}"),
        None
    );
}

#[test]
fn calls_in_flight_finish_before_the_gateway_ends() {
    let (go, goes) = channel::<()>();
    let (begun, begins) = channel::<()>();
    let (goes, begun) = (Mutex::new(goes), Mutex::new(begun));
    let upstream = Upstream::start(move |head, stream| {
        if head.starts_with("GET /slow ") {
            begun.lock().unwrap().send(()).unwrap();
            goes.lock().unwrap().recv().map_err(std::io::Error::other)?;
        }
        reply(stream, "200 OK", "ok")?;
        Ok(true)
    });
    let usual = Usual::new(&upstream.origin(), "", "");
    let mut gateway = usual.start();
    let mut idle = Client::connect(usual.port);
    assert_eq!(idle.call(&get("/")).status, 200);
    let mut slow = Client::connect(usual.port);
    slow.send(get("/slow"));
    begins.recv().unwrap();
    gateway.signal("TERM");
    gateway.log().wait("stopping");
    let until = Instant::now() + Duration::from_secs(30);
    while std::net::TcpStream::connect(("127.0.0.1", usual.port)).is_ok() {
        assert!(Instant::now() < until, "it still accepts connections");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    // While it drains it reports that it is live and not ready.
    assert_eq!(call(usual.admin, &get("/ready")).status, 503);
    assert_eq!(call(usual.admin, &get("/live")).status, 200);
    go.send(()).unwrap();
    assert_eq!(slow.answer().unwrap().text(), "ok");
    assert_eq!(gateway.ended(), Some(0));
}

#[test]
fn health_metrics_and_status_page_report_the_state() {
    let vendor = Vendor::start_plain().unwrap();
    vendor.down(true);
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), "", "");
    let healthy = || {
        Command::new(support::program()).arg("healthy").arg(usual.sealed.path()).output().unwrap()
    };
    let before = healthy();
    assert_eq!(before.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&before.stderr).contains(&format!("127.0.0.1:{}", usual.admin))
    );
    let gateway = usual.start();
    // Ready although the vendor is down.
    assert_eq!(call(usual.port, &get("/orders")).status, 503);
    assert_eq!(call(usual.admin, &get("/ready")).status, 200);
    assert_eq!(call(usual.admin, &get("/live")).status, 200);
    assert_eq!(healthy().status.code(), Some(0));
    // A file that breaks while the gateway runs is not loaded and ends nothing. With --admin the
    // health command does not even read it.
    let good = std::fs::read_to_string(usual.sealed.path()).unwrap();
    usual.sealed.replace("broken");
    let after = healthy();
    assert!(String::from_utf8_lossy(&after.stderr).contains("--admin"), "{after:?}");
    let mut by_address = Command::new(support::program());
    by_address.args(["healthy", "--admin", &format!("127.0.0.1:{}", usual.admin)]);
    assert_eq!(by_address.output().unwrap().status.code(), Some(0));
    usual.sealed.replace(&good);
    let page = call(usual.admin, &get("/"));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    assert!(
        page.text().contains("1 down") && page.text().contains("class=\"bad\""),
        "{}",
        page.text()
    );
    assert!(page.text().contains("1 call, 1 error"), "{}", page.text());
    let metrics = call(usual.admin, &get("/metrics")).text();
    for name in [
        "bootseal_gateway_calls_total{route=\"acme\",status=\"503\"} 1",
        "bootseal_gateway_errors_total{route=\"acme\",error=\"login-down\"} 1",
        "bootseal_login_total{profile=\"acme\",class=\"login-down\"} 1",
        "bootseal_gateway_call_seconds_count{route=\"acme\"} 1",
        "# HELP bootseal_gateway_calls_total",
    ] {
        assert!(metrics.contains(name), "{name} in\n{metrics}");
    }
    assert_eq!(call(usual.admin, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n").status, 421);
    assert_eq!(call(usual.admin, &post("/", "")).status, 405);
    assert_eq!(call(usual.admin, &get("/other")).status, 404);
    let said = [gateway.log().lines().join("\n"), metrics, page.text()].concat();
    for secret in ["open sesame", "k3y of the caller"] {
        assert!(!said.contains(secret));
    }
}

#[test]
fn the_gateway_drops_its_privileges_and_logs_it() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let gateway = usual.start();
    let lines = gateway.log().lines().join("\n");
    for said in [
        "not dumpable: yes; no core files: yes; no new privileges: yes",
        "landlock: only the needed files can be read and written",
        "system calls refused",
    ] {
        assert!(lines.contains(said), "{said} in\n{lines}");
    }
    let of =
        |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", gateway.pid())).unwrap();
    for line in ["NoNewPrivs:\t1", "Seccomp:\t2"] {
        assert!(of("status").contains(line), "{line}");
    }
    assert!(
        of("limits")
            .lines()
            .any(|line| line.starts_with("Max core file size") && line.contains(" 0 "))
    );
    // Each thread as well.
    for thread in std::fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap() {
        // A thread that has ended in the meantime has no entry.
        let Ok(status) = std::fs::read_to_string(thread.unwrap().path().join("status")) else {
            continue;
        };
        assert!(status.contains("Seccomp:\t2"), "{status}");
    }
    // A file outside the allowed paths cannot be read, not even through a link.
    let elsewhere = tempfile::tempdir().unwrap();
    let text = usual.sealed.changed(|vault| {
        vault.set_readable(&"acme.note".parse().unwrap(), &"two".into()).unwrap();
    });
    std::fs::write(elsewhere.path().join("other.toml"), text).unwrap();
    std::fs::remove_file(usual.sealed.path()).unwrap();
    symlink(elsewhere.path().join("other.toml"), usual.sealed.path()).unwrap();
    gateway.signal("HUP");
    assert!(gateway.log().wait("not accepted").contains("ermission denied"));
    assert_eq!(call(usual.port, &get("/")).status, 200);
}

/// The gateway as systemd starts it with a socket: the socket is descriptor 3, and variables give the
/// process id and the number of sockets.
pub(crate) fn with_socket(usual: &Usual, listener: &std::net::TcpListener) -> Command {
    let fd = listener.as_raw_fd();
    let starts = "import os, sys\nfd = int(sys.argv[1])\nos.dup2(fd, 3, inheritable=True)\nos.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid()))\nos.execv(sys.argv[2], sys.argv[2:])";
    let plain = usual.sealed.command();
    let mut command = Command::new("python3");
    rustix::io::fcntl_setfd(listener, rustix::io::FdFlags::empty()).unwrap();
    command.args(["-c", starts, &fd.to_string()]).arg(plain.get_program()).args(plain.get_args());
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap());
    }
    command
}

#[test]
fn systemd_socket_activation_and_notification_work() {
    let upstream = ok_for_all();
    let usual = Usual::new(&upstream.origin(), "", "");
    let listener = std::net::TcpListener::bind(("127.0.0.1", usual.port)).unwrap();
    let told = UnixDatagram::bind(usual.sealed.at("notify")).unwrap();
    told.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut command = with_socket(&usual, &listener);
    command.env("NOTIFY_SOCKET", usual.sealed.at("notify")).stdin(Stdio::null());
    let mut gateway = Gateway::run(command);
    let hear = || {
        let mut bytes = [0; 256];
        let length = told.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert!(hear().contains("READY=1\nSTATUS=generation 1"));
    drop(listener);
    assert_eq!(call(usual.port, &get("/")).status, 200);
    gateway.signal("HUP");
    let reloading = hear();
    assert!(
        reloading.contains("RELOADING=1") && reloading.contains("MONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(hear().contains("READY=1"));
    gateway.signal("TERM");
    assert!(hear().contains("STOPPING=1"));
    assert_eq!(gateway.ended(), Some(0));
}

#[test]
fn a_file_that_cannot_be_served_is_an_error_at_start() {
    let upstream = ok_for_all();
    let says = |sealed: &Sealed, args: &[&str]| {
        let output = sealed.command().args(args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    };
    let usual = Usual::new(&upstream.origin(), "", "");
    let (code, text) = says(&usual.sealed, &["--check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains(&format!(
            "acme: 127.0.0.1:{} -> {}/, any caller that reaches it",
            usual.port,
            upstream.origin()
        )),
        "{text}"
    );
    let taken = std::net::TcpListener::bind(("127.0.0.1", usual.port)).unwrap();
    let (code, text) = says(&usual.sealed, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains(&format!("cannot listen on 127.0.0.1:{}", usual.port)), "{text}");
    // As a running gateway has the port while a newer file is checked.
    let (code, text) = says(&usual.sealed, &["--check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("in use now"), "{text}");
    drop(taken);
    let mut values = VALUES;
    values[2].1 = "";
    let everybody = Sealed::new(
        &values,
        &format!(
            "[acme.login]\nurl = \"{0}/login\"\nbasic = true\n[acme.route]\nlisten = \"127.0.0.1:{1}\"\nupstream = \"{0}\"\ncallers = {{ bearer = \"${{caller_key}}\" }}\n",
            upstream.origin(),
            free_port()
        ),
    );
    for args in [&["--check"][..], &[]] {
        let (code, text) = says(&everybody, args);
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains("`acme.caller_key` is empty"), "{text}");
    }
    let none = Sealed::new(
        &VALUES,
        &format!("[acme.login]\nurl = \"{}/login\"\nbasic = true\n", upstream.origin()),
    );
    let (code, text) = says(&none, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("has no route") && text.contains("bootseal edit"), "{text}");
    let typo = Usual::new(&upstream.origin(), "", "upstraem = \"x\"");
    let (code, text) = says(&typo.sealed, &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("Did you mean `upstream`?"), "{text}");
    let output = usual.sealed.command().env("BOOTSEAL_PIN", "").output().unwrap();
    assert_eq!(output.status.code(), Some(3), "without a pin or known vaults no file is accepted");
}

/// The first file of the page, unchanged.
#[test]
fn the_example_file_of_the_docs_can_be_served() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/gateway.md"))
        .unwrap();
    let toml = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let marked = |line: &&str| !line.contains("\"secret:");
    let readable: String = toml.lines().filter(marked).map(|line| format!("{line}\n")).collect();
    let values = [("acme.password", "x"), ("acme.caller_key", "y")];
    assert_eq!(toml.lines().filter(|line| !marked(line)).count(), values.len());
    let (port, admin) = (free_port(), free_port());
    let readable = readable
        .replace("127.0.0.1:9301", &format!("127.0.0.1:{port}"))
        .replace("127.0.0.1:9300", &format!("127.0.0.1:{admin}"));
    let output = Sealed::new(&values, &readable).command().arg("--check").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(text.contains("https://api.acme.example/v1, callers with its key (bearer)"), "{text}");
}
