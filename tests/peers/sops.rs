//! Edits without a key that sops or Bootseal accepts. The tests run both; docs/comparison.md shows
//! the result.

use crate::other_tools::{python, said};
use crate::support::{Home, root};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOPS: &str = "url_unencrypted: https://acme.example/login\nport_unencrypted: \"8443\"\nempty_unencrypted: \"\"\nrate: 1.5\npw: can4ry-s3cret\n\
                    a:\n    k_unencrypted: v\n    l_unencrypted: w\nb:\n    x: y\n";
const OURS: &str = "url = \"https://acme.example/login\"\nport = \"8443\"\nempty = \"\"\nrate = \"secret:1.5\"\npw = \"secret:can4ry-s3cret\"\n\
                    [a]\nk = \"v\"\nl = \"w\"\n[b]\nx = \"secret:y\"\n";

/// An edit: its row, and the replacements in a file of sops and in one of ours.
type Edit = (u32, &'static [(&'static str, &'static str)], &'static [(&'static str, &'static str)]);

const EDITS: &[Edit] = &[
    (1, &[("url_unencrypted", "evil_unencrypted")], &[("url = ", "evil = ")]),
    (
        2,
        &[("url_", "swap_"), ("port_", "url_"), ("swap_", "port_")],
        &[("url = ", "swap = "), ("port = ", "url = "), ("swap = ", "port = ")],
    ),
    (
        3,
        &[("/login\n", "/login8\n"), ("\"8443\"", "\"443\"")],
        &[("/login\"", "/login8\""), ("\"8443\"", "\"443\"")],
    ),
    (4, &[("rate:", "more_unencrypted: \"\"\nrate:")], &[("rate =", "more = \"\"\nrate =")]),
    (5, &[("empty_unencrypted: \"\"\n", "")], &[("empty = \"\"\n", "")]),
    (6, &[("acme.example", "evil.example")], &[("acme.example", "evil.example")]),
    (7, &[("type:float", "type:str")], &[("\"8443\"", "8443")]),
    (
        10,
        &[("    l_unencrypted: w\nb:\n", "b:\n    l_unencrypted: w\n")],
        &[("l = \"w\"\n", ""), ("[b]\n", "[b]\nl = \"w\"\n")],
    ),
];

fn edited(text: &str, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}: {text}");
        text.replacen(from, to, 1)
    })
}

fn key(home: &Home, name: &str) -> String {
    said(Command::new("age-keygen").arg("-o").arg(home.at(name)));
    said(Command::new("age-keygen").arg("-y").arg(home.at(name))).trim().to_owned()
}

/// A file of sops, for the key in `age.key`.
fn of_sops(home: &Home, rule: &str) -> String {
    let recipient = key(home, "age.key");
    home.write(".sops.yaml", format!("creation_rules:\n  - age: {recipient}\n{rule}"));
    home.write("in.yaml", SOPS);
    said(python(home, "sops").args(["encrypt", "in.yaml"]))
}

fn sops(home: &Home, name: &str, args: &[&str]) -> std::process::Output {
    let mut sops = python(home, "sops");
    sops.env("SOPS_AGE_KEY_FILE", home.at(name)).args(args).output().unwrap()
}

fn sops_takes(home: &Home, text: &str) -> bool {
    home.write("e.yaml", text);
    sops(home, "age.key", &["decrypt", "e.yaml"]).status.success()
}

/// Checks that the file ends with exit code 3, for someone without a key too.
fn we_refuse(home: &Home, text: &str) {
    home.write("app.sealed.toml", text);
    for args in [&["verify"][..], &["get", "pw"], &["list"]] {
        let ran = home.run(args);
        assert!(ran.code == 3 && ran.out.is_empty(), "{args:?}: {ran:?}");
    }
}

/// The entries of a row of docs/comparison.md: sops and Bootseal.
fn documented(row: u32) -> (String, String) {
    let document = std::fs::read_to_string(root().join("docs/comparison.md")).unwrap();
    let line = document
        .lines()
        .find(|line| line.starts_with(&format!("| {row} |")))
        .unwrap_or_else(|| panic!("row {row}"));
    let cells: Vec<&str> = line.split('|').map(str::trim).collect();
    (cells[3].to_owned(), cells[4].to_owned())
}

fn check(row: u32, taken_by_sops: bool) {
    let (sops, ours) = documented(row);
    assert_eq!(sops.starts_with("taken"), taken_by_sops, "row {row} of docs/comparison.md: sops");
    assert!(ours.starts_with("refused"), "row {row} of docs/comparison.md: Bootseal");
}

#[test]
fn edits_of_the_text_are_refused_and_sops_accepts_most() {
    let version = said(python(&Home::new(), "sops").args(["--version", "--disable-version-check"]));
    assert!(version.starts_with("sops 3.11.0"), "docs/comparison.md names another one: {version}");
    let home = Home::with_vault(OURS);
    let (theirs, ours) = (of_sops(&home, ""), home.read("app.sealed.toml"));
    assert!(sops_takes(&home, &theirs));
    home.ok(&["verify"]);
    for (row, in_sops, in_ours) in EDITS {
        check(*row, sops_takes(&home, &edited(&theirs, in_sops)));
        we_refuse(&home, &edited(&ours, in_ours));
    }
    // "Taken" means that the owner gets the changed value: in row 2 the URL as the port.
    home.write("e.yaml", edited(&theirs, EDITS[1].1));
    let shown = String::from_utf8(sops(&home, "age.key", &["decrypt", "e.yaml"]).stdout).unwrap();
    assert!(shown.contains("port_unencrypted: https://acme.example/login"), "{shown}");
}

#[test]
fn an_older_copy_is_refused_and_sops_accepts_it() {
    let home = Home::with_vault(OURS);
    let theirs = of_sops(&home, "");
    home.write("e.yaml", &theirs);
    assert!(sops(&home, "age.key", &["set", "e.yaml", "[\"pw\"]", "\"new\""]).status.success());
    check(8, sops_takes(&home, &theirs));
    // A reader with a minimum generation, as the loader remembers one and CI passes one.
    let ours = home.read("app.sealed.toml");
    home.ok_with(&["set", "pw", "-"], b"new");
    home.write("app.sealed.toml", ours);
    let ran = home.run(&["verify", "--min-generation", "2"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn a_changed_url_is_refused_and_sops_accepts_it_with_mac_only_encrypted() {
    let home = Home::with_vault(OURS);
    let theirs = of_sops(&home, "    mac_only_encrypted: true\n");
    check(9, sops_takes(&home, &edited(&theirs, &[("acme.example", "evil.example")])));
    we_refuse(&home, &edited(&home.read("app.sealed.toml"), &[("acme.example", "evil.example")]));
}

#[test]
fn an_added_recipient_is_refused_and_sops_accepts_it() {
    let home = Home::with_vault(OURS);
    let theirs = of_sops(&home, "");
    let attacker = key(&home, "attacker.key");
    // Someone without a key adds a line; later someone with a key rotates.
    let block = theirs
        .lines()
        .skip_while(|line| !line.contains("enc: |"))
        .take_while(|line| !line.contains("lastmodified"));
    let block: String = block.map(|line| format!("{line}\n")).collect();
    home.write(
        "e.yaml",
        theirs.replacen(
            "    lastmodified",
            &format!("        - recipient: {attacker}\n{block}    lastmodified"),
            1,
        ),
    );
    let rotated = sops(&home, "age.key", &["rotate", "-i", "e.yaml"]);
    assert!(rotated.status.success(), "{}", String::from_utf8_lossy(&rotated.stderr));
    let read = sops(&home, "attacker.key", &["decrypt", "e.yaml"]);
    check(11, String::from_utf8_lossy(&read.stdout).contains("can4ry-s3cret"));
    // The same attack on our file: a line in the form of ours.
    let ours = home.read("app.sealed.toml");
    let line = ours.lines().find(|line| line.contains("recipient = \"age1")).unwrap();
    let own = line.split('"').find(|part| part.starts_with("age1")).unwrap();
    let added =
        line.replace(own, &attacker).replace("alice", "mallory").replace("writer", "reader");
    we_refuse(&home, &ours.replacen(line, &format!("{line}\n{added}"), 1));
    let rotated = home.run(&["rotate"]);
    assert_eq!(rotated.code, 3, "{rotated:?}");
}

#[test]
fn a_file_recreated_for_the_recipient_is_refused_and_sops_accepts_it() {
    let home = Home::with_vault(OURS);
    of_sops(&home, "");
    home.write("evil.yaml", SOPS.replace("acme.example", "evil.example"));
    let evil = said(python(&home, "sops").args(["encrypt", "evil.yaml"]));
    check(12, sops_takes(&home, &evil));
    let recipient = home.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    let other = Home::new();
    other.write("evil.toml", OURS.replace("acme.example", "evil.example"));
    other.ok(&["keygen"]);
    let mallory = other.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    let (writer, reader) =
        (format!("mallory={}", mallory.trim()), format!("alice={}", recipient.trim()));
    other.ok(&[
        "seal",
        "evil.toml",
        "-o",
        "evil.sealed.toml",
        "--writer",
        &writer,
        "--reader",
        &reader,
    ]);
    we_refuse(&home, &other.read("evil.sealed.toml"));
}

#[test]
fn a_removed_recipient_with_an_old_copy_reads_nothing_new_except_with_sops() {
    let home = Home::with_vault(OURS);
    let (alice, bob) = (key(&home, "age.key"), key(&home, "bob.key"));
    home.write(".sops.yaml", format!("creation_rules:\n  - age: {alice},{bob}\n"));
    home.write("in.yaml", SOPS);
    home.write("e.yaml", said(python(&home, "sops").args(["encrypt", "in.yaml"])));
    let old = home.read("e.yaml");
    home.write(".sops.yaml", format!("creation_rules:\n  - age: {alice}\n"));
    assert!(sops(&home, "age.key", &["updatekeys", "-y", "e.yaml"]).status.success());
    assert!(
        sops(&home, "age.key", &["set", "e.yaml", "[\"pw\"]", "\"new-can4ry\""]).status.success()
    );
    // Bob's line is gone, but the line of his old copy still works.
    let new = home.read("e.yaml");
    assert!(!new.contains(&bob));
    let age = |text: &str| {
        text[text.find("    age:\n").unwrap()..text.find("    lastmodified").unwrap()].to_owned()
    };
    home.write("e.yaml", new.replace(&age(&new), &age(&old)));
    let read = sops(&home, "bob.key", &["decrypt", "e.yaml"]);
    check(13, String::from_utf8_lossy(&read.stdout).contains("new-can4ry"));
    // The same with our file: the key block and access list of the old copy with the new values.
    home.ok(&["access", "add", "bob", "--new-key", "bob.bootseal.key", "--yes"]);
    let old = home.read("app.sealed.toml");
    home.ok(&["access", "remove", "bob", "--yes"]);
    home.ok_with(&["set", "pw", "-"], b"new-can4ry");
    let new = home.read("app.sealed.toml");
    let own = |text: &str| text[text.find("[bootseal]").unwrap()..].to_owned();
    home.write("app.sealed.toml", new.replace(&own(&new), &own(&old)));
    let ran = home.run(&["get", "pw", "-i", "bob.bootseal.key"]);
    assert!(ran.code == 3 && !ran.out.contains("new-can4ry"), "{ran:?}");
}

// ---- Leftovers

/// As `check`, for a row about leftovers.
fn check_left(row: u32, left_by_sops: bool) {
    let (sops, ours) = documented(row);
    assert_eq!(sops.starts_with("left"), left_by_sops, "row {row} of docs/comparison.md: sops");
    assert!(ours.starts_with("nothing"), "row {row} of docs/comparison.md: Bootseal");
}

/// Starts an edit, kills it with -9 while the editor is open, and returns the file that the editor
/// was given.
fn killed_in_an_edit(mut edit: Command, home: &Home) -> PathBuf {
    home.write(
        "editor",
        "#!/bin/sh\ngrep -q can4ry \"$1\" && echo $$ \"$1\"\nexec tail -f /dev/null > /dev/null 2>&1\n",
    );
    std::fs::set_permissions(
        home.at("editor"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    std::fs::create_dir_all(home.at("tmp")).unwrap();
    edit.env("EDITOR", home.at("editor")).env("TMPDIR", home.at("tmp"));
    let mut child = edit.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (editor, file) = line.trim_end().split_once(' ').unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The user closes the editor that is still open.
    assert!(Command::new("kill").args(["-KILL", editor]).status().unwrap().success());
    std::fs::remove_file(home.at("editor")).unwrap();
    file.into()
}

/// Files below `folder` that contain the secret.
fn in_clear(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true => in_clear(&path),
        false => vec![path],
    });
    found
        .filter(|path| String::from_utf8_lossy(&std::fs::read(path).unwrap()).contains("can4ry"))
        .collect()
}

#[test]
fn a_killed_edit_leaves_no_plaintext_except_with_sops() {
    let home = Home::with_vault(OURS);
    let theirs = of_sops(&home, "");
    home.write("e.yaml", theirs);
    std::fs::remove_file(home.at("in.yaml")).unwrap();
    let mut edit = python(&home, "sops");
    edit.env("SOPS_AGE_KEY_FILE", home.at("age.key")).args(["edit", "e.yaml"]);
    let file = killed_in_an_edit(edit, &home);
    check_left(14, in_clear(&home.at("tmp")) == [file]);

    std::fs::remove_dir_all(home.at("tmp")).unwrap();
    let mut edit = home.command(&["edit"]);
    edit.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let file = killed_in_an_edit(edit, &home);
    assert!(file.starts_with("/dev/shm"), "never on a disk: {}", file.display());
    assert_eq!(in_clear(home.path()), Vec::<PathBuf>::new());
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while file.exists() || file.parent().unwrap().exists() {
        assert!(std::time::Instant::now() < end, "{} is still there", file.display());
        std::thread::yield_now();
    }
}

#[test]
fn a_program_inherits_no_key_except_with_sops() {
    let home = Home::with_vault("pw = \"secret:can4ry-s3cret\"\n");
    let recipient = key(&home, "age.key");
    home.write("in.yaml", "pw: can4ry-s3cret\n");
    home.write(
        "e.yaml",
        said(python(&home, "sops").args(["encrypt", "--age", &recipient, "in.yaml"])),
    );
    let text = home.read("age.key");
    let secret = text.lines().find(|line| line.starts_with("AGE-SECRET-KEY-")).unwrap();
    let seen =
        said(python(&home, "sops").env("SOPS_AGE_KEY", secret).args(["exec-env", "e.yaml", "env"]));
    assert!(seen.contains("pw=can4ry-s3cret"), "{seen}");
    check_left(15, seen.contains(secret));

    // Bootseal takes no key from a variable, only the name of a file; even that name and a
    // passphrase are removed.
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let mut exec = home.command(&["exec", "--", "env"]);
    exec.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    let exec = exec.envs([
        ("BOOTSEAL_IDENTITY", "web1.key"),
        ("BOOTSEAL_PASSPHRASE", "pa55"),
        ("BOOTSEAL_KEY", secret),
    ]);
    let seen = said(exec);
    assert!(seen.contains("PW=can4ry-s3cret"), "{seen}");
    for key in ["web1.key", "pa55", "AGE-SECRET-KEY", "BOOTSEAL_IDENTITY"] {
        assert!(!seen.contains(key), "{key}");
    }
}
