//! The file, identity and pin of a command come from an option, a variable, or a search.

#[cfg(unix)]
use crate::answers::chmod;
use crate::answers::{ACME, document, fails, fails_with};
use crate::support::{Home, Ran};

#[test]
fn the_file_comes_from_the_option_the_variable_or_is_the_only_one() {
    let home = Home::new();
    assert!(fails(&home, &["list"], "not-found").contains("bootseal init"));
    home.ok(&["init", "-f", "a.sealed.toml"]);
    home.ok(&["set", "x", "--plain", "a"]);
    home.ok(&["init", "-f", "b.sealed.toml"]);
    let text = fails(&home, &["list"], "usage");
    assert!(text.contains("a.sealed.toml, b.sealed.toml") && text.contains("-f FILE"), "{text}");
    let list = |file: &str, args: &[&str]| -> Ran {
        home.command(args).env("BOOTSEAL_FILE", file).output().unwrap().into()
    };
    assert_eq!(list("a.sealed.toml", &["list"]).out, "x  readable\n");
    assert_eq!(list("a.sealed.toml", &["list", "-f", "b.sealed.toml"]).out, "", "the option wins");
    assert_eq!(list("", &["list"]).code, 2, "an empty variable is none");
    assert_eq!(list("none.sealed.toml", &["list"]).code, 1);
    assert_eq!(list("c.sealed.toml", &["init"]).code, 0);
    assert!(home.at("c.sealed.toml").exists());
}

#[test]
fn the_identity_comes_from_the_option_the_variable_or_stdin() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["keygen", "-o", "stranger.key"]);
    let key = home.read("web.key");
    let get = |identity: &str, args: &[&str]| -> Ran {
        home.command(args).env("BOOTSEAL_IDENTITY", identity).output().unwrap().into()
    };
    assert_eq!(get("web.key", &["get", "acme.password"]).out, "hunter2");
    assert_eq!(
        get("stranger.key", &["get", "acme.password"]).code,
        4,
        "an identity is named, so the user's own is not tried"
    );
    assert_eq!(
        get("stranger.key", &["get", "acme.password", "-i", "web.key"]).out,
        "hunter2",
        "the option wins"
    );
    assert_eq!(
        home.ok(&["get", "acme.password", "-i", "stranger.key", "-i", "web.key"]),
        "hunter2"
    );
    assert_eq!(home.ok_with(&["get", "acme.password", "-i", "-"], key.as_bytes()), "hunter2");
    let own = std::fs::read_to_string(home.at(".config/bootseal/identity.txt")).unwrap();
    let before = home.read("app.sealed.toml");
    let text = fails_with(&home, &["set", "acme.password", "-i", "-"], own.as_bytes(), "usage");
    assert!(text.contains("stdin cannot be both"), "{text}");
    fails_with(&home, &["set", "acme.password", "-i", "-", "--empty"], own.as_bytes(), "usage");
    assert_eq!(home.read("app.sealed.toml"), before);
    home.ok_with(&["set", "acme.password", "--generate", "-i", "-"], own.as_bytes());
    fails_with(&home, &["get", "acme.password", "-i", "-"], b"junk hunter2", "malformed");
}

#[test]
fn a_pin_comes_from_the_option_else_the_variable_else_the_key_file() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    home.ok(&["init", "-f", "other.sealed.toml"]);
    let other =
        document(&home, &["verify", "other.sealed.toml"])["vault"].as_str().unwrap().to_owned();
    let vault = home.vault_id();
    let list = |pin: &str, args: &[&str]| -> i32 {
        home.command(&[&["list", "-f", "app.sealed.toml"], args].concat())
            .env("BOOTSEAL_PIN", pin)
            .output()
            .unwrap()
            .status
            .code()
            .unwrap()
    };
    assert_eq!(list(&vault, &[]), 0);
    assert_eq!(list(&format!("{other} {vault}@2"), &[]), 0, "several pins, separated by spaces");
    assert_eq!(list(&format!("{vault}@3"), &[]), 3);
    assert_eq!(list(&other, &[]), 3);
    assert_eq!(list(&other, &["--pin", &vault]), 0, "the option wins");
    assert_eq!(list(&other, &["-i", "web.key"]), 3, "the variable beats the key file");
    assert_eq!(list("nonsense", &[]), 2);
    home.write("web.key", home.read("web.key").replacen("# vault: ", "# vault: x", 1));
    assert!(
        fails(&home, &["list", "-f", "app.sealed.toml", "-i", "web.key"], "malformed")
            .contains("# vault: vault1…")
    );
}

#[cfg(unix)]
#[test]
fn a_key_file_that_others_can_read_or_write_is_refused_with_the_chmod_command() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    for (bits, word) in [
        (0o644, "read"),
        (0o640, "read"),
        (0o604, "read"),
        (0o620, "write"),
        (0o602, "write"),
        (0o666, "write"),
    ] {
        chmod(&home.at("web.key"), bits);
        for args in [
            &["get", "acme.password", "-i", "web.key"][..],
            &["list", "-i", "web.key"],
            &["keygen", "-y", "web.key"],
        ] {
            let text = fails(&home, args, "unsafe-file");
            assert_eq!(
                text,
                format!(
                    "bootseal: web.key: others can {word} this key file (mode {bits:04o})\n  chmod 600 web.key\n"
                )
            );
        }
    }
    for bits in [0o600, 0o400, 0o700] {
        chmod(&home.at("web.key"), bits);
        assert_eq!(home.ok(&["get", "acme.password", "-i", "web.key"]), "hunter2");
    }
}

#[test]
fn an_invalid_identity_file_is_named_and_never_quoted() {
    let home = Home::with_vault(ACME);
    for (text, word) in [
        ("hunter2\n", "line 1: not an age identity"),
        ("", "contains no identity"),
        ("# only a comment\n", "contains no identity"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\n", "SSH key"),
        ("age-encryption.org/v1\nhunter2\n", "an encrypted identity file"),
        ("AGE-SECRET-KEY-1HUNTER2\n", "line 1: not an age identity"),
    ] {
        home.write("key", text);
        #[cfg(unix)]
        chmod(&home.at("key"), 0o600);
        let said = fails(&home, &["get", "acme.password", "-i", "key"], "malformed");
        assert!(
            said.contains(word) && !said.contains("hunter2") && !said.contains("HUNTER2"),
            "{said}"
        );
    }
    home.write("key", vec![b'#'; 100_000]);
    #[cfg(unix)]
    chmod(&home.at("key"), 0o600);
    assert!(fails(&home, &["list", "-i", "key"], "malformed").contains("64 KiB"));
}

#[test]
fn a_missing_file_is_reported_as_not_found() {
    let home = Home::with_vault(ACME);
    for args in [
        &["list", "-f", "none"][..],
        &["list", "-i", "none"],
        &["keygen", "-y", "none"],
        &["seal", "none.toml"],
        &["set", "x", "--from-file", "none"],
    ] {
        fails(&home, args, "not-found");
    }
}
