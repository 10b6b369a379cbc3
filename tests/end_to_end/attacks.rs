//! What can someone do who can write a sealed file and holds no key? Nothing that anybody believes: every edit, against every reader.
//!
//! The file is made by the real binary. It is read under a pin by `verify`, by `get`, and by the loader as an application starts
//! with it, with the pin in its key file. The table is that of what other tools accept, and more.

use crate::support::{Home, Ran, root};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal::Loader;
use bootseal_core::{
    Access, IdentityFile, Kind, Pin, Property, PropertyPath, Role, SealedFile, Secret, ValueKind, Vault,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const FILE: &str = "app.sealed.toml";
/// What may be seen by nobody who was refused.
const SECRETS: [&str; 3] = ["svc-payments", "hunter2-canary", "s3cret-canary"];
const INPUT: &str = r#"# Acme payments: call +1 555 0100 before a change
release = "2026-11"

[acme]
username = "secret:svc-payments"
password = "secret:hunter2-canary"                  # changed by ops
url = "https://acme.example/login"
port = "8443"
note = ""
timeout = "10s"

[acme.login]
url = "https://api.acme.example/v1/login"
json = { user = "${username}", password = "${password}" }

[db]
password = "secret:s3cret-canary"
"#;

/// A sealed value with another first character.
fn other_nonce(sealed: &str) -> String {
    let at = sealed.find("sealed:").unwrap() + "sealed:".len();
    let other = if sealed[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &sealed[..at], &sealed[at + 1..])
}

/// A vault of alice's with a reader, and what an attacker may have besides: another vault, and an older copy.
struct Scene {
    alice: Home,
    text: String,
    older: String,
    pin: String,
    /// Mallory's vault: the same names, his values, sealed for our recipients, signed with his key.
    foreign: String,
}

impl Scene {
    fn new() -> Scene {
        let alice = Home::with_vault(INPUT);
        let older = alice.read(FILE);
        alice.ok(&["access", "add", "payments-app", "--new-key", "app.key", "--yes"]);
        let ours = access_of(&alice);
        let mallory = Home::new();
        mallory.write("app.toml", INPUT.replace("hunter2-canary", "from-mallory"));
        let writer = format!("alice={}", ours["alice"]);
        let reader = format!("payments-app={}", ours["payments-app"]);
        let own = format!("mallory={}", mallory.ok(&["keygen"]).trim());
        mallory.ok(&["seal", "app.toml", "--writer", &own, "--writer", &writer, "--reader", &reader]);
        Scene { text: alice.read(FILE), pin: alice.vault_id(), foreign: mallory.read(FILE), alice, older }
    }

    /// How each reader takes `bytes` in the place of the file, under `pin`.
    fn readings(&self, bytes: &[u8], pin: &str) -> Vec<Reading> {
        self.alice.write(FILE, bytes);
        let ran = |name, ran: Ran| Reading { name, kind: kind_of(&ran), code: ran.code, out: ran.out, err: ran.err };
        let read = vec![
            ran("verify", self.alice.run(&["verify", "--pin", pin, "--json"])),
            ran("get", self.alice.run(&["get", "acme.password", "--pin", pin, "--json"])),
            ran("get, readable", self.alice.run(&["get", "acme.url", "--pin", pin, "--json"])),
            load(&self.alice.at(FILE), &pinned_key(&self.alice.read("app.key"), pin)),
        ];
        self.alice.write(FILE, &self.text);
        read
    }

    fn pinned(&self) -> Pin {
        self.pin.parse().unwrap()
    }

    /// Every property of `text` under our pin: its value, or its ciphertext's.
    fn values(&self, text: &[u8]) -> bootseal_core::Result<BTreeMap<String, String>> {
        let file = SealedFile::parse(text.to_vec())?.verify(&[self.pinned()])?;
        let identities = IdentityFile::read(&self.alice.at("app.key"))?.identities;
        let vault = file.open(&identities)?;
        let values = vault.file().properties().map(|(path, property)| {
            let value = match property {
                Property::Readable(value) => value.to_string(),
                Property::Sealed(_) => vault.open(path)?.secret.expose_str(str::to_owned).unwrap(),
            };
            Ok((path.to_string(), value))
        });
        values.collect()
    }
}

/// How one reader ended.
struct Reading {
    name: &'static str,
    kind: Option<String>,
    code: i32,
    out: String,
    err: String,
}

impl Reading {
    /// Refused as `kind`, with its exit code, with the next step, and without a word of what is sealed.
    fn problem(&self, kind: Kind) -> Option<String> {
        let told = if self.kind.as_deref() != Some(kind.as_str()) || self.code != i32::from(kind.exit_code()) {
            format!("ended with {} ({:?}), not {} ({kind})", self.code, self.kind, kind.exit_code())
        } else if !self.out.is_empty() {
            "printed a result".into()
        } else if SECRETS.iter().any(|secret| self.err.contains(secret)) || self.err.contains("sealed:") {
            "told a value".into()
        } else if !has_help(&self.err) && kind.exit_code() == 3 {
            "said no next step".into()
        } else {
            return None;
        };
        Some(format!("{}: {told}\n{}{}", self.name, self.out, self.err))
    }
}

fn kind_of(ran: &Ran) -> Option<String> {
    let line = ran.err.lines().rev().find(|line| line.starts_with('{'))?;
    let document: serde_json::Value = serde_json::from_str(line).unwrap();
    document["error"]["kind"].as_str().map(str::to_owned)
}

fn has_help(err: &str) -> bool {
    match err.lines().rev().find(|line| line.starts_with('{')) {
        Some(line) => serde_json::from_str::<serde_json::Value>(line).unwrap()["error"]["help"].is_string(),
        None => err.contains("\n  "),
    }
}

/// An application's start, with nothing in its environment.
fn load(file: &Path, key: &str) -> Reading {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("app.key");
    private(&key_file, key.as_bytes());
    let loaded = Loader::exactly(file).identity_file(&key_file).environment(HashMap::new()).load();
    let (kind, code, err) = match &loaded {
        Ok(_) => (None, 0, String::new()),
        Err(error) => (Some(error.kind().to_string()), i32::from(error.exit_code()), error.to_string()),
    };
    Reading { name: "loader", kind, code, out: String::new(), err }
}

fn private(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// The text of a key file with this pin and no other.
fn pinned_key(key: &str, pin: &str) -> String {
    let lines = key.lines().filter(|line| !line.starts_with("# vault:")).map(|line| format!("{line}\n"));
    format!("# vault: {pin}\n{}", lines.collect::<String>())
}

fn access_of(home: &Home) -> BTreeMap<String, String> {
    let list: serde_json::Value = serde_json::from_str(&home.ok(&["access", "list", "--json"])).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    list["access"].as_array().unwrap().iter().map(|row| (text(&row["name"]), text(&row["recipient"]))).collect()
}

/// The text with `from`, which must stand there, replaced once.
fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// The line of the file that begins with `start`.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.split_inclusive('\n').find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("{start}"))
}

/// What stands between `start` and the next `end`, both included.
fn part<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    let from = text.find(start).unwrap_or_else(|| panic!("{start}"));
    let length = text[from + start.len()..].find(end).unwrap() + start.len() + end.len();
    &text[from..from + length]
}

/// The sealed value of `key` in `[table]`, quotes included.
fn sealed<'a>(text: &'a str, table: &str, key: &str) -> &'a str {
    let table = &text[text.find(&format!("\n[{table}]\n")).unwrap()..];
    let value = &table[table.find(&format!("\n{key} = ")).unwrap() + key.len() + 4..];
    &value[..value[1..].find('"').unwrap() + 2]
}

fn signature(text: &str) -> &str {
    line(text, "signature = ").trim_end().strip_prefix("signature = \"").unwrap().trim_end_matches('"')
}

/// The same text under another signature.
fn signed(text: &str, bytes: &[u8]) -> String {
    edit(text, signature(text), &BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// S + L: the same equation, in other bytes.
fn s_plus_l(text: &str) -> Vec<u8> {
    const L: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut bytes = BASE64_URL_SAFE_NO_PAD.decode(signature(text)).unwrap();
    let mut carry = 0;
    for (byte, add) in bytes[32..].iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(add) + carry;
        (*byte, carry) = (sum as u8, sum >> 8);
    }
    assert_eq!(carry, 0);
    bytes
}

/// The last character with one of the bits set that carry nothing: the same 64 bytes.
fn base64_twin(text: &str) -> String {
    let old = signature(text);
    let last = old.chars().last().unwrap();
    edit(text, old, &format!("{}{}", &old[..85], char::from(last as u8 + 1)))
}

/// One way to change the file: its name, the edit, and as what it must be refused.
type Attack = (&'static str, fn(&Scene) -> String, Kind);

#[rustfmt::skip] // one attack a line
const ATTACKS: &[Attack] = &[
    // What sops 3.11.0 accepts, or accepted.
    ("a property renamed", |s| edit(&s.text, "\nurl = ", "\nevil = "), Kind::Forged),
    ("two names swapped", |s| edit(&edit(&edit(&s.text, "\nurl = ", "\nX = "), "\nport = ", "\nurl = "), "\nX = ", "\nport = "), Kind::Forged),
    ("two readable values swapped", |s| edit(&s.text, "\"https://acme.example/login\"\nport = \"8443\"", "\"8443\"\nport = \"https://acme.example/login\""), Kind::Forged),
    ("a byte moved to the neighbour", |s| edit(&s.text, "login\"\nport = \"8443\"", "login8\"\nport = \"443\""), Kind::Forged),
    ("an empty property added", |s| edit(&s.text, "timeout = ", "empty = \"\"\ntimeout = "), Kind::Forged),
    ("an empty property deleted", |s| edit(&s.text, "note = \"\"\n", ""), Kind::Forged),
    ("a readable value changed", |s| edit(&s.text, "\"10s\"", "\"11s\""), Kind::Forged),
    ("a type changed", |s| edit(&s.text, "\"8443\"", "8443"), Kind::Forged),
    ("a value under another table", |s| edit(&edit(&s.text, "timeout = \"10s\"\n", ""), "[db]\n", "[db]\ntimeout = \"10s\"\n"), Kind::Forged),
    ("a mode that signs less", |s| edit(&s.text, "format = 1\n", "format = 1\nonly_sealed = true\n"), Kind::Forged),
    ("a login to another host", |s| edit(&s.text, "https://api.acme.example", "https://evil.example"), Kind::Forged),
    ("a host where the token may go", |s| edit(&s.text, "[acme.login]\n", "[acme.login]\nhosts = [\"evil.example\"]\n"), Kind::Forged),
    ("a comment changed", |s| edit(&s.text, "+1 555 0100", "+1 900 6666"), Kind::Forged),
    ("a comment deleted", |s| edit(&s.text, "# Acme payments: call +1 555 0100 before a change\n", ""), Kind::Forged),
    ("a comment behind a value", |s| edit(&s.text, "# changed by ops", "# changed by 0ps"), Kind::Forged),
    ("one blank more", |s| edit(&s.text, "port = ", "port =  "), Kind::Forged),
    ("another order", |s| {
        let login = part(&s.text, "[acme.login]", "\n\n");
        edit(&edit(&s.text, login, ""), "[acme]", &format!("{login}[acme]"))
    }, Kind::Forged),
    // Sealed values.
    ("a sealed value under another name", |s| edit(&s.text, sealed(&s.text, "db", "password"), sealed(&s.text, "acme", "password")), Kind::Forged),
    ("two sealed values swapped", |s| {
        let (a, b) = (sealed(&s.text, "acme", "password"), sealed(&s.text, "db", "password"));
        edit(&edit(&edit(&s.text, a, "X"), b, a), "X", b)
    }, Kind::Forged),
    ("a sealed value where a readable one was", |s| edit(&s.text, "\"10s\"", sealed(&s.text, "acme", "password")), Kind::Forged),
    ("a sealed value in an array", |s| edit(&s.text, "\"10s\"", &format!("[{}]", sealed(&s.text, "acme", "password"))), Kind::Forged),
    ("a sealed value of another vault", |s| edit(&s.text, sealed(&s.text, "acme", "password"), sealed(&s.foreign, "acme", "password")), Kind::Forged),
    ("a sealed value of an older copy", |s| edit(&s.text, sealed(&s.text, "acme", "username"), &other_nonce(sealed(&s.older, "acme", "username"))), Kind::Forged),
    ("a sealed value deleted", |s| edit(&s.text, line(&s.text, "username = "), ""), Kind::Forged),
    ("a sealed value made readable", |s| edit(&s.text, sealed(&s.text, "acme", "password"), "\"from-mallory\""), Kind::Forged),
    ("a sealed value cut", |s| { let old = sealed(&s.text, "acme", "password"); edit(&s.text, old, &format!("{}\"", &old[..old.len() - 4])) }, Kind::Forged),
    // [bootseal].
    ("a recipient added", |s| edit(&s.text, "access = [\n", "access = [\n  { name = \"eve\", role = \"reader\", recipient = \"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\" },\n"), Kind::Forged),
    ("a recipient exchanged", |s| edit(&s.text, part(&s.text, "recipient = \"", "\""), "recipient = \"age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj\""), Kind::Forged),
    ("a reader made a writer", |s| edit(&s.text, "\"reader\"", "\"writer\""), Kind::Forged),
    ("a reader taken out", |s| edit(&s.text, line(&s.text, "  { name = \"payments-app\""), ""), Kind::Forged),
    ("the data key of another vault", |s| edit(&s.text, part(&s.text, "read_key = \"\"\"", "\"\"\""), part(&s.foreign, "read_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("the signing seed of another vault", |s| edit(&s.text, part(&s.text, "write_key = \"\"\"", "\"\"\""), part(&s.foreign, "write_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("the data key of an older copy", |s| edit(&s.text, part(&s.text, "read_key = \"\"\"", "\"\"\""), part(&s.older, "read_key = \"\"\"", "\"\"\"")), Kind::Forged),
    ("a higher generation", |s| edit(&s.text, "generation = 2", "generation = 3"), Kind::Forged),
    ("a lower generation", |s| edit(&s.text, "generation = 2", "generation = 1"), Kind::Forged),
    ("an older copy with the newer generation", |s| edit(&s.older, "generation = 1", "generation = 2"), Kind::Forged),
    ("another epoch", |s| edit(&s.text, "epoch = 1", "epoch = 2"), Kind::Forged),
    ("a removal", |s| edit(&s.text, "read_key = ", "removed = [{ name = \"bob\", at = 2026-01-01T00:00:00Z }]\nread_key = "), Kind::Forged),
    ("a handover", |s| edit(&s.text, "read_key = ", &format!("handover = [{{ from = \"{}\", generation = 1, signature = \"{}\" }}]\nread_key = ", s.pin, signature(&s.text))), Kind::Forged),
    ("a comment in [bootseal]", |s| edit(&s.text, "epoch = 1\n", "epoch = 1 # all is well\n"), Kind::Forged),
    ("[bootseal] twice", |s| edit(&s.text, "[bootseal]\n", "[bootseal]\nformat = 1\n[bootseal]\n"), Kind::Forged),
    // The last two lines.
    ("another vault's id", |s| edit(&s.text, line(&s.text, "vault = "), line(&s.foreign, "vault = ")), Kind::Forged),
    ("another vault's id and signature", |s| edit(&edit(&s.text, line(&s.text, "vault = "), line(&s.foreign, "vault = ")), signature(&s.text), signature(&s.foreign)), Kind::Forged),
    ("another vault's signature", |s| edit(&s.text, signature(&s.text), signature(&s.foreign)), Kind::Forged),
    ("the signature of an older copy", |s| edit(&s.text, signature(&s.text), signature(&s.older)), Kind::Forged),
    ("no signature but zeros", |s| signed(&s.text, &[0; 64]), Kind::Forged),
    ("S + L", |s| signed(&s.text, &s_plus_l(&s.text)), Kind::Forged),
    ("a bit of the signature that carries nothing", |s| base64_twin(&s.text), Kind::Malformed),
    ("a padded signature", |s| edit(&s.text, signature(&s.text), &format!("{}==", signature(&s.text))), Kind::Malformed),
    ("the id in capitals", |s| edit(&s.text, line(&s.text, "vault = "), &format!("vault = \"{}\"\n", s.pin.to_uppercase())), Kind::Malformed),
    ("the id in single quotes", |s| edit(&s.text, line(&s.text, "vault = "), &format!("vault = '{}'\n", s.pin)), Kind::Malformed),
    ("a line between the last two", |s| edit(&s.text, "signature = ", "# note\nsignature = "), Kind::Malformed),
    ("the last two lines swapped", |s| edit(&edit(&s.text, line(&s.text, "vault = "), ""), line(&s.text, "signature = "), &format!("{}{}", line(&s.text, "signature = "), line(&s.text, "vault = "))), Kind::Malformed),
    ("a property before them", |s| edit(&s.text, "vault = \"", "note = 1\nvault = \""), Kind::Forged),
    // Behind them.
    ("a line behind the signature", |s| format!("{}acme.url = \"https://evil.example\"\n", s.text), Kind::Malformed),
    ("a comment behind the signature", |s| format!("{}# note\n", s.text), Kind::Malformed),
    ("a table behind the signature", |s| format!("{}\n[acme.login]\nurl = \"https://evil.example\"\n", s.text), Kind::Malformed),
    ("a blank line behind the signature", |s| format!("{}\n", s.text), Kind::Malformed),
    ("blanks behind the signature", |s| format!("{}  ", s.text), Kind::Malformed),
    ("blanks at the end of the last line", |s| format!("{}  \n", s.text.trim_end()), Kind::Malformed),
    ("the file twice", |s| format!("{}{}", s.text, s.text), Kind::Forged),
    ("another vault before it", |s| format!("{}{}", s.foreign, s.text), Kind::Forged),
    // Whole files.
    ("another vault, sealed for our own recipients", |s| s.foreign.clone(), Kind::WrongVault),
    ("another vault behind our text", |s| format!("{}{}", s.text, s.foreign), Kind::Forged),
    ("another vault that names ours", |s| edit(&s.foreign, line(&s.foreign, "vault = "), line(&s.text, "vault = ")), Kind::Forged),
    ("a merge that git left", |s| edit(&s.text, "timeout = \"10s\"\n", "<<<<<<< HEAD\ntimeout = \"10s\"\n=======\ntimeout = \"20s\"\n>>>>>>> theirs\n"), Kind::Forged),
    ("the input in clear", |_| INPUT.replace("secret:", ""), Kind::Malformed),
    ("nothing", |_| String::new(), Kind::Malformed),
    ("a line feed", |_| "\n".into(), Kind::Malformed),
    ("the last two lines alone", |s| format!("{}{}", line(&s.text, "vault = "), line(&s.text, "signature = ")), Kind::Forged),
    // Bytes.
    ("a byte order mark", |s| format!("\u{feff}{}", s.text), Kind::Malformed),
    ("a NUL", |s| edit(&s.text, "# changed", "# \0changed"), Kind::Malformed),
    ("a NUL at the end", |s| format!("{}\0", s.text), Kind::Malformed),
    ("a lone CR", |s| edit(&s.text, "# changed", "# \rchanged"), Kind::Malformed),
    ("a CR before CR LF", |s| edit(&s.text, "\n", "\r\r\n"), Kind::Malformed),
    ("a CR at the end", |s| format!("{}\r", s.text), Kind::Malformed),
    ("a CR for the last LF", |s| format!("{}\r", s.text.trim_end()), Kind::Malformed),
    ("LF CR for LF", |s| s.text.replace('\n', "\n\r"), Kind::Malformed),
    ("a zero-width space", |s| edit(&s.text, "[acme]", "[acme]\u{200b}"), Kind::Forged),
    ("another Unicode line end", |s| edit(&s.text, "timeout = \"10s\"\n", "timeout = \"10s\"\u{2028}"), Kind::Forged),
];

#[test]
fn every_edit_is_refused_by_every_reader() {
    let scene = Scene::new();
    let good = scene.readings(scene.text.as_bytes(), &scene.pin);
    assert!(
        good.iter().all(|reading| reading.code == 0),
        "{}",
        good.iter().map(|r| r.err.as_str()).collect::<String>()
    );
    let mut wrong = Vec::new();
    for (name, change, kind) in ATTACKS {
        let changed = change(&scene);
        assert_ne!(changed, scene.text, "{name} changes nothing");
        let problems = scene.readings(changed.as_bytes(), &scene.pin).into_iter();
        wrong.extend(problems.filter_map(|reading| reading.problem(*kind)).map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    for bytes in [&b"\xff"[..], b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"] {
        let changed = [b"# ", bytes, b"\n", scene.text.as_bytes()].concat();
        let problems = scene.readings(&changed, &scene.pin).into_iter();
        wrong.extend(problems.filter_map(|reading| reading.problem(Kind::Malformed)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let scene = Scene::new();
    let bytes = scene.text.as_bytes();
    let mut wrong = Vec::new();
    // Everywhere, in this process; without its last newline only is it still whole.
    for at in 0..bytes.len() - 1 {
        match scene.values(&bytes[..at]) {
            Err(error) if error.kind() == Kind::Malformed => {}
            other => wrong.push(format!("cut at byte {at}: {other:?}")),
        }
    }
    // After every line, and at some bytes, by the real readers.
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    for at in ends.chain((1..bytes.len()).step_by(89)).filter(|at| *at < bytes.len() - 1) {
        let problems = scene.readings(&bytes[..at], &scene.pin).into_iter();
        wrong.extend(
            problems
                .filter_map(|reading| reading.problem(Kind::Malformed))
                .map(|what| format!("cut at byte {at}: {what}")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn lines_deleted_doubled_or_moved_are_refused() {
    let scene = Scene::new();
    let lines: Vec<&str> = scene.text.split_inclusive('\n').collect();
    let refused = |what: &str, text: String| {
        if text != scene.text {
            let kind = scene.values(text.as_bytes()).map_err(|error| error.kind());
            assert!(matches!(kind, Err(Kind::Forged | Kind::Malformed)), "{what}: {kind:?}");
        }
    };
    for at in 0..lines.len() {
        refused(&format!("line {at} deleted"), [&lines[..at], &lines[at + 1..]].concat().concat());
        refused(&format!("line {at} doubled"), [&lines[..=at], &lines[at..]].concat().concat());
        refused(
            &format!("a blank line before line {at}"),
            format!("{}\n{}", lines[..at].concat(), lines[at..].concat()),
        );
        for to in [0, at.saturating_sub(1), lines.len() - 3] {
            let mut moved = lines.clone();
            let line = moved.remove(at);
            moved.insert(to, line);
            refused(&format!("line {at} moved to {to}"), moved.concat());
        }
    }
}

/// Every byte of a small file, each bit, and what a line end may become. Nothing is believed that was not signed.
#[test]
fn every_flipped_byte_is_refused() {
    let home = Home::with_vault("# a\n[acme]\nurl = \"x\"\nkey = \"secret:hunter2\"\n");
    let text = home.read(FILE);
    let (pin, identities) = (
        home.vault_id().parse::<Pin>().unwrap(),
        IdentityFile::read(&home.at(".config/bootseal/identity.txt")).unwrap().identities,
    );
    let values = |bytes: Vec<u8>| -> bootseal_core::Result<Vec<(String, String)>> {
        let vault = SealedFile::parse(bytes)?.verify(&[pin])?.open(&identities)?;
        let key = vault.open(&"acme.key".parse()?)?.secret.expose_str(str::to_owned).unwrap();
        let readable = vault.file().properties().map(|(path, property)| (path.to_string(), format!("{property:?}")));
        Ok(readable.chain([("key".into(), key)]).collect())
    };
    let crlf = text.replace('\n', "\r\n");
    let whole = text.trim_end_matches('\n').to_owned();
    for (form, text) in [("LF", text), ("CR LF", crlf), ("no last newline", whole)] {
        let good = values(text.clone().into_bytes()).unwrap();
        for at in 0..text.len() {
            let old = text.as_bytes()[at];
            let mut patterns: Vec<u8> = (0..8).map(|bit| old ^ (1 << bit)).collect();
            patterns.extend(
                [!old, 0, b'\n', b'\r', b' ', b'"', b'#', 0x7f, 0x85, 0xa0].into_iter().filter(|new| *new != old),
            );
            for new in patterns {
                let mut flipped = text.clone().into_bytes();
                flipped[at] = new;
                match values(flipped) {
                    Err(error) => {
                        assert!(
                            matches!(error.kind(), Kind::Forged | Kind::Malformed),
                            "{form}, byte {at}, {old:02x} to {new:02x}: {error}"
                        )
                    }
                    // Nothing but a line end in another spelling may still be the same file.
                    Ok(read) => {
                        let ends = |byte: u8| byte == b'\n' || byte == b'\r';
                        assert!(
                            read == good && ends(old) && ends(new),
                            "{form}, byte {at}, {old:02x} to {new:02x}: accepted"
                        )
                    }
                }
            }
        }
    }
}

#[test]
fn an_older_copy_is_refused_where_the_pin_has_a_floor() {
    let scene = Scene::new();
    // Authentic, so accepted by who has no floor; refused by who has one, and by no other name.
    for (pin, code) in [(scene.pin.clone(), 0), (format!("{}@1", scene.pin), 0)] {
        let read = scene.alice.at(FILE);
        scene.alice.write(FILE, &scene.older);
        assert_eq!(scene.alice.run(&["verify", "--pin", &pin, "-f", read.to_str().unwrap()]).code, code);
    }
    let floor = format!("{}@2", scene.pin);
    let wrong: Vec<String> = scene
        .readings(scene.older.as_bytes(), &floor)
        .iter()
        .filter_map(|reading| reading.problem(Kind::OldGeneration))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(scene.readings(scene.text.as_bytes(), &floor).iter().all(|reading| reading.code == 0));
    // A lower floor for the same vault does not lower the higher one; nor does a pin for another vault stand in for it.
    scene.alice.write(FILE, &scene.older);
    let foreign = line(&scene.foreign, "vault = ")[9..73].to_owned();
    for other in [scene.pin.clone(), foreign] {
        assert_eq!(scene.alice.run(&["verify", "--pin", &floor, "--pin", &other]).code, 3);
        assert_eq!(scene.alice.run(&["verify", "--pin", &other, "--pin", &floor]).code, 3);
    }
    // No verb that writes goes on from there either.
    let before = scene.alice.read(FILE);
    assert_eq!(scene.alice.run_with(&["set", "acme.password", "-", "--pin", &floor], b"new").code, 3);
    assert_eq!(scene.alice.read(FILE), before);
}

/// Line ends as git, editors and mail make them: the same values, and the next write mends it.
#[test]
fn other_line_ends_change_no_value() {
    let scene = Scene::new();
    let good = scene.values(scene.text.as_bytes()).unwrap();
    let lines: Vec<&str> = scene.text.lines().collect();
    let mixed = |crlf: fn(usize) -> bool| -> String {
        lines.iter().enumerate().map(|(at, line)| format!("{line}{}", if crlf(at) { "\r\n" } else { "\n" })).collect()
    };
    let forms = [
        ("CR LF", mixed(|_| true)),
        ("every second", mixed(|at| at % 2 == 0)),
        ("inside the key blocks", mixed(|at| at % 7 == 3)),
        (
            "the last one",
            mixed({
                fn last(at: usize) -> bool {
                    at > 40
                }
                last
            }),
        ),
        ("no last newline", scene.text.trim_end_matches('\n').to_owned()),
        ("CR LF, no last newline", mixed(|_| true).trim_end().to_owned()),
    ];
    for (name, form) in forms {
        assert_ne!(form, scene.text, "{name}");
        assert_eq!(scene.values(form.as_bytes()).unwrap(), good, "{name}");
        for reading in scene.readings(form.as_bytes(), &scene.pin) {
            assert_eq!(reading.code, 0, "{name}: {}: {}", reading.name, reading.err);
        }
        scene.alice.write(FILE, &form);
        scene.alice.ok_with(&["set", "db.password", "-"], b"renewed");
        let mended = scene.alice.read(FILE);
        assert!(!mended.contains('\r') && mended.ends_with("\"\n") && !mended.ends_with("\n\n"), "{name}");
        // One value is its line, the generation and the signature.
        let changed = mended.lines().zip(&lines).filter(|(new, old)| new != *old).count();
        assert_eq!((changed, mended.lines().count()), (3, lines.len()), "{name}");
        scene.alice.write(FILE, &scene.text);
    }
}

/// Crafted files, each signed so that nothing but the named fault is wrong: cut, moved, in arrays, twins, small orders.
/// Every row of the vectors, once more, through the binary and the loader.
#[test]
fn every_bad_vector_is_refused_by_the_binary_and_by_the_loader() {
    let vectors = root().join("tests/vectors");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(vectors.join("vectors.json")).unwrap()).unwrap();
    let home = Home::new();
    let mut wrong = Vec::new();
    for row in rows.iter().filter(|row| row["identity"].is_string()) {
        let text = |key: &str| row[key].as_str();
        let (name, expect) = (text("file").unwrap(), text("expect").unwrap());
        let whole = format!("{name} ({}, pin {:?})", text("identity").unwrap(), text("pin"));
        let key = std::fs::read_to_string(vectors.join(text("identity").unwrap())).unwrap();
        let key: String =
            key.lines().filter(|line| !line.starts_with("# vault:")).map(|line| format!("{line}\n")).collect();
        private(&home.at("key"), key.as_bytes());
        let file = vectors.join(name);
        let mut args = vec!["verify", "--json", "-i", "key", file.to_str().unwrap()];
        args.extend(text("pin").map(|pin| ["--pin", pin]).into_iter().flatten());
        let ran = home.run(&args);
        let found = kind_of(&ran).unwrap_or_else(|| if ran.code == 0 { "ok".into() } else { "?".into() });
        let code = rows_code(expect);
        if found != expect || ran.code != code || (code != 0 && !ran.out.is_empty()) || ran.err.contains("sealed:A") {
            wrong.push(format!("verify {whole}: {found} ({}), not {expect}\n{}{}", ran.code, ran.out, ran.err));
        }
        if code == 3 && !has_help(&ran.err) {
            wrong.push(format!("verify {whole}: no next step\n{}", ran.err));
        }
        // The loader never opens the writers' block.
        let Some(pin) = text("pin").filter(|_| !name.starts_with("bad/write-key-")) else { continue };
        let loaded = load(&file, &pinned_key(&key, pin));
        if loaded.kind.as_deref().unwrap_or("ok") != expect {
            wrong.push(format!("loader {whole}: {:?}, not {expect}\n{}", loaded.kind, loaded.err));
        }
        if loaded.err.contains("sealed:A") {
            wrong.push(format!("loader {whole}: ciphertext in the message\n{}", loaded.err));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn rows_code(kind: &str) -> i32 {
    match kind {
        "ok" => 0,
        "malformed" => 1,
        "no-identity" => 4,
        _ => 3,
    }
}

/// Whoever may read has the data key, and still cannot make a file that another reader takes.
#[test]
fn a_reader_cannot_change_the_file() {
    let scene = Scene::new();
    let web = Home::new();
    web.write(FILE, &scene.text);
    private(&web.at("app.key"), scene.alice.read("app.key").as_bytes());
    web.write("more.toml", "extra = \"secret:from-the-reader\"\n");
    assert_eq!(web.ok(&["get", "acme.password", "-i", "app.key"]), "hunter2-canary");
    let recipient = web.ok(&["keygen", "-o", "eve.key"]);
    let attempts: &[&[&str]] = &[
        &["set", "acme.password", "-"],
        &["set", "acme.new", "-"],
        &["set", "acme.timeout", "--plain", "99s"],
        &["set", "acme.login.url", "--plain", "https://evil.example/login"],
        &["set", "acme.password", "--plain", "x", "--force"],
        &["set", "acme.password", "--generate"],
        &["seal", "more.toml", "-f", FILE],
        &["access", "add", "eve", recipient.trim(), "--yes"],
        &["access", "add", "eve", recipient.trim(), "--writer", "--yes"],
        &["access", "add", "eve", "--new-key", "new.key", "--yes"],
    ];
    for args in attempts {
        let ran = web.run_with(&[*args, &["-i", "app.key"]].concat(), b"from-the-reader");
        assert_eq!(ran.code, 4, "{args:?}: {}", ran.err);
        assert!(ran.err.contains("alice") && ran.err.contains("\n  "), "{args:?}: {}", ran.err);
        assert_eq!(web.read(FILE), scene.text, "{args:?}");
    }
    assert!(!web.at("new.key").exists());
    assert_eq!(
        std::fs::read_dir(web.path())
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("tmp"))
            .count(),
        0
    );

    // In the library: a reader's identity opens no signing seed. `Vault<CanRead>` has nothing to sign with.
    let identities = IdentityFile::read(&web.at("app.key")).unwrap().identities;
    let verified = || SealedFile::parse(scene.text.clone().into_bytes()).unwrap().verify(&[scene.pinned()]).unwrap();
    assert_eq!(verified().role_of(&identities), Some(Role::Reader));
    let error = verified().open_for_writing(&identities).unwrap_err();
    assert_eq!(error.kind(), Kind::NoIdentity);

    // What a reader can make: all of it anew, every value and name and recipient, under a key of his own.
    let opened = verified().open(&identities).unwrap();
    let user = scene.text.split("[bootseal]\n").next().unwrap();
    let plain = opened.file().properties().filter(|(_, property)| matches!(property, Property::Sealed(_)));
    let values: Vec<(PropertyPath, ValueKind, Secret)> =
        plain.map(|(path, _)| (path.clone(), ValueKind::Text, opened.open(path).unwrap().secret)).collect();
    let cleared = values.iter().fold(user.to_owned(), |text, (path, ..)| {
        let Some(Property::Sealed(old)) = opened.file().property(path) else { panic!("{path}") };
        edit(&text, old, "")
    });
    let mut copy = Vault::create(opened.file().access().to_vec(), &cleared).unwrap();
    copy.set_all(&values, 1).unwrap();
    let copy = copy.sign().unwrap();
    let unpinned = SealedFile::parse(copy.clone().into_bytes()).unwrap().verify(&[]).unwrap();
    assert_eq!(unpinned.property(&"acme.url".parse().unwrap()), opened.file().property(&"acme.url".parse().unwrap()));
    let wrong: Vec<String> = scene
        .readings(copy.as_bytes(), &scene.pin)
        .iter()
        .filter_map(|reading| reading.problem(Kind::WrongVault))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // The same with the old data key and blocks, only the last two lines new: computed outside this code, for it has no way to.
    let taken = root().join("tests/vectors/bad/taken-over.sealed.toml");
    let pin = line(&std::fs::read_to_string(root().join("tests/vectors/good/acme.sealed.toml")).unwrap(), "vault = ")
        [9..73]
        .to_owned();
    assert_eq!(SealedFile::read(&taken).unwrap().verify(&[pin.parse().unwrap()]).unwrap_err().kind(), Kind::WrongVault);
    let key = std::fs::read_to_string(root().join("tests/vectors/payments-app.key")).unwrap();
    assert_eq!(load(&taken, &key).kind.as_deref(), Some("wrong-vault"));
}

#[test]
fn ciphertext_is_never_handed_out_as_a_value() {
    let scene = Scene::new();
    let ciphertext = sealed(&scene.text, "acme", "password");
    // No writer puts it where it could be taken for a value.
    let me = bootseal_core::Identity::generate().unwrap();
    let access = || vec![Access::new("me", Role::Writer, me.recipient()).unwrap()];
    for text in [
        format!("a = [{ciphertext}]\n"),
        format!("a = [[1, {ciphertext}]]\n"),
        format!("a = [{{ b = {ciphertext} }}]\n"),
        format!("[[a]]\nb = {ciphertext}\n"),
        format!("[[a]]\n[a.b]\nc = {ciphertext}\n"),
        format!("a = {}\"\n", &ciphertext[..ciphertext.len() - 4]),
        "a = \"sealed:\"\n".into(),
        "a = 'sealed:words'\n".into(),
        "a = \"\\u0073ealed:words\"\n".into(),
        "a = [\"\"\"\nsealed:words\"\"\"]\n".into(),
    ] {
        assert_eq!(Vault::create(access(), &text).err().map(|error| error.kind()), Some(Kind::Malformed), "{text}");
    }
    // Signed by a writer all the same (crafted files): no verb and no loader gives it out.
    let vectors = root().join("tests/vectors");
    let home = Home::new();
    let key = std::fs::read_to_string(vectors.join("alice.key")).unwrap();
    private(&home.at("key"), key.as_bytes());
    let bad = [
        "moved",
        "moved-from-dotted",
        "moved-to-table",
        "foreign-value",
        "sealed-in-array",
        "sealed-in-table-in-array",
        "sealed-in-array-of-tables",
        "sealed-cut",
        "sealed-words",
    ];
    for name in bad {
        let file = vectors.join(format!("bad/{name}.sealed.toml"));
        let text = std::fs::read_to_string(&file).unwrap();
        let pin = &line(&text, "vault = ")[9..73];
        let whole = SealedFile::read(&file).unwrap().verify(&[pin.parse().unwrap()]);
        let (kind, names) = match &whole {
            Ok(file) => (
                Kind::MovedValue,
                file.properties()
                    .filter(|(_, property)| matches!(property, Property::Sealed(_)))
                    .map(|(path, _)| path.to_string())
                    .collect(),
            ),
            Err(error) => (error.kind(), vec!["acme.password".to_owned(), "mirrors".into()]),
        };
        let file = file.to_str().unwrap();
        assert_eq!(load(Path::new(file), &pinned_key(&key, pin)).kind.as_deref(), Some(kind.as_str()), "{name}");
        let mut refused = 0;
        for property in names {
            for json in [&["--json"][..], &[]] {
                let ran = home.run(&[&["get", &property, "-f", file, "-i", "key", "--pin", pin], json].concat());
                assert!(
                    !ran.out.contains("sealed:") && !ran.err.contains("sealed:A"),
                    "{name}: {property}: {}{}",
                    ran.out,
                    ran.err
                );
                refused += usize::from(ran.code == i32::from(kind.exit_code()) && ran.out.is_empty());
            }
        }
        assert!(refused > 0, "{name}");
    }
}

#[test]
fn what_is_readable_is_no_secret_and_the_reverse() {
    let scene = Scene::new();
    let key = scene.alice.at("app.key");
    let secrets = Loader::exactly(scene.alice.at(FILE)).identity_file(key).environment(HashMap::new()).load().unwrap();
    for readable in ["acme.url", "acme.note", "acme.login.url", "release"] {
        let error = secrets.secret(readable).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{readable}");
        assert!(error.help().is_some());
        assert!(secrets.text(readable).is_ok());
    }
    for sealed in ["acme.password", "db.password"] {
        assert!(secrets.secret(sealed).is_ok());
        let error = secrets.text(sealed).unwrap_err();
        assert_eq!(error.kind(), Kind::Conflict, "{sealed}");
        assert!(!error.to_string().contains("sealed:"));
    }
    for table in ["acme", "acme.login", "acme.password.x", "bootseal", "bootseal.read_key", "bootseal.vault"] {
        assert_eq!(secrets.secret(table).unwrap_err().kind(), Kind::NotFound, "{table}");
    }
}

/// The attack that a pin or a memory is for: a whole vault of someone else's, made for our recipients, lies in the place.
#[test]
fn a_foreign_vault_in_place_is_given_nothing() {
    let scene = Scene::new();
    let clone = Home::new();
    let identity = scene.alice.at(".config/bootseal/identity.txt");
    let identity = identity.to_str().unwrap();
    for home in [&scene.alice, &clone] {
        home.write(FILE, &scene.foreign);
        home.write("more.toml", "[acme]\npassword = \"secret:hunter2-canary\"\n");
        let remembered = std::fs::read(home.at(".local/state/bootseal/known_vaults")).ok();
        let attempts: &[&[&str]] = &[
            &["set", "acme.password", "-"],
            &["set", "acme.password", "-", "--yes"],
            &["set", "acme.password", "--generate", "--quiet"],
            &["set", "acme.timeout", "--plain", "99s"],
            &["seal", "more.toml", "-f", FILE],
            &["seal", "more.toml", "-f", FILE, "--shred", "--yes"],
            &["access", "add", "bob", "--new-key", "bob.key", "--yes"],
            &["login", "acme"],
        ];
        for args in attempts {
            let ran = home.run_with(&[*args, &["-i", identity]].concat(), b"hunter2-canary");
            assert_eq!(ran.code, 3, "{args:?}: {}", ran.err);
            assert!(ran.out.is_empty() && ran.err.contains("--pin"), "{args:?}: {}", ran.err);
            assert_eq!(home.read(FILE), scene.foreign, "{args:?}");
            assert!(home.read("more.toml").contains("hunter2-canary"), "{args:?}: the input is gone");
            assert!(!home.at("bob.key").exists(), "{args:?}");
        }
        // Nothing of this, and no reading, makes it known.
        for args in [&["verify"][..], &["list"], &["get", "acme.url"], &["access", "list"]] {
            let code = home.run(&[args, &["-i", identity]].concat()).code;
            assert_eq!(code, if remembered.is_some() { 3 } else { 0 }, "{args:?}");
        }
        assert_eq!(std::fs::read(home.at(".local/state/bootseal/known_vaults")).ok(), remembered);
    }
    // A loader that nobody told which vault it must be does not start, and one that may start does not log in.
    let bare = clone.at("bare.key");
    let key: String = scene
        .alice
        .read("app.key")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    private(&bare, key.as_bytes());
    let loader = || Loader::exactly(clone.at(FILE)).identity_file(&bare).environment(HashMap::new());
    assert_eq!(loader().load().unwrap_err().kind(), Kind::WrongVault);
    let secrets = loader().allow_unpinned().load().unwrap();
    assert_eq!(secrets.token_source("acme").err().map(|error| error.kind()), Some(Kind::WrongVault));
}

/// What lies in the file's place is no file, or not one to wait for.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_not_waited_for() {
    let scene = Scene::new();
    let place = scene.alice.at(FILE);
    let key = pinned_key(&scene.alice.read("app.key"), &scene.pin);
    let refused = |what: &str, code: i32| {
        for args in [&["verify"][..], &["get", "acme.password"], &["set", "acme.password", "-"]] {
            let ran = scene.alice.run_with(&[args, &["-f", FILE, "--pin", &scene.pin]].concat(), b"x");
            assert_eq!(ran.code, code, "{what}: {args:?}: {}", ran.err);
        }
        assert_eq!(load(&place, &key).code, code, "{what}");
    };
    std::fs::remove_file(&place).unwrap();
    refused("nothing", 1);
    std::fs::create_dir(&place).unwrap();
    refused("a folder", 1);
    std::fs::remove_dir(&place).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &place).unwrap();
    refused("a device without end", 1);
    std::fs::remove_file(&place).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&place).status().unwrap().success());
    refused("a pipe", 1);
    std::fs::remove_file(&place).unwrap();
    std::os::unix::fs::symlink(FILE, &place).unwrap();
    refused("a link to itself", 1);
    std::fs::remove_file(&place).unwrap();
    scene.alice.write("other.sealed.toml", &scene.foreign);
    std::os::unix::fs::symlink("other.sealed.toml", &place).unwrap();
    refused("a link to another vault", 3);
    assert_eq!(scene.alice.read("other.sealed.toml"), scene.foreign);
}

/// A home with `prod` and `staging`; in the second mallory is a reader.
fn two_vaults_of_one_team() -> (Home, Home) {
    let (home, mallory) = (Home::new(), Home::new());
    mallory.ok(&["keygen"]);
    let recipient = mallory.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]);
    home.ok(&["init", "-f", "prod.sealed.toml"]);
    home.ok(&["init", "-f", "staging.sealed.toml"]);
    home.ok(&["access", "add", "mallory", recipient.trim(), "-f", "staging.sealed.toml", "--yes"]);
    (home, mallory)
}

#[test]
fn a_link_to_another_known_vault_does_not_stand_in_for_it() {
    let (home, _mallory) = two_vaults_of_one_team();
    std::fs::remove_file(home.at("prod.sealed.toml")).unwrap();
    std::os::unix::fs::symlink("staging.sealed.toml", home.at("prod.sealed.toml")).unwrap();
    let before = home.read("staging.sealed.toml");
    let ran = home.run_with(&["set", "acme.password", "-f", "prod.sealed.toml"], b"PROD-SECRET");
    assert_eq!(ran.code, 3, "{}", ran.err);
    assert_eq!(home.read("staging.sealed.toml"), before);
    // A folder that became a link is no other case.
    std::fs::create_dir(home.at("staging")).unwrap();
    std::fs::create_dir(home.at("live")).unwrap();
    home.ok(&["init", "-f", "staging/app.sealed.toml"]);
    home.ok(&["init", "-f", "live/app.sealed.toml"]);
    std::fs::remove_dir_all(home.at("live")).unwrap();
    std::os::unix::fs::symlink("staging", home.at("live")).unwrap();
    assert_eq!(home.run_with(&["set", "acme.password", "-f", "live/app.sealed.toml"], b"PROD-SECRET").code, 3);
}

#[test]
fn an_empty_pin_does_not_switch_off_that_of_the_key_file() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    home.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    for empty in [" ", "\t", "\n"] {
        let ran = home.command(&["get", "password", "-i", "app.key"]).env("BOOTSEAL_PIN", empty).output().unwrap();
        assert_eq!(ran.status.code(), Some(2));
    }
}

#[test]
fn what_a_former_writer_signs_after_a_handover_is_not_taken_from_memory() {
    // The vault of this vector was handed over twice; `old` is its first id.
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(root().join("tests/vectors/vectors.json")).unwrap()).unwrap();
    let handed_over = "good/removed-and-handover.sealed.toml";
    let pins: Vec<&str> =
        rows.iter().filter(|row| row["file"] == handed_over).map(|row| row["pin"].as_str().unwrap()).collect();
    let home = Home::new();
    home.write("app.sealed.toml", std::fs::read(root().join("tests/vectors").join(handed_over)).unwrap());
    home.write("alice.key", std::fs::read(root().join("tests/vectors/alice.key")).unwrap());
    std::fs::set_permissions(home.at("alice.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let id = home.vault_id();
    let old = pins.iter().find(|pin| **pin != id).unwrap();
    // The writer's machine knew the old id, took the handover, and now knows that the old one is dead.
    let ran = home.run_with(&["set", "note", "-i", "alice.key", "--pin", old], b"x");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("renew the pin"), "{}", ran.err);
    let memory = home.read(".local/state/bootseal/known_vaults");
    assert!(
        memory.contains(&format!("vault = \"{id}\"")) && memory.contains("former = [") && memory.contains(*old),
        "{memory}"
    );
}

#[test]
fn a_pin_never_makes_a_new_vault() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    let id = home.vault_id();
    home.write("in.toml", "a = \"b\"\n");
    for args in [
        &["init", "-f", "new.sealed.toml", "--pin", &id][..],
        &["seal", "in.toml", "-f", "new.sealed.toml", "--pin", &id],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(!home.at("new.sealed.toml").exists());
    }
}

#[test]
fn a_key_without_a_pin_does_not_outvote_one_whose_pin_refuses() {
    let (ours, mallory) = (Home::with_vault("a = \"1\"\n"), Home::new());
    ours.ok(&["access", "add", "app", "--new-key", "app.key", "--yes"]);
    ours.ok(&["keygen", "-o", "bare.key"]);
    let bare = ours.ok(&["keygen", "-y", "bare.key"]);
    mallory.ok(&["init", "--reader", &format!("app={}", bare.trim())]);
    for folder in ["credentials", "config/bootseal"] {
        std::fs::create_dir_all(ours.at(folder)).unwrap();
    }
    std::fs::rename(ours.at("app.key"), ours.at("credentials/bootseal.key")).unwrap();
    std::fs::rename(ours.at("bare.key"), ours.at("config/bootseal/identity.txt")).unwrap();
    let variables = [("CREDENTIALS_DIRECTORY", ours.at("credentials")), ("XDG_CONFIG_HOME", ours.at("config"))];
    let variables = variables.map(|(name, path)| (name.to_owned(), path.into_os_string())).into_iter().collect();
    let error = bootseal::Loader::exactly(mallory.at("app.sealed.toml"))
        .environment(variables)
        .allow_unpinned()
        .load()
        .unwrap_err();
    assert_eq!(error.kind(), bootseal::Kind::WrongVault, "{error}");
}

#[test]
fn a_readable_value_that_looks_sealed_is_refused_when_it_is_set() {
    let home = Home::with_vault("password = \"hunter2\"\n");
    let before = home.read("app.sealed.toml");
    let ran = home.run(&["set", "foo", "--plain", &format!("sealed:{}", "A".repeat(139))]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn every_test_that_the_threat_model_names_is_there() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let shown = text.as_str();
    let named = |text: &str| -> Vec<String> {
        text.split('`').skip(1).step_by(2).filter(|word| word.contains(".rs::")).map(str::to_owned).collect()
    };
    let missing: Vec<String> = named(shown)
        .into_iter()
        .filter(|name| {
            let (file, function) = name.split_once("::").unwrap();
            let code = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            // A test, and not only a function of that name.
            let at = code.find(&format!("fn {function}("));
            !at.is_some_and(|at| {
                let above = code[..at].rsplit("}\n").next().unwrap();
                above.contains("test]") || above.contains("test(start_paused")
            })
        })
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    // A row without a test is a promise without proof.
    let rows = shown.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| who, with what in hand"));
    let bare: Vec<&str> = rows.filter(|row| named(row).is_empty()).collect();
    assert!(bare.is_empty() && named(shown).len() > 60, "{bare:#?}");
}
