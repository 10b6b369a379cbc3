//! The third-party servers that the tests log in to, each in its own process; see
//! vendors/serving.py.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic)] // each test uses a part of it

use crate::support::root;
use bootseal::testing::Clock;
use bootseal::{Client, HttpTransport, Kind, Secrets, TokenSource};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// The process, which ends with its standard input.
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The folder of its certificate and database.
    pub folder: TempDir,
    origin: String,
    pub port: u64,
    pub ca: String,
    user: [&'static str; 2],
}

fn made_by_scripts_test(variable: &str, path: &str) -> PathBuf {
    if let Some(named) = std::env::var_os(variable) {
        return named.into();
    }
    let path = root().join(path);
    assert!(path.exists(), "there is no {}: run `scripts/test`, which makes it", path.display());
    path
}

pub fn python() -> PathBuf {
    made_by_scripts_test("BOOTSEAL_TEST_PYTHON", "target/python/bin/python")
}

impl Process {
    /// One of the vendors in Python, with its options.
    pub fn python(name: &str, user: [&'static str; 2], options: &[&str]) -> Process {
        let mut command = Command::new(python());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command.arg(root().join("tests/support/vendors").join(name));
        Process::start(command, user, options)
    }

    pub fn pouchdb(user: [&'static str; 2], options: &[&str]) -> Process {
        let modules =
            made_by_scripts_test("BOOTSEAL_TEST_NODE_MODULES", "target/node/node_modules");
        let mut command = Command::new("node");
        command.arg("--no-deprecation").arg(root().join("tests/support/vendors/pouchdb/server.js"));
        command.env("NODE_PATH", modules);
        Process::start(command, user, options)
    }

    fn start(mut command: Command, user: [&'static str; 2], options: &[&str]) -> Process {
        let folder = tempfile::tempdir().unwrap();
        let [username, password] = user;
        let known = json!({ "username": username, "password": password });
        std::fs::write(folder.path().join("user.json"), known.to_string()).unwrap();
        command.arg("--dir").arg(folder.path()).args(options);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child =
            child.unwrap_or_else(|error| panic!("{command:?}: {error}; run `scripts/test`"));
        let mut process = Process {
            input: child.stdin.take(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
            folder,
            origin: String::new(),
            port: 0,
            ca: String::new(),
            user,
        };
        let hello = process.line();
        process.ca = hello["ca"].as_str().unwrap_or_default().to_owned();
        let scheme = if process.ca.is_empty() { "http" } else { "https" };
        process.port = hello["port"].as_u64().unwrap();
        process.origin = format!("{scheme}://127.0.0.1:{}", process.port);
        process
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(!line.is_empty(), "the vendor ended; `scripts/test` installs what it needs");
        serde_json::from_str(&line).unwrap()
    }

    pub fn tell(&mut self, order: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{order}").unwrap();
        let answer = self.line();
        assert_eq!(answer["error"], Value::Null, "{answer}");
        answer
    }

    pub fn order(&mut self, what: &str) {
        self.tell(&json!({ "do": what }));
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// The vendor's counts under these names since its start.
    pub fn counted<const N: usize>(&mut self, names: [&str; N]) -> [u64; N] {
        let counts = self.tell(&json!({ "do": "counts" }));
        names.map(|name| counts[name].as_u64().unwrap_or(0))
    }

    /// Logins, refused logins, calls, rejected calls.
    pub fn counts(&mut self) -> [u64; 4] {
        self.counted(["logins", "refused", "calls", "rejected"])
    }

    /// The certificate as the line `ca` of a profile.
    pub fn ca_line(&self) -> String {
        if self.ca.is_empty() { String::new() } else { format!("ca = '''{}'''\n", self.ca) }
    }

    /// The account `acme` with this profile, whose `URL` is the vendor's origin and which begins
    /// within `[acme.login]`.
    pub fn source(&self, profile: &str, more: &[(&str, &str)]) -> TokenSource {
        self.source_of(profile, &self.values(more))
    }

    /// The same with other values.
    pub fn source_of(&self, profile: &str, values: &[(&str, &str)]) -> TokenSource {
        self.vault_of(profile, values).token_source("acme").unwrap()
    }

    /// The same with a clock that the test moves.
    pub fn source_by(&self, clock: &Clock, profile: &str, more: &[(&str, &str)]) -> TokenSource {
        let vault = self.vault_of(profile, &self.values(more));
        vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(HttpTransport)).unwrap()
    }

    fn values<'a>(&self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let [username, password] = self.user;
        [&[("acme.username", username), ("acme.password", password)], more].concat()
    }

    fn vault_of(&self, profile: &str, values: &[(&str, &str)]) -> Secrets {
        let readable =
            format!("[acme.login]\n{}{}", self.ca_line(), profile.replace("URL", &self.origin));
        bootseal::testing::vault(values.to_vec(), &readable).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}

pub fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_all()
        .build()
        .unwrap()
        .block_on(work)
}

/// The status of a call.
pub fn get(client: &Client, url: &str) -> Result<u16, bootseal::Error> {
    run(async { Ok(client.get(url).send().await?.status().as_u16()) })
}

/// The statuses of twenty concurrent calls.
pub fn twenty(client: &Client, url: &str) -> Vec<u16> {
    run(async {
        let calls: Vec<_> = (0..20).map(|_| tokio::spawn(client.get(url).send())).collect();
        let mut statuses = Vec::new();
        for call in calls {
            statuses.push(call.await.unwrap().unwrap().status().as_u16());
        }
        statuses
    })
}

/// The errors of twenty concurrent callers that get no token.
pub fn twenty_refused(source: &TokenSource) -> Vec<bootseal::Error> {
    run(async {
        let callers: Vec<_> = (0..20)
            .map(|_| {
                let source = source.clone();
                tokio::spawn(async move { source.token().await })
            })
            .collect();
        let mut errors = Vec::new();
        for caller in callers {
            errors.push(caller.await.unwrap().unwrap_err());
        }
        errors
    })
}

// ---- Checks for every vendor

/// Checks that twenty calls succeed with one login, and after a revocation twenty more with a
/// second login.
pub fn opens_calls_until_revoked(process: &mut Process, source: &TokenSource, path: &str) {
    let (client, url) = (source.client(), process.url(path));
    assert_eq!(twenty(&client, &url), [200; 20]);
    assert_eq!(process.counts(), [1, 0, 20, 0]);
    process.order("revoke-all");
    assert_eq!(twenty(&client, &url), [200; 20]);
    let [logins, refused, calls, rejected] = process.counts();
    assert_eq!((logins, refused, calls), (2, 0, 40));
    assert!((1..=20).contains(&rejected));
}

/// Checks that all callers, now and later, get the error of one refused login.
pub fn is_refused_once(process: &mut Process, source: &TokenSource, status: u16) {
    let before = process.counts();
    for _ in 0..2 {
        for error in twenty_refused(source) {
            assert_eq!(
                (error.kind(), error.status()),
                (Kind::LoginRefused, Some(status)),
                "{error}"
            );
        }
    }
    assert_eq!(process.counts(), [before[0], before[1] + 1, before[2], before[3]]);
}

/// Checks a user who is disabled during use: one rejected call, one refused login, and a working
/// login once the user is enabled again.
pub fn is_switched_off_and_on(process: &mut Process, source: &TokenSource, path: &str) {
    let (client, url) = (source.client(), process.url(path));
    assert_eq!(get(&client, &url).unwrap(), 200);
    process.order("deactivate");
    for _ in 0..5 {
        assert_eq!(get(&client, &url).unwrap_err().kind(), Kind::LoginRefused);
    }
    assert_eq!(process.counts(), [1, 1, 1, 1]);
    process.order("activate");
    source.reset_backoff();
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts()[..2], [2, 1]);
}

/// Checks a token with sliding expiry: it stays valid with a call each second, and expires after a
/// pause longer than its lifetime.
pub fn slides(process: &mut Process, source: &TokenSource, path: &str, lifetime: u64) {
    let (client, url) = (source.client(), process.url(path));
    for _ in 0..8 {
        assert_eq!(get(&client, &url).unwrap(), 200);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(process.counts(), [1, 0, 8, 0], "used for longer than its lifetime");
    std::thread::sleep(Duration::from_secs(lifetime));
    assert_eq!(get(&client, &url).unwrap(), 200);
    assert_eq!(process.counts(), [2, 0, 9, 0], "the vendor never saw the expired token");
}
