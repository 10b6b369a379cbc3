//! Foreign clients through the gateway, with a vendor that revokes tokens: curl, Java, Python,
//! Node, nghttp and h2load.

use crate::support::{Gateway, Sealed, Usual, VALUES, ca, call, free_port, get};
use bootseal_vendor_sim::Vendor;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// A route to a vendor that has just revoked the gateway's token, so the first call of a client is
/// sent twice.
struct Shop {
    vendor: Vendor,
    usual: Usual,
    _gateway: Gateway,
}

impl Shop {
    fn open() -> Shop {
        let vendor = Vendor::start().unwrap();
        let usual = Usual::new(vendor.url("").trim_end_matches('/'), &ca(vendor.ca_pem()), "");
        let gateway = usual.start();
        assert_eq!(call(usual.port, &get("/orders")).status, 200);
        vendor.redirect_calls_to(Some(vendor.url("/orders")));
        vendor.revoke_all();
        Shop { vendor, usual, _gateway: gateway }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.usual.port)
    }

    /// Checks that the vendor rejected this many calls and that each caused one login.
    fn check_rejections(&self, rejected: u64) {
        assert_eq!((self.vendor.rejected_calls(), self.vendor.logins()), (rejected, rejected + 1));
        assert_eq!(self.vendor.refused_logins(), 0);
    }
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// The Python of the tests, as scripts/test installs it.
fn python() -> PathBuf {
    let ours = here("target/python/bin/python");
    if ours.exists() { ours } else { "python3".into() }
}

fn run(command: &mut Command) -> Output {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Runs curl, with the HTTP version and status at the end of its output.
fn curl(arguments: &[&str]) -> String {
    said(&run(Command::new("curl")
        .args(["-sS", "--max-time", "60", "-w", " %{http_version} %{http_code}"])
        .args(arguments)))
}

#[test]
fn curl_calls_in_http_1_and_2() {
    let shop = Shop::open();
    assert_eq!(curl(&["-d", "a lamp", &shop.url("/orders")]), "{\"received\":6} 1.1 201");
    shop.vendor.revoke_all();
    assert_eq!(
        curl(&["--http2-prior-knowledge", "-d", "a lamp", &shop.url("/orders")]),
        "{\"received\":6} 2 201"
    );
    shop.check_rejections(2);
    // curl offers an upgrade to h2c, which is ignored as RFC 9110, 7.8 allows.
    assert!(curl(&["--http2", &shop.url("/orders")]).ends_with(" 1.1 200"));
    assert!(curl(&["-L", &shop.url("/redirect")]).ends_with(" 1.1 200"));
    // curl waits for `100 Continue` before it sends the body.
    let big = shop.usual.sealed.at("big");
    std::fs::write(&big, vec![b'x'; 60 << 10]).unwrap();
    let upload = curl(&[
        "-H",
        "Expect: 100-continue",
        "--data-binary",
        &format!("@{}", big.display()),
        &shop.url("/orders"),
    ]);
    assert_eq!(upload, "{\"received\":61440} 1.1 201");
    let refused = curl(&["-X", "TRACE", &shop.url("/orders")]);
    assert!(refused.ends_with(" 1.1 405"), "{refused}");
    shop.check_rejections(2);
}

#[test]
fn curl_calls_over_a_unix_socket() {
    let vendor = Vendor::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("acme.sock");
    let origin = vendor.url("");
    let origin = origin.trim_end_matches('/');
    let sealed = Sealed::new(
        &VALUES,
        &format!(
            "[acme.login]\nurl = \"{origin}/login\"\nbasic = true\n{}[acme.route]\nlisten = \"unix:{}\"\nupstream = \"{origin}\"\n",
            ca(vendor.ca_pem()),
            socket.display()
        ),
    );
    let _gateway = Gateway::start(&sealed);
    let through = ["--unix-socket", socket.to_str().unwrap()];
    for more in [
        &["http://acme/orders"][..],
        &["--http2-prior-knowledge", "-d", "a lamp", "http://acme/orders"],
    ] {
        let answer = curl(&[&through[..], more].concat());
        assert!(answer.ends_with(" 1.1 200") || answer.ends_with(" 2 201"), "{answer}");
        vendor.revoke_all();
    }
    assert_eq!((vendor.logins(), vendor.rejected_calls()), (2, 1));
}

#[test]
fn the_java_example_contains_no_token_code() {
    let shop = Shop::open();
    let source = here("examples/java/Orders.java");
    let classes = tempfile::tempdir().unwrap();
    run(Command::new("javac")
        .args(["-Xlint:all", "-Werror", "-d"])
        .arg(classes.path())
        .arg(&source));
    let answers = said(&run(Command::new("java")
        .arg("-cp")
        .arg(classes.path())
        .args(["Orders", &shop.url("")])));
    assert!(answers.starts_with("{\"received\":6}\n{\"orders\":["), "{answers}");
    shop.check_rejections(1);
    let code = std::fs::read_to_string(source).unwrap();
    for word in ["token", "Authorization", "Bearer", "password", "login"] {
        assert!(!code.to_lowercase().contains(&word.to_lowercase()), "{word}");
    }
    // The error of the example when the vendor refuses the password.
    shop.vendor.refuse(true);
    shop.vendor.revoke_all();
    let output = Command::new("java")
        .arg("-cp")
        .arg(classes.path())
        .args(["Orders", &shop.url("")])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("503 (login-refused)"), "{told}");
}

#[test]
fn python_requests_keeps_its_connection_and_follows_links() {
    let shop = Shop::open();
    run(Command::new(python()).arg(here("tests/gateway/session.py")).arg(shop.url("")));
    shop.check_rejections(1);
}

#[test]
fn node_fetch_streams_and_cancels() {
    let shop = Shop::open();
    run(Command::new("node").arg(here("tests/gateway/fetch.mjs")).arg(shop.url("")));
    shop.check_rejections(1);
}

#[test]
fn no_call_of_h2load_fails_during_a_revocation() {
    let shop = Shop::open();
    let body = shop.usual.sealed.at("body");
    std::fs::write(&body, "a lamp").unwrap();
    let mut revocations = 1;
    for more in [&["-c", "4", "-m", "32"][..], &["-c", "16", "--h1", "-m", "1"]] {
        for data in [&[][..], &["-d", body.to_str().unwrap()]] {
            let middle = shop.vendor.calls() + 1000;
            let h2load = Command::new("h2load")
                .args(["-n", "2000"])
                .args(more)
                .args(data)
                .arg(shop.url("/orders"))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let until = Instant::now() + Duration::from_secs(30);
            while shop.vendor.calls() < middle && Instant::now() < until {
                std::thread::yield_now();
            }
            shop.vendor.revoke_all();
            revocations += 1;
            let told = said(&h2load.wait_with_output().unwrap());
            assert!(told.contains("2000 succeeded, 0 failed, 0 errored, 0 timeout"), "{told}");
            assert!(told.contains("status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{told}");
        }
    }
    assert_eq!(shop.vendor.logins(), revocations + 1);
    assert!(shop.vendor.rejected_calls() >= revocations);
}

/// nghttpd speaks HTTP/2 over TLS, echoes the body of each request, ends each response with a
/// trailer, and logs the requests.
struct Nghttpd {
    child: std::process::Child,
    lines: Arc<Mutex<Vec<String>>>,
    port: u16,
    certificate: String,
}

impl Nghttpd {
    fn start(folder: &Path) -> Nghttpd {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
        let (key, cert, port) = (folder.join("key.pem"), folder.join("cert.pem"), free_port());
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        let mut child = Command::new("nghttpd")
            .args([
                "-v",
                "--echo-upload",
                "--trailer",
                "x-sum: 7",
                "--address=127.0.0.1",
                &port.to_string(),
            ])
            .args([&key, &cert])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (lines, stdout) = (Arc::<Mutex<Vec<String>>>::default(), child.stdout.take().unwrap());
        let (ready, listens) = mpsc::channel();
        let told = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if line.contains("listen") {
                    let _ = ready.send(());
                }
                told.lock().unwrap().push(line);
            }
        });
        listens.recv_timeout(Duration::from_secs(30)).unwrap();
        Nghttpd { child, lines, port, certificate: made.cert.pem() }
    }
}

impl Drop for Nghttpd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn http_2_works_on_both_sides_with_trailers_in_both_directions() {
    let vendor = Vendor::start().unwrap();
    vendor.keep_tokens();
    let folder = tempfile::tempdir().unwrap();
    let upstream = Nghttpd::start(folder.path());
    let port = free_port();
    let sealed = Sealed::new(
        &VALUES,
        &format!(
            "[acme.login]\nurl = \"{}\"\nbasic = true\nhosts = [\"127.0.0.1:{u}\"]\n{}[acme.route]\nlisten = \"127.0.0.1:{port}\"\nupstream = \"https://127.0.0.1:{u}\"\n",
            vendor.url("/login"),
            ca(&format!("{}{}", vendor.ca_pem(), upstream.certificate)),
            u = upstream.port,
        ),
    );
    let _gateway = Gateway::start(&sealed);
    let body = folder.path().join("body");
    std::fs::write(&body, "a lamp").unwrap();
    let told = said(&run(Command::new("nghttp")
        .args(["-v", "--no-dep", "--trailer", "x-part: 3", "-H", "te: trailers", "-d"])
        .arg(&body)
        .arg(format!("http://127.0.0.1:{port}/echo"))));
    let seen = upstream.lines.lock().unwrap().join("\n");
    // The caller gets the echo and the upstream's trailer.
    for wanted in [":status: 200", "a lamp", "x-sum: 7"] {
        assert!(told.contains(wanted), "{wanted}:\n{told}\n\nthe upstream:\n{seen}");
    }
    // The upstream gets HTTP/2, the token, the caller's trailer and its own host.
    let [token] = &vendor.tokens()[..] else { panic!() };
    for wanted in [
        ":method: POST",
        &format!(":authority: 127.0.0.1:{}", upstream.port),
        &format!("Bearer {token}"),
        "x-part: 3",
    ] {
        assert!(seen.contains(wanted), "{wanted}:\n{seen}");
    }
    assert!(!told.contains(token));
}
