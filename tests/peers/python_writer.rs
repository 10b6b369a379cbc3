//! A writer made from docs/format.md alone works beside ours. tests/support/writer.py makes files
//! that the CLI opens and changes, and changes files of the CLI; tests/support/reader.py reads the
//! files of both.

use crate::support::{Home, Ran, root};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

const OWN: &str = ".config/bootseal/identity.txt";

fn python(home: &Home, script: &str, args: &[&str], stdin: &[u8]) -> Child {
    let python = std::env::var_os("BOOTSEAL_TEST_PYTHON")
        .map_or_else(|| root().join("target/python/bin/python"), PathBuf::from);
    let mut command = Command::new(&python);
    command.arg(root().join("tests/support").join(script)).args(args).current_dir(home.path());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}; scripts/test makes it", python.display()));
    child.stdin.take().unwrap().write_all(stdin).unwrap();
    child
}

fn write(home: &Home, args: &[&str], stdin: &[u8]) -> String {
    let ran: Ran = python(home, "writer.py", args, stdin).wait_with_output().unwrap().into();
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    ran.out.trim_end().to_owned()
}

/// The result of the second reader, with every value opened.
fn read(home: &Home, pin: &str, identity: &str) -> Value {
    let child =
        python(home, "reader.py", &["app.sealed.toml", "--pin", pin, "--identity", identity], b"");
    let read: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(read["ok"], true, "{read}");
    read
}

/// A file that the second writer made for our identity and for a reader with a key of `age-keygen`.
fn made_elsewhere(home: &Home) -> String {
    let own = home.ok(&["keygen"]);
    let made = Command::new("age-keygen")
        .args(["-o", "app.key"])
        .current_dir(home.path())
        .output()
        .unwrap();
    assert!(made.status.success());
    let app = home.ok(&["keygen", "-y", "app.key"]);
    let value = |path: &[&str], kind: &str, value: &str| json!({ "path": path, "kind": kind, "value": value, "set_at": 1_700_000_000 });
    let spec = json!({
        "user": "# Acme: call before a change\ntitle = \"shop\"\n\n[acme]\ntimeout = \"10s\"  # kept\n\n[acme.login]\nurl = \"https://a.example\"\n",
        "access": [
            { "name": "alice", "role": "writer", "recipient": own.trim() },
            { "name": "app", "role": "reader", "recipient": app.trim() },
        ],
        "sealed": [
            value(&["acme", "password"], "text", "hunter2 ü\n\"x\""),
            value(&["acme", "user.name"], "text", ""),
            value(&["acme", "key"], "bytes", "AP8K"),
            value(&["acme", "ports"], "toml", "[1, \"two\", { x = 1.5 }]"),
            value(&["ümlaut \u{1f600}", "x"], "text", &"long ".repeat(100)),
            value(&["top"], "toml", "2026-11-23T18:00:00Z"),
        ],
    });
    home.write("spec.json", spec.to_string());
    write(home, &["create", "app.sealed.toml", "spec.json", "--identity", OWN], b"")
}

#[test]
fn the_cli_opens_and_changes_files_of_the_python_writer() {
    let home = Home::new();
    let pin = made_elsewhere(&home);
    assert_eq!(home.vault_id(), pin);
    let verified: Value =
        serde_json::from_str(&home.ok(&["verify", "--pin", &pin, "--json"])).unwrap();
    assert_eq!(
        (&verified["role"], &verified["generation"], &verified["sealed"]),
        (&json!("writer"), &json!(1), &json!(6))
    );
    for (identity, role) in [(OWN, "writer"), ("app.key", "reader")] {
        let with = |args: &[&str]| home.ok(&[args, &["-i", identity, "--pin", &pin]].concat());
        assert!(with(&["verify"]).contains("6 sealed"), "{role}");
        assert_eq!(with(&["get", "acme.password"]), "hunter2 ü\n\"x\"");
        assert_eq!(with(&["get", "acme.\"user.name\""]), "");
        assert!(with(&["get", "acme.key", "--json"]).contains("\"base64\":\"AP8K\""));
        assert_eq!(with(&["get", "acme.ports"]), "[1, \"two\", { x = 1.5 }]");
        assert_eq!(with(&["get", "\"ümlaut \u{1f600}\".x"]), "long ".repeat(100));
        assert_eq!(with(&["get", "top"]), "2026-11-23T18:00:00Z");
        assert!(with(&["list", "acme.password"]).contains("2023-11-14T22:13:20Z"));
    }
    let before = home.read("app.sealed.toml");
    assert_eq!(home.run_with(&["set", "acme.password", "--pin", &pin], b"hunter3\n").code, 0);
    home.ok_with(&["set", "acme.new"], b"n");
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let after = home.read("app.sealed.toml");
    for line in before.lines().filter(|line| {
        line.starts_with('#') || line.contains("# kept") || line.starts_with("ports")
    }) {
        assert!(after.contains(line), "{line}");
    }
    for identity in [OWN, "app.key", "web1.key"] {
        let read = read(&home, &format!("{pin}@4"), identity);
        assert_eq!((&read["generation"], &read["epoch"]), (&json!(4), &json!(1)));
        let value = |path: &str| read["values"][path]["value"].clone();
        assert_eq!(value("acme.password"), "hunter3");
        assert_eq!(value("acme.new"), "n");
        assert_eq!(value("acme.key"), "AP8K");
        assert_eq!(value("title"), "shop");
        assert_eq!(read["values"]["acme.\"user.name\""]["set_at"], 1_700_000_000);
    }
}

#[test]
fn the_python_writer_changes_files_of_the_cli() {
    let home = Home::with_vault(
        "# Acme\ntitle = \"shop\"\n\n[acme]\nuser = \"bob\"  # who\npassword = \"secret:hunter2\"\n\n[acme.login]\nurl = \"https://a.example\"\njson = { user = \"${user}\", password = \"${password}\" }\n",
    );
    let pin = home.vault_id();
    let set = |path: Value, kind: &str, value: &[u8]| {
        home.write("path.json", json!({ "path": path, "kind": kind }).to_string());
        write(
            &home,
            &["set", "app.sealed.toml", "path.json", "--pin", &pin, "--identity", OWN],
            value,
        );
    };
    let before = home.read("app.sealed.toml");
    set(json!(["acme", "password"]), "text", b"hunter3");
    let after = home.read("app.sealed.toml");
    let changed: Vec<&str> = after
        .lines()
        .zip(before.lines())
        .filter(|(new, old)| new != old)
        .map(|(new, _)| new.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        (changed, after.lines().count()),
        (vec!["password", "generation", "signature"], before.lines().count())
    );
    assert_eq!(home.ok(&["get", "acme.password"]), "hunter3");
    set(json!(["acme", "a.b"]), "text", b"dotted");
    set(json!(["new", "table", "x"]), "toml", b"[1, 2]");
    set(json!(["top"]), "bytes", b"\x00\xff");
    assert_eq!(home.ok(&["get", "acme.\"a.b\""]), "dotted");
    assert_eq!(home.ok(&["get", "new.table.x"]), "[1, 2]");
    assert!(home.ok(&["get", "top", "--json"]).contains("AP8"));

    for (name, role) in [("bob", "writer"), ("app", "reader")] {
        let key = format!("{name}.key");
        let recipient = home.ok(&["keygen", "-o", &key]);
        let args = [
            "add",
            "app.sealed.toml",
            name,
            role,
            recipient.trim(),
            "--pin",
            &pin,
            "--identity",
            OWN,
        ];
        write(&home, &args, b"");
        assert_eq!(home.ok(&["get", "acme.password", "-i", &key]), "hunter3");
        let set = home.run_with(&["set", "acme.password", "-i", &key], b"hunter3");
        assert_eq!(set.code, if role == "writer" { 0 } else { 4 }, "{}", set.err);
    }
    let verified: Value = serde_json::from_str(&home.ok(&["verify", "--json"])).unwrap();
    assert_eq!((&verified["generation"], &verified["vault"]), (&json!(8), &json!(pin)));
    assert_eq!(home.ok(&["access", "list"]).lines().count(), 3);
    let text = home.read("app.sealed.toml");
    assert!(text.starts_with("# Acme\n") && text.contains("# who"), "{text}");
    assert_eq!(read(&home, &pin, "app.key")["values"]["title"]["value"], "shop");
}

#[test]
fn concurrent_writes_of_both_programs_lose_nothing() {
    let home = Home::with_vault("[a]\nx = \"secret:1\"\n");
    let pin = home.vault_id();
    let mut children = Vec::new();
    for n in 0..4 {
        home.write(
            &format!("{n}.json"),
            json!({ "path": ["a", format!("python{n}")], "kind": "text" }).to_string(),
        );
        let args =
            ["set", "app.sealed.toml", &format!("{n}.json"), "--pin", &pin, "--identity", OWN];
        children.push(python(&home, "writer.py", &args, b"v"));
        let mut command = home.command(&["set", &format!("a.rust{n}")]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"v").unwrap();
        children.push(child);
    }
    for child in children {
        let ran: Ran = child.wait_with_output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let verified: Value = serde_json::from_str(&home.ok(&["verify", "--json"])).unwrap();
    assert_eq!((&verified["generation"], &verified["sealed"]), (&json!(9), &json!(9)));
}

#[test]
fn a_proposal_of_the_python_writer_is_accepted() {
    let home = Home::with_vault("title = \"shop\"\n");
    let pin = home.vault_id();
    for (path, kind, value, name, wanted) in [
        (
            json!(["acme", "user.name"]),
            "text",
            &b"b\xc3\xbc\n\"\\ \x7f"[..],
            "acme.\"user.name\"",
            "bü\n\"\\ \u{7f}",
        ),
        (json!(["acme", "port"]), "toml", b"8443", "acme.port", "8443"),
    ] {
        home.write(
            "path.json",
            json!({ "path": path, "kind": kind, "note": "from \"python\"" }).to_string(),
        );
        home.write(
            "proposal",
            write(&home, &["propose", "app.sealed.toml", "path.json", "--pin", &pin], value),
        );
        let ran = home.run(&["accept", "proposal", "--new", "--yes"]);
        assert!(ran.code == 0 && ran.err.contains("from \"python\""), "{}", ran.err);
        assert_eq!(home.ok(&["get", name]), wanted);
    }
    home.write("path.json", json!({ "path": ["key"], "kind": "bytes" }).to_string());
    home.write(
        "proposal",
        write(&home, &["propose", "app.sealed.toml", "path.json", "--pin", &pin], &[0, 255, 10]),
    );
    home.ok(&["accept", "proposal", "--new", "--yes"]);
    assert!(home.ok(&["get", "key", "--json"]).contains("AP8K"));
}
