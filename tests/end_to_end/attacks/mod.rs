//! Attacks on a sealed file by someone who can write it and has no key, against the commands that
//! read it and against the loader.

mod crafted_files;
mod edits;
mod junk_versions;
mod pins;
mod repositories;

use crate::support::{Home, Ran, root};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bootseal::Loader;
use bootseal_core::{
    Access, IdentityFile, Kind, Pin, Property, PropertyPath, Role, SealedFile, Secret, ValueKind,
    Vault,
};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

const FILE: &str = "app.sealed.toml";
/// Texts that never appear in the output of a command that refuses the file.
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

/// A vault of alice with a reader, and the attacker's material: another vault and an older copy.
struct Scene {
    alice: Home,
    text: String,
    older: String,
    pin: String,
    /// Mallory's vault: the same properties with another `acme.password`, sealed for our recipients,
    /// signed with Mallory's key.
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
        mallory.ok(&[
            "seal",
            "app.toml",
            "--keep-comments",
            "--writer",
            &own,
            "--writer",
            &writer,
            "--reader",
            &reader,
        ]);
        Scene {
            text: alice.read(FILE),
            pin: alice.vault_id(),
            foreign: mallory.read(FILE),
            alice,
            older,
        }
    }

    /// The results of the commands and of the loader for `bytes` in place of the file, under `pin`.
    fn readings(&self, bytes: &[u8], pin: &str) -> Vec<Reading> {
        self.alice.write(FILE, bytes);
        let ran = |name, ran: Ran| Reading {
            name,
            kind: kind_of(&ran),
            code: ran.code,
            out: ran.out,
            err: ran.err,
        };
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

    /// Every property of `text` under our pin, with its value opened.
    fn values(&self, text: &[u8]) -> bootseal_core::Result<BTreeMap<String, String>> {
        let file = SealedFile::parse(text.to_vec())?.verify(&[self.pinned()])?;
        let identities = IdentityFile::read(&self.alice.at("app.key"))?.identities;
        let vault = file.open(&identities)?;
        let values = vault.file().properties().map(|(path, property)| {
            let value = match property {
                Property::Readable(value) => value.to_string(),
                Property::Sealed(_) => vault.open(&path)?.secret.expose_str(str::to_owned).unwrap(),
            };
            Ok((path.to_string(), value))
        });
        values.collect()
    }
}

/// The result of one command, or of the loader.
struct Reading {
    name: &'static str,
    kind: Option<String>,
    code: i32,
    out: String,
    err: String,
}

impl Reading {
    /// What is wrong with this result, if anything: it must be an error of `kind` with its exit
    /// code, for exit code 3 with a next step, and without a secret.
    fn problem(&self, kind: Kind) -> Option<String> {
        let told = if self.kind.as_deref() != Some(kind.as_str())
            || self.code != i32::from(kind.exit_code())
        {
            format!("ended with {} ({:?}), not {} ({kind})", self.code, self.kind, kind.exit_code())
        } else if !self.out.is_empty() {
            "printed a result".into()
        } else if SECRETS.iter().any(|secret| self.err.contains(secret))
            || self.err.contains("sealed:")
        {
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
        Some(line) => {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["error"]["help"].is_string()
        }
        None => err.contains("\n  "),
    }
}

/// The start of an application with an empty environment.
fn load(file: &Path, key: &str) -> Reading {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("app.key");
    private(&key_file, key.as_bytes());
    let loaded = Loader::exactly(file).identity_file(&key_file).environment(HashMap::new()).load();
    let (kind, code, err) = match &loaded {
        Ok(_) => (None, 0, String::new()),
        Err(error) => {
            (Some(error.kind().to_string()), i32::from(error.exit_code()), error.to_string())
        }
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
    let lines =
        key.lines().filter(|line| !line.starts_with("# vault:")).map(|line| format!("{line}\n"));
    format!("# vault: {pin}\n{}", lines.collect::<String>())
}

fn access_of(home: &Home) -> BTreeMap<String, String> {
    let list: serde_json::Value =
        serde_json::from_str(&home.ok(&["access", "list", "--json"])).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    list["access"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (text(&row["name"]), text(&row["recipient"])))
        .collect()
}

/// The text with the first `from`, which must occur, replaced.
fn edit(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

/// The line of the file that begins with `start`.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.split_inclusive('\n')
        .find(|line| line.starts_with(start))
        .unwrap_or_else(|| panic!("{start}"))
}

/// The text from `start` to the next `end`, both included.
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
    line(text, "signature = ")
        .trim_end()
        .strip_prefix("signature = \"")
        .unwrap()
        .trim_end_matches('"')
}

/// The same text under another signature.
fn signed(text: &str, bytes: &[u8]) -> String {
    edit(text, signature(text), &BASE64_URL_SAFE_NO_PAD.encode(bytes))
}
