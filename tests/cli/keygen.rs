//! `keygen` writes an identity that only its owner can read, and never replaces one without
//! `--force`.

#[cfg(unix)]
use crate::answers::{chmod, mode};
use crate::answers::{document, fails, keys};
use crate::support::{Home, Ran};
use serde_json::json;
use std::path::Path;

#[test]
fn keygen_writes_a_private_identity_file_and_prints_the_recipient() {
    let home = Home::new();
    let ran = home.run(&["keygen"]);
    let path = home.at(".config/bootseal/identity.txt");
    assert_eq!(ran.code, 0);
    assert!(
        ran.out.starts_with("age1") && ran.out.ends_with('\n') && ran.out.lines().count() == 1,
        "{}",
        ran.out
    );
    assert_eq!(
        ran.err,
        format!("bootseal: made {}; keep it: without it, nothing can be opened\n", path.display())
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(
        lines[0] == format!("# public key: {}", ran.out.trim())
            && lines[1].starts_with("AGE-SECRET-KEY-1")
    );
    #[cfg(unix)]
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(home.ok(&["keygen", "-y", path.to_str().unwrap()]), ran.out);
    assert_eq!(home.ok_with(&["keygen", "-y", "-"], text.as_bytes()), ran.out);
}

#[test]
fn keygen_prints_the_same_in_json() {
    let home = Home::new();
    let made = document(&home, &["keygen", "-o", "a/b.key"]);
    assert_eq!(keys(&made), ["file", "recipient"]);
    assert_eq!(made["file"], "a/b.key");
    assert_eq!(
        document(&home, &["keygen", "-y", "a/b.key"]),
        json!({ "recipients": [made["recipient"]] })
    );
    assert_eq!(home.run(&["-q", "keygen", "-o", "quiet.key"]).err, "");
}

#[test]
fn keygen_uses_xdg_config_home_unless_it_is_relative() {
    let home = Home::new();
    let keygen = |folder: &Path| {
        home.command(&["keygen"]).env("XDG_CONFIG_HOME", folder).output().unwrap().status
    };
    assert!(keygen(&home.at("xdg")).success());
    assert!(home.at("xdg/bootseal/identity.txt").exists());
    assert!(keygen(Path::new("xdg")).success());
    assert!(home.at(".config/bootseal/identity.txt").exists());
    let ran: Ran = home.command(&["keygen"]).env_remove("HOME").output().unwrap().into();
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("keygen -o FILE"), "{}", ran.err);
}

#[test]
fn keygen_never_overwrites_a_file() {
    let home = Home::new();
    home.ok(&["keygen", "-o", "a.key"]);
    let before = home.read("a.key");
    assert!(fails(&home, &["keygen", "-o", "a.key"], "exists").contains("nothing was changed\n"));
    assert_eq!(home.read("a.key"), before);
    home.write("empty", "");
    fails(&home, &["keygen", "-o", "empty"], "exists");
    home.write("notes.txt", "password=hunter2\n");
    #[cfg(unix)]
    ["empty", "notes.txt"].iter().for_each(|name| chmod(&home.at(name), 0o600));
    for (args, kind) in [
        (&["keygen", "-y", "."][..], "io"),
        (&["keygen", "-y", "empty"], "malformed"),
        (&["keygen", "-y", "notes.txt"], "malformed"),
        (&["keygen", "-o", "a.key/b.key"], "io"),
        (&["keygen", "-o", "b.key", "-y", "a.key"], "usage"),
    ] {
        let text = fails(&home, args, kind);
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn keygen_replaces_an_identity_only_with_force_and_keeps_the_old_one() {
    let home = Home::new();
    let first = home.ok(&["keygen"]);
    fails(&home, &["keygen"], "exists");
    let second = home.ok(&["keygen", "--force"]);
    assert_ne!(first, second);
    let folder =
        std::fs::read_dir(home.at(".config/bootseal")).unwrap().map(|entry| entry.unwrap().path());
    let recipients: Vec<String> =
        folder.map(|path| home.ok(&["keygen", "-y", path.to_str().unwrap()])).collect();
    assert!(recipients.len() == 2 && recipients.contains(&first) && recipients.contains(&second));
}

#[test]
fn identities_that_are_replaced_within_a_second_are_all_kept() {
    let home = Home::new();
    let mut made: Vec<String> = vec![home.ok(&["keygen"])];
    for _ in 0..3 {
        made.push(home.ok(&["keygen", "--force"]));
    }
    let folder = home.at(".config/bootseal");
    let files = folder.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let mut kept: Vec<String> =
        files.map(|path| home.ok(&["keygen", "-y", path.to_str().unwrap()])).collect();
    kept.sort();
    made.sort();
    assert_eq!(kept, made);
}
