//! `import` copies the values of other tools unchanged, and refuses a wrong key or a changed file.
//! The tools themselves make the files.

use crate::other_tools::{dotenvx, fed, hard_values, java_sealed, python, said};
use crate::support;
use crate::support::{Home, Ran, unseen};
use serde_json::{Map, Value, json};
use std::process::Command;

pub(crate) const CANARY: &str = "can4ry-s3cret";

/// All values of a sealed file.
pub(crate) fn exported(home: &Home, file: &str) -> Value {
    serde_json::from_str(&home.ok(&["export", "--format", "json", "-f", file])).unwrap()
}

/// Runs an import that must succeed, and returns its JSON document.
pub(crate) fn imported(home: &Home, args: &[&str]) -> Value {
    let ran = home.run(&[&["import", "--json", "--from"], args].concat());
    assert_eq!(ran.code, 0, "{args:?}: {}", ran.err);
    silent(&ran);
    serde_json::from_str(&ran.out).unwrap()
}

/// Checks that no value was shown and nothing was executed.
pub(crate) fn silent(ran: &Ran) {
    for said in [&ran.out, &ran.err] {
        assert!(
            !said.contains("canary") && !said.contains(CANARY) && !said.contains("panicked"),
            "{}",
            &said[..said.len().min(2000)]
        );
    }
}

pub(crate) fn refused(home: &Home, code: i32, kind: &str, words: &str, args: &[&str]) -> Ran {
    let ran = home.run(&[&["import", "--from"], args].concat());
    assert!(ran.code == code && ran.err.contains(words), "{args:?}: {ran:?}");
    silent(&ran);
    let json = home.run(&[&["import", "--json", "--from"], args].concat());
    let error: Value = serde_json::from_str(json.err.lines().last().unwrap()).unwrap();
    assert_eq!(error["error"]["kind"], kind, "{args:?}");
    assert!(!home.at("never.sealed.toml").exists());
    ran
}

pub(crate) fn list(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

fn hard_map() -> Map<String, Value> {
    hard_values().into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}

/// Values of every type that a nested format can have.
fn settings() -> Value {
    json!({
        "shop": {
            "hard": hard_map(),
            "password": CANARY,
            "port": 8443, "negative": -1, "rate": 1.5, "tiny": 0.000_001, "whole": 3.0, "on": true, "off": false,
            "list": ["x", 1, true, {"pw": CANARY, "inner": [2.5, "y"]}],
            "deep": {"er": {"est": "z"}},
            "url_unencrypted": "https://shop.example/login", "port_unencrypted": 443, "rate_unencrypted": 0.25, "on_unencrypted": true
        }
    })
}

// sops

pub(crate) fn age_key(home: &Home, name: &str) -> String {
    said(Command::new("age-keygen").arg("-o").arg(home.at(name)));
    said(Command::new("age-keygen").arg("-y").arg(home.at(name))).trim().to_owned()
}

pub(crate) fn sops(home: &Home, args: &[&str], into: &str) {
    let text = said(python(home, "sops").args(args));
    home.write(into, text);
}

/// The values that sops itself reads from the file.
pub(crate) fn opened_by_sops(home: &Home, file: &str) -> Value {
    let mut sops = python(home, "sops");
    let text = said(sops.env("SOPS_AGE_KEY_FILE", home.at("age.key")).args([
        "decrypt",
        "--output-type",
        "json",
        file,
    ]));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn sops_yaml_and_json_keep_their_values() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    for name in ["in.yaml", "in.json"] {
        // JSON is YAML, apart from two line separators.
        let text = serde_json::to_string_pretty(&settings()).unwrap();
        home.write(name, text.replace('\u{85}', "\\u0085").replace('\u{2028}', "\\u2028"));
        let (sealed, out) = (format!("sealed-{name}"), format!("{name}.sealed.toml"));
        sops(&home, &["encrypt", "--age", &recipient, name], &sealed);
        let table = imported(&home, &["sops", &sealed, "-o", &out, "--key-file", "age.key"]);
        let got = exported(&home, &out);
        // In JSON sops writes 3.0 as 3.
        assert_eq!(
            if name == "in.yaml" { got.clone() } else { as_json(&got) },
            if name == "in.yaml" { settings() } else { as_json(&settings()) },
            "{name}"
        );
        assert_eq!(as_json(&got), as_json(&opened_by_sops(&home, &sealed)), "{name}");
        let mut readable = list(&table["readable"]);
        readable.sort_unstable();
        assert_eq!(
            readable,
            ["on", "port", "rate", "url"].map(|name| format!("shop.{name}_unencrypted"))
        );
        assert_eq!(list(&table["sealed"]).len(), hard_values().len() + 10);
        assert_eq!(table["weak"], json!([]));
        assert!(!home.read(&out).contains(CANARY));
        home.ok(&["verify", "-f", &out]);
    }
}

/// Converts numbers as JSON does, which has one kind of number.
pub(crate) fn as_json(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64().unwrap()),
        Value::Array(array) => array.iter().map(as_json).collect(),
        Value::Object(object) => {
            Value::Object(object.iter().map(|(key, value)| (key.clone(), as_json(value))).collect())
        }
        other => other.clone(),
    }
}

#[test]
fn sops_comments_nulls_times_and_multiple_documents_are_handled() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    home.write("in.yaml", "# can4ry-s3cret\na:\n  when: 2026-11-23\n  at_unencrypted: 2026-11-23\n  no: null\n  none: {}\n  with: [null]\n  r: 1.50 # rate\n---\nb: two\n");
    sops(&home, &["encrypt", "--age", &recipient, "in.yaml"], "e.yaml");
    // The places where sops itself looks for keys.
    std::fs::create_dir_all(home.at(".config/sops/age")).unwrap();
    std::fs::rename(home.at("age.key"), home.at(".config/sops/age/keys.txt")).unwrap();
    let table = imported(&home, &["sops", "e.yaml", "-o", "a.sealed.toml", "--as", "x.y"]);
    let wanted = json!({"x": {"y": {"a": {"when": "2026-11-23T00:00:00Z", "at_unencrypted": "2026-11-23T00:00:00Z", "r": 1.5}, "b": "two"}}});
    assert_eq!(exported(&home, "a.sealed.toml"), wanted);
    assert_eq!(list(&table["sealed"]), ["x.y.a.when", "x.y.a.r", "x.y.b"]);
    let left: Vec<&str> = table["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["a.no", "a.with", "a.none", "comments"]);
}

#[test]
fn sops_dotenv_ini_and_binary_files_keep_their_values() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    let value =
        |name: &str| name == "command" || name == "marks" || name == "unicode" || name == "quotes";
    let mut env = "# c\nEMPTY=\nQUOTED=\"as it is\"\nexport X=1\nLINES=one\\ntwo\n".to_owned();
    for (name, text) in hard_values().iter().filter(|(name, _)| value(name)) {
        env.push_str(&format!("{name}={text}\n"));
    }
    home.write("in.env", env);
    home.write(
        "in.ini",
        "top = 1\n[s e]\nPASSWORD = can4ry-s3cret\nq = `a;b#c`\nu = gr\u{fc}n\n; comment\n[two]\nx = y\n",
    );
    home.write("in.bin", [0xFF, 0, b'x', b'\n']);
    for name in ["in.env", "in.ini"] {
        let (sealed, out) = (format!("e.{}", &name[3..]), format!("{name}.sealed.toml"));
        let rule: &[&str] = if name == "in.ini" { &["--encrypted-regex", "PASSWORD"] } else { &[] };
        sops(&home, &[&["encrypt", "--age", &recipient], rule, &[name]].concat(), &sealed);
        let table = imported(&home, &["sops", &sealed, "-o", &out, "--key-file", "age.key"]);
        assert_eq!(exported(&home, &out), opened_by_sops(&home, &sealed), "{name}");
        if name == "in.ini" {
            assert_eq!(list(&table["sealed"]), ["\"s e\".PASSWORD"]);
            assert_eq!(
                list(&table["readable"]),
                ["DEFAULT.top", "\"s e\".q", "\"s e\".u", "two.x"]
            );
        }
    }
    sops(&home, &["encrypt", "--age", &recipient, "in.bin"], "e.bin");
    imported(
        &home,
        &["sops", "e.bin", "-o", "b.sealed.toml", "--key-file", "age.key", "--as", "tls"],
    );
    home.ok(&["get", "tls.data", "-f", "b.sealed.toml", "--out", "again.bin"]);
    assert_eq!(std::fs::read(home.at("again.bin")).unwrap(), [0xFF, 0, b'x', b'\n']);
    assert!(!home.at("ran").exists());
}

#[test]
fn sops_key_groups_need_as_many_keys_as_their_threshold() {
    let home = Home::new();
    let keys: Vec<String> =
        ["one.key", "two.key", "three.key"].iter().map(|name| age_key(&home, name)).collect();
    let groups: String = keys.iter().map(|key| format!("      - age: [{key}]\n")).collect();
    home.write(
        ".sops.yaml",
        format!("creation_rules:\n  - shamir_threshold: 2\n    key_groups:\n{groups}"),
    );
    home.write("in.yaml", format!("pw: {CANARY}\n"));
    sops(&home, &["encrypt", "in.yaml"], "e.yaml");
    for (out, pair) in [
        ("a", ["one.key", "two.key"]),
        ("b", ["three.key", "one.key"]),
        ("c", ["two.key", "three.key"]),
    ] {
        let out = format!("{out}.sealed.toml");
        imported(
            &home,
            &["sops", "e.yaml", "-o", &out, "--key-file", pair[0], "--key-file", pair[1]],
        );
        assert_eq!(exported(&home, &out), json!({"pw": CANARY}));
    }
    let words = "e.yaml: the available keys open 1 of 3 key groups, and 2 are needed";
    refused(
        &home,
        4,
        "no-identity",
        words,
        &["sops", "e.yaml", "-o", "never.sealed.toml", "--key-file", "two.key"],
    );
}

#[test]
fn a_sops_file_opens_with_an_ssh_key() {
    let home = Home::new();
    std::fs::create_dir(home.at(".ssh")).unwrap();
    said(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(home.at(".ssh/id_ed25519")),
    );
    let public = home.read(".ssh/id_ed25519.pub");
    home.write("in.yaml", format!("pw: {CANARY}\n"));
    sops(&home, &["encrypt", "--age", public.trim(), "in.yaml"], "e.yaml");
    imported(&home, &["sops", "e.yaml", "-o", "a.sealed.toml"]);
    assert_eq!(exported(&home, "a.sealed.toml"), json!({"pw": CANARY}));
}

#[test]
fn a_sops_file_opens_with_an_ssh_key_whose_passphrase_is_typed() {
    let home = Home::new();
    std::fs::create_dir(home.at(".ssh")).unwrap();
    let mut ssh_keygen = Command::new("ssh-keygen");
    said(
        ssh_keygen
            .args(["-q", "-t", "ed25519", "-N", "open sesame", "-f"])
            .arg(home.at(".ssh/id_ed25519")),
    );
    let public = home.read(".ssh/id_ed25519.pub");
    home.write("in.yaml", format!("pw: {CANARY}\n"));
    sops(&home, &["encrypt", "--age", public.trim(), "in.yaml"], "e.yaml");
    let import = ["import", "--from", "sops", "e.yaml", "-o", "app.sealed.toml"];
    let question = "*Passphrase of the SSH key ssh-ed25519";
    for (typed, code) in [("a guess\n", 4), ("\x03", 130)] {
        let ran = home.typed(&import, &[], &[(question, typed)]);
        assert!(
            ran.code == code && !ran.out.contains("guess") && !home.at("app.sealed.toml").exists(),
            "{ran:?}"
        );
    }
    refused(
        &home,
        4,
        "no-identity",
        "could not be asked for",
        &["sops", "e.yaml", "-o", "app.sealed.toml"],
    );
    let ran = home.typed(&import, &[], &[(question, "open sesame\n")]);
    assert!(ran.code == 0 && !ran.out.contains("sesame") && !ran.out.contains(CANARY), "{ran:?}");
    assert_eq!(home.ok(&["get", "pw"]), CANARY);
}

#[test]
fn a_sops_file_that_was_changed_or_has_another_key_is_refused() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    age_key(&home, "other.key");
    home.write(
        "in.yaml",
        format!("pw: {CANARY}\nuser: bob\nurl_unencrypted: https://shop.example\n"),
    );
    sops(&home, &["encrypt", "--age", &recipient, "in.yaml"], "e.yaml");
    let import = ["sops", "e.yaml", "-o", "never.sealed.toml", "--key-file"];
    refused(
        &home,
        4,
        "no-identity",
        "e.yaml: no available key opens it; tried the named keys",
        &[&import[..], &["other.key"]].concat(),
    );
    refused(&home, 4, "no-identity", &recipient, &import[..4]);
    refused(&home, 1, "not-found", "no such file", &[&import[..], &["absent.key"]].concat());
    refused(&home, 1, "malformed", "not an age identity", &[&import[..], &["in.yaml"]].concat());
    let good = home.read("e.yaml");
    let lines: Vec<&str> = good.lines().collect();
    let (pw, user) =
        (lines[0].strip_prefix("pw: ").unwrap(), lines[1].strip_prefix("user: ").unwrap());
    let with = |text: String, words: &str| {
        home.write("e.yaml", text);
        refused(&home, 3, "forged", words, &[&import[..], &["age.key"]].concat());
    };
    with(
        good.replace("https://shop.example", "https://evil.example"),
        "e.yaml: the MAC of sops does not match",
    );
    with(good.replacen(pw, user, 1), "e.yaml: pw: does not open with the data key");
    with(good.replacen(&format!("pw: {pw}\n"), "", 1), "the MAC of sops does not match");
    with(good.replacen(pw, "plain", 1), "the MAC of sops does not match");
    home.write("e.yaml", "pw: x\n");
    refused(
        &home,
        1,
        "malformed",
        "contains no metadata of sops",
        &[&import[..], &["age.key"]].concat(),
    );
    home.write("e.yaml", good.replace("age:", "pgp:"));
    refused(&home, 4, "no-identity", "has no age recipient", &[&import[..], &["age.key"]].concat());
}

#[test]
fn sops_mac_only_encrypted_is_a_warning() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    home.write("in.yaml", format!("pw: {CANARY}\nurl_unencrypted: https://shop.example\n"));
    home.write(
        ".sops.yaml",
        format!("creation_rules:\n  - mac_only_encrypted: true\n    age: {recipient}\n"),
    );
    sops(&home, &["encrypt", "in.yaml"], "e.yaml");
    let ran = home.run(&[
        "import",
        "--from",
        "sops",
        "e.yaml",
        "-o",
        "a.sealed.toml",
        "--key-file",
        "age.key",
    ]);
    assert!(ran.code == 0 && ran.err.contains("mac_only_encrypted: anyone"), "{}", ran.err);
}

// ansible-vault

pub(crate) fn vaulted(home: &Home, args: &[&str]) {
    said(python(home, "ansible-vault").args(args));
}

#[test]
fn null_is_listed_as_left_out_by_default_and_by_choice() {
    let home = Home::new();
    home.write("pw", "hunter2");
    for name in ["in.json", "in.yaml"] {
        home.write(name, r#"{"pw": "x", "no": null, "with": [null]}"#);
        vaulted(&home, &["encrypt", "--vault-password-file", "pw", name]);
        let import = |more: &[&str], out: &str| {
            let args = ["ansible-vault", name, "-o", out, "--key-file", "pw"];
            imported(&home, &[&args, more].concat())["left_out"].clone()
        };
        let by_default = import(&[], &format!("{name}.1.sealed.toml"));
        assert_eq!(by_default.as_array().unwrap().len(), 2, "{by_default}");
        let chosen = import(&["--null", "skip"], &format!("{name}.2.sealed.toml"));
        assert_eq!(chosen, by_default, "{name}");
        let empty = import(&["--null", "empty"], &format!("{name}.3.sealed.toml"));
        assert_eq!(empty, json!([]), "{name}");
    }
}

#[test]
fn ansible_vault_files_and_single_values_are_imported() {
    let home = Home::new();
    home.write("pw", "hunter2-\u{e4}\n");
    home.write("other", "another");
    let all = json!({"hard": hard_map(), "pw": CANARY, "port": 8443, "rate": 1.5, "on": true, "list": [1, {"x": "y"}], "no": null});
    home.write("vault.yml", all.to_string());
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "vault.yml"]);
    let table =
        imported(&home, &["ansible-vault", "vault.yml", "-o", "a.sealed.toml", "--key-file", "pw"]);
    let mut wanted = all.clone();
    wanted.as_object_mut().unwrap().remove("no");
    assert_eq!(exported(&home, "a.sealed.toml"), wanted);
    assert_eq!(table["readable"], json!([]));
    assert_eq!(table["weak"][0]["scheme"], "ansible-vault");
    assert!(
        table["weak"][0]["advice"]
            .as_str()
            .unwrap()
            .starts_with("change these credentials at the vendor")
    );
    assert_eq!(table["left_out"][0]["name"], "no");
    // Single encrypted values under two vault ids, each with its own password.
    let mut inline = "plain: 5\nlist:\n- x\nnested:\n  url: https://shop.example\n".to_owned();
    for (at, (name, value)) in
        hard_values().iter().enumerate().filter(|(_, (name, _))| *name != "empty")
    {
        let id = if at % 2 == 0 { "dev@pw" } else { "prod@other" };
        let mut command = python(&home, "ansible-vault");
        command.args([
            "encrypt_string",
            "--vault-id",
            id,
            "--encrypt-vault-id",
            id.split('@').next().unwrap(),
            "--stdin-name",
            name,
        ]);
        inline.push_str(&fed(&mut command, value.as_bytes()));
        inline.push('\n');
    }
    home.write("inline.yml", inline);
    let table = imported(
        &home,
        &[
            "ansible-vault",
            "inline.yml",
            "-o",
            "b.sealed.toml",
            "--key-file",
            "pw",
            "--key-file",
            "other",
        ],
    );
    let mut wanted = hard_map();
    wanted.remove("empty");
    wanted.extend(
        json!({"plain": 5, "list": ["x"], "nested": {"url": "https://shop.example"}})
            .as_object()
            .unwrap()
            .clone(),
    );
    assert_eq!(exported(&home, "b.sealed.toml"), Value::Object(wanted));
    assert_eq!(list(&table["readable"]), ["plain", "list", "nested.url"]);
    assert!(!home.at("ran").exists());
    // A text that is not YAML becomes one value.
    home.write("server.key", [0xFF, 0, 1]);
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "server.key"]);
    imported(
        &home,
        &["ansible-vault", "server.key", "-o", "c.sealed.toml", "--key-file", "pw", "--as", "tls"],
    );
    home.ok(&["get", "tls.\"server.key\"", "-f", "c.sealed.toml", "--out", "again.key"]);
    assert_eq!(std::fs::read(home.at("again.key")).unwrap(), [0xFF, 0, 1]);
}

#[test]
fn ansible_vault_password_files_and_descriptors_are_read_and_never_executed() {
    let home = Home::new();
    home.write("pw", "  hunter2 \n\n");
    home.write("in.yml", format!("pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "in.yml"]);
    let import = ["import", "--from", "ansible-vault", "in.yml", "-o"];
    home.ok_with(&[&import[..], &["a.sealed.toml", "--key-fd", "0"]].concat(), b"hunter2\n");
    let mut variable = home.command(&[&import[..], &["b.sealed.toml"]].concat());
    assert!(variable.env("ANSIBLE_VAULT_PASSWORD_FILE", "pw").output().unwrap().status.success());
    home.write("program", "#!/bin/sh\ntouch ran\necho hunter2\n");
    std::fs::set_permissions(
        home.at("program"),
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .unwrap();
    let never = ["ansible-vault", "in.yml", "-o", "never.sealed.toml"];
    refused(
        &home,
        2,
        "usage",
        "program: is an executable file",
        &[&never[..], &["--key-file", "program"]].concat(),
    );
    assert!(!home.at("ran").exists());
    home.write("wrong", "hunter3");
    refused(
        &home,
        4,
        "wrong-passphrase",
        "in.yml: the vault password does not open it",
        &[&never[..], &["--key-file", "wrong"]].concat(),
    );
    refused(&home, 2, "no-terminal", "Vault password: there is no terminal", &never);
    let typing = [&import[..], &["typed.sealed.toml"]].concat();
    for (typed, code) in [("hunter3\n", 4), ("\x03", 130), ("hunter2\n", 0)] {
        let ran = home.typed(&typing, &[], &[("*Vault password: ", typed)]);
        assert!(ran.code == code && !ran.out.contains("hunter"), "{typed:?}: {ran:?}");
        assert_eq!(home.at("typed.sealed.toml").exists(), code == 0, "{typed:?}");
    }
    let good = home.read("in.yml");
    for (text, words) in [
        (good.replace(";1.1;", ";1.0;"), "ansible-vault 1.0"),
        (good.replace("AES256", "AES"), "does not begin with"),
        (good[..good.len() - 40].to_owned(), "in.yml: "),
        (good.lines().next().unwrap().to_owned(), "not a complete ansible-vault envelope"),
        (good.replacen('3', "x", 2), "in.yml: "),
        ("a: 1\n".into(), "contains nothing that ansible-vault has encrypted"),
    ] {
        home.write("in.yml", text);
        let ran = home.run(&[&["import", "--from"], &never[..], &["--key-file", "pw"]].concat());
        assert!([1, 4].contains(&ran.code) && ran.err.contains(words), "{words}: {ran:?}");
        silent(&ran);
    }
}

#[test]
fn an_imported_file_cannot_cause_unbounded_work() {
    let home = Home::new();
    home.write("pw", "hunter2");
    let inner = |salt: usize| format!("{:064x}\n{:064x}\n{:032x}", salt, 1, 2);
    let hex = |text: String| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let values: String = (0..10_001)
        .map(|at| format!("v{at}: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  {}\n", hex(inner(at))))
        .collect();
    home.write("in.yml", values);
    // The first value is refused, so that no further key is derived.
    refused(
        &home,
        4,
        "wrong-passphrase",
        "v0",
        &["ansible-vault", "in.yml", "-o", "never.sealed.toml", "--key-file", "pw"],
    );
    let many: String =
        (0..10_001).map(|at| format!("k{at}=ENC(1caL07qwobR0MsWsuujIig==)\n")).collect();
    home.write("in.properties", many);
    refused(
        &home,
        1,
        "malformed",
        "more than 10000 encrypted values",
        &["jasypt", "in.properties", "-o", "never.sealed.toml", "--key-file", "pw"],
    );
    home.write("large.properties", vec![b'#'; (16 << 20) + 1]);
    refused(
        &home,
        1,
        "malformed",
        "larger than 16 MiB",
        &["jasypt", "large.properties", "-o", "never.sealed.toml", "--key-file", "pw"],
    );
    home.write("one.properties", "k=ENC(1caL07qwobR0MsWsuujIig==)\n");
    home.write("long.key", vec![b'a'; (64 << 10) + 1]);
    refused(
        &home,
        2,
        "usage",
        "longer than 64 KiB",
        &["jasypt", "one.properties", "-o", "never.sealed.toml", "--key-file", "long.key"],
    );
}

// Jasypt

const PASSWORD: &str = "jasypt pa\\ss=w0rd";

/// A `.properties` file with these values encrypted, and one in plaintext.
fn jasypt(home: &Home, algorithm: &[&str], password: &str, values: &[(&str, String)]) {
    let texts: Vec<&str> = values.iter().map(|(_, value)| value.as_str()).collect();
    let sealed = java_sealed(algorithm, password, &texts);
    let lines =
        values.iter().zip(sealed).map(|((name, _), sealed)| format!("shop.{name}={sealed}\n"));
    home.write(
        "in.properties",
        format!("shop.url=https://shop.example\n{}", lines.collect::<String>()),
    );
}

#[test]
fn jasypt_values_of_every_algorithm_are_imported() {
    let home = Home::new();
    home.write("pw", format!("{PASSWORD}\n"));
    for (at, algorithm) in [
        "PBEWithMD5AndDES",
        "PBEWithMD5AndTripleDES",
        "PBEWithSHA1AndDESede",
        "PBEWITHHMACSHA1ANDAES_128",
        "PBEWITHHMACSHA224ANDAES_256",
        "PBEWITHHMACSHA256ANDAES_128",
        "PBEWITHHMACSHA384ANDAES_256",
        "PBEWITHHMACSHA512ANDAES_256",
        "PBEWITHSHA256AND128BITAES-CBC-BC",
        "PBEWITHSHA256AND256BITAES-CBC-BC",
        "PBEWITHSHAAND192BITAES-CBC-BC",
    ]
    .iter()
    .enumerate()
    {
        // The long value takes nine tenths of the time.
        let whole = at % 5 == 2;
        let values: Vec<_> =
            hard_values().into_iter().filter(|(name, _)| whole || *name != "long").collect();
        jasypt(&home, &[algorithm], PASSWORD, &values);
        let out = format!("{at}.sealed.toml");
        let table = imported(
            &home,
            &["jasypt", "in.properties", "-o", &out, "--key-file", "pw", "--algorithm", algorithm],
        );
        let mut wanted: Map<String, Value> =
            values.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        wanted.insert("url".into(), json!("https://shop.example"));
        assert_eq!(exported(&home, &out), json!({"shop": wanted}), "{algorithm}");
        assert_eq!(list(&table["readable"]), ["shop.url"]);
        assert_eq!(list(&table["sealed"]).len(), values.len());
        assert_eq!(table["weak"][0]["scheme"], *algorithm);
    }
    assert!(!home.at("ran").exists());
}

#[test]
fn jasypt_detects_the_usual_algorithms_and_reports_weak_ones() {
    let home = Home::new();
    home.write("pw", PASSWORD);
    let values: Vec<_> = hard_values().into_iter().filter(|(name, _)| *name != "long").collect();
    for algorithm in [
        "PBEWithMD5AndDES",
        "PBEWithMD5AndTripleDES",
        "PBEWITHHMACSHA512ANDAES_256",
        "PBEWITHSHA256AND256BITAES-CBC-BC",
    ] {
        jasypt(&home, &[algorithm], PASSWORD, &values);
        let out = format!("{algorithm}.sealed.toml");
        let ran = home.run(&[
            "import",
            "--from",
            "jasypt",
            "in.properties",
            "-o",
            &out,
            "--key-file",
            "pw",
        ]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let line = format!("\nweak       {algorithm}: ");
        assert!(
            ran.out.contains(&line) && ran.out.contains("change these credentials at the vendor"),
            "{}",
            ran.out
        );
        assert!(
            ran.err.contains(
                "shop.command: the value contains `$(`, `${` or `{{`, which is taken literally"
            ),
            "{}",
            ran.err
        );
    }
    home.write("wrong", "jasypt password");
    let never = ["jasypt", "in.properties", "-o", "never.sealed.toml", "--key-file"];
    refused(
        &home,
        4,
        "wrong-passphrase",
        "no common algorithm opens all values with this password",
        &[&never[..], &["wrong"]].concat(),
    );
    refused(
        &home,
        4,
        "wrong-passphrase",
        "does not open with this password and pbewithmd5anddes",
        &[&never[..], &["wrong", "--algorithm", "pbewithmd5anddes"]].concat(),
    );
    refused(
        &home,
        2,
        "usage",
        "Jasypt's RSA is not supported",
        &[&never[..], &["pw", "--algorithm", "RSA"]].concat(),
    );
    refused(
        &home,
        2,
        "usage",
        "is not a supported algorithm",
        &[&never[..], &["pw", "--algorithm", "PBEWithRot13"]].concat(),
    );
    for text in ["a=ENC(!)\n", "a=ENC(abc)\n", "a=ENC(AAAA)\n", "a=ENC(ABC)\n", "a=ENC()\n"] {
        home.write("in.properties", text);
        let ran = home.run(&[&["import", "--from"], &never[..], &["pw"]].concat());
        assert!([1, 4].contains(&ran.code), "{text}: {ran:?}");
    }
    home.write("in.properties", "a=b\n");
    refused(&home, 1, "malformed", "contains no ENC(…)", &[&never[..], &["pw"]].concat());
}

#[test]
fn jasypt_yaml_and_gcm_values_are_imported() {
    let home = Home::new();
    home.write("pw", PASSWORD);
    let sealed = java_sealed(&["PBEWithMD5AndDES"], PASSWORD, &[CANARY, "x"]);
    home.write(
        "in.yml",
        format!(
            "shop:\n  pw: {}\n  port: 8443\n  list: [a, '{}']\n  none:\n",
            sealed[0], sealed[1]
        ),
    );
    let table = imported(
        &home,
        &[
            "jasypt",
            "in.yml",
            "-o",
            "a.sealed.toml",
            "--key-file",
            "pw",
            "--algorithm",
            "PBEWithMD5AndDES",
        ],
    );
    assert_eq!(
        exported(&home, "a.sealed.toml"),
        json!({"shop": {"pw": CANARY, "port": 8443, "list": ["a", "x"]}})
    );
    assert_eq!(list(&table["sealed"]), ["shop.pw", "shop.list"]);
    let values = hard_values();
    // With a key, and with a password and its salt.
    let key = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
    jasypt(&home, &["gcm"], key, &values);
    home.write("key", key);
    let gcm = ["--algorithm", "AES/GCM/NoPadding"];
    let table = imported(
        &home,
        &[&["jasypt", "in.properties", "-o", "b.sealed.toml", "--key-file", "key"], &gcm[..]]
            .concat(),
    );
    assert_eq!(table["weak"], json!([]));
    jasypt(&home, &["gcm-password", "c2FsdHNhbHQ="], PASSWORD, &values);
    let salted = [
        "jasypt",
        "in.properties",
        "-o",
        "c.sealed.toml",
        "--key-file",
        "pw",
        "--salt",
        "c2FsdHNhbHQ=",
    ];
    assert_eq!(
        imported(&home, &[&salted[..], &gcm[..]].concat())["weak"][0]["scheme"],
        "AES/GCM/NoPadding"
    );
    let mut wanted = hard_map();
    wanted.insert("url".into(), json!("https://shop.example"));
    assert_eq!(exported(&home, "b.sealed.toml"), json!({"shop": wanted}));
    assert_eq!(exported(&home, "c.sealed.toml"), json!({"shop": wanted}));
}

#[test]
fn a_password_is_asked_for_without_echo() {
    let home = Home::new();
    jasypt(
        &home,
        &["PBEWithMD5AndDES"],
        PASSWORD,
        &[("pw", CANARY.into()), ("other", "something longer".into())],
    );
    let args = ["import", "--from", "jasypt", "in.properties", "-o", "a.sealed.toml"];
    let ran = home.typed(&args, &[], &[("*Jasypt's password: ", &format!("{PASSWORD}\n"))]);
    assert!(ran.code == 0 && ran.out.contains("PBEWithMD5AndDES"), "{ran:?}");
    assert!(!ran.out.contains(PASSWORD) && !ran.out.contains(CANARY), "{ran:?}");
    assert_eq!(home.ok(&["get", "shop.pw"]), CANARY);
}

// dotenvx

#[test]
fn dotenvx_values_equal_those_of_dotenvx_itself() {
    let home = Home::new();
    let text = "# canary\nUSER=bob\nPW=\"s3 \\\"c#\\ngr\u{fc}n\\t\"\nSQ='a $X $(touch ran) #x\\n'\nE=\nB=`back \"t'k`\nexport X=1 # c\nCUT=ab#cd\n\
                MULTI=\"one\ntwo\"\n  SPACED  =  x y  \nCOLON: z\nDUP=1\nDUP=2\n";
    // dotenvx itself fails at 1 MiB, because it makes a regular expression of the value.
    let long = "canary \u{e4}".repeat(1000);
    home.write(".env.production", format!("{text}LONG='{long}'\n"));
    home.write("plain.env", text);
    dotenvx(&home, &["encrypt", "-f", ".env.production"]);
    assert!(home.read(".env.production").contains("encrypted:"));
    let wanted: Value =
        serde_json::from_str(&dotenvx(&home, &["get", "-f", ".env.production"])).unwrap();
    let table = imported(&home, &["dotenvx", ".env.production", "-o", "a.sealed.toml"]);
    let mut got = exported(&home, "a.sealed.toml");
    got["DOTENV_PUBLIC_KEY_PRODUCTION"] = wanted["DOTENV_PUBLIC_KEY_PRODUCTION"].clone();
    for (name, value) in wanted.as_object().unwrap() {
        assert_eq!(got.get(name), Some(value), "{name}");
    }
    assert_eq!(got.as_object().unwrap().len(), wanted.as_object().unwrap().len());
    assert!(!home.at("ran").exists());
    let left: Vec<&str> = table["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["name"].as_str().unwrap())
        .collect();
    assert_eq!(left, ["comments", "DOTENV_PUBLIC_KEY_PRODUCTION"]);
}

#[test]
fn a_dotenvx_file_with_another_key_or_a_changed_value_is_refused() {
    let home = Home::new();
    home.write(".env", format!("PW={CANARY}\nUSER=bob\nPLAIN=x\n"));
    dotenvx(&home, &["encrypt", "-f", ".env", "-ek", "PLAIN"]);
    // Only the key, on stdin and at a prompt.
    let keys = home.read(".env.keys");
    let key = keys.lines().last().unwrap().split_once('=').unwrap().1.trim_matches('"').to_owned();
    std::fs::remove_file(home.at(".env.keys")).unwrap();
    home.ok_with(
        &["import", "--from", "dotenvx", ".env", "-o", "a.sealed.toml", "--key-fd", "0"],
        format!("{key}\n").as_bytes(),
    );
    assert_eq!(
        exported(&home, "a.sealed.toml"),
        json!({"PW": CANARY, "USER": "bob", "PLAIN": "x"})
    );
    let typed = home.typed(
        &["import", "--from", "dotenvx", ".env", "-o", "b.sealed.toml"],
        &[],
        &[("*private key: ", &format!("{key}\n"))],
    );
    assert!(typed.code == 0 && !typed.out.contains(&key), "{typed:?}");
    let list: Value =
        serde_json::from_str(&home.ok(&["list", "--json", "-f", "b.sealed.toml"])).unwrap();
    let sealed: Vec<bool> = list["properties"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| row["sealed"].as_bool().unwrap())
        .collect();
    assert_eq!(sealed, [true, true, false]);
    let never = ["dotenvx", ".env", "-o", "never.sealed.toml"];
    refused(&home, 2, "no-terminal", "dotenvx's private key: there is no terminal", &never);
    home.write("other.keys", format!("DOTENV_PRIVATE_KEY={}\n", "11".repeat(32)));
    refused(
        &home,
        4,
        "no-identity",
        ".env: no available private key matches this file's public key",
        &[&never[..], &["--key-file", "other.keys"]].concat(),
    );
    home.write("other.keys", "DOTENV_PRIVATE_KEY=abc\n");
    refused(
        &home,
        1,
        "malformed",
        "64 hexadecimal digits",
        &[&never[..], &["--key-file", "other.keys"]].concat(),
    );
    home.write("key", &key);
    let good = home.read(".env");
    let at = good.find("PW=encrypted:").unwrap() + 120;
    let changed = if &good[at..=at] == "A" { "B" } else { "A" };
    for text in [
        format!("{}{changed}{}", &good[..at], &good[at + 1..]),
        good.replacen("PW=encrypted:", "PW=encrypted:AA", 1),
    ] {
        home.write(".env", text);
        let ran = home.run(&[&["import", "--from"], &never[..], &["--key-file", "key"]].concat());
        assert!([1, 3].contains(&ran.code) && ran.err.contains(".env: PW: "), "{ran:?}");
    }
    home.write(".env", "A=1\n");
    refused(
        &home,
        1,
        "malformed",
        "contains nothing that dotenvx has encrypted",
        &[&never[..], &["--key-file", "key"]].concat(),
    );
}

// Spring

#[test]
fn spring_cipher_values_are_imported() {
    let home = Home::new();
    home.write("key", "spring-key-\u{e4}\n");
    let texts: Vec<String> = hard_values().into_iter().map(|(_, value)| value).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    for (at, salt) in [&[][..], &["0a0b0c0d"]].into_iter().enumerate() {
        let sealed = java_sealed(&[&["spring"], salt].concat(), "spring-key-\u{e4}", &texts);
        let sealed = hard_values()
            .into_iter()
            .zip(sealed)
            .map(|((name, _), sealed)| (name.to_owned(), json!(sealed)));
        let mut values: Map<String, Value> = sealed.collect();
        let alias = values["quotes"].as_str().unwrap().replace("{cipher}", "{cipher}{key:main}");
        values.insert("quotes".into(), json!(alias));
        home.write(
            "application.yml",
            json!({"shop": values, "list": [values["words"]], "url": "${HOST}/x", "port": 1})
                .to_string(),
        );
        let out = format!("{at}.sealed.toml");
        let salt: Vec<&str> = salt.iter().flat_map(|salt| ["--salt", salt]).collect();
        let table = imported(
            &home,
            &[&["spring", "application.yml", "-o", &out, "--key-file", "key"], &salt[..]].concat(),
        );
        assert_eq!(
            exported(&home, &out),
            json!({"shop": hard_map(), "list": ["no"], "url": "${HOST}/x", "port": 1})
        );
        assert_eq!(list(&table["readable"]), ["port", "url"]);
        assert_eq!(table["weak"][0]["scheme"], "{cipher} with a symmetric key");
    }
    let never = ["spring", "application.yml", "-o", "never.sealed.toml", "--key-file", "key"];
    refused(&home, 4, "wrong-passphrase", "does not open with this encrypt.key", &never);
    home.write("rsa", "-----BEGIN RSA PRIVATE KEY-----\n");
    refused(
        &home,
        2,
        "usage",
        "is an RSA key, which is not supported",
        &[&never[..5], &["rsa"]].concat(),
    );
    for text in
        ["a: '{cipher}zz'\n", "a: '{cipher}'\n", "a: '{cipher}00'\n", "a: '{cipher}{key:x}'\n"]
    {
        home.write("application.yml", text);
        let ran = home.run(&[&["import", "--from"], &never[..]].concat());
        assert!([1, 4].contains(&ran.code), "{text}: {ran:?}");
    }
}

// All tools

#[test]
fn import_adds_to_an_existing_file_and_never_replaces_one() {
    let home = Home::with_vault("user = \"bob\"\n");
    home.write("pw", "hunter2");
    home.write("in.yml", format!("pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "in.yml"]);
    let import = ["ansible-vault", "in.yml", "--key-file", "pw"];
    imported(&home, &[&import[..], &["-f", "app.sealed.toml", "--as", "shop"]].concat());
    assert_eq!(exported(&home, "app.sealed.toml"), json!({"user": "bob", "shop": {"pw": CANARY}}));
    let ran = home.run(&[&["import", "--from"], &import[..], &["-o", "app.sealed.toml"]].concat());
    assert!(ran.code == 1 && ran.err.contains("exists already"), "{ran:?}");
    // Without -o the new file is beside the old one.
    imported(&home, &import);
    assert!(home.at("in.sealed.toml").exists());
    for options in
        [&["--salt", "00"][..], &["--algorithm", "x"], &["--iterations", "9"], &["--as", "a..b"]]
    {
        let ran = home.run(
            &[&["import", "--from"], &import[..], &["-o", "never.sealed.toml"], options].concat(),
        );
        assert!(ran.code == 2 || ran.code == 1, "{options:?}: {ran:?}");
        assert!(!home.at("never.sealed.toml").exists());
    }
}

#[test]
fn import_puts_no_plaintext_on_a_disk_in_argv_or_in_the_environment() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("pw", "hunter2-passw0rd");
    home.write("in.yml", format!("pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "in.yml"]);
    let mut strace = Command::new("strace");
    strace.args([
        "-f",
        "-qq",
        "-s",
        "65536",
        "-e",
        "trace=write,pwrite64,writev,openat,rename,renameat2,execve,sendto",
        "-o",
    ]);
    strace.arg(home.at("trace")).arg(env!("CARGO_BIN_EXE_bootseal"));
    strace.args([
        "import",
        "--from",
        "ansible-vault",
        "in.yml",
        "-o",
        "a.sealed.toml",
        "--key-file",
        "pw",
    ]);
    said(
        strace
            .current_dir(home.path())
            .env_clear()
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin"),
    );
    let trace = home.read("trace");
    assert!(
        trace.contains("a.sealed.toml") && trace.contains("execve") && trace.contains("sealed:"),
        "{trace}"
    );
    assert!(!trace.contains(CANARY) && !trace.contains("hunter2-passw0rd"), "{trace}");
    assert!(!trace.lines().any(unseen), "{trace}");
    assert_eq!(home.ok(&["get", "pw", "-f", "a.sealed.toml"]), CANARY);
}

#[test]
fn each_command_of_the_importing_page_works_as_printed() {
    let document = std::fs::read_to_string(support::root().join("docs/importing.md")).unwrap();
    let lines: Vec<&str> = document
        .lines()
        .filter_map(|line| {
            line.strip_prefix("| ")?.split_once(" | `bootseal import ")?.1.strip_suffix("` |")
        })
        .collect();
    assert_eq!(lines.len(), 5);
    let home = Home::new();
    for line in lines {
        let args: Vec<&str> = line.split(' ').collect();
        let (tool, input) = (args[1], args[2]);
        std::fs::create_dir_all(home.at(input).parent().unwrap()).unwrap();
        let typed: (&str, &str) = match tool {
            "sops" => {
                std::fs::create_dir_all(home.at(".config/sops/age")).unwrap();
                let recipient = age_key(&home, ".config/sops/age/keys.txt");
                home.write("in.yaml", format!("pw: {CANARY}\n"));
                sops(&home, &["encrypt", "--age", &recipient, "in.yaml"], input);
                ("", "")
            }
            "ansible-vault" => {
                home.write("pw", "hunter2");
                home.write(input, format!("pw: {CANARY}\n"));
                vaulted(&home, &["encrypt", "--vault-password-file", "pw", input]);
                ("*Vault password: ", "hunter2\n")
            }
            "jasypt" => {
                let sealed = java_sealed(&["PBEWITHHMACSHA512ANDAES_256"], PASSWORD, &[CANARY]);
                home.write(input, format!("pw={}\n", sealed[0]));
                ("*Jasypt's password: ", "jasypt pa\\ss=w0rd\n")
            }
            "dotenvx" => {
                home.write(input, format!("pw={CANARY}\n"));
                dotenvx(&home, &["encrypt", "-f", input]);
                ("", "")
            }
            _ => {
                let sealed = java_sealed(&["spring"], "spring-key", &[CANARY]);
                home.write(input, format!("pw: '{}'\n", sealed[0]));
                ("*encrypt.key: ", "spring-key\n")
            }
        };
        let answers = if typed.0.is_empty() { vec![] } else { vec![typed] };
        let ran = home.typed(&[&["import"], &args[..]].concat(), &[], &answers);
        assert_eq!(ran.code, 0, "{line}: {ran:?}");
        assert_eq!(exported(&home, "app.sealed.toml"), json!({"pw": CANARY}), "{line}");
        std::fs::remove_file(home.at("app.sealed.toml")).unwrap();
        std::fs::remove_dir_all(home.at(".local")).unwrap();
    }
}
