//! The gateway's own answers arrive, also at clients that send a whole large body before they read.

use crate::support::{Client, Usual, get};
use bootseal_vendor_sim::Vendor;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}{errors}");
    text.lines().map(str::to_owned).collect()
}

/// A route below `/shop`, so that there are several ways to be refused.
fn shop() -> (Vendor, Usual) {
    let vendor = Vendor::start_plain().unwrap();
    let usual = Usual::new(vendor.url("").trim_end_matches('/'), "", "prefix = \"/shop\"");
    (vendor, usual)
}

/// The paths that are refused, with the status.
const REFUSED: [(&str, &str); 4] =
    [("/elsewhere", "404"), ("/shop/a/../b", "400"), ("/shop/%2e%2e/b", "400"), ("/", "404")];

#[test]
fn a_refusal_arrives_at_clients_that_first_send_a_large_body() {
    let (_vendor, usual) = shop();
    let _gateway = usual.start();
    let paths = REFUSED.map(|(path, _)| path);
    let expected: Vec<&str> = REFUSED.iter().flat_map(|(_, status)| [*status; 5]).collect();
    let port = usual.port.to_string();
    let script = here("tests/gateway/sends.py");
    assert_eq!(lines(Command::new("python3").arg(script).arg(&port).args(paths)), expected);

    let folder = tempfile::tempdir().unwrap();
    let source = here("tests/gateway/Sends.java");
    lines(Command::new("javac").arg("-d").arg(folder.path()).arg(source));
    let urls = paths.map(|path| format!("http://127.0.0.1:{port}{path}"));
    let mut java = Command::new("java");
    // Ten calls of each of the two clients.
    java.arg("-cp").arg(folder.path()).arg("Sends").args(&urls).args(&urls).args(&urls[..2]);
    let statuses = REFUSED.map(|(_, status)| status);
    let called = [&statuses[..], &statuses, &statuses[..2]].concat();
    let expected: Vec<&str> = called.iter().flat_map(|status| [*status; 2]).collect();
    assert_eq!(lines(&mut java), expected);
}

#[test]
fn a_refusal_says_whether_the_connection_ends() {
    let (_vendor, usual) = shop();
    let _gateway = usual.start();
    let head = |length: usize, more: &str| {
        format!(
            "POST /elsewhere HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{more}\r\n"
        )
    };
    // A short body is read, and the connection goes on.
    let mut client = Client::connect(usual.port);
    client.send(head(5000, ""));
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, answer.header("connection")), (404, None));
    client.send("x".repeat(5000));
    assert_eq!(client.call(&get("/elsewhere")).status, 404);
    // A long one is announced to end it, and so is one that waits for a `100 Continue`, which does
    // not come.
    for (length, more) in [(10 << 20, ""), (5000, "Expect: 100-continue\r\n")] {
        let mut client = Client::connect(usual.port);
        client.send(head(length, more));
        let answer = client.answer().unwrap();
        assert_eq!((answer.status, answer.header("connection")), (404, Some("close")), "{more}");
    }
}
