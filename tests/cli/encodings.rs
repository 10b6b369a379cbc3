//! Inputs, keys, pins and passphrases in the encodings that other programs write: each is read as
//! the program that owns it reads it, or refused by the name of its encoding. Java decides for
//! `.properties`.

use crate::import::{exported, imported, vaulted};
use crate::other_tools::{java, java_sealed};
use crate::support::{Home, Ran};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Map, Value, json};

/// Encodes as Windows PowerShell does.
fn utf16(text: &str) -> Vec<u8> {
    std::iter::once(0xFEFF).chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|next| u8::try_from(u32::from(next)).unwrap()).collect()
}

/// What `java.util.Properties.load(InputStream)` reads.
fn read_by_java(bytes: &[u8]) -> Value {
    let decode = |text: &str| String::from_utf8(BASE64_STANDARD.decode(text).unwrap()).unwrap();
    let lines = java("ReadProperties.java", &[], bytes);
    let pairs = lines.lines().map(|line| {
        let (name, value) = line.split_once(' ').unwrap();
        (decode(name), json!(decode(value)))
    });
    Value::Object(pairs.collect::<Map<_, _>>())
}

fn sealed(home: &Home, name: &str, bytes: &[u8], options: &[&str]) -> (Ran, Value) {
    home.write(name, bytes);
    let _ = std::fs::remove_file(home.at("out.sealed.toml"));
    let _ = std::fs::remove_dir_all(home.at(".local"));
    let ran = home.run(&[&["seal", name, "-o", "out.sealed.toml"], options].concat());
    let value = if ran.code == 0 { exported(home, "out.sealed.toml") } else { Value::Null };
    (ran, value)
}

#[test]
fn properties_are_read_as_java_reads_them_or_with_a_warning() {
    let home = Home::new();
    let text = "# f\u{fc}r\npw=M\u{fc}ller\u{df}\nplain=x\nk\u{e9}y=\\u00fc\n";
    let (ran, value) = sealed(&home, "app.properties", &latin1(text), &[]);
    assert_eq!(value, read_by_java(&latin1(text)));
    assert!(ran.err.contains("read as ISO 8859-1, as in Java"), "{ran:?}");
    // A comment alone, or an escape, is no reason for a remark.
    let (ran, value) = sealed(&home, "app.properties", &latin1("# f\u{fc}r\npw=\\u00fc\n"), &[]);
    assert_eq!((value, ran.err.contains("8859")), (json!({"pw": "\u{fc}"}), false));
    // UTF-8 is taken as UTF-8, which Java reads differently.
    let (ran, value) = sealed(&home, "app.properties", text.as_bytes(), &[]);
    assert_eq!(value["pw"], json!("M\u{fc}ller\u{df}"));
    let words = "read as UTF-8, but java.util.Properties reads a file as ISO 8859-1";
    assert!(ran.err.contains(words) && ran.err.contains("pw"), "{ran:?}");
    let options = ["--encoding", "iso-8859-1"];
    let (_, value) = sealed(&home, "app.properties", text.as_bytes(), &options);
    assert_eq!(value, read_by_java(text.as_bytes()));
    let (ran, _) = sealed(&home, "app.properties", text.as_bytes(), &["--encoding", "utf-8"]);
    assert!(!ran.err.contains("Java") && !ran.err.contains("java"), "{ran:?}");
    // Jasypt reads the same files.
    let ciphertext = java_sealed(&["PBEWithMD5AndDES"], "master", &["s3cret"]).remove(0);
    home.write("key", "master");
    home.write("app.properties", latin1(&format!("{text}e={ciphertext}\n")));
    imported(&home, &["jasypt", "app.properties", "-o", "b.sealed.toml", "--key-file", "key"]);
    assert_eq!(exported(&home, "b.sealed.toml")["pw"], json!("M\u{fc}ller\u{df}"));
}

#[test]
fn other_inputs_are_read_by_their_mark_or_by_the_named_encoding() {
    let home = Home::new();
    let wanted = json!({"a": "gr\u{fc}n \u{20ac}", "b": "x"});
    for (name, text) in [
        ("in.json", "{\"a\": \"gr\u{fc}n \u{20ac}\", \"b\": \"x\"}\n"),
        ("in.yaml", "a: gr\u{fc}n \u{20ac}\nb: x\n"),
        ("in.toml", "a = \"gr\u{fc}n \u{20ac}\"\nb = \"x\"\n"),
        ("in.env", "a='gr\u{fc}n \u{20ac}'\nb=x\n"),
        ("in.properties", "a=gr\u{fc}n \u{20ac}\nb=x\n"),
    ] {
        let marked = [b"\xEF\xBB\xBF", text.as_bytes()].concat();
        let cp1252: Vec<u8> = text
            .chars()
            .map(
                |next| {
                    if next == '\u{20ac}' { 0x80 } else { u8::try_from(u32::from(next)).unwrap() }
                },
            )
            .collect();
        for (bytes, options) in [
            (marked, &[][..]),
            (utf16(text), &[]),
            (utf16(text)[2..].to_vec(), &["--encoding", "utf-16le"]),
            (cp1252.clone(), &["--encoding", "windows-1252"]),
        ] {
            let (ran, value) = sealed(&home, name, &bytes, options);
            assert_eq!(value, wanted, "{name}, {options:?}: {ran:?}");
        }
        // Without a name, the error has the way on.
        let (ran, _) = sealed(&home, name, &utf16(text)[2..], &[]);
        let words = "is in UTF-16 without a byte order mark";
        assert!(ran.code == 1 && ran.err.contains(words), "{name}: {ran:?}");
        assert!(ran.err.contains("--encoding utf-16le"), "{ran:?}");
        if name != "in.properties" {
            let (ran, _) = sealed(&home, name, &cp1252, &[]);
            let words = ["line 1 is not UTF-8", "--encoding iso-8859-1, windows-1252"];
            assert!(words.iter().all(|words| ran.err.contains(words)), "{name}: {ran:?}");
        }
    }
}

#[test]
fn keys_of_other_tools_that_windows_has_saved_open() {
    let home = Home::new();
    home.write("pw", "hunter2-\u{e4}");
    home.write("in.yml", "pw: s3cret\n");
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "in.yml"]);
    let ciphertext = java_sealed(&["spring"], "hunter2-\u{e4}", &["s3cret"]).remove(0);
    home.write("app.yml", format!("pw: '{ciphertext}'\n"));
    for (at, bytes) in [
        "hunter2-\u{e4}\r\n".as_bytes().to_vec(),
        [b"\xEF\xBB\xBF", "hunter2-\u{e4}\r\n".as_bytes()].concat(),
        utf16("hunter2-\u{e4}\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        home.write("key", bytes);
        for (tool, file) in [("ansible-vault", "in.yml"), ("spring", "app.yml")] {
            let out = format!("{tool}-{at}.sealed.toml");
            imported(&home, &[tool, file, "-o", &out, "--key-file", "key"]);
            assert_eq!(exported(&home, &out), json!({"pw": "s3cret"}), "{tool}, {at}");
        }
    }
    // A password file that Ansible itself has read with its mark.
    home.write("marked", b"\xEF\xBB\xBFhunter2");
    home.write("marked.yml", "pw: s3cret\n");
    vaulted(&home, &["encrypt", "--vault-password-file", "marked", "marked.yml"]);
    imported(&home, &["ansible-vault", "marked.yml", "--key-file", "marked"]);
}

#[test]
fn identities_pins_and_passphrases_that_windows_has_saved_are_read_or_named() {
    let home = Home::with_vault("pw = \"s3cret\"\n");
    let phrase = "correct horse battery staple";
    home.write("phrase", format!("{phrase}\r\n"));
    let add = ["access", "add", "svc", "--passphrase", "--small", "--yes", "--passphrase-fd", "0"];
    home.ok_with(&add, format!("\u{feff}{phrase}\r\n").as_bytes());
    home.ok(&["access", "add", "web1", "--new-key", "web1.key", "--yes"]);
    let key = home.read("web1.key");
    let pin = format!("{}\n", home.vault_id());
    std::fs::create_dir(home.at("creds")).unwrap();
    let write = |name: &str, bytes: &[u8]| {
        use std::os::unix::fs::PermissionsExt;
        home.write(name, bytes);
        std::fs::set_permissions(home.at(name), PermissionsExt::from_mode(0o600)).unwrap();
    };
    let opens = || {
        let mut command = home.command(&["verify", "--as-loader", "app.sealed.toml"]);
        command.env("HOME", home.at("other")).env("CREDENTIALS_DIRECTORY", home.at("creds"));
        Ran::from(command.output().unwrap())
    };
    let marked = |text: &str| [b"\xEF\xBB\xBF", text.as_bytes()].concat();
    write("creds/bootseal.pin", &marked(&pin.replace('\n', "\r\n")));
    for bytes in [marked(&key), key.replace('\n', "\r\n").into_bytes()] {
        write("creds/bootseal.key", &bytes);
        let ran = opens();
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    write("creds/bootseal.key", &utf16(&key));
    let ran = opens();
    assert!(ran.code != 0 && ran.err.contains("bootseal.key: is in UTF-16"), "{ran:?}");
    std::fs::remove_file(home.at("creds/bootseal.key")).unwrap();
    for end in ["", "\n", "\r\n"] {
        for mark in ["", "\u{feff}"] {
            write("creds/bootseal.passphrase", format!("{mark}{phrase}{end}").as_bytes());
            let ran = opens();
            assert_eq!(ran.code, 0, "{mark:?} {end:?}: {ran:?}");
        }
    }
    write("creds/bootseal.passphrase", &utf16(phrase));
    let ran = opens();
    assert!(ran.code != 0 && ran.err.contains("the passphrase is in UTF-16"), "{ran:?}");
    write("creds/bootseal.pin", &utf16(&pin));
    let ran = opens();
    assert!(ran.code != 0 && ran.err.contains("bootseal.pin: is in UTF-16"), "{ran:?}");
    // The command line reads the same files.
    let get = ["get", "pw", "-i", "marked.key", "--passphrase-fd", "0"];
    write("marked.key", &marked(&key));
    assert_eq!(home.ok(&get[..4]), "s3cret");
    write("marked.key", &utf16(&key));
    let ran = home.run(&get[..4]);
    assert!(ran.code != 0 && ran.err.contains("marked.key: is in UTF-16"), "{ran:?}");
    write("marked.key", &marked("# nothing\n"));
    let ran = home.run(&["access", "pin", "marked.key"]);
    assert!(ran.code != 0 && ran.err.contains("begins with a byte order mark"), "{ran:?}");
}

#[test]
fn values_and_curl_commands_in_utf_16_are_reported() {
    let home = Home::with_vault("x = \"y\"\n");
    let ran = home.run_with(&["set", "pw"], &utf16("s3cret\r\n"));
    assert!(ran.code == 0 && ran.err.contains("pw: the value is in UTF-16"), "{ran:?}");
    let profile = ["profile", "acme", "--from-curl", "-", "--no-login"];
    let line = "curl https://a.example/login -u bob:s3cret\n";
    let ran = home.run_with(&profile, &utf16(line));
    assert!(ran.code == 2 && ran.err.contains("the curl command is in UTF-16"), "{ran:?}");
    home.ok_with(&profile, &[b"\xEF\xBB\xBF", line.as_bytes()].concat());
    assert_eq!(home.ok(&["get", "acme.password"]), "s3cret");
}
