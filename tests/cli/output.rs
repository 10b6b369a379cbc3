//! The output of every verb: hidden characters, colour, prompts, JSON and closed pipes.

use crate::answers::{ACME, error_in, fails};
use crate::support::{Home, Ran, at_a_terminal};
use serde_json::{Value, json};

#[test]
fn names_and_messages_escape_hidden_characters() {
    let home = Home::with_vault("x = \"1\"\n");
    let hidden = |text: &str| {
        text.chars().any(|c| {
            matches!(c, '\u{1b}' | '\u{202e}' | '\u{200b}' | '\u{9b}' | '\u{7f}' | '\u{7}')
        })
    };
    let evil = "\"a\u{202e}b\u{200b}\".c";
    home.ok_with(&["set", evil], b"v");
    home.ok_with(&["set", r#""esc\u001b[31m\u009b""#], b"v");
    home.write("bad\u{202e}\u{1b}[31m.toml", "a = [\n");
    home.write("p.properties", "k\\u202e\\u001b = ${v}\n");
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["verify"],
        &["get", "\"a\u{202e}\""],
        &["get", "\"a\u{202e}b\u{200c}\".c"],
        &["get", "\u{1b}[31m"],
        &["get", "\u{1b}[31m", "--json"],
        &["set", "x.\"\u{202e}\"", "--plain", "v"],
        &["set", "\"z\u{1b}\".c", "hunter2"],
        &["list", "-f", "none\u{202e}\u{1b}"],
        &["list", "-i", "none\u{202e}\u{1b}"],
        &["seal", "bad\u{202e}\u{1b}[31m.toml"],
        &["seal", "p.properties", "-f", "app.sealed.toml"],
        &["access", "add", "a\u{202e}", "age1x", "--yes"],
        &["access", "add", "a", "age1\u{202e}\u{1b}", "--yes"],
        &["list", "--pin", "vault1\u{202e}\u{1b}"],
        &["login", "\u{202e}\u{1b}"],
    ] {
        let ran = home.run(args);
        assert!(!hidden(&ran.out) && !hidden(&ran.err), "{args:?}: {:?} {:?}", ran.out, ran.err);
    }
    assert!(home.ok(&["list"]).contains("\"a\\u202Eb\\u200B\".c"), "{}", home.ok(&["list"]));
    assert_eq!(home.ok(&["get", evil]), "v", "the name that it shows is one that it takes");
    assert_eq!(home.ok(&["get", r#""a\u202Eb\u200B".c"#]), "v");
}

#[test]
fn colour_appears_on_terminals_and_on_request() {
    let home = Home::new();
    assert!(!home.run(&["list"]).err.contains('\u{1b}'));
    assert!(
        home.run(&["list", "--color", "always"]).err.starts_with("\u{1b}[31mbootseal\u{1b}[0m: ")
    );
    assert!(!home.run(&["list", "--color", "always", "--json"]).err.contains('\u{1b}'));
    fails(&home, &["list", "--color", "pink"], "usage");
    fails(&home, &["list", "-q", "-v"], "usage");
}

#[cfg(target_os = "linux")]
#[test]
fn a_closed_pipe_is_not_a_failure_and_a_full_disk_is() {
    let home = Home::with_vault(ACME);
    for args in [&["list"][..], &["get", "acme.password"], &["verify"], &["access", "list"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let ran: Ran = home.command(args).stdout(full).output().unwrap().into();
        assert!(
            ran.code == 1
                && ran.err.contains("could not be written")
                && !ran.err.contains("panicked"),
            "{}",
            ran.err
        );
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran: Ran = home.command(args).stdout(writer).output().unwrap().into();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn an_error_in_json_is_as_complete_as_in_text() {
    let home = Home::with_vault(ACME);
    home.write("bad.toml", "a = 1\na = 2\n");
    let error = error_in(&home.run(&["seal", "bad.toml", "--json"]));
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = error_in(&home.run(&["set", "acme.password", "--plain", "x", "--json"]));
    assert_eq!(
        (&error["file"], &error["property"]),
        (&json!("app.sealed.toml"), &json!("acme.password"))
    );
    let error = error_in(&home.run(&["set", "acme.password", "--from-file", ".", "--json"]));
    assert_eq!(error["file"], json!("."));
    let error = error_in(&home.run(&["access", "add", "--json"]));
    assert!(error["message"].as_str().unwrap().contains("NAME"), "{error}");
}

#[test]
fn json_is_one_document_or_refused() {
    let home = Home::with_vault(ACME);
    for args in [
        &["access", "add", "web", "--new-key", "-", "--yes", "--json"][..],
        &["get", "acme.password", "--out", "o", "--json"],
    ] {
        let ran = home.run(args);
        assert!(
            ran.code == 2 || serde_json::from_str::<Value>(&ran.out).is_ok(),
            "{args:?}: {:?}",
            ran.out
        );
    }
}

#[cfg(unix)]
#[test]
fn terminal_output_escapes_hidden_characters() {
    let home = Home::with_vault(ACME);
    home.ok_with(&["set", "acme.password"], "a\u{202e}b\u{9b}31mc".as_bytes());
    if let Some((_, seen, _)) = at_a_terminal(&home, &["get", "acme.password", "--json"], &[]) {
        assert!(!seen.contains(['\u{202e}', '\u{9b}']), "{seen:?}");
    }
    std::fs::rename(home.at("app.sealed.toml"), home.at("a\u{1b}[31m\u{202e}.sealed.toml"))
        .unwrap();
    for args in [&["-v", "list"][..], &["verify", "--json"]] {
        let ran = home.run(args);
        assert!(!(ran.out + &ran.err).contains(['\u{202e}', '\u{1b}']), "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_prompt_restores_the_terminal() {
    let home = Home::with_vault(ACME);
    let set = ["set", "acme.password"];
    let Some((code, _, echo)) = at_a_terminal(&home, &set, &[(": ", "\u{3}")]) else { return };
    assert!(code == 130 && echo == "echo", "{code} {echo}");
    let (_, seen, _) = at_a_terminal(&home, &set, &[(": ", "\u{4}")]).unwrap();
    assert!(seen.contains("acme.password: \n"), "{seen}");
}
