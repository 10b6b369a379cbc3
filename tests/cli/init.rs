//! `init` makes an empty vault, and an identity if there is none.

#[cfg(unix)]
use crate::answers::chmod;
use crate::answers::{ACME, document, fails, keys};
use crate::support::{Home, Ran};
use serde_json::json;

#[test]
fn init_makes_an_empty_vault_and_an_identity_if_there_is_none() {
    let home = Home::new();
    let ran = home.run(&["init"]);
    assert_eq!((ran.code, ran.out), (0, format!("{}\n", home.vault_id())));
    let identity = home.at(".config/bootseal/identity.txt");
    assert_eq!(
        ran.err,
        format!(
            "bootseal: you had no identity, so {} was made. Keep it: without it, nothing can be opened\n\
             bootseal: made app.sealed.toml; writers: alice\n\
             bootseal: alice is the only writer: if that key is lost, nobody can change the file. To add a second one: bootseal access add NAME RECIPIENT --writer\n",
            identity.display()
        )
    );
    assert_eq!(home.ok(&["list"]), "");
    assert_eq!(home.run(&["-q", "init", "-f", "b.sealed.toml"]).err, "");
}

#[cfg(unix)]
#[test]
fn without_a_login_name_the_writer_is_named_after_git_or_the_machine() {
    let home = Home::new();
    let host = std::process::Command::new("uname").arg("-n").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap().trim().to_owned();
    let made = |file: &str, user: &str| -> String {
        let mut command = home.command(&["init", "-f", file]);
        command.env("USER", user).env("PATH", std::env::var_os("PATH").unwrap_or_default());
        let ran: Ran = command.env("GIT_CONFIG_NOSYSTEM", "1").output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.err
    };
    let text = made("a.sealed.toml", "");
    assert!(text.contains(&format!("writers: {host}\n")), "{text}");
    home.write(".gitconfig", "[user]\n\tname = Ada Lövelace (dev)\n");
    for (file, user) in [("b.sealed.toml", ""), ("c.sealed.toml", "not a name")] {
        let text = made(file, user);
        assert!(text.contains("writers: Ada-Lovelace-dev\n"), "{text}");
        assert!(text.contains("bootseal access rename Ada-Lovelace-dev NEW"), "{text}");
    }
    // A name of which nothing is left is none.
    home.write(".gitconfig", "[user]\n\tname = 李明\n");
    let text = made("d.sealed.toml", "");
    assert!(text.contains(&format!("writers: {host}\n")), "{text}");
    assert!(!made("e.sealed.toml", "alice").contains("access rename"));
}

#[test]
fn init_in_json_reports_the_users_role() {
    let home = Home::new();
    let mine = home.ok(&["keygen"]).trim().to_owned();
    let (bob, web) = (home.ok(&["keygen", "-o", "bob.key"]), home.ok(&["keygen", "-o", "web.key"]));
    let (bob, web) = (format!("bob={}", bob.trim()), format!("web={}", web.trim()));
    let me = format!("me={mine}");
    for (file, args, role) in [
        ("a.sealed.toml", &[][..], json!("writer")),
        ("b.sealed.toml", &["--writer", &bob, "--reader", &me], json!("reader")),
        ("c.sealed.toml", &["--writer", &bob, "--reader", &web], json!(null)),
    ] {
        let made = document(&home, &[&["init", "-f", file], args].concat());
        let vault = made["vault"].as_str().unwrap();
        assert!(vault.starts_with("vault1") && vault.len() == 64);
        let wanted = json!({ "file": file, "vault": vault, "generation": 1, "signed": true, "role": role, "properties": 0, "sealed": 0 });
        assert_eq!(made, wanted);
        let verified = document(&home, &["verify", file]);
        assert!(
            keys(&wanted).iter().all(|key| verified[key] == wanted[key]),
            "verify says the same: {verified}"
        );
    }
    let two = home.run(&["init", "-f", "d.sealed.toml", "--writer", &me, "--writer", &bob]);
    assert_eq!(two.err, "bootseal: made d.sealed.toml; writers: me, bob\n");
}

#[test]
fn init_refuses_an_existing_file_and_an_invalid_recipient_list() {
    let home = Home::new();
    home.ok(&["init"]);
    let before = home.read("app.sealed.toml");
    let recipient = home.ok(&["keygen", "-o", "bob.key"]).trim().to_owned();
    let (bob, blank, twin) =
        (format!("bob={recipient}"), format!("b b={recipient}"), format!("bob2={recipient}"));
    for (args, kind, word) in [
        (&["init"][..], "exists", "bootseal set PATH"),
        (&["init", "-f", "."], "exists", "exists already"),
        (&["init", "-f", "none/a.sealed.toml"], "io", "none/a.sealed.toml"),
        (&["init", "-f", "b.sealed.toml", "--writer", "bob"], "usage", "NAME=RECIPIENT"),
        (&["init", "-f", "b.sealed.toml", "--writer", "bob=age1nonsense"], "usage", "age1nonsense"),
        (
            &["init", "-f", "b.sealed.toml", "--reader", &blank],
            "usage",
            "`b b` is not a valid name",
        ),
        (
            &["init", "-f", "b.sealed.toml", "--writer", &bob, "--reader", &twin],
            "usage",
            "the same recipient",
        ),
        (
            &["init", "-f", "b.sealed.toml", "--writer", &bob, "--reader", &bob],
            "usage",
            "bob appears twice",
        ),
        (&["init", "stray"], "usage", "--help"),
    ] {
        let text = fails(&home, args, kind);
        assert!(text.contains(word), "{args:?}: {text}");
    }
    assert_eq!(home.read("app.sealed.toml"), before);
    assert!(!home.at("b.sealed.toml").exists());
}

#[cfg(unix)]
#[test]
fn a_failed_init_creates_no_file() {
    let home = Home::new();
    let me = format!("me={}", home.ok(&["keygen"]).trim());
    let own = std::fs::read(home.at(".config/bootseal/identity.txt")).unwrap();
    let mut command = home.command(&["init", "-f", "a.sealed.toml"]);
    home.write("own", own);
    let stdin = std::fs::File::open(home.at("own")).unwrap();
    let ran: Ran = command.env("BOOTSEAL_IDENTITY", "-").stdin(stdin).output().unwrap().into();
    assert_eq!(ran.code == 0, home.at("a.sealed.toml").exists(), "{}", ran.err);
    chmod(&home.at(".config/bootseal/identity.txt"), 0o644);
    let ran = home.run(&["init", "-f", "b.sealed.toml", "--writer", &me]);
    assert_eq!(ran.code == 0, home.at("b.sealed.toml").exists(), "{}", ran.err);
}

#[test]
fn a_refused_init_creates_no_identity() {
    let home = Home::with_vault(ACME);
    home.write("app.toml", ACME);
    std::fs::remove_dir_all(home.at(".config")).unwrap();
    for args in [&["init"][..], &["seal", "app.toml"]] {
        assert_eq!(home.run(args).code, 1);
        assert!(!home.at(".config").exists(), "{args:?}");
    }
}
