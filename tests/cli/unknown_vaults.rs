//! A vault that is unknown or that replaced another gets no secret unless it is pinned or
//! confirmed.

use crate::answers::{ACME, fails_with, rows, vector};
use crate::support::{Home, Ran, at_a_terminal};

#[test]
fn a_foreign_vault_in_the_files_place_gets_no_secret() {
    let alice = Home::with_vault(ACME);
    let recipient = alice.ok(&["keygen", "-y", ".config/bootseal/identity.txt"]).trim().to_owned();
    let eve = Home::new();
    eve.ok(&[
        "init",
        "--writer",
        &format!("alice={recipient}"),
        "--reader",
        &format!("eve={}", eve.ok(&["keygen"]).trim()),
    ]);
    std::fs::copy(eve.at("app.sealed.toml"), alice.at("app.sealed.toml")).unwrap();
    let bytes = alice.read("app.sealed.toml");
    alice.write("more.toml", "p = \"secret:hunter3\"\n");
    for args in [
        &["set", "acme.password"][..],
        &["set", "acme.password", "--yes"],
        &["set", "acme.password", "--generate", "--yes"],
        &["set", "acme.user", "--plain", "x", "--yes"],
        &["seal", "more.toml", "-f", "app.sealed.toml", "--yes"],
        &["access", "add", "web", "--new-key", "web.key", "--yes"],
        &["login", "acme", "--yes"],
        &["list"],
        &["get", "acme.password"],
        &["verify"],
    ] {
        let text = fails_with(&alice, args, b"hunter3", "wrong-vault");
        assert!(
            text.contains("this is a different vault") && !text.contains("hunter3"),
            "{args:?}: {text}"
        );
        assert_eq!(alice.read("app.sealed.toml"), bytes, "{args:?}");
    }
    assert!(!alice.at("web.key").exists());
}

#[test]
fn an_untrusted_vault_gets_a_secret_only_under_a_pin_which_is_remembered() {
    let alice = Home::with_vault(ACME);
    std::fs::create_dir(alice.at("clone")).unwrap();
    std::fs::copy(alice.at("app.sealed.toml"), alice.at("clone/app.sealed.toml")).unwrap();
    let (bytes, vault) = (alice.read("app.sealed.toml"), alice.vault_id());
    for args in [
        &["set", "acme.password"][..],
        &["set", "acme.password", "--yes"],
        &["set", "acme.password", "-q"],
    ] {
        let text = fails_with(
            &alice,
            &[args, &["-f", "clone/app.sealed.toml"]].concat(),
            b"new",
            "wrong-vault",
        );
        assert!(text.contains(&format!("--pin {vault}")), "{text}");
    }
    assert_eq!(alice.read("clone/app.sealed.toml"), bytes);
    // Reading needs no trust, and never makes a vault known.
    assert_eq!(alice.ok(&["get", "acme.password", "-f", "clone/app.sealed.toml"]), "hunter2");
    alice.ok(&["verify", "clone/app.sealed.toml"]);
    fails_with(
        &alice,
        &["set", "acme.password", "-f", "clone/app.sealed.toml"],
        b"new",
        "wrong-vault",
    );
    alice
        .ok_with(&["set", "acme.password", "-f", "clone/app.sealed.toml", "--pin", &vault], b"new");
    alice.ok_with(&["set", "acme.password", "-f", "clone/app.sealed.toml"], b"newer");
}

#[test]
fn values_leave_an_untrusted_vault_only_under_a_pin() {
    let alice = Home::with_vault(ACME);
    std::fs::create_dir(alice.at("clone")).unwrap();
    std::fs::copy(alice.at("app.sealed.toml"), alice.at("clone/app.sealed.toml")).unwrap();
    let (vault, file) = (alice.vault_id(), ["-f", "clone/app.sealed.toml"]);
    for args in [
        &["export"][..],
        &["export", "--only", "acme.user"],
        &["login", "acme"],
        &["vendor", "acme"],
    ] {
        let text = fails_with(&alice, &[args, &file].concat(), b"", "wrong-vault");
        assert!(text.contains(&format!("--pin {vault}")), "{args:?}: {text}");
        assert!(!text.contains("hunter2"), "{args:?}: {text}");
    }
    let ran = alice.run(&[&["exec"][..], &file, &["--", "true"]].concat());
    assert!(ran.code == 125 && ran.err.contains(&format!("--pin {vault}")), "{ran:?}");
    alice.ok(&[&["export", "--pin", &vault][..], &file].concat());
    // Verbs that only show values warn once, and say how to pin the vault.
    for args in [&["get", "acme.password"][..], &["list"]] {
        let ran = alice.run(&[args, &file].concat());
        assert_eq!((ran.code, ran.err.matches("not trusted yet").count()), (0, 1), "{args:?}");
        assert!(ran.err.contains(&format!("--pin {vault}")), "{args:?}: {}", ran.err);
        let ran = alice.run(&[args, &file, &["--pin", &vault]].concat());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn a_vault_recreated_in_place_replaces_the_remembered_one_with_a_notice() {
    let home = Home::with_vault(ACME);
    let before = home.vault_id();
    std::fs::remove_file(home.at("app.sealed.toml")).unwrap();
    let ran = home.run(&["init"]);
    assert!(
        ran.err.contains(&format!("was known as {before}; from now on it is {}", home.vault_id())),
        "{}",
        ran.err
    );
    home.ok_with(&["set", "x"], b"v");
    home.write(".local/state/bootseal/known_vaults", "nonsense");
    assert!(fails_with(&home, &["set", "x"], b"v", "malformed").contains("known_vaults"));
}

#[test]
fn a_pin_that_was_handed_over_is_accepted_with_a_warning() {
    let home = Home::new();
    let file = "good/removed-and-handover.sealed.toml";
    vector(&home, file);
    let vault = rows().iter().find(|row| row["file"] == file).unwrap()["vault"]
        .as_str()
        .unwrap()
        .to_owned();
    let old = rows()
        .iter()
        .filter(|row| row["file"] == file)
        .find_map(|row| row["pin"].as_str().filter(|pin| *pin != vault).map(str::to_owned))
        .unwrap();
    let ran = home.run(&["verify", "vector.sealed.toml", "-i", "alice.key", "--pin", &old]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(
        ran.err.contains("warning")
            && ran.err.contains("renew the pin")
            && ran.err.contains(&vault),
        "{}",
        ran.err
    );
}

#[cfg(unix)]
#[test]
fn an_unknown_vault_needs_confirmation_even_with_yes_and_is_then_remembered() {
    let home = Home::with_vault(ACME);
    std::fs::rename(home.at("app.sealed.toml"), home.at("moved.sealed.toml")).unwrap();
    let before = home.read("moved.sealed.toml");
    let set = ["set", "acme.password", "--yes"];
    let Some((code, seen, _)) = at_a_terminal(&home, &set, &[("[y/N] ", "n\n")]) else { return };
    assert_eq!(code, 3, "{seen}");
    assert!(
        seen.contains("this vault is not trusted yet")
            && seen.contains("Its values can be read by:\nalice  writer  age1"),
        "{seen}"
    );
    assert_eq!(home.read("moved.sealed.toml"), before);
    let (code, seen, _) = at_a_terminal(
        &home,
        &set,
        &[("[y/N] ", "yes\n"), ("password: ", "s3\n"), ("again: ", "s3\n")],
    )
    .unwrap();
    assert_eq!(code, 0, "{seen}");
    home.ok_with(&set, b"now known");
}

#[cfg(target_os = "linux")]
#[test]
fn a_pin_is_enough_if_nothing_can_be_remembered() {
    let home = Home::with_vault(ACME);
    let args = [
        "set",
        "acme.x",
        "--plain",
        "1",
        "-i",
        ".config/bootseal/identity.txt",
        "--pin",
        &home.vault_id(),
    ];
    let ran: Ran = home.command(&args).env_remove("HOME").output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let nowhere = "/proc/nowhere"; // a folder in which not even root can create a file
    let ran: Ran = home.command(&args).env("XDG_STATE_HOME", nowhere).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
}
