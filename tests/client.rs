//! Does the client put the token on, renew it and replay the call, and does the token go nowhere else? Over real sockets.

#![allow(clippy::unwrap_used, clippy::panic)] // a test

use bootseal::testing::Clock;
use bootseal::{
    Client, Error, ExpiryFrom, HttpTransport, Kind, LoginRequest, LoginResponse, Secrets, TokenSource, Transport,
    TransportError,
};
use bootseal_vendor_sim::Vendor;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Body, Method, StatusCode};
use serde_json::{Value, json};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const JSON: &str = "json = { username = \"${username}\", password = \"${password}\" }\n";
const PASSWORD: &str = "open sesame";

/// A vault with one profile, `acme`, whose login is at `url` and says what `lines` say.
fn vault(url: &str, ca: &str, lines: &str) -> Secrets {
    let ca = if ca.is_empty() { String::new() } else { format!("ca = '''{ca}'''\n") };
    let values = [("acme.username", "quickstart"), ("acme.password", PASSWORD)];
    bootseal::testing::vault(values, &format!("[acme.login]\nurl = \"{url}\"\n{lines}\n{ca}")).unwrap()
}

/// A vendor over TLS, and a client of it.
struct Acme {
    vendor: Vendor,
    source: TokenSource,
    client: Client,
}

fn acme(more: &str) -> Acme {
    let vendor = Vendor::start().unwrap();
    let source = vault(&vendor.url("/login"), vendor.ca_pem(), &format!("{JSON}{more}")).token_source("acme").unwrap();
    Acme { client: source.client(), source, vendor }
}

impl Acme {
    async fn get(&self, path: &str) -> Result<u16, Error> {
        Ok(self.client.get(self.vendor.url(path)).send().await?.status().as_u16())
    }

    /// How often this method and path was asked for.
    fn asked(&self, method: &str, path: &str) -> usize {
        self.vendor.seen().iter().filter(|seen| seen.method == method && seen.path == path).count()
    }
}

/// Waits for what another thread is about to do.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "never came: {what}");
        tokio::task::yield_now().await;
    }
}

/// The result of what must not take for ever.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), work).await.unwrap_or_else(|_| panic!("hangs: {what}"))
}

/// A server in clear, of which the test says what it answers; it hears everything, and closes after each answer.
struct Raw {
    port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
struct Heard {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Heard {
    fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str()).collect()
    }

    fn token(&self) -> &str {
        self.all("authorization").first().and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// What is written back; `held`: the connection is then kept open until the other side closes it.
struct Reply {
    bytes: Vec<u8>,
    held: bool,
}

fn reply(status: u16, headers: &[&str], body: &str) -> Reply {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let bytes =
        format!("HTTP/1.1 {status} Word\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    Reply { bytes: bytes.into_bytes(), held: false }
}

fn token_reply(token: &str) -> Reply {
    reply(200, &[], &json!({ "access_token": token, "expires_in": 900 }).to_string())
}

impl Raw {
    fn start(answer: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Raw {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let raw = Raw {
            port: listener.local_addr().unwrap().port(),
            heard: Arc::default(),
            connections: Arc::default(),
            over: Arc::default(),
        };
        let (heard, connections, over, answer) =
            (raw.heard.clone(), raw.connections.clone(), raw.over.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                connections.fetch_add(1, Ordering::SeqCst);
                let (stream, heard, answer) = (stream.unwrap(), heard.clone(), answer.clone());
                std::thread::spawn(move || {
                    let _ = serve(stream, &heard, &*answer);
                });
            }
        });
        raw
    }

    /// One that logs in everybody, each with the next of the tokens `token-1`, `token-2`, …, and answers calls with `call`.
    fn vendor(call: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Raw {
        let logins = AtomicUsize::new(0);
        Raw::start(move |heard| match heard.path() {
            "/login" => token_reply(&format!("token-{}", logins.fetch_add(1, Ordering::SeqCst) + 1)),
            _ => call(heard),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn source(&self, more: &str) -> TokenSource {
        vault(&self.url("/login"), "", &format!("{JSON}{more}")).token_source("acme").unwrap()
    }

    /// What was heard beside logins.
    fn calls(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().iter().filter(|heard| heard.path() != "/login").cloned().collect()
    }

    fn logins(&self) -> usize {
        self.heard.lock().unwrap().iter().filter(|heard| heard.path() == "/login").count()
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(mut stream: TcpStream, heard: &Mutex<Vec<Heard>>, answer: &dyn Fn(&Heard) -> Reply) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let [method, target, _] = first.split(' ').collect::<Vec<_>>()[..] else { return Ok(()) };
    let mut request = Heard { method: method.into(), target: target.into(), headers: Vec::new(), body: Vec::new() };
    loop {
        let line = line()?;
        let Some((name, value)) = line.split_once(": ") else { break };
        request.headers.push((name.to_lowercase(), value.to_owned()));
    }
    if request.all("transfer-encoding").contains(&"chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = usize::from_str_radix(size.trim_end(), 16).map_err(io::Error::other)?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk)?;
            request.body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                break;
            }
        }
    } else if let Some(length) = request.all("content-length").first().and_then(|text| text.parse().ok()) {
        request.body = vec![0; length];
        reader.read_exact(&mut request.body)?;
    }
    heard.lock().unwrap().push(request.clone());
    let reply = answer(&request);
    stream.write_all(&reply.bytes)?;
    if reply.held {
        io::copy(&mut reader, &mut io::sink())?;
    }
    stream.shutdown(Shutdown::Write)
}

// The token on a call.

#[tokio::test]
async fn the_token_goes_along_and_nothing_printable_shows_it() {
    let acme = acme("");
    let token = acme.source.token().await.unwrap();
    let text = token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let call = acme.client.post(acme.vendor.url("/orders")).body("lamp");
    let printed = format!("{call:?}");
    let request = call.build().unwrap();
    let printed = format!("{printed}{request:?}{:?}{:?}{token:?}", acme.client, acme.source);
    let answer = acme.client.execute(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    let printed = format!("{printed}{answer:?}");
    let tail = text.rsplit('.').next().unwrap();
    assert!(!printed.contains(tail) && !printed.contains("Bearer"), "{printed}");
    assert!(
        acme.vendor.seen().iter().all(|seen| seen.path == "/login" || seen.headers.contains(&"authorization".into()))
    );
}

#[tokio::test]
async fn the_callers_own_header_is_replaced_whatever_it_says_and_however_often() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    for (more, header, expected) in [
        ("", "authorization", "Bearer token-1"),
        ("inject = { header = \"X-Auth-Token\", value = \"${token}\" }", "x-auth-token", "token-1"),
        (
            "inject = { header = \"Cookie\", value = \"a=1; session=${token}; b=2\" }",
            "cookie",
            "a=1; session=token-1; b=2",
        ),
    ] {
        let raw = Raw::vendor(|_| reply(200, &[], ""));
        let client = raw.source(more).client();
        let call = client.get(raw.url("/")).header(header, "mine").header(header.to_uppercase(), "mine too");
        call.send().await.unwrap();
        let request = client.get(raw.url("/")).build().unwrap();
        client.execute(request).await.unwrap();
        let calls = raw.calls();
        assert_eq!(calls.len(), 2);
        assert!(calls.iter().all(|heard| heard.all(header) == [expected]), "{calls:?}");
    }
    // Where the token has another header, theirs stays theirs.
    let client = raw.source("inject = { header = \"X-Auth-Token\", value = \"${token}\" }").client();
    client.get(raw.url("/")).header("authorization", "Basic bWluZQ==").send().await.unwrap();
    assert_eq!(raw.calls()[0].all("authorization"), ["Basic bWluZQ=="]);
}

#[tokio::test]
async fn the_builders_send_what_they_say() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source("").client();
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, "text/plain".parse().unwrap());
    let call = |method: Method, path: &str| client.request(method, raw.url(path));
    call(Method::PATCH, "/json").json(&json!({ "item": "lämp" })).send().await.unwrap();
    call(Method::PUT, "/form").form(&[("item", "a b&c=ä")]).send().await.unwrap();
    call(Method::DELETE, "/query?a=1").query(&[("b", "x y&z")]).headers(headers).send().await.unwrap();
    client.post(raw.url("/bytes")).header(CONTENT_TYPE, "text/csv").body(vec![0, 1, 255]).send().await.unwrap();
    client.head(raw.url("/head")).send().await.unwrap();
    client.get(raw.url("/old")).version(reqwest::Version::HTTP_10).send().await.unwrap();
    let calls = raw.calls();
    let expected: [(&str, &str, &str, &[u8]); 6] = [
        ("PATCH", "/json", "application/json", "{\"item\":\"lämp\"}".as_bytes()),
        ("PUT", "/form", "application/x-www-form-urlencoded", b"item=a+b%26c%3D%C3%A4"),
        ("DELETE", "/query?a=1&b=x+y%26z", "", b""),
        ("POST", "/bytes", "text/csv", &[0, 1, 255]),
        ("HEAD", "/head", "", b""),
        ("GET", "/old", "", b""),
    ];
    for (heard, (method, target, kind, body)) in calls.iter().zip(expected) {
        assert_eq!((heard.method.as_str(), heard.target.as_str(), heard.body.as_slice()), (method, target, body));
        assert_eq!(heard.all("content-type").first().copied().unwrap_or_default(), kind, "{target}");
        assert_eq!(heard.all("authorization"), ["Bearer token-1"], "{target}");
        assert_eq!(heard.all("referer"), [""; 0], "{target}");
    }
    assert_eq!((calls.len(), calls[2].all("accept")), (6, vec!["text/plain"]));
}

// Where the token may not go.

#[tokio::test]
async fn a_call_elsewhere_is_an_error_before_anything_is_sent() {
    let elsewhere = Raw::start(|_| reply(200, &[], ""));
    let acme = acme("");
    let own = acme.vendor.url("").rsplit_once(':').unwrap().1.trim_end_matches('/').to_owned();
    for url in [
        elsewhere.url("/orders?key=hidden"),                         // another port, in clear
        format!("https://127.0.0.1:{}/?key=hidden", elsewhere.port), // another port
        format!("https://localhost:{own}/orders?key=hidden"),        // another name of the same
        format!("http://localhost:{own}/orders?key=hidden"),
        format!("https://127.0.0.2:{own}/orders?key=hidden"),
        format!("https://127.0.0.1@localhost:{own}/orders?key=hidden"),
        "https://127.0.0.1/orders?key=hidden".into(), // the port that is not written is 443
        "https://127.0.0.1.acme.example/orders?key=hidden".into(),
    ] {
        let error = acme.client.get(&url).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{url}: {error}");
        assert!(error.to_string().contains("may not go to http") && !error.to_string().contains("hidden"), "{error}");
        assert!(error.help().unwrap().contains(&format!("127.0.0.1:{own}")), "{error}");
    }
    let malformed = acme.client.get("not a URL").send().await.unwrap_err();
    assert_eq!(malformed.kind(), Kind::Usage, "{malformed}");
    assert_eq!(
        (elsewhere.connections.load(Ordering::SeqCst), acme.vendor.seen().len()),
        (0, 0),
        "no login for nothing, too"
    );
}

#[tokio::test]
async fn a_host_of_the_profile_is_not_called_in_clear() {
    let clear = Raw::start(|_| reply(200, &[], ""));
    for (host, url) in [
        (format!("localhost:{}", clear.port), format!("http://localhost:{}/", clear.port)),
        // `hosts` means https, also where the login's own URL would be let off for its loopback address.
        (format!("127.0.0.1:{}", clear.port), format!("http://127.0.0.1:{}/", clear.port)),
    ] {
        let acme = acme(&format!("hosts = [\"{host}\"]"));
        let sent = acme.client.get(&url).send().await;
        assert_eq!(clear.calls().len(), 0, "the token went to {url}");
        assert_eq!(sent.unwrap_err().kind(), Kind::Usage, "{url}");
    }
}

#[tokio::test]
async fn the_origin_of_an_https_login_is_not_called_in_clear() {
    let acme = acme("");
    let url = acme.vendor.url("/orders").replacen("https", "http", 1);
    let error = acme.client.get(url).send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "{error}");
}

#[tokio::test]
async fn a_host_that_the_profile_adds_gets_the_token() {
    let api = Raw::start(|_| reply(200, &[], ""));
    let login = Raw::vendor(|_| reply(200, &[], ""));
    let client = login.source(&format!("hosts = [\"127.0.0.1:{}\"]", api.port)).client();
    client.get(api.url("/orders")).send().await.unwrap();
    assert_eq!(api.calls()[0].token(), "token-1");
    assert_eq!(
        client.get(login.url("/orders")).send().await.unwrap_err().kind(),
        Kind::Usage,
        "a list is the whole list"
    );
}

// Redirects.

#[tokio::test]
async fn a_redirect_within_the_origin_is_followed_with_the_token() {
    let acme = acme("");
    for location in ["/orders".to_owned(), acme.vendor.url("/orders"), "orders#here".into()] {
        acme.vendor.redirect_calls_to(Some(location));
        let answer = acme.client.get(acme.vendor.url("/redirect")).send().await.unwrap();
        assert_eq!((answer.status(), answer.url().path()), (StatusCode::OK, "/orders"));
    }
    // Rejected behind a redirect is rejected: the call goes the whole way again.
    acme.vendor.revoke_all();
    assert_eq!(acme.get("/redirect").await.unwrap(), 200);
    assert_eq!((acme.vendor.logins(), acme.asked("GET", "/redirect"), acme.asked("GET", "/orders")), (2, 5, 5));
    acme.vendor.redirect_calls_to(Some("/redirect".into()));
    let error = acme.get("/redirect").await.unwrap_err();
    assert!(error.to_string().contains("more than 10 redirects"), "{error}");
}

#[tokio::test]
async fn a_redirect_that_the_profile_calls_a_rejection_is_one() {
    let raw = Raw::vendor(|heard| match heard.token() {
        "token-1" => reply(302, &["Location: /welcome"], ""),
        _ => reply(200, &[], ""),
    });
    let source = raw.source("rejected_status = [302]\n");
    let answer = source.client().get(raw.url("/orders")).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), raw.logins()), (200, 2));
    assert!(raw.calls().iter().all(|call| call.path() == "/orders"), "nobody went to the login page");
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_returned_as_it_is_and_nothing_gets_there() {
    let secure = Vendor::start().unwrap();
    for inject in ["", "inject = { header = \"X-Auth-Token\", value = \"${token}\" }"] {
        for status in [301, 302, 303, 307, 308] {
            let there = Raw::start(|_| reply(200, &[], ""));
            let target: Arc<Mutex<String>> = Arc::default();
            let location = target.clone();
            let here = Raw::vendor(move |heard| match heard.path() {
                "/near" => reply(307, &["Location: /far"], ""),
                _ => reply(status, &[&format!("Location: {}", location.lock().unwrap())], "moved"),
            });
            // Also where the profile would let the token go there: whoever answers here does not choose.
            let hosts = format!("hosts = [\"127.0.0.1:{}\", \"127.0.0.1:{}\"]\n", here.port, there.port);
            let client = here.source(&format!("{hosts}{inject}")).client();
            for to in [
                there.url("/orders"),
                there.url("/orders").replacen("http:", "", 1),
                here.url("/orders").replacen("127.0.0.1", "localhost", 1),
                here.url("/orders").replacen("http", "https", 1),
                secure.url("/orders"),
            ] {
                target.lock().unwrap().clone_from(&to);
                for path in ["/far", "/near"] {
                    let before = here.calls().len();
                    let answer = client.post(here.url(path)).body("the order").send().await.unwrap();
                    assert_eq!(answer.status().as_u16(), status, "{to}");
                    assert_eq!(answer.headers()[LOCATION].to_str().unwrap(), to);
                    assert_eq!(answer.text().await.unwrap(), "moved");
                    assert_eq!(here.calls().len() - before, if path == "/far" { 1 } else { 2 });
                }
            }
            assert_eq!(there.connections.load(Ordering::SeqCst), 0, "{status} {inject}");
        }
    }
    assert_eq!(secure.seen(), []);
}

#[tokio::test]
async fn a_redirect_from_https_to_http_or_to_another_vendor_is_returned_as_it_is() {
    let (clear, other) = (Raw::start(|_| reply(200, &[], "")), Vendor::start().unwrap());
    for inject in ["", "inject = { header = \"X-Auth-Token\", value = \"${token}\" }"] {
        let acme = acme(inject);
        let same = acme.vendor.url("/orders");
        for to in [
            clear.url("/orders"),
            other.url("/orders"),
            same.replacen("https", "http", 1),
            same.replacen("127.0.0.1", "localhost", 1),
        ] {
            acme.vendor.redirect_calls_to(Some(to.clone()));
            let answer = acme.client.get(acme.vendor.url("/redirect")).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.headers()[LOCATION].to_str().unwrap()), (307, to.as_str()));
        }
        assert_eq!(acme.asked("GET", "/orders"), 0);
    }
    assert_eq!((clear.connections.load(Ordering::SeqCst), other.seen().len()), (0, 0));
}

#[tokio::test]
async fn a_login_that_is_redirected_is_an_error_that_names_the_origin_only() {
    let there = Raw::start(|_| token_reply("stolen"));
    for status in [301, 302, 303, 307, 308] {
        for lines in [JSON, "form = { u = \"${username}\", p = \"${password}\" }", "basic = true"] {
            let to = there.url("/steal?ticket=hidden");
            let vendor = Raw::start(move |_| reply(status, &[&format!("Location: {to}")], ""));
            let source = vault(&vendor.url("/login"), "", lines).token_source("acme").unwrap();
            let error = source.token().await.unwrap_err();
            assert_eq!((error.kind(), error.status()), (Kind::LoginProtocol, Some(status)));
            let text = error.to_string();
            assert!(text.contains(&format!("127.0.0.1:{}", there.port)), "{text}");
            assert!(!text.contains("steal") && !text.contains("hidden") && !text.contains(PASSWORD), "{text}");
            assert_eq!(vendor.heard.lock().unwrap().len(), 1);
            let again = source.client().get(vendor.url("/orders")).send().await.unwrap_err();
            assert_eq!(again.kind(), Kind::LoginProtocol);
            assert!(again.retry_after().is_some_and(|wait| wait > Duration::from_secs(30)));
            assert_eq!(vendor.heard.lock().unwrap().len(), 1, "asked again");
        }
    }
    // Not even within the origin.
    let vendor = Raw::start(|_| reply(307, &["Location: /login"], ""));
    assert_eq!(vendor.source("").token().await.unwrap_err().kind(), Kind::LoginProtocol);
    assert_eq!((vendor.logins(), there.connections.load(Ordering::SeqCst)), (1, 0));
}

// A token that the vendor rejects.

#[tokio::test]
async fn a_rejected_call_is_answered_after_one_login_and_one_replay() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.revoke_all();
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!((acme.vendor.logins(), acme.vendor.rejected_calls(), acme.vendor.calls()), (2, 1, 4));
    let counts = acme.source.counts();
    assert_eq!((counts.logins, counts.rejections, counts.replays), (2, 1, 1));
}

#[tokio::test]
async fn the_second_rejection_in_a_row_is_the_callers() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.reject_calls_with(Some(401));
    let answer = acme.client.get(acme.vendor.url("/orders")).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()),
        (401, json!({ "error": "rejected" }))
    );
    assert_eq!((acme.vendor.calls(), acme.vendor.logins()), (3, 2), "a third try");
    // The fresh token is not blamed: it goes on.
    acme.vendor.reject_calls_with(None);
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!((acme.vendor.calls(), acme.vendor.logins()), (4, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hundred_calls_after_a_revocation_are_answered_by_one_login() {
    for used_before in [true, false] {
        let acme = acme("");
        acme.source.ready().await.unwrap();
        if used_before {
            assert_eq!(acme.get("/orders").await.unwrap(), 200);
        }
        acme.vendor.revoke_all();
        let calls: Vec<_> = (0..100)
            .map(|index| {
                let call = match index % 2 {
                    0 => acme.client.get(acme.vendor.url("/orders")),
                    _ => acme.client.post(acme.vendor.url("/orders")).body(vec![7; 1000]),
                };
                tokio::spawn(call.send())
            })
            .collect();
        for (index, call) in calls.into_iter().enumerate() {
            let status = call.await.unwrap().unwrap().status().as_u16();
            assert_eq!(status, if index % 2 == 0 { 200 } else { 201 });
        }
        assert_eq!(acme.vendor.logins(), 2, "used before: {used_before}");
        assert_eq!(acme.source.counts().rejections, 1);
    }
}

#[tokio::test]
async fn a_body_of_bytes_is_sent_again_whole() {
    let raw = Raw::vendor(|heard| reply(if heard.token() == "token-1" { 401 } else { 201 }, &[], ""));
    let client = raw.source("").client();
    let body: Vec<u8> = (0..300_000_u32).map(|index| index as u8).collect();
    let answer = client.post(raw.url("/orders?a=1")).header("x-own", "kept").body(body.clone()).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let calls = raw.calls();
    assert_eq!(calls.iter().map(Heard::token).collect::<Vec<_>>(), ["token-1", "token-2"]);
    for heard in &calls {
        assert_eq!(
            (heard.method.as_str(), heard.target.as_str(), heard.all("x-own")),
            ("POST", "/orders?a=1", vec!["kept"])
        );
        assert!(heard.body == body);
    }
}

#[tokio::test]
async fn a_stream_that_can_be_made_anew_is_sent_again_whole() {
    let acme = acme("");
    // Streams: the answers to earlier calls, one for each sending.
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(acme.client.get(acme.vendor.url("/orders")).send().await.unwrap());
    }
    let length = answers[0].content_length().unwrap() as usize;
    let answers = Mutex::new(answers);
    let stream = move || Body::from(answers.lock().unwrap().pop().unwrap());
    acme.vendor.revoke_all();
    let answer = acme.client.post(acme.vendor.url("/orders")).body_from(stream).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 201);
    let sent = acme.vendor.seen().into_iter().filter(|seen| seen.method == "POST" && seen.path == "/orders");
    assert_eq!(sent.map(|seen| seen.body_len).collect::<Vec<_>>(), [length, length]);
}

#[tokio::test]
async fn a_streamed_body_is_not_sent_again_but_the_token_is_replaced() {
    for wrap in [|answer: reqwest::Response| Body::wrap_stream(answer.bytes_stream()), Body::from] {
        let acme = acme("");
        // The answer to one call is streamed into the next.
        let stream = wrap(acme.client.get(acme.vendor.url("/orders")).send().await.unwrap());
        acme.vendor.revoke_all();
        let answer = acme.client.post(acme.vendor.url("/orders")).body(stream).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        assert_eq!(
            answer.json::<Value>().await.unwrap()["error"],
            "invalid_token",
            "the first answer is the caller's, whole"
        );
        let sent = acme.vendor.seen().into_iter().filter(|seen| seen.method == "POST" && seen.path == "/orders");
        let sent: Vec<usize> = sent.map(|seen| seen.body_len).collect();
        assert!(matches!(sent[..], [length] if length > 0), "{sent:?}");
        until("the login", || acme.vendor.logins() == 2).await;
        assert_eq!(acme.get("/orders").await.unwrap(), 200);
        assert_eq!((acme.vendor.logins(), acme.vendor.rejected_calls(), acme.source.counts().replays), (2, 1, 0));
    }
}

#[tokio::test]
async fn the_profile_says_which_calls_are_replayed() {
    for (replay, method, replayed) in [
        ("all", Method::POST, true),
        ("idempotent", Method::POST, false),
        ("idempotent", Method::PATCH, false),
        ("idempotent", Method::GET, true),
        ("idempotent", Method::PUT, true),
        ("idempotent", Method::DELETE, true),
        ("none", Method::GET, false),
        ("none", Method::POST, false),
    ] {
        let raw = Raw::vendor(|heard| reply(if heard.token() == "token-1" { 401 } else { 200 }, &[], ""));
        let source = raw.source(&format!("replay = \"{replay}\""));
        let client = source.client();
        let status = client.request(method.clone(), raw.url("/")).body("x").send().await.unwrap().status().as_u16();
        assert_eq!((status, raw.calls().len()), if replayed { (200, 2) } else { (401, 1) }, "{replay} {method}");
        // Replaced in any case.
        assert_eq!(client.get(raw.url("/")).send().await.unwrap().status().as_u16(), 200);
        assert_eq!((raw.logins(), source.counts().replays), (2, u64::from(replayed)), "{replay} {method}");
    }
}

#[tokio::test]
async fn a_lack_of_rights_is_no_rejection() {
    for (challenges, rejection) in [
        (vec!["WWW-Authenticate: Bearer realm=\"acme\", error=\"insufficient_scope\", scope=\"orders\""], false),
        (vec!["WWW-Authenticate: Basic realm=\"acme\"", "WWW-Authenticate: Bearer error=insufficient_scope"], false),
        // Not all of a header is ASCII.
        (vec!["WWW-Authenticate: Bearer realm=\"Zürich\", error=\"insufficient_scope\""], false),
        (vec!["WWW-Authenticate: Bearer error=\"invalid_token\""], true),
        (vec![], true),
    ] {
        let headers = challenges.clone();
        let raw = Raw::vendor(move |_| reply(401, &headers, "no"));
        let source = raw.source("");
        let client = source.client();
        for _ in 0..3 {
            let answer = client.get(raw.url("/")).send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (401, "no"));
        }
        let expected = if rejection { (4, 2, 1) } else { (3, 1, 0) };
        assert_eq!((raw.calls().len(), raw.logins(), source.counts().rejections), expected, "{challenges:?}");
    }
}

#[tokio::test]
async fn the_profile_says_which_statuses_reject() {
    for (rejected, other) in [(403, 401), (419, 403), (401, 403)] {
        let more = if rejected == 401 { String::new() } else { format!("rejected_status = [{rejected}]") };
        let raw = Raw::vendor(move |heard| match heard.path() {
            "/denied" => reply(other, &[], ""),
            _ => reply(if heard.token() == "token-1" { rejected } else { 200 }, &[], ""),
        });
        let client = raw.source(&more).client();
        for (path, status, sent, logins) in [("/denied", other, 1, 1), ("/", 200, 3, 2), ("/denied", other, 4, 2)] {
            assert_eq!(client.get(raw.url(path)).send().await.unwrap().status().as_u16(), status, "{rejected}");
            assert_eq!((raw.calls().len(), raw.logins()), (sent, logins), "{rejected} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_vendor_that_rejects_each_fresh_token_is_asked_for_a_few_only() {
    for at_once in [1, 50] {
        let acme = acme("");
        acme.vendor.reject_calls_with(Some(401));
        for _ in 0..50 / at_once {
            let calls: Vec<_> =
                (0..at_once).map(|_| tokio::spawn(acme.client.get(acme.vendor.url("/orders")).send())).collect();
            for call in calls {
                assert_eq!(call.await.unwrap().unwrap().status().as_u16(), 401);
            }
        }
        assert!(acme.vendor.calls() <= 100, "{} calls", acme.vendor.calls());
        assert!(acme.vendor.logins() <= 3, "{} logins, {at_once} at once", acme.vendor.logins());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_replay_does_not_lift_the_guard_for_a_call_that_is_always_rejected() {
    // A login ends the session before, and 401 also stands for a lack of rights.
    let (newest, hold) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (arrived, arrivals) = mpsc::channel::<mpsc::Sender<()>>();
    let (count, held) = (newest.clone(), hold.clone());
    let raw = Raw::start(move |heard| match heard.path() {
        "/login" => token_reply(&format!("token-{}", count.fetch_add(1, Ordering::SeqCst) + 1)),
        "/denied" => reply(401, &[], ""),
        _ => {
            if held.swap(false, Ordering::SeqCst) {
                let (go, wait) = mpsc::channel();
                arrived.send(go).unwrap();
                wait.recv().unwrap();
            }
            let good = heard.token() == format!("token-{}", count.load(Ordering::SeqCst));
            reply(if good { 200 } else { 401 }, &[], "")
        }
    });
    let client = raw.source("").client();
    for _ in 0..10 {
        // On its way while the other is denied, and judged afterwards.
        hold.store(true, Ordering::SeqCst);
        let good = tokio::spawn(client.get(raw.url("/orders")).send());
        let go = arrivals.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(client.get(raw.url("/denied")).send().await.unwrap().status().as_u16(), 401);
        go.send(()).unwrap();
        assert_eq!(good.await.unwrap().unwrap().status().as_u16(), 200);
    }
    let logins = newest.load(Ordering::SeqCst);
    assert!(logins <= 3, "{logins} logins for 10 denied calls");
}

#[tokio::test]
async fn a_rejected_answer_whose_body_never_ends_does_not_hold_the_replay() {
    for body in ["Content-Length: 5\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"] {
        let raw = Raw::vendor(move |heard| match heard.token() {
            "token-1" => Reply { bytes: format!("HTTP/1.1 401 No\r\n{body}").into_bytes(), held: true },
            _ => reply(200, &[], ""),
        });
        let client = raw.source("").client();
        let answer = soon("the replay", client.get(raw.url("/")).send()).await.unwrap();
        assert_eq!((answer.status().as_u16(), raw.calls().len()), (200, 2));
    }
}

#[tokio::test]
async fn of_a_rejected_answer_not_more_than_a_little_is_read() {
    let raw = Raw::vendor(|heard| match heard.token() {
        "token-1" => reply(401, &[], &"x".repeat(64 << 20)),
        _ => reply(200, &[], ""),
    });
    let client = raw.source("").client();
    let answer = soon("the replay", client.get(raw.url("/")).send()).await.unwrap();
    assert_eq!((answer.status().as_u16(), raw.calls().len()), (200, 2));
}

#[tokio::test]
async fn where_no_new_token_is_to_be_had_the_call_fails_with_the_logins_error_and_logs_in_once() {
    let acme = acme("");
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    acme.vendor.revoke_all();
    acme.vendor.refuse(true);
    for _ in 0..20 {
        let error = acme.get("/orders").await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::LoginRefused, Some(401)), "{error}");
    }
    assert_eq!((acme.vendor.refused_logins(), acme.vendor.calls()), (1, 2), "nothing is sent without a token");
    acme.vendor.refuse(false);
    acme.source.reset_backoff();
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
}

// What goes wrong below.

#[tokio::test]
async fn a_call_that_times_out_is_the_clients_error_and_not_sent_again() {
    let raw = Raw::vendor(|_| Reply { bytes: Vec::new(), held: true });
    let source = raw.source("");
    source.ready().await.unwrap();
    let call = source.client().get(raw.url("/slow?key=hidden")).timeout(Duration::from_millis(50));
    let error = soon("the timeout", call.send()).await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(!error.to_string().contains("hidden") && !error.to_string().contains("token-1"), "{error}");
    assert_eq!((raw.calls().len(), raw.logins()), (1, 1));
}

#[tokio::test]
async fn a_login_that_is_not_answered_in_time_is_sent_once_and_all_who_wait_are_told() {
    let raw = Raw::start(|_| Reply { bytes: Vec::new(), held: true });
    let client = raw.source("login_timeout = \"100ms\"").client();
    let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.get(raw.url("/")).send())).collect();
    for call in calls {
        let error = soon("the login", call).await.unwrap().unwrap_err();
        assert_eq!((error.kind(), error.status()), (Kind::LoginDown, None), "{error}");
        assert!(error.to_string().contains("100ms"), "{error}");
    }
    assert_eq!((raw.logins(), raw.calls().len()), (1, 0));
}

#[tokio::test]
async fn an_error_of_the_vendor_is_the_callers_and_costs_no_login() {
    for status in [400, 403, 404, 409, 429, 500, 502, 503] {
        let raw = Raw::vendor(move |_| reply(status, &[], "sorry"));
        let answer = raw.source("").client().post(raw.url("/")).body("x").send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap().as_str()), (status, "sorry"));
        assert_eq!((raw.calls().len(), raw.logins()), (1, 1), "{status}");
    }
}

/// HTTP, and how many logins it is done with.
struct Counted(Arc<AtomicUsize>);

impl Transport for Counted {
    fn send(&self, request: LoginRequest) -> Sending {
        let (done, sending) = (self.0.clone(), HttpTransport.send(request));
        Box::pin(async move {
            let answer = sending.await;
            done.fetch_add(1, Ordering::SeqCst);
            answer
        })
    }
}

type Sending = Pin<Box<dyn Future<Output = Result<LoginResponse, TransportError>> + Send>>;

#[tokio::test]
async fn a_vendor_that_is_down_is_an_error_and_calls_go_on_with_a_living_token() {
    let acme_down = acme("");
    acme_down.vendor.down(true);
    let error = acme_down.get("/orders").await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, Some(503)), "{error}");

    let login = Vendor::start_plain().unwrap();
    let api = Raw::start(|_| reply(200, &[], ""));
    let vault = vault(&login.url("/login"), "", &format!("{JSON}hosts = [\"127.0.0.1:{}\"]\n", api.port));
    let (clock, done) = (Clock::new(), Arc::default());
    let source =
        vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(Counted(Arc::clone(&done)))).unwrap();
    let client = source.client();
    let call = || async { Ok::<_, Error>(client.get(api.url("/")).send().await?.status().as_u16()) };
    assert_eq!(call().await.unwrap(), 200);
    login.down(true);
    clock.advance(Duration::from_secs(800)); // of 900: a login starts behind the call
    for _ in 0..10 {
        assert_eq!(call().await.unwrap(), 200);
    }
    until("the login behind the call", || done.load(Ordering::SeqCst) == 2).await;
    clock.advance(Duration::from_secs(100)); // over
    let error = call().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, Some(503)), "{error}");
    assert_eq!(api.calls().len(), 11);
    login.down(false);
    clock.advance(Duration::from_secs(60));
    assert_eq!(call().await.unwrap(), 200);
}

#[tokio::test]
async fn where_nobody_listens_login_and_call_say_so() {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let gone = format!("http://127.0.0.1:{port}/login");
    let error = vault(&gone, "", JSON).token_source("acme").unwrap().token().await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (Kind::LoginDown, None), "{error}");
    assert!(error.help().is_some());
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source(&format!("hosts = [\"127.0.0.1:{port}\"]")).client();
    let error = client.get(format!("http://127.0.0.1:{port}/?key=hidden")).send().await.unwrap_err();
    assert!(error.is_connect() && !error.to_string().contains("hidden"), "{error}");
    assert_eq!(raw.logins(), 1);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_ends_the_login_at_once_and_is_not_tried_again() {
    let (vendor, other) = (Vendor::start().unwrap(), Vendor::start().unwrap());
    // Counts connections, and passes their bytes on.
    let relay = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = relay.local_addr().unwrap().port();
    let target = vendor.url("").trim_start_matches("https://").trim_end_matches('/').to_owned();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    std::thread::spawn(move || {
        for near in relay.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let (near, far) = (near.unwrap(), TcpStream::connect(&target).unwrap());
            for (mut from, mut to) in [(near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near)] {
                std::thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    let url = format!("https://127.0.0.1:{port}/login");
    for (index, ca) in [other.ca_pem(), ""].into_iter().enumerate() {
        let source = vault(&url, ca, JSON).token_source("acme").unwrap();
        for _ in 0..5 {
            let error = source.token().await.unwrap_err();
            assert_eq!((error.kind(), error.status()), (Kind::LoginTls, None), "{error}");
            assert!(error.to_string().contains(&format!("https://127.0.0.1:{port}")), "{error}");
        }
        let error = source.token().await.unwrap_err();
        assert!(error.retry_after().is_some_and(|wait| wait > Duration::from_secs(20)), "{error}");
        assert_eq!((connections.load(Ordering::SeqCst), source.counts().logins), (index + 1, 1));
    }
    assert_eq!(vendor.seen(), []);
    // The same way with the right one: it was the certificate.
    vault(&url, vendor.ca_pem(), JSON).token_source("acme").unwrap().token().await.unwrap();
    assert_eq!(vendor.logins(), 1);
}

#[tokio::test]
async fn a_server_that_speaks_no_tls_gets_no_password() {
    let raw = Raw::start(|_| reply(200, &[], ""));
    let source = vault(&raw.url("/login").replacen("http", "https", 1), "", JSON).token_source("acme").unwrap();
    let error = soon("the handshake", source.token()).await.unwrap_err();
    assert!(matches!(error.kind(), Kind::LoginTls | Kind::LoginDown), "{error}");
    assert!(raw.heard.lock().unwrap().iter().all(|heard| heard.body.is_empty()));
}

// The login.

#[tokio::test]
async fn every_way_to_log_in_works_at_the_vendor() {
    for (path, lines) in [
        ("/login", JSON),
        ("/login", "form = { username = \"${username}\", password = \"${password}\" }"),
        ("/login", "basic = true"),
        ("/login-header", "basic = true\ntoken = { header = \"X-Subject-Token\" }"),
        (
            "/login-header",
            "token = { header = \"x-subject-token\" }\njson = { username = \"${username}\", password = \"${password}\" }",
        ),
        ("/login", "basic = true\ntoken = { json = \"/access_token\" }\nheaders = { X-Client = \"for ${username}\" }"),
        ("/login", "basic = true\ninject = { header = \"X-Auth-Token\", value = \"${token}\" }"),
    ] {
        let vendor = Vendor::start().unwrap();
        let source = vault(&vendor.url(path), vendor.ca_pem(), lines).token_source("acme").unwrap();
        let answer = source.client().get(vendor.url("/orders")).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), vendor.logins()), (200, 1), "{lines}");
        assert_eq!(source.token().await.unwrap().expiry_from(), ExpiryFrom::Jwt, "{lines}");
    }
}

#[tokio::test]
async fn the_answer_says_how_long_the_token_lives_in_every_unit() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    for (expiry, field, header, from) in [
        ("", json!(1800), "", ExpiryFrom::Json), // expires_in, without a word in the profile
        ("expiry = { json = \"/ttl\" }", json!(1800), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\" }", json!("1800"), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"s\" }", json!(1800.0), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"ms\" }", json!(1_800_000), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"min\" }", json!(30), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"epoch\" }", json!(now + 1800), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"epoch-ms\" }", json!((now + 1800) * 1000), "", ExpiryFrom::Json),
        ("expiry = { json = \"/ttl\", unit = \"iso8601\" }", json!(iso(now + 1800, 0, "Z")), "", ExpiryFrom::Json),
        (
            "expiry = { json = \"/ttl\", unit = \"iso8601\" }",
            json!(iso(now + 1800, 3600, ".5+01:00")),
            "",
            ExpiryFrom::Json,
        ),
        ("expiry = { header = \"X-Ttl\" }", json!(null), "X-TTL: 1800", ExpiryFrom::Header),
        ("expiry = { header = \"x-ttl\", unit = \"min\" }", json!(null), "X-TTL: 30", ExpiryFrom::Header),
        ("expiry = { fixed = \"30m\" }", json!(7), "", ExpiryFrom::Fixed),
        ("expiry = { json = \"/ttl\" }\nmax_age = \"30m\"", json!(1e9), "", ExpiryFrom::Json),
        ("expiry = { json = \"/absent\" }\ndefault_life = \"30m\"", json!(7), "", ExpiryFrom::Default),
        ("expiry = { json = \"/ttl\" }\ndefault_life = \"30m\"", json!("soon"), "", ExpiryFrom::Default),
        ("expiry = { jwt = true }\ndefault_life = \"30m\"", json!(7), "", ExpiryFrom::Default),
        ("expiry = \"on-reject\"\nmax_age = \"30m\"", json!(7), "", ExpiryFrom::OnReject),
    ] {
        let name = if expiry.is_empty() { "expires_in" } else { "ttl" };
        let body = json!({ "access_token": "opaque", name: field }).to_string();
        let header = if header.is_empty() { "X-No: 1" } else { header };
        let raw = Raw::start(move |_| reply(200, &[header], &body));
        let token = raw.source(expiry).token().await.unwrap();
        let lifetime = token.lifetime().as_secs_f64();
        // A moment has passed since `now`; on a machine under load a long one.
        assert!((1740.0..=1800.5).contains(&lifetime), "{expiry}: {lifetime}");
        assert_eq!(token.expiry_from(), from, "{expiry}");
    }
}

/// A time since 1970 as RFC 3339, `ahead` seconds east of Greenwich, and with this end.
fn iso(at: u64, ahead: u64, end: &str) -> String {
    let (days, seconds) = ((at + ahead) / 86_400, (at + ahead) % 86_400);
    // Howard Hinnant's civil_from_days, for dates after 1970.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let (day, month) = (day_of_year - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{end}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[tokio::test]
async fn a_token_that_runs_out_is_never_sent_afterwards() {
    let acme = acme("");
    acme.vendor.lifetime(Duration::from_secs(3)); // a login may take a third of it, on a machine under load
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    tokio::time::sleep(acme.source.token().await.unwrap().lifetime()).await;
    assert_eq!(acme.get("/orders").await.unwrap(), 200);
    assert_eq!(acme.vendor.logins(), 2);
    assert_eq!((acme.vendor.rejected_calls(), acme.source.counts().rejections), (0, 0));
}

#[test]
fn the_login_needs_no_runtime_of_the_caller() {
    let acme = acme("");
    let token = acme.source.token_blocking().unwrap();
    assert!(token.claims().unwrap().contains("quickstart"));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    assert_eq!(runtime().block_on(acme.get("/orders")).unwrap(), 200);
    acme.vendor.revoke_all();
    // The runtime of the first calls is gone, and its connections with it.
    assert_eq!(runtime().block_on(acme.get("/orders")).unwrap(), 200);
    assert_eq!(acme.vendor.logins(), 2);
}

#[tokio::test]
async fn a_token_that_no_header_can_carry_is_an_error_that_does_not_show_it() {
    for token in ["", "line\nbreak", "carriage\rreturn", "nul\0", "del\u{7f}"] {
        let raw = Raw::start(move |_| token_reply(token));
        let error = raw.source("").client().get(raw.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), Kind::LoginProtocol, "{token:?}: {error}");
        assert!(token.is_empty() || !error.to_string().contains(token), "{error}");
        assert_eq!(raw.calls().len(), 0);
    }
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let client = raw.source("").client();
    client.get(raw.url("/")).header(AUTHORIZATION, "x").send().await.unwrap();
    assert_eq!(raw.calls()[0].all("authorization"), ["Bearer token-1"]);
}

// ---- What is said inside an answer

#[tokio::test]
async fn a_200_that_says_expired_is_a_rejection_and_every_other_body_arrives_whole() {
    let long = format!("[{}1]", "1,".repeat(100_000));
    let served = long.clone();
    let raw = Raw::vendor(move |heard| match (heard.path(), heard.token()) {
        ("/orders", "token-1") => reply(200, &[], r#"{"error":{"code":"SESSION_EXPIRED"}}"#),
        ("/orders", _) => reply(200, &["Content-Type: text/plain"], r#"{"orders":[1]}"#),
        ("/other", _) => reply(200, &[], r#"{"error":{"code":"NOT_FOUND"}}"#),
        ("/text", _) => reply(200, &[], "SESSION_EXPIRED"),
        ("/long", _) => reply(200, &["X-Own: 1"], &served),
        _ => reply(204, &[], ""),
    });
    let source = raw.source("rejected_when = { json = \"/error/code\", equals = \"SESSION_EXPIRED\" }\n");
    let client = source.client();
    let answer = client.get(raw.url("/orders")).send().await.unwrap();
    assert_eq!(answer.url().path(), "/orders");
    assert_eq!(answer.text().await.unwrap(), r#"{"orders":[1]}"#);
    assert_eq!((raw.logins(), source.counts().replays), (2, 1));
    for (path, expected) in
        [("/other", r#"{"error":{"code":"NOT_FOUND"}}"#), ("/text", "SESSION_EXPIRED"), ("/long", &long), ("/none", "")]
    {
        let answer = client.get(raw.url(path)).send().await.unwrap();
        assert_eq!(answer.headers().contains_key("x-own"), path == "/long");
        assert_eq!(answer.text().await.unwrap(), expected);
    }
    assert_eq!(raw.logins(), 2);
}

#[tokio::test]
async fn a_stream_is_handed_on_at_once_and_what_it_says_of_the_token_still_counts() {
    const WHEN: &str = "rejected_when = { json = \"/error/code\", contains = \"EXPIRED\" }\n";
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
    let head = "HTTP/1.1 200 Yes\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    // Held open, as a watch is: nothing yet, the beginning of something, an event, and many.
    for body in [
        String::new(),
        chunk("{\"type\":"),
        chunk("{\"type\":\"ADDED\"}\n"),
        chunk("[1,\n"),
        chunk("{\"type\":\"ADDED\"}\n{\"error\":{\"code\":\"EXPIRED\"}}\n"),
    ] {
        let served = format!("{head}{body}");
        let raw = Raw::vendor(move |_| Reply { bytes: served.clone().into_bytes(), held: true });
        let source = raw.source(WHEN);
        let mut answer = soon("the head", source.client().get(raw.url("/watch")).send()).await.unwrap();
        if let Some(line) = body.lines().nth(1) {
            assert!(soon("an event", answer.chunk()).await.unwrap().unwrap().starts_with(line.as_bytes()));
        }
        assert_eq!((raw.logins(), source.counts().rejections), (1, 0), "{body}");
    }
    // What comes after the head may be seen too late for a replay: then the caller has the answer, and the next call another token.
    let rejection = format!("{head}{}0\r\n\r\n", chunk("{\"error\":{\"code\":\"SESSION_EXPIRED\"}}"));
    let raw = Raw::vendor(move |heard| match heard.token() {
        "token-1" => Reply { bytes: rejection.clone().into_bytes(), held: false },
        _ => reply(200, &[], "{}"),
    });
    let source = raw.source(WHEN);
    let client = source.client();
    let answer = client.get(raw.url("/orders")).send().await.unwrap();
    answer.text().await.unwrap();
    assert_eq!(source.counts().rejections, 1);
    assert_eq!(client.get(raw.url("/orders")).send().await.unwrap().text().await.unwrap(), "{}");
    assert_eq!(raw.logins(), 2);
}

#[tokio::test]
async fn a_newer_cookie_in_an_ordinary_answer_takes_the_place_of_the_token() {
    let raw = Raw::start(|heard| match heard.path() {
        "/login" => reply(200, &["Set-Cookie: AuthSession=one; Max-Age=600"], "{}"),
        "/slide" => reply(200, &["Set-Cookie: AuthSession=two; Max-Age=600"], ""),
        "/end" => reply(200, &["Set-Cookie: AuthSession=; Max-Age=0"], ""),
        _ => reply(200, &[], ""),
    });
    let source = raw.source(
        "token = { cookie = \"AuthSession\" }\nexpiry = { cookie = \"AuthSession\" }\nrenew_from_answers = true\n",
    );
    let client = source.client();
    let late = source.token().await.unwrap();
    for path in ["/a", "/slide", "/b", "/end", "/c"] {
        client.get(raw.url(path)).send().await.unwrap();
    }
    let cookies: Vec<String> = raw.calls().iter().map(|heard| heard.all("cookie").join("|")).collect();
    assert_eq!(
        cookies,
        ["AuthSession=one", "AuthSession=one", "AuthSession=two", "AuthSession=two", "AuthSession=two"]
    );
    assert!(source.reject(&late), "a late word about the old one");
    client.get(raw.url("/d")).send().await.unwrap();
    assert_eq!(raw.calls().last().unwrap().all("cookie"), ["AuthSession=two"]);
    assert_eq!(raw.logins(), 1);
}

#[tokio::test]
async fn a_client_is_shaped_by_its_builder() {
    let raw = Raw::vendor(|_| reply(200, &[], ""));
    let source = raw.source("");
    source.client_builder().user_agent("orders/1.4").build().get(raw.url("/")).send().await.unwrap();
    assert_eq!(raw.calls()[0].all("user-agent"), ["orders/1.4"]);
    // Through a proxy's tunnel, with credentials for it, and not for the vendor. This one refuses.
    let proxy = Raw::start(|_| reply(403, &[], ""));
    let password = bootseal::Secret::copy_of(b"hunter2").unwrap();
    let through = source.client_builder().proxy(proxy.url("")).proxy_login("app", &password).build();
    assert!(through.get(raw.url("/orders")).send().await.unwrap_err().is_connect());
    let heard = proxy.heard.lock().unwrap()[0].clone();
    assert_eq!((heard.method.as_str(), heard.target.clone()), ("CONNECT", format!("127.0.0.1:{}", raw.port)));
    assert_eq!(
        heard.headers,
        [
            ("host".to_owned(), format!("127.0.0.1:{}", raw.port)),
            ("proxy-authorization".to_owned(), "Basic YXBwOmh1bnRlcjI=".to_owned()),
        ]
    );
    assert_eq!(raw.calls().len(), 1, "the second went to the proxy");
    let wrong = source.client_builder().proxy("http://app:hunter2@proxy.example").build();
    let error = wrong.get(raw.url("/orders")).send().await.unwrap_err();
    assert!(error.kind() == Kind::Usage && !error.to_string().contains("hunter2"), "{error}");
    // The name is resolved as we say.
    let address = ([127, 0, 0, 1], raw.port).into();
    let named = source.client_builder().resolve("api.acme.example", address).http1_only().build();
    let error = named.get("http://api.acme.example/").send().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage, "that is still no host of the profile");
}

/// A proxy that makes tunnels; what went through them, either way, and the heads that asked for one.
#[derive(Clone, Default)]
struct Tunnels {
    heads: Arc<Mutex<Vec<String>>>,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Tunnels {
    fn start(&self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels = self.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, tunnels) = (stream.unwrap(), tunnels.clone());
                std::thread::spawn(move || tunnels.serve(stream));
            }
        });
        url
    }

    fn serve(&self, mut here: TcpStream) -> io::Result<()> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            here.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let mut there = TcpStream::connect(head.split(' ').nth(1).unwrap())?;
        self.heads.lock().unwrap().push(head);
        here.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        let (back_from, back_to) = (there.try_clone()?, here.try_clone()?);
        let back = self.clone();
        std::thread::spawn(move || back.pass(back_from, back_to));
        there.flush()?;
        self.pass(here, there)
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
        let mut bytes = [0; 4096];
        loop {
            let got = from.read(&mut bytes)?;
            if got == 0 {
                return to.shutdown(Shutdown::Write);
            }
            self.bytes.lock().unwrap().extend_from_slice(&bytes[..got]);
            to.write_all(&bytes[..got])?;
        }
    }
}

#[tokio::test]
async fn a_call_goes_through_a_proxys_tunnel_which_sees_its_own_password_and_no_token() {
    let tunnels = Tunnels::default();
    let acme = acme("");
    let password = bootseal::Secret::copy_of(b"hunter2").unwrap();
    for http1_only in [false, true] {
        let builder = acme.source.client_builder().proxy(tunnels.start()).proxy_login("app", &password);
        let client = if http1_only { builder.http1_only() } else { builder }.build();
        let answer = client.post(acme.vendor.url("/orders")).body("a lamp").send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 201);
        // The answer has been read when the next one is: on the same connection.
        assert_eq!(client.get(acme.vendor.url("/orders")).send().await.unwrap().status(), 200);
    }
    let heads = tunnels.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2, "{heads:?}");
    for head in heads {
        assert!(head.starts_with("CONNECT 127.0.0.1:") && head.contains("Basic YXBwOmh1bnRlcjI=\r\n"), "{head}");
    }
    let token = acme.source.token().await.unwrap().expose(<[u8]>::to_vec);
    let bytes = tunnels.bytes.lock().unwrap();
    assert!(bytes.len() > 1_000 && !bytes.windows(token.len()).any(|window| window == token));
}

#[tokio::test]
async fn both_versions_of_http_carry_the_token_and_renew_it() {
    for (http1_only, version) in [(false, reqwest::Version::HTTP_2), (true, reqwest::Version::HTTP_11)] {
        let acme = acme("");
        let builder = acme.source.client_builder();
        let client = if http1_only { builder.http1_only() } else { builder }.build();
        for revoked in [false, true] {
            if revoked {
                acme.vendor.revoke_all();
            }
            let answer = client.post(acme.vendor.url("/orders")).body("lamp").send().await.unwrap();
            assert_eq!((answer.status().as_u16(), answer.version()), (201, version));
        }
        assert_eq!(acme.vendor.logins(), 2);
    }
}

#[tokio::test]
async fn the_roots_of_a_builder_stand_in_place_of_the_profiles() {
    let (acme, other) = (acme(""), Vendor::start().unwrap());
    let url = acme.vendor.url("/orders");
    let right = acme.source.client_builder().roots(acme.vendor.ca_pem()).build();
    assert_eq!(right.get(&url).send().await.unwrap().status(), 200);
    for pem in [other.ca_pem(), "no PEM"] {
        let wrong = acme.source.client_builder().roots(pem).build();
        assert!(wrong.get(&url).send().await.is_err(), "{pem}");
    }
    assert_eq!(acme.vendor.calls(), 1);
}
