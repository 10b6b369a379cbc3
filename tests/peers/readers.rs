//! Third-party readers open our files, and we open theirs: stock `age`, and a reader written from
//! docs/format.md alone.

use crate::support::{Home, Ran, root};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs a program that `scripts/test` installs.
fn program(home: &Home, name: &str, args: &[&str], stdin: &str) -> Ran {
    use std::io::Write;
    let mut command = Command::new(name);
    command
        .args(args)
        .current_dir(home.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| {
        panic!("{name}: {error}; scripts/test installs what the tests need")
    });
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    // The output is a key, so only its length is checked.
    let out = output.stdout.len().to_string();
    Ran { out, ..output.into() }
}

fn block(text: &str, key: &str) -> String {
    text.split_once(&format!("{key} = \"\"\"\n"))
        .unwrap()
        .1
        .split_once("\n\"\"\"")
        .unwrap()
        .0
        .to_owned()
        + "\n"
}

#[test]
fn stock_age_opens_both_key_blocks_with_our_key_file() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    let text = home.read("app.sealed.toml");
    let own = home.at(".config/bootseal/identity.txt");
    for (key_file, key, bytes) in [
        (own.to_str().unwrap(), "read_key", "32"),
        (own.to_str().unwrap(), "write_key", "64"),
        ("app.key", "read_key", "32"),
    ] {
        let ran = program(&home, "age", &["-d", "-i", key_file], &block(&text, key));
        assert_eq!((ran.code, ran.out.as_str()), (0, bytes), "{key_file} {key}: {}", ran.err);
    }
    assert_ne!(
        program(&home, "age", &["-d", "-i", "app.key"], &block(&text, "write_key")).code,
        0,
        "a reader opens no signing seed"
    );
    let recipient = Command::new("age-keygen")
        .args(["-y", "app.key"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(recipient.stdout).unwrap(), home.ok(&["keygen", "-y", "app.key"]));
}

#[test]
fn an_identity_of_age_keygen_opens_our_file() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    let made = Command::new("age-keygen")
        .args(["-o", "bob.key"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(made.status.success());
    let recipient = home.ok(&["keygen", "-y", "bob.key"]);
    home.ok(&["access", "add", "bob", recipient.trim(), "--writer", "--yes"]);
    assert_eq!(home.ok(&["get", "password", "-i", "bob.key"]), "hunter2");
    home.ok_with(&["set", "password", "-i", "bob.key"], b"hunter3\n");
    assert_eq!(home.ok(&["get", "password"]), "hunter3");
}

#[test]
fn a_reader_written_from_the_specification_opens_files_of_the_cli() {
    let home = Home::with_vault(
        "# Acme\nname = 'pay\"ments'\n\n[acme]\nusername = \"bob\"\npassword = \"gehe/im ü\\n\"\nports = [1, 2]\n\"a.b\" = \"x\"\ninline = { key = \"v\" }\n",
    );
    home.write("bytes", [0, 255, 10]);
    home.ok(&["set", "acme.bytes", "--from-file", "bytes"]);
    home.ok(&["set", "acme.timeout", "--plain", "10s"]);
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    let python = std::env::var_os("BOOTSEAL_TEST_PYTHON")
        .map_or_else(|| root().join("target/python/bin/python"), PathBuf::from);
    for identity in [".config/bootseal/identity.txt", "app.key"] {
        let output = Command::new(&python)
            .arg(root().join("tests/support/reader.py"))
            .args(["app.sealed.toml", "--pin", &home.vault_id(), "--identity", identity])
            .current_dir(home.path())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}; scripts/test makes it", python.display()));
        let read: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(read["ok"], true, "{read}");
        assert_eq!(read["generation"], 4);
        let value = |path: &str| {
            (
                read["values"][path]["kind"].as_str().unwrap_or_default().to_owned(),
                read["values"][path]["value"].clone(),
            )
        };
        assert_eq!(value("name"), ("text".into(), "pay\"ments".into()));
        assert_eq!(value("acme.password"), ("text".into(), "gehe/im ü\n".into()));
        assert_eq!(value("acme.ports"), ("toml".into(), "[1, 2]".into()));
        assert_eq!(value("acme.\"a.b\""), ("text".into(), "x".into()));
        assert_eq!(value("acme.inline.key"), ("text".into(), "v".into()));
        assert_eq!(value("acme.bytes"), ("bytes".into(), "AP8K".into()));
        assert_eq!(value("acme.timeout"), ("text".into(), "10s".into()));
    }
}
