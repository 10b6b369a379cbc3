//! A real `bootseal-gateway` for a test: makes its sealed file, starts it, waits for it, calls it
//! and ends it.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // each test uses a part of it

#[path = "ports.rs"]
mod ports;

use bootseal_core::{Access, Identity, Role, SealedFile, Secret, ValueKind, Vault};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tempfile::TempDir;

pub use ports::free_port;

const LONG: Duration = Duration::from_secs(60);

/// The gateway under test: the build of cargo, or the binary of a release that
/// BOOTSEAL_TEST_GATEWAY names.
pub fn program() -> PathBuf {
    let named = std::env::var_os("BOOTSEAL_TEST_GATEWAY");
    named.map_or_else(|| env!("CARGO_BIN_EXE_bootseal-gateway").into(), PathBuf::from)
}

/// A sealed file, the key that opens it, and its vault.
pub struct Sealed {
    pub folder: TempDir,
    identity: Identity,
    pub vault: String,
}

impl Sealed {
    /// A file with these sealed values and the TOML of `readable`.
    pub fn new(values: &[(&str, &str)], readable: &str) -> Sealed {
        let identity = Identity::generate().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut key = std::fs::OpenOptions::new();
        let mut key = key
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(folder.path().join("app.key"))
            .unwrap();
        identity.to_file_text(&[]).unwrap().expose(|text| key.write_all(text)).unwrap();
        let mut sealed = Sealed { folder, identity, vault: String::new() };
        let (text, vault) = sealed.text(values, readable);
        sealed.vault = vault;
        std::fs::write(sealed.path(), text).unwrap();
        sealed
    }

    /// The text and the id of another vault for this key.
    pub fn text(&self, values: &[(&str, &str)], readable: &str) -> (String, String) {
        let access = Access::new("test", Role::Writer, self.identity.recipient()).unwrap();
        let mut vault = Vault::create(vec![access], readable).unwrap();
        for (path, value) in values {
            let value = Secret::copy_of(value.as_bytes()).unwrap();
            vault.set(&path.parse().unwrap(), ValueKind::Text, &value, 1).unwrap();
        }
        let id = vault.file().vault_id().to_string();
        (vault.sign().unwrap(), id)
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("app.sealed.toml")
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The next generation of the file, as text.
    pub fn changed(&self, change: impl FnOnce(&mut Vault<bootseal_core::CanWrite>)) -> String {
        let file = SealedFile::read(&self.path()).unwrap().verify(&[]).unwrap();
        let mut vault = file.open_for_writing(std::slice::from_ref(&self.identity)).unwrap();
        change(&mut vault);
        vault.sign().unwrap()
    }

    /// Replaces the file by this text atomically.
    pub fn replace(&self, text: &str) {
        let beside = self.at("app.sealed.toml.new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(beside, self.path()).unwrap();
    }

    /// The command that serves it.
    pub fn command(&self) -> Command {
        let mut command = self.unnamed();
        command.arg(self.path());
        command
    }

    /// The command with its key and pin, but without a file.
    pub fn unnamed(&self) -> Command {
        let mut command = Command::new(program());
        command
            .env_clear()
            .env("BOOTSEAL_IDENTITY", self.at("app.key"))
            .env("BOOTSEAL_PIN", &self.vault)
            .stdin(Stdio::null());
        command
    }
}

/// A running gateway, which ends when it is dropped.
pub struct Gateway {
    child: Child,
    log: Log,
}

/// Its log, line by line.
#[derive(Clone, Default)]
pub struct Log(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Log {
    pub fn lines(&self) -> Vec<String> {
        self.0.0.lock().unwrap().clone()
    }

    /// Waits for a line that contains `text` and returns it; lines before `from` are skipped.
    pub fn wait_from(&self, from: usize, text: &str) -> String {
        self.wait_for_all(from, &[text])
    }

    /// The same for a line that contains all of these texts.
    pub fn wait_for_all(&self, from: usize, texts: &[&str]) -> String {
        let lines = self.0.0.lock().unwrap();
        let has_all = |line: &&String| texts.iter().all(|text| line.contains(text));
        let found = |lines: &Vec<String>| lines.iter().skip(from).find(has_all).cloned();
        let (lines, _) =
            self.0.1.wait_timeout_while(lines, LONG, |lines| found(lines).is_none()).unwrap();
        found(&lines).unwrap_or_else(|| panic!("no line with {texts:?} in:\n{}", lines.join("\n")))
    }

    pub fn wait(&self, text: &str) -> String {
        self.wait_from(0, text)
    }
}

impl Gateway {
    pub fn start(sealed: &Sealed) -> Gateway {
        Gateway::run(sealed.command())
    }

    /// Waits until it is ready.
    pub fn run(command: Command) -> Gateway {
        Gateway::run_until(command, " ready ")
    }

    /// Waits until it has logged `text`.
    pub fn run_until(mut command: Command, text: &str) -> Gateway {
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let (log, stderr) = (Log::default(), child.stderr.take().unwrap());
        let told = log.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                told.0.0.lock().unwrap().push(line);
                told.0.1.notify_all();
            }
        });
        let gateway = Gateway { child, log };
        gateway.log.wait(text);
        gateway
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &self.pid().to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Waits for the exit code, at most this long. Returns `None` if it still runs, or was killed.
    pub fn ended_within(&mut self, limit: Duration) -> Option<i32> {
        let until = std::time::Instant::now() + limit;
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status.code(),
                None if std::time::Instant::now() > until => return None,
                None => std::thread::yield_now(),
            }
        }
    }

    /// Waits for the exit code.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response as received.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A plain client that sends exactly the given bytes.
pub struct Client(pub BufReader<TcpStream>);

impl Client {
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Makes one call and returns the response.
    pub fn call(&mut self, request: &str) -> Answer {
        self.send(request);
        self.answer().unwrap()
    }

    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        loop {
            if self.0.read_line(&mut head)? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the end, after {head:?}"),
                ));
            }
            if head.ends_with("\r\n\r\n") {
                // An interim response precedes the final one.
                if head.starts_with("HTTP/1.1 100") {
                    head.clear();
                    continue;
                }
                break;
            }
        }
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut answer = Answer { status, head, body: Vec::new() };
        if let Some(length) = answer.header("content-length") {
            answer.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut answer.body)?;
        } else if answer.header("transfer-encoding").is_some() {
            loop {
                let mut line = String::new();
                self.0.read_line(&mut line)?;
                let length =
                    usize::from_str_radix(line.trim_end(), 16).map_err(io::Error::other)?;
                if length == 0 {
                    while self.0.read_line(&mut line)? > 2 {}
                    break;
                }
                let start = answer.body.len();
                answer.body.resize(start + length + 2, 0);
                self.0.read_exact(&mut answer.body[start..])?;
                answer.body.truncate(start + length);
            }
        }
        Ok(answer)
    }
}

pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
}

pub fn post(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A frame of HTTP/2 (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = &(payload.len() as u32).to_be_bytes()[1..];
    [length, &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Makes one call on a new connection.
pub fn call(port: u16, request: &str) -> Answer {
    Client::connect(port).call(request)
}

/// The usual file: `[acme]` at a local vendor, a route, and an admin address.
pub struct Usual {
    pub sealed: Sealed,
    pub port: u16,
    pub admin: u16,
}

pub const VALUES: [(&str, &str); 3] = [
    ("acme.username", "quickstart"),
    ("acme.password", "open sesame"),
    ("acme.caller_key", "k3y of the caller"),
];

impl Usual {
    /// `login` are further lines of [acme.login], `route` of [acme.route].
    pub fn new(origin: &str, login: &str, route: &str) -> Usual {
        let (port, admin) = (free_port(), free_port());
        let readable = format!(
            "[acme.login]\nurl = \"{origin}/login\"\nbasic = true\n{login}\n[acme.route]\nlisten = \"127.0.0.1:{port}\"\nupstream = \"{origin}\"\n{route}\n[gateway]\nadmin = \"127.0.0.1:{admin}\"\n"
        );
        Usual { sealed: Sealed::new(&VALUES, &readable), port, admin }
    }

    pub fn start(&self) -> Gateway {
        Gateway::start(&self.sealed)
    }
}

/// An upstream written by a test: `serve` gets the head of each request and the stream, and returns
/// whether the connection continues. Logins get the token `t0k3n-…` with a number.
pub struct Upstream {
    pub port: u16,
    pub heads: Arc<Mutex<Vec<String>>>,
}

pub const TOKEN: &str = "t0k3n-that-nobody-may-see-";

impl Upstream {
    pub fn start(
        serve: impl Fn(&str, &mut BufReader<TcpStream>) -> io::Result<bool> + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let upstream =
            Upstream { port: listener.local_addr().unwrap().port(), heads: Arc::default() };
        let (heads, serve) = (upstream.heads.clone(), Arc::new(serve));
        let logins = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (heads, serve, logins) = (heads.clone(), serve.clone(), logins.clone());
                std::thread::spawn(move || -> io::Result<()> {
                    let mut stream = BufReader::new(stream?);
                    while let Some(head) = read_head(&mut stream)? {
                        if head.starts_with("POST /login ") {
                            let number = logins.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                            reply(
                                &mut stream,
                                "200 OK",
                                &format!(
                                    "{{\"access_token\":\"{TOKEN}{number}\",\"expires_in\":3600}}"
                                ),
                            )?;
                            continue;
                        }
                        heads.lock().unwrap().push(head.clone());
                        if !serve(&head, &mut stream)? {
                            break;
                        }
                    }
                    Ok(())
                });
            }
        });
        upstream
    }

    pub fn origin(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

pub fn reply(stream: &mut BufReader<TcpStream>, status: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    // In one piece: several would wait for each other's acknowledgement.
    let response = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.get_mut().write_all(response.as_bytes())
}

/// The Content-Length of a head.
pub fn length_of(head: &str) -> usize {
    let line = head.lines().find_map(|line| {
        line.to_ascii_lowercase().strip_prefix("content-length:").map(str::to_owned)
    });
    line.map_or(0, |length| length.trim().parse().unwrap())
}

fn read_head(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut head = String::new();
    loop {
        if stream.read_line(&mut head)? == 0 {
            return Ok(None);
        }
        if head.ends_with("\r\n\r\n") {
            return Ok(Some(head));
        }
    }
}

/// The certificates of a test's vendor as a line `ca`.
pub fn ca(pem: &str) -> String {
    format!("ca = \"\"\"\n{pem}\"\"\"\n")
}
