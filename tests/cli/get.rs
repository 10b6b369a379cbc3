//! `get` prints one value and nothing else.

use crate::answers::{ACME, error_in, fails};
use crate::support::{Home, at_a_terminal};
use serde_json::json;

#[test]
fn get_prints_the_value_and_nothing_else() {
    let home = Home::with_vault(ACME);
    for (name, value) in
        [("acme.password", "hunter2"), ("acme.user", "bob"), ("\"acme\".'user'", "bob")]
    {
        let ran = home.run(&["get", name]);
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, value, ""));
    }
    home.write("taken", "mine");
    for (args, kind, words) in [
        (&["get", "acme.passwort"][..], "not-found", "Did you mean acme.password"),
        (&["get", "acme"], "not-found", "bootseal list acme"),
        (&["get", "zzz"], "not-found", "bootseal list"),
        (&["get", "a b"], "usage", "TOML dotted key"),
        (&["get", "acme.password", "--out", "taken"], "exists", "taken"),
        (&["get", "acme.password", "--out", "none/x"], "io", "none/x"),
        (&["get"], "usage", ""),
    ] {
        let text = fails(&home, args, kind);
        assert!(text.contains(words) && !text.contains("hunter2"), "{text}");
    }
    assert_eq!(home.read("taken"), "mine");
    let error = error_in(&home.run(&["get", "acme.passwort", "--json"]));
    assert_eq!(
        (&error["file"], &error["property"]),
        (&json!("app.sealed.toml"), &json!("acme.passwort"))
    );
}

#[cfg(unix)]
#[test]
fn get_at_a_terminal_ends_the_line_and_escapes_hidden_characters() {
    let home = Home::with_vault(ACME);
    let Some((code, seen, _)) = at_a_terminal(&home, &["get", "acme.password"], &[]) else {
        return;
    };
    assert_eq!((code, seen.as_str()), (0, "hunter2\n"));
    home.ok_with(&["set", "acme.password"], "a\u{1b}[31m\u{202e}b\nc\td\u{9b}".as_bytes());
    let (code, seen, _) =
        at_a_terminal(&home, &["get", "acme.password", "--color", "never"], &[]).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        seen,
        "bootseal: warning: invisible characters are escaped; for the exact bytes, use a pipe or --out\n\
         a\\u{1b}[31m\\u{202e}b\nc\td\\u{9b}\n"
    );
}
