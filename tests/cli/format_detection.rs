//! The format of an input is recognised by its content, whatever its name ends with, and `--format`
//! decides.

use crate::import::{CANARY, age_key, exported, imported, list, sops, vaulted};
use crate::other_tools::{fed, java_sealed, python};
use crate::support::Home;
use serde_json::{Value, json};

const NAMES: [&str; 4] = ["settings.conf", "settings", "settings.yaml.enc", "settings.txt"];

#[test]
fn seal_recognises_every_format_by_its_content() {
    for (text, wanted) in [
        ("# c\ndb:\n  pw: x=y\nlist:\n- a: 1\n", json!({"db": {"pw": "x=y"}, "list": [{"a": 1}]})),
        ("{\"db\": {\"pw\": \"x\"}}\n", json!({"db": {"pw": "x"}})),
        ("# c\nexport DB_PW='x y'\nB=1\n", json!({"DB_PW": "x y", "B": "1"})),
        ("[db]\npw = \"x\"\nn = 1\n", json!({"db": {"pw": "x", "n": 1}})),
        ("! c\ndb.pw=x: y\ndb.n = 1\n", json!({"db": {"pw": "x: y", "n": "1"}})),
    ] {
        for name in NAMES {
            let home = Home::new();
            home.write(name, text);
            let ran = home.run(&["seal", name, "-o", "a.sealed.toml"]);
            assert_eq!(ran.code, 0, "{name}: {text:?}: {ran:?}");
            assert_eq!(exported(&home, "a.sealed.toml"), wanted, "{name}: {text:?}");
        }
    }
}

#[test]
fn an_unclear_content_is_refused_and_format_decides() {
    let home = Home::new();
    home.write("app.conf", "[section]\nname = unquoted\n");
    let ran = home.run(&["seal", "app.conf"]);
    let words = "the format of app.conf is not clear from its name and content";
    assert!(ran.code == 2 && ran.err.contains(words) && ran.err.contains("--format"), "{ran:?}");
    // The same text in two formats.
    home.write("app.conf", "a.b=x\n");
    for (format, wanted) in [("properties", json!({"a": {"b": "x"}})), ("env", json!({"a.b": "x"}))]
    {
        let out = format!("{format}.sealed.toml");
        home.ok(&["seal", "app.conf", "--format", format, "-o", &out]);
        assert_eq!(exported(&home, &out), wanted);
    }
    // A named format is never replaced by another one.
    home.write("app.conf", "a: 1\n");
    let ran = home.run(&["seal", "app.conf", "--format", "json", "-o", "never.sealed.toml"]);
    assert!(ran.code == 1 && ran.err.contains("not JSON"), "{ran:?}");
    // The name of a file may be wrong.
    home.write("app.json", "a: 1\n");
    let ran = home.run(&["seal", "app.json"]);
    let words = "the file is not json, but yaml, and was read as such";
    assert!(ran.code == 0 && ran.err.contains(words), "{ran:?}");
    home.write("app.toml", "a: 1\nb: 2\n");
    let ran = home.run(&["seal", "app.toml", "-o", "never.sealed.toml"]);
    assert!(ran.code == 1 && ran.err.contains("--format yaml"), "{ran:?}");
}

#[test]
fn files_of_other_tools_are_recognised_under_every_name() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    home.write("pw", "master");
    home.write("in.yaml", format!("pw: {CANARY}\n"));
    home.write("in.json", format!("{{\"pw\": \"{CANARY}\", \"n\": 1}}"));
    home.write("in.env", format!("pw={CANARY}\n"));
    home.write("in.ini", format!("[s]\npw = {CANARY}\n"));
    let jasypt = java_sealed(&["PBEWITHHMACSHA512ANDAES_256"], "master", &[CANARY]).remove(0);
    for (at, name) in
        ["app.conf", "secrets.yaml.enc", ".env.production", "secrets"].iter().enumerate()
    {
        for input in ["in.yaml", "in.json", "in.env", "in.ini"] {
            sops(&home, &["encrypt", "--age", &recipient, input], name);
            let out = format!("{at}-{input}.sealed.toml");
            let import = ["sops", name, "-o", &out, "--key-file", "age.key"];
            let ran = home.run(&[&["import", "--from"], &import[..]].concat());
            assert_eq!(ran.code, 0, "{name}, {input}: {ran:?}");
            // No remark on a binary file, which this is not.
            assert!(!ran.err.contains("binary"), "{name}, {input}: {ran:?}");
            let got = exported(&home, &out);
            let value = if input == "in.ini" { &got["s"]["pw"] } else { &got["pw"] };
            assert_eq!(value, &json!(CANARY), "{name}, {input}");
        }
        for (tool, text) in [
            ("yaml", format!("db:\n  pw: {jasypt}\n")),
            ("properties", format!("db.pw={jasypt}\ndb.x = 1\n")),
            ("toml", format!("[db]\npw = \"{jasypt}\"\n")),
        ] {
            // `.env.production` has the format that its name says.
            if *name == ".env.production" {
                continue;
            }
            home.write(name, text);
            let out = format!("{at}-{tool}.sealed.toml");
            let options: &[&str] = if name.contains("yaml") { &["--format", tool] } else { &[] };
            let import = ["jasypt", name, "-o", &out, "--key-file", "pw"];
            let table = imported(&home, &[&import[..], options].concat());
            assert_eq!(exported(&home, &out)["db"]["pw"], json!(CANARY), "{name}, {tool}");
            assert!(list(&table["sealed"]).contains(&"db.pw"));
        }
    }
}

#[test]
fn a_file_that_ansible_has_encrypted_keeps_its_format() {
    let home = Home::new();
    home.write("pw", "hunter2");
    for (name, text, wanted) in [
        ("settings.conf", "pw: s3cret\nn: 1\n", json!({"pw": "s3cret", "n": 1})),
        ("vars.yaml.enc", "pw: s3cret\n", json!({"pw": "s3cret"})),
        (".env.production", "PW='s3cret'\nN=1\n", json!({"PW": "s3cret", "N": "1"})),
        ("app.properties", "db.pw=s3cret\n", json!({"db": {"pw": "s3cret"}})),
        ("app.toml", "[db]\npw = \"s3cret\"\n", json!({"db": {"pw": "s3cret"}})),
        ("vault", "pw: s3cret\n", json!({"pw": "s3cret"})),
        (
            "id_key.vault",
            "-----BEGIN KEY-----\nx y\n",
            json!({"id_key": "-----BEGIN KEY-----\nx y\n"}),
        ),
    ] {
        home.write(name, text);
        vaulted(&home, &["encrypt", "--vault-password-file", "pw", name]);
        let out = format!("{}.sealed.toml", name.trim_start_matches('.'));
        let ran =
            home.run(&["import", "--from", "ansible-vault", name, "-o", &out, "--key-file", "pw"]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert_eq!(exported(&home, &out), wanted, "{name}");
        let one_value = ran.err.contains("is one value");
        assert_eq!(one_value, name == "id_key.vault", "{name}: {ran:?}");
        let table: Value = json!(ran.out);
        assert!(table.as_str().unwrap().contains("readable   nothing"), "{ran:?}");
    }
    // Content that does not have the format of its name is named.
    let mut vault = python(&home, "ansible-vault");
    let text = "pw: 'open\n";
    let args = ["encrypt", "--vault-password-file", "pw", "--output", "bad.yml", "-"];
    fed(vault.args(args), text.as_bytes());
    let ran = home.run(&["import", "--from", "ansible-vault", "bad.yml", "--key-file", "pw"]);
    assert!(ran.code == 1 && ran.err.contains("its decrypted content: line"), "{ran:?}");
}
