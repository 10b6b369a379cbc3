//! The client over real sockets: it adds the token, renews it, replays a rejected call, and sends
//! the token to no other host.

mod builder;
mod calls;
mod failures;
mod login;
mod origins;
mod redirects;
mod rejection;
mod response_body;

use bootseal::testing::Clock;
use bootseal::{
    Client, Error, ExpiryFrom, HttpTransport, Kind, LoginRequest, LoginResponse, Secrets,
    TokenSource, Transport, TransportError,
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

/// A vault with one profile, `acme`, whose login is at `url` and has these further lines.
fn vault(url: &str, ca: &str, lines: &str) -> Secrets {
    let ca = if ca.is_empty() { String::new() } else { format!("ca = '''{ca}'''\n") };
    let values = [("acme.username", "quickstart"), ("acme.password", PASSWORD)];
    bootseal::testing::vault(values, &format!("[acme.login]\nurl = \"{url}\"\n{lines}\n{ca}"))
        .unwrap()
}

/// A vendor over TLS and a client for it.
struct Acme {
    vendor: Vendor,
    source: TokenSource,
    client: Client,
}

fn acme(more: &str) -> Acme {
    let vendor = Vendor::start().unwrap();
    let source = vault(&vendor.url("/login"), vendor.ca_pem(), &format!("{JSON}{more}"))
        .token_source("acme")
        .unwrap();
    Acme { client: source.client(), source, vendor }
}

impl Acme {
    async fn get(&self, path: &str) -> Result<u16, Error> {
        Ok(self.client.get(self.vendor.url(path)).send().await?.status().as_u16())
    }

    /// The number of requests with this method and path.
    fn asked(&self, method: &str, path: &str) -> usize {
        self.vendor.seen().iter().filter(|seen| seen.method == method && seen.path == path).count()
    }
}

/// Waits until another thread has made `done` true.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "did not happen: {what}");
        tokio::task::yield_now().await;
    }
}

/// The result of work that must end within a minute.
async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .unwrap_or_else(|_| panic!("hangs: {what}"))
}

/// A server without TLS. The test chooses its responses; it records every request and closes each
/// connection after the response.
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
        self.headers
            .iter()
            .filter(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    fn token(&self) -> &str {
        self.all("authorization")
            .first()
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or_default()
    }

    fn path(&self) -> &str {
        self.target.split('?').next().unwrap()
    }
}

/// The response; with `held` the connection stays open until the other side closes it.
struct Reply {
    bytes: Vec<u8>,
    held: bool,
}

fn reply(status: u16, headers: &[&str], body: &str) -> Reply {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let length = body.len();
    let bytes = format!(
        "HTTP/1.1 {status} Word\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    );
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

    /// A vendor that accepts every login, issues `token-1`, `token-2`, …, and responds to calls
    /// with `call`.
    fn vendor(call: impl Fn(&Heard) -> Reply + Send + Sync + 'static) -> Raw {
        let logins = AtomicUsize::new(0);
        Raw::start(move |heard| match heard.path() {
            "/login" => {
                token_reply(&format!("token-{}", logins.fetch_add(1, Ordering::SeqCst) + 1))
            }
            _ => call(heard),
        })
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn source(&self, more: &str) -> TokenSource {
        vault(&self.url("/login"), "", &format!("{JSON}{more}")).token_source("acme").unwrap()
    }

    /// The requests other than logins.
    fn calls(&self) -> Vec<Heard> {
        self.heard
            .lock()
            .unwrap()
            .iter()
            .filter(|heard| heard.path() != "/login")
            .cloned()
            .collect()
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

fn serve(
    mut stream: TcpStream,
    heard: &Mutex<Vec<Heard>>,
    answer: &dyn Fn(&Heard) -> Reply,
) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut line = || -> io::Result<String> {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    };
    let first = line()?;
    let [method, target, _] = first.split(' ').collect::<Vec<_>>()[..] else { return Ok(()) };
    let mut request = Heard {
        method: method.into(),
        target: target.into(),
        headers: Vec::new(),
        body: Vec::new(),
    };
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
    } else if let Some(length) =
        request.all("content-length").first().and_then(|text| text.parse().ok())
    {
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
