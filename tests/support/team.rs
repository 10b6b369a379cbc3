//! The team of the tests of removal and known vaults: the writers Alice and Bob, an application,
//! and its host.

use super::Home;
use bootseal::Loader;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Condvar, Mutex, Once};

pub const FILE: &str = "app.sealed.toml";

/// The sealed names of the team's vault.
pub const SEALED: [&str; 3] = ["acme.user", "acme.password", "db.password"];

/// Alice's home with a vault in [`FILE`]; the second writer bob has `bob.key`, and the reader `app`
/// has `app.key`, both with the pin.
pub fn team() -> Home {
    let home = Home::with_vault(
        "[acme]\nurl = \"https://acme.example\"\nuser = \"secret:svc\"\npassword = \"secret:hunter2\"\n\n[db]\npassword = \"secret:db-canary\"\n",
    );
    home.ok(&["access", "add", "bob", "--new-key", "bob.key", "--writer", "--yes"]);
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    home
}

/// Another machine with these keys and this file, and without known vaults.
pub fn elsewhere(home: &Home, keys: &[&str], file: &str) -> Home {
    let other = Home::new();
    for key in keys {
        private(&other, key, home.read(key));
    }
    other.write(FILE, file);
    other
}

pub fn private(home: &Home, name: &str, text: impl AsRef<[u8]>) {
    home.write(name, text);
    #[cfg(unix)]
    std::fs::set_permissions(home.at(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
}

/// Writes `to`, the key file `from` without its pins.
pub fn key_without_pin(home: &Home, from: &str, to: &str) {
    let key = home.read(from);
    let lines =
        key.lines().filter(|line| !line.starts_with("# vault:")).map(|line| format!("{line}\n"));
    private(home, to, lines.collect::<String>());
}

/// The removed recipients who know the value.
pub fn known_to(home: &Home, name: &str) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_str(&home.ok(&["list", "--json"])).unwrap();
    let row =
        list["properties"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap();
    row["known_to"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// A loader for the file of `home`, with this key file and an empty environment.
pub fn host(home: &Home, key: &str) -> Loader {
    Loader::exactly(home.at(FILE)).identity_file(home.at(key)).environment(HashMap::new())
}

thread_local! {
    static LOG: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The log of this process from all threads. Each test searches it for the path of its own folder.
pub static PROCESS_LOG: (Mutex<String>, Condvar) = (Mutex::new(String::new()), Condvar::new());

struct ToLog;

impl Write for ToLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.with_borrow_mut(|log| log.extend_from_slice(bytes));
        PROCESS_LOG.0.lock().unwrap().push_str(&String::from_utf8_lossy(bytes));
        PROCESS_LOG.1.notify_all();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Installs the log subscriber for the whole process: scoped subscribers miss lines while tests run
/// in parallel.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| ToLog).init());
}

/// Runs `run` and returns what it logged on this thread.
pub fn told<R>(run: impl FnOnce() -> R) -> (R, String) {
    listen();
    LOG.take();
    let done = run();
    (done, String::from_utf8(LOG.take()).unwrap())
}
