//! HTTP edge cases: endless responses, hosts that do not respond, resets, redirects, certificates,
//! proxies.

use bootseal::testing::Clock;
use bootseal::{
    Error, HttpTransport, Kind, LoginRequest, LoginResponse, TokenSource, Transport, TransportError,
};
use bootseal_vendor_sim::Vendor;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const VALUES: [(&str, &str); 2] =
    [("acme.username", "quickstart"), ("acme.password", "open sesame")];

fn source(url: &str, more: &str) -> TokenSource {
    let readable = format!("[acme.login]\nurl = \"{url}\"\nbasic = true\n{more}");
    bootseal::testing::vault(VALUES, &readable).unwrap().token_source("acme").unwrap()
}

/// Serves each connection of a local port with `serve`, which gets all heads read so far, the
/// current one last.
struct Server {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(
        serve: impl Fn(&str, &mut TcpStream) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Server {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let server = Server { port: listener.local_addr().unwrap().port(), heads: Arc::default() };
        let (heads, serve) = (server.heads.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, heads, serve) = (stream.unwrap(), heads.clone(), serve.clone());
                std::thread::spawn(move || {
                    // A request is read to the end of its head; `serve` may read the rest.
                    while let Ok(Some(head)) = head(&mut stream) {
                        heads.lock().unwrap().push(head.clone());
                        if !serve(&head, &mut stream).is_ok_and(|goes_on| goes_on) {
                            break;
                        }
                    }
                });
            }
        });
        server
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The heads of requests whose first line begins with `beginning`.
    fn heard(&self, beginning: &str) -> Vec<String> {
        self.heads
            .lock()
            .unwrap()
            .iter()
            .filter(|head| head.starts_with(beginning))
            .cloned()
            .collect()
    }
}

fn head(stream: &mut impl Read) -> io::Result<Option<String>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte)? == 0 {
            return Ok(None);
        }
        head.push(byte[0]);
    }
    Ok(Some(String::from_utf8_lossy(&head).into_owned()))
}

const TOKEN: &str = r#"{"access_token":"t","expires_in":900}"#;

/// A response on a connection that stays open.
fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<bool> {
    write!(
        stream,
        "HTTP/1.1 {status} Word\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(true)
}

fn has(head: &str, header: &str) -> bool {
    head.lines().any(|line| line.eq_ignore_ascii_case(header))
}

// ---- Bounds of a login

#[test]
fn a_login_response_over_one_mebibyte_is_an_error() {
    const MOST: usize = 1 << 20;
    let filled = |length: usize| format!("{TOKEN}{}", " ".repeat(length - TOKEN.len()));
    for (length, chunked, good) in
        [(MOST, false, true), (MOST, true, true), (MOST + 1, false, false), (MOST + 1, true, false)]
    {
        let body = filled(length);
        let server = Server::start(move |_, stream| {
            if !chunked {
                return answer(stream, 200, "", &body);
            }
            write!(
                stream,
                "HTTP/1.1 200 Word\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )?;
            Ok(true)
        });
        match source(&server.url("/login"), "").token_blocking() {
            Ok(_) => assert!(good, "{length} {chunked}"),
            Err(error) => {
                assert!(!good && error.kind() == Kind::LoginDown, "{length} {chunked}: {error}");
                assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
            }
        }
    }
    // A connection with an endless response is dropped.
    let (let_go, seen) = std::sync::mpsc::channel();
    let server = Server::start(move |_, stream| {
        write!(stream, "HTTP/1.1 200 Word\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
        let mut sent = 0;
        while stream.write_all(chunk.as_bytes()).is_ok() {
            sent += 0x1000;
        }
        let _ = let_go.send(sent);
        Ok(false)
    });
    assert_eq!(
        source(&server.url("/login"), "").token_blocking().unwrap_err().kind(),
        Kind::LoginDown
    );
    let sent = seen.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(sent < 64 * MOST, "{sent} bytes were sent");
}

/// Keeps the request and fails as if the host were unreachable.
#[derive(Clone, Default)]
struct Keeps(Arc<Mutex<Option<LoginRequest>>>);

impl Transport for Keeps {
    fn send(
        &self,
        request: LoginRequest,
    ) -> Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>> {
        *self.0.lock().unwrap() = Some(request);
        Box::pin(async { Err(TransportError::Timeout) })
    }
}

#[tokio::test]
async fn a_host_that_accepts_and_never_answers_times_out_after_3_seconds() {
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://127.0.0.1:{}/login", silent.local_addr().unwrap().port());
    let readable =
        format!("[acme.login]\nurl = \"{url}\"\nbasic = true\nlogin_timeout = \"60s\"\n");
    let (vault, keeps) = (bootseal::testing::vault(VALUES, &readable).unwrap(), Keeps::default());
    let source =
        vault.token_source_with("acme", Arc::new(Clock::new()), Arc::new(keeps.clone())).unwrap();
    source.token().await.unwrap_err();
    let request = keeps.0.lock().unwrap().take().unwrap();
    let start = Instant::now();
    let error = HttpTransport.send(request).await.unwrap_err();
    assert!(matches!(&error, TransportError::Connect(why) if why.contains("3s")), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
}

// ---- Certificates and proxies

/// A vendor that demands a client certificate of its authority. Returns its port, the certificate
/// of the authority, and a client's certificate and key.
fn demanding() -> (u16, [String; 3]) {
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    };
    use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
    let params = |names: &[&str]| {
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
                .unwrap();
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2050, 1, 1);
        params
    };
    let (ca_key, server_key, client_key) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut ca = params(&[]);
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let issuer = Issuer::new(ca, ca_key);
    let mut server = params(&["127.0.0.1"]);
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let mut client = params(&["orders"]);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let client = client.signed_by(&client_key, &issuer).unwrap();

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(root.der().clone()).unwrap();
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
            .build()
            .unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der())),
        )
        .unwrap();
    let (config, listener) = (Arc::new(config), TcpListener::bind(("127.0.0.1", 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(config.clone()).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            if let Ok(Some(_)) = head(&mut stream) {
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 Yes\r\nContent-Length: {}\r\n\r\n{TOKEN}",
                    TOKEN.len()
                );
            }
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    (port, [root.pem(), client.pem(), client_key.serialize_pem()])
}

#[test]
fn a_vendor_that_demands_a_client_certificate_gets_that_of_the_profile() {
    let (port, [ca, cert, key]) = demanding();
    let (_, [_, other_cert, other_key]) = demanding();
    let login = |lines: &str, cert: &str, key: &str| {
        let readable = format!(
            "[acme.login]\nurl = \"https://127.0.0.1:{port}/login\"\nbasic = true\nca = '''{ca}'''\nexpiry = {{ fixed = \"1h\" }}\n{lines}"
        );
        let values = VALUES.into_iter().chain([("acme.cert", cert), ("acme.key", key)]);
        bootseal::testing::vault(values, &readable).unwrap().token_source("acme").unwrap()
    };
    const BOTH: &str = "client_cert = \"${cert}\"\nclient_key = \"${key}\"\n";
    let source = login(BOTH, &cert, &key);
    source.token_blocking().unwrap();
    // Calls present it too.
    let answer = source.client().get(format!("https://127.0.0.1:{port}/orders")).send();
    assert_eq!(runtime().block_on(answer).unwrap().status(), 200);
    for (lines, cert, key) in [
        ("", &cert, &key),
        (BOTH, &other_cert, &other_key),
        (BOTH, &cert, &other_key),
        (BOTH, &key, &cert),
    ] {
        let error = login(lines, cert, key).token_blocking().unwrap_err();
        assert_eq!(error.kind(), Kind::LoginTls, "{error}");
        assert!(
            !error.to_string().contains("PRIVATE") && !error.to_string().contains("BEGIN"),
            "{error}"
        );
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn logins_and_calls_use_the_proxy_of_the_profile() {
    let vendor = Vendor::start().unwrap();
    let target = vendor.url("").trim_start_matches("https://").trim_end_matches('/').to_owned();
    let to = target.clone();
    let proxy = Server::start(move |_, near| {
        write!(near, "HTTP/1.1 200 Connected\r\n\r\n")?;
        let far = TcpStream::connect(&to)?;
        let (mut up, mut back) = (far.try_clone()?, near.try_clone()?);
        let mut far = far;
        std::thread::spawn(move || {
            let _ = io::copy(&mut far, &mut back);
            let _ = back.shutdown(Shutdown::Write);
        });
        let _ = io::copy(near, &mut up);
        let _ = up.shutdown(Shutdown::Write);
        Ok(false)
    });
    let lines =
        format!("ca = '''{}'''\nproxy = \"http://127.0.0.1:{}\"\n", vendor.ca_pem(), proxy.port);
    let acme = source(&vendor.url("/login"), &lines);
    acme.token_blocking().unwrap();
    let connect = format!("CONNECT {target} HTTP/1.1\r\n");
    assert_eq!((proxy.heard(&connect).len(), proxy.heads.lock().unwrap().len()), (1, 1));
    let orders = runtime().block_on(acme.client().get(vendor.url("/orders")).send()).unwrap();
    assert_eq!((orders.status().as_u16(), proxy.heard(&connect).len()), (200, 2));
    let heard = proxy.heads.lock().unwrap().concat().to_lowercase();
    assert!(!heard.contains("authorization"), "the proxy saw {heard}");
    // A proxy that refuses or is unreachable is not bypassed.
    let refuses = Server::start(|_, stream| answer(stream, 403, "", ""));
    for port in [refuses.port, crate::ports::free_port()] {
        let lines =
            format!("ca = '''{}'''\nproxy = \"http://127.0.0.1:{port}\"\n", vendor.ca_pem());
        assert_eq!(
            source(&vendor.url("/login"), &lines).token_blocking().unwrap_err().kind(),
            Kind::LoginDown
        );
    }
    assert_eq!(vendor.logins(), 1);
}

// ---- A call that may have been applied

#[tokio::test]
async fn a_post_is_not_sent_again_after_a_timeout_or_a_reset() {
    for (path, kept_open) in [
        ("/silent", false),
        ("/silent", true),
        ("/reset", false),
        ("/reset", true),
        ("/closed", true),
    ] {
        let server = Server::start(|head, stream| match head.split(' ').nth(1).unwrap() {
            "/login" => answer(stream, 200, "", TOKEN),
            // Reads to the end of the connection and closes it without a response.
            "/silent" => io::copy(stream, &mut io::sink()).map(|_| false),
            // Closes with bytes unread, which causes a reset.
            "/reset" => Ok(false),
            "/closed" => {
                let mut reader = BufReader::new(stream.try_clone()?);
                reader.fill_buf()?;
                Ok(false)
            }
            _ => answer(stream, 200, "", ""),
        });
        let source = source(&server.url("/login"), "");
        let client = source.client();
        if kept_open {
            // Then the call uses an idle connection. HTTP libraries often retry on those, assuming
            // that the connection had just been closed.
            client.get(server.url("/first")).send().await.unwrap().bytes().await.unwrap();
        }
        // Only the call without any response may time out, even on a loaded machine.
        let patience = Duration::from_secs(if path == "/silent" { 2 } else { 60 });
        let call = client.post(server.url(path)).body(vec![7; 100_000]).timeout(patience);
        let error: Error = call.send().await.unwrap_err();
        assert_eq!(error.is_timeout(), path == "/silent", "{path} {error}");
        assert_eq!(
            (server.heard("POST /login").len(), server.heard(&format!("POST {path}")).len()),
            (1, 1),
            "{path} {kept_open}"
        );
    }
}

// ---- Redirects with a token that is not in `Authorization`

#[tokio::test]
async fn a_redirect_carries_the_token_headers_only_within_the_origin() {
    let secure = Vendor::start().unwrap();
    for (inject, header) in [
        ("inject = { header = \"X-Auth-Token\", value = \"${token}\" }\n", "x-auth-token: t"),
        ("inject = { header = \"Cookie\", value = \"a=1; s=${token}\" }\n", "cookie: a=1; s=t"),
        (
            "inject = [{ value = \"Bearer ${token}\" }, { header = \"X-Key\", value = \"${password}\" }]\n",
            "x-key: open sesame",
        ),
    ] {
        let there = Server::start(|_, stream| answer(stream, 200, "", ""));
        let targets = Arc::new(Mutex::new(String::new()));
        let target = targets.clone();
        let here = Server::start(move |head, stream| match head.split(' ').nth(1).unwrap() {
            "/login" => answer(stream, 200, "", TOKEN),
            "/moved" => {
                answer(stream, 307, &format!("Location: {}\r\n", target.lock().unwrap()), "")
            }
            _ => answer(stream, 200, "", ""),
        });
        let hosts =
            format!("hosts = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\n", here.port, there.port);
        let client = source(&here.url("/login"), &format!("{inject}{hosts}")).client();
        for to in [here.url("/orders"), "/orders".into()] {
            targets.lock().unwrap().clone_from(&to);
            assert_eq!(client.get(here.url("/moved")).send().await.unwrap().status(), 200);
        }
        assert!(
            here.heard("GET /orders").iter().all(|head| has(head, header)),
            "{:?}",
            here.heard("GET /orders")
        );
        assert_eq!(here.heard("GET /orders").len(), 2);
        for to in [
            there.url("/orders"),
            here.url("/orders").replacen("127.0.0.1", "localhost", 1),
            here.url("/orders").replacen("http", "https", 1),
            secure.url("/orders"),
        ] {
            targets.lock().unwrap().clone_from(&to);
            assert_eq!(client.get(here.url("/moved")).send().await.unwrap().status(), 307, "{to}");
        }
        assert_eq!(
            (there.heads.lock().unwrap().len(), here.heard("GET /orders").len()),
            (0, 2),
            "{inject}"
        );
    }
    // From https to http.
    for inject in ["inject = { header = \"X-Auth-Token\", value = \"${token}\" }\n"] {
        let clear = Server::start(|_, stream| answer(stream, 200, "", ""));
        let acme =
            source(&secure.url("/login"), &format!("{inject}ca = '''{}'''\n", secure.ca_pem()));
        secure.redirect_calls_to(Some(clear.url("/orders")));
        assert_eq!(acme.client().get(secure.url("/redirect")).send().await.unwrap().status(), 307);
        assert_eq!(clear.heads.lock().unwrap().len(), 0);
    }
}
