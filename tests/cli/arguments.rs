//! Mistakes on the command line: each error explains the mistake and repeats no secret.

use crate::answers::{ACME, fails};
use crate::support::Home;

#[test]
fn help_and_version_go_to_stdout_and_mistakes_to_stderr() {
    let home = Home::new();
    assert_eq!(home.ok(&["--version"]), format!("bootseal {}\n", env!("CARGO_PKG_VERSION")));
    for verb in ["keygen", "init", "seal", "set", "get", "list", "verify", "access", "login"] {
        let help = home.ok(&[verb, "--help"]);
        assert!(
            help.contains("Usage: bootseal ")
                && help.lines().all(|line| line.chars().count() <= 120),
            "{help}"
        );
    }
    for args in [&["sett", "x"][..], &["list", "--nope"], &["get"]] {
        fails(&home, args, "usage");
    }
    let ran = home.run(&[]);
    assert_eq!((ran.code, ran.out.as_str()), (2, ""));
    assert!(ran.err.contains("To begin: bootseal init"), "{}", ran.err);
}

#[test]
fn an_error_never_repeats_a_value_from_argv() {
    let home = Home::with_vault(ACME);
    for args in [
        &["set", "acme.password=hunter4"][..],
        &["set", "acme.password hunter4"],
        &["set", "acme.password: hunter4"],
        &["set", "acme.password", "correct", "hunter4", "battery"],
        &["set", "acme.password", "--hunter4"],
        &["set", "acme.password", "--hunter"],
        &["set", "acme.password", "-hunter4"],
        &["set", "acme.password", "--generate", "hunter4", "hunter4"],
    ] {
        let text = fails(&home, args, "usage");
        assert!(!text.contains("hunter"), "{args:?}: {text}");
        assert!(!home.run(&[args, &["--json"]].concat()).err.contains("hunter"), "{args:?} --json");
    }
}

#[test]
fn an_error_quotes_an_argument_that_contains_no_secret() {
    let home = Home::new();
    for (args, words) in [
        (&["seal", "app.ini", "--format", "ini"][..], "toml, properties, env, json, yaml"),
        (&["list", "--color", "pink"], "always"),
        (&["set", "x", "--generate", "40"], "--generate=40"),
        (&["sett", "x"], "Did you mean 'set'?"),
    ] {
        let text = fails(&home, args, "usage");
        assert!(text.contains(words), "{args:?}: {text}");
    }
}

#[test]
fn a_private_key_given_as_a_recipient_is_never_printed() {
    let home = Home::with_vault(ACME);
    home.ok(&["keygen", "-o", "bob.key"]);
    let key = home.read("bob.key").lines().last().unwrap().to_owned();
    let (pair, short) = (format!("bob={key}"), &key[..30]);
    for args in [
        &["access", "add", "bob", &key, "--yes"][..],
        &["access", "add", &key, "age1x", "--yes"],
        &["init", "-f", "b.sealed.toml", "--writer", &pair],
        &["init", "-f", "b.sealed.toml", "--reader", &key],
        &["list", "--pin", &key],
    ] {
        let text = fails(&home, args, "usage");
        assert!(!text.contains(short), "{args:?}: {text}");
    }
    let ran = home.run(&["list", "-i", &key]);
    assert!(!ran.err.contains(short), "{}", ran.err);
}

#[test]
fn the_words_of_other_tools_lead_to_ours() {
    let home = Home::new();
    for (args, ours) in [
        (&["rm", "acme.password"][..], "bootseal unset PATH"),
        (&["remove", "bob"], "bootseal access remove NAME"),
        (&["delete", "x"], "bootseal unset PATH"),
        (&["encrypt", "app.yml"], "bootseal seal FILE"),
        (&["decrypt", "app.yml"], "bootseal export"),
        (&["show", "acme"], "bootseal get PATH"),
        (&["view"], "bootseal get PATH"),
        (&["add", "acme.token"], "bootseal set PATH"),
        (&["put", "a", "b"], "bootseal set PATH"),
        (&["ls"], "bootseal list"),
        (&["updatekeys"], "bootseal rotate"),
        (&["-f", "app.sealed.toml", "ls"], "bootseal list"),
        (&["access", "rm", "bob"], "bootseal access remove NAME"),
        (&["access", "ls"], "bootseal access list"),
        (&["vaults", "rm"], "bootseal vaults forget"),
    ] {
        let ran = home.run(args);
        assert!(ran.code == 2 && ran.err.contains(ours), "{args:?}: {ran:?}");
        assert!(ran.err.contains("What other tools call '"), "{args:?}: {}", ran.err);
        let json = home.run(&[args, &["--json"]].concat());
        let error: serde_json::Value = serde_json::from_str(json.err.trim()).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(ours), "{error}");
    }
    // Another word is not repeated: it may be a secret.
    let ran = home.run(&["hunter2"]);
    assert!(ran.code == 2 && !ran.err.contains("hunter2"), "{ran:?}");
}

#[test]
fn help_with_a_verb_prints_the_help_of_the_verb() {
    let home = Home::new();
    for (args, same) in [
        (&["help"][..], &["--help"][..]),
        (&["help", "help"], &["--help"]),
        (&["help", "set"], &["set", "--help"]),
        (&["help", "access"], &["access", "--help"]),
        (&["help", "access", "add"], &["access", "add", "--help"]),
        (&["access", "help", "add"], &["access", "add", "--help"]),
        (&["vaults", "help"], &["vaults", "--help"]),
    ] {
        assert_eq!(home.ok(args), home.ok(same), "{args:?}");
    }
    // A word that is no verb leads to ours, and another one is not repeated.
    let ran = home.run(&["help", "rm"]);
    assert!(ran.code == 2 && ran.err.contains("bootseal unset PATH"), "{ran:?}");
    let ran = home.run(&["help", "hunter2"]);
    assert!(ran.code == 2 && !ran.err.contains("hunter2"), "{ran:?}");
    // As the name of a property, it is one.
    let vault = Home::with_vault("help = \"x\"\n");
    assert_eq!(vault.ok(&["get", "help"]), "x");
}

#[cfg(target_os = "linux")]
#[test]
fn help_that_cannot_be_written_is_an_error() {
    let home = Home::new();
    for args in [&["--help"][..], &["-h"], &["--version"], &["help", "set"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran: crate::support::Ran = home.command(args).stdout(full).output().unwrap().into();
        assert!(ran.code == 1 && ran.err.contains("could not be written"), "{args:?}: {ran:?}");
    }
}
