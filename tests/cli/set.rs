//! `set` changes one value (from a prompt, stdin, a file, or generated) and nothing else in the
//! file.

#[cfg(unix)]
use crate::answers::mode;
use crate::answers::{ACME, block, document, fails, fails_with, keys, without};
use crate::support::repo::Repo;
use crate::support::{Home, at_a_terminal};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[test]
fn set_from_stdin_drops_exactly_one_newline() {
    let home = Home::with_vault(ACME);
    for (stdin, value) in [
        ("v\n", "v"),
        ("v\n\n", "v\n"),
        ("v\r\n", "v"),
        ("v", "v"),
        ("\nv", "\nv"),
        ("a\nb\n", "a\nb"),
        ("v\r", "v\r"),
    ] {
        assert_eq!(home.ok_with(&["set", "acme.password"], stdin.as_bytes()), "");
        assert_eq!(home.ok(&["get", "acme.password"]), value, "{stdin:?}");
        home.ok_with(&["set", "acme.password", "-"], stdin.as_bytes());
        assert_eq!(home.ok(&["get", "acme.password"]), value, "{stdin:?} with -");
    }
    assert_eq!(
        document(&home, &["get", "acme.password"]),
        json!({ "name": "acme.password", "value": "v\r" })
    );
    let set: Value =
        serde_json::from_str(&home.ok_with(&["set", "acme.password", "--json"], b"v")).unwrap();
    assert_eq!(set, json!({ "name": "acme.password", "sealed": true }));
}

#[test]
fn set_refuses_an_empty_value_without_the_option_empty() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    home.write("nothing", "");
    for (args, stdin) in [
        (&["set", "acme.password"][..], ""),
        (&["set", "acme.password"], "\n"),
        (&["set", "acme.password", "-"], "\r\n"),
        (&["set", "acme.password", "--from-file", "nothing"], ""),
    ] {
        assert!(fails_with(&home, args, stdin.as_bytes(), "usage").contains("--empty"), "{args:?}");
    }
    assert_eq!(home.read("app.sealed.toml"), before);
    home.ok_with(&["set", "acme.password", "--empty"], b"");
    assert_eq!(home.ok(&["get", "acme.password"]), "");
}

#[test]
fn set_from_a_file_keeps_every_byte() {
    let home = Home::with_vault(ACME);
    let every: Vec<u8> = (0..=255).chain([b'\n', b'\n']).collect();
    for bytes in [&b"text\n"[..], b"\n", b"a\r\n", "gr\u{fc}n\n".as_bytes(), &every] {
        home.write("value", bytes);
        // A text is replaced by bytes only on purpose.
        let sort = if std::str::from_utf8(bytes).is_ok() { "text" } else { "bytes" };
        home.ok(&["set", "tls.key", "--from-file", "value", "--type", sort]);
        assert_eq!(home.command(&["get", "tls.key"]).output().unwrap().stdout, bytes);
        home.ok(&["get", "tls.key", "--out", "out"]);
        assert_eq!(std::fs::read(home.at("out")).unwrap(), bytes);
        #[cfg(unix)]
        assert_eq!(mode(&home.at("out")), 0o600);
        std::fs::remove_file(home.at("out")).unwrap();
    }
    let document = document(&home, &["get", "tls.key"]);
    assert_eq!(keys(&document), ["base64", "name"], "binary values have no text");
    let bytes = base64::Engine::decode(
        &base64::prelude::BASE64_STANDARD,
        document["base64"].as_str().unwrap(),
    )
    .unwrap();
    assert_eq!(bytes, every);
    fails(&home, &["set", "tls.key", "--from-file", "."], "io");
}

#[test]
fn set_plain_replaces_a_sealed_value_only_with_force() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    let text = fails(&home, &["set", "acme.password", "--plain", "oops"], "conflict");
    assert!(text.contains("--force") && !text.contains("oops"), "{text}");
    assert_eq!(home.read("app.sealed.toml"), before);
    let done = document(&home, &["set", "acme.password", "--plain", "shown", "--force"]);
    assert_eq!(done, json!({ "name": "acme.password", "sealed": false }));
    assert!(home.read("app.sealed.toml").contains("password = \"shown\"\n"));
    let odd = "https://\"x\" \\ \u{1b}\u{202e}\n";
    assert_eq!(home.ok(&["set", "acme.url", "--plain", odd]), "");
    assert_eq!(home.ok(&["get", "acme.url"]), odd);
    // Sealing a value that was readable prints a warning.
    let ran = home.run_with(&["set", "acme.password"], b"hidden");
    assert!(ran.code == 0 && ran.err.contains("was readable until now"), "{}", ran.err);
}

#[test]
fn set_generates_letters_and_digits_of_the_length_asked_for() {
    let home = Home::with_vault(ACME);
    let mut seen = BTreeSet::new();
    for (option, length) in
        [("--generate", 32), ("--generate", 32), ("--generate=8", 8), ("--generate=4096", 4096)]
    {
        assert_eq!(home.ok(&["set", "acme.password", option]), "", "never printed");
        let value = home.ok(&["get", "acme.password"]);
        assert_eq!(value.len(), length);
        assert!(value.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{value}");
        assert!(seen.insert(value.clone()));
        let kinds: BTreeSet<u8> = value.bytes().collect();
        assert!(
            length < 4096 || kinds.len() == 62,
            "every letter and digit occurs: {}",
            kinds.len()
        );
    }
    for option in ["--generate=7", "--generate=4097", "--generate=x", "--generate=-1"] {
        fails(&home, &["set", "acme.password", option], "usage");
    }
    fails(&home, &["set", "acme.password", "--generate", "--plain", "x"], "usage");
}

#[test]
fn set_refuses_a_value_in_argv_and_does_not_repeat_it() {
    let home = Home::with_vault(ACME);
    let before = home.read("app.sealed.toml");
    let text = fails(&home, &["set", "acme.password", "hunter3"], "usage");
    assert!(
        text.contains("must not be on the command line") && !text.contains("hunter3"),
        "{text}"
    );
    let text = fails(&home, &["set", "acme.password", "hunter3", "--from-file", "x"], "usage");
    assert!(!text.contains("hunter3"), "{text}");
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn set_warns_of_invisible_characters() {
    let home = Home::with_vault(ACME);
    for (value, remark) in [
        ("hunter2 ", "begins or ends with a blank"),
        ("\thunter2", "begins or ends with a blank"),
        ("hunter\u{a0}2", "contains a no-break space"),
        ("hunter2\n\n", "ends with a line break"),
        ("hunter\u{200b}2", "contains an invisible character"),
        ("hunter\u{1b}2", "contains an invisible character"),
    ] {
        let ran = home.run_with(&["-q", "set", "acme.password"], value.as_bytes());
        assert_eq!(ran.code, 0);
        assert_eq!(ran.err, format!("bootseal: warning: acme.password: the value {remark}\n"));
    }
    for value in ["hunter 2", "a\nb", "gr\u{fc}n", "a\tb"] {
        assert_eq!(home.run_with(&["set", "acme.password"], value.as_bytes()).err, "", "{value:?}");
    }
}

#[test]
fn after_one_set_only_the_value_the_generation_and_the_signature_differ() {
    let toml = "# top\r\nfirst = 'literal' # kept\n\n  [ acme ]   # blanks too\n  user=\"bob\"\n  password   =   \"secret:hunter2\"   # rotated yearly\n'quo.ted' = \"\"\"\nmulti\nline\"\"\"\nother = \"secret:x\"\nnumbers = [ 1,\n  2, # two\n]\n\n# the end\n";
    let home = Home::with_vault(toml);
    let before = home.read("app.sealed.toml");
    for (args, stdin) in [
        (&["set", "acme.password"][..], "new"),
        (&["set", "acme.password", "--plain", "new", "--force"], ""),
        (&["set", "acme.password", "--generate=300"], ""),
    ] {
        home.ok_with(args, stdin.as_bytes());
        let after = home.read("app.sealed.toml");
        let volatile = ["  password  ", "generation", "signature"];
        assert_eq!(without(&before, &volatile), without(&after, &volatile));
        assert_eq!(before.lines().count(), after.lines().count());
        assert!(after.contains("  # rotated yearly\n"), "the comment beside the value stays");
        for key in ["read_key", "write_key"] {
            assert_eq!(block(&before, key), block(&after, key), "{key}");
        }
    }
    assert!(home.read("app.sealed.toml").contains("\ngeneration = 4\n"), "one for each write");
    // Setting the same value again changes only the ciphertext.
    home.ok_with(&["set", "other"], b"x");
}

#[test]
fn set_adds_a_new_name_as_one_line_of_its_table() {
    let home =
        Home::with_vault("top = \"1\"\n\n[acme]\nuser = \"secret:bob\"\n\n[zoo]\nape = \"1\"\n");
    for (name, line) in [
        ("acme.password", "password = \"sealed:"),
        ("top2", "top2 = \"sealed:"),
        ("zoo.\"a.b\"", "\"a.b\" = \"sealed:"),
    ] {
        let before = home.read("app.sealed.toml");
        home.ok_with(&["set", name], b"v");
        let after = home.read("app.sealed.toml");
        let new: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
        assert_eq!(new.len(), 3, "{new:?}");
        assert!(new.iter().any(|new| new.starts_with(line)), "{new:?}");
        assert_eq!(home.ok(&["get", name]), "v");
    }
    home.ok_with(&["set", "deep.er.still"], b"v");
    assert_eq!(home.ok(&["get", "deep.er.still"]), "v");
    for (name, kind) in [
        ("acme", "conflict"),
        ("acme.user.name", "conflict"),
        ("bootseal.generation", "conflict"),
        ("a b", "usage"),
        ("", "usage"),
        ("a.", "usage"),
        ("a\nb", "usage"),
    ] {
        fails_with(&home, &["set", name], b"v", kind);
    }
    let (long, deep) = ("a".repeat(1025), format!("a{}", ".a".repeat(16)));
    assert!(fails_with(&home, &["set", &long], b"v", "malformed").contains("1024"));
    assert!(fails_with(&home, &["set", &deep], b"v", "malformed").contains("16"));
}

#[test]
fn set_leaves_a_login_profile_readable() {
    let home = Home::with_vault(ACME);
    home.ok(&["set", "acme.login.url", "--plain", "https://acme.example/login"]);
    // Each change that breaks the profile is reported with its reason.
    for (path, what) in [("token", "token"), ("form", "form"), ("url", "is not https")] {
        let ran =
            home.run(&["set", &format!("acme.login.{path}"), "--plain", "http://acme.example/"]);
        assert!(
            ran.code == 0 && ran.err.contains("warning") && ran.err.contains(what),
            "{path}: {}",
            ran.err
        );
    }
    let text = fails_with(&home, &["set", "acme.login.url"], b"v", "conflict");
    assert!(text.contains("bootseal set acme.login.url --plain VALUE"), "{text}");
}

#[test]
fn set_refuses_a_value_that_makes_the_file_too_large() {
    let home = Home::with_vault(ACME);
    home.ok_with(&["set", "large"], "x".repeat(1 << 20).as_bytes());
    assert_eq!(home.ok(&["get", "large"]).len(), 1 << 20);
    let before = home.read("app.sealed.toml");
    assert!(
        fails_with(&home, &["set", "larger"], "x".repeat(13 << 20).as_bytes(), "usage")
            .contains("12 MiB")
    );
    let ran = home.run_with(&["set", "larger"], "x".repeat(12 << 20).as_bytes());
    assert!(ran.code == 1 && ran.err.contains("16 MiB"), "{}", ran.err);
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn two_concurrent_sets_both_succeed() {
    const EACH: usize = 200;
    let home = Home::new();
    home.ok(&["init"]);
    std::thread::scope(|scope| {
        for who in ["a", "b"] {
            let home = &home;
            scope.spawn(move || {
                for number in 0..EACH {
                    let ran = home.run_with(
                        &["set", &format!("{who}.n{number}")],
                        format!("{who}{number}").as_bytes(),
                    );
                    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
                }
            });
        }
    });
    let verified = document(&home, &["verify"]);
    assert_eq!(verified["sealed"], 2 * EACH);
    assert_eq!(verified["generation"], 2 * EACH + 1);
    for (name, value) in [("a.n0", "a0"), ("b.n0", "b0"), ("a.n199", "a199"), ("b.n199", "b199")] {
        assert_eq!(home.ok(&["get", name]), value);
    }
    let visible = std::fs::read_dir(home.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("sealed"))
        .count();
    assert_eq!(visible, 1, "no temporary file is left");
}

#[cfg(unix)]
#[test]
fn set_asks_twice_without_echo() {
    let home = Home::with_vault(ACME);
    let typed = "typed-hunter4\n";
    let Some((code, seen, _)) =
        at_a_terminal(&home, &["set", "acme.password"], &[(": ", typed), ("again: ", typed)])
    else {
        return;
    };
    assert_eq!(code, 0);
    assert!(seen.starts_with("acme.password: \nacme.password, again: \nbootseal: "), "{seen}");
    assert_eq!(home.ok(&["get", "acme.password"]), "typed-hunter4");
    let before = home.read("app.sealed.toml");
    let differ = [("password: ", typed), ("again: ", "other\n")];
    for (answers, words) in [
        (differ.repeat(3), "the two inputs differ; nothing was changed"),
        (vec![(": ", "\n"), ("again: ", "\n")], "--empty"),
    ] {
        let (code, seen, _) = at_a_terminal(&home, &["set", "acme.password"], &answers).unwrap();
        assert!(code == 2 && seen.contains(words) && !seen.contains("hunter4"), "{code}: {seen}");
    }
    let (code, seen, _) =
        at_a_terminal(&home, &["set", "acme.password"], &[(": ", "\u{4}")]).unwrap();
    assert!(code == 2 && seen.contains("no answer from the terminal"), "{code}: {seen}");
    assert_eq!(home.read("app.sealed.toml"), before);
}

#[test]
fn a_readable_value_is_escaped_in_the_file() {
    let home = Home::with_vault(ACME);
    home.ok(&["set", "acme.url", "--plain", "a\u{202e}b"]);
    assert!(!home.read("app.sealed.toml").contains('\u{202e}'));
}

#[test]
fn an_error_for_a_reader_who_writes_names_the_writers() {
    let home = Home::with_vault(ACME);
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    let text = fails(&home, &["set", "acme.x", "--plain", "1", "-i", "web.key"], "no-identity");
    let help = text.lines().last().unwrap();
    assert!(help.contains("alice") && !help.contains("web"), "{help}");
}

#[cfg(unix)]
#[test]
fn set_with_a_dash_does_not_echo_the_value_at_a_terminal() {
    let home = Home::with_vault(ACME);
    let Some((_, seen, _)) = at_a_terminal(
        &home,
        &["set", "acme.password", "-"],
        &[(": ", "typed-hunter4\n"), (": ", "\u{4}")],
    ) else {
        return;
    };
    assert!(!seen.contains("hunter4"), "{seen}");
}

#[test]
fn a_value_is_always_dated_after_the_one_that_it_replaces() {
    let repo = Repo::new();
    let set_at = || {
        let rows = repo.json(&["list", "acme.password"]);
        rows["properties"][0]["set_at"].as_str().unwrap().to_owned()
    };
    // Three values within a second have an order.
    let mut dates = Vec::new();
    for value in ["one", "two", "three"] {
        repo.set("acme.password", value);
        dates.push(set_at());
    }
    let in_order: BTreeSet<String> = dates.iter().cloned().collect();
    assert!(in_order.len() == 3 && dates.is_sorted(), "{dates:?}");
    // A machine whose clock was ahead dated a value.
    let ahead = bootseal_cli::system_time() + 3600;
    repo.give("acme.password", "ahead", ahead);
    let before = set_at();
    let ran = repo.run_as("alice", &["set", "acme.password", "-"], b"newer");
    assert!(ran.code == 0 && ran.err.contains("clock of this machine is behind"), "{}", ran.err);
    assert!(set_at() > before, "{} {before}", set_at());
    assert!(ran.err.contains(&set_at()), "{}", ran.err);
    // The file has the newest date, whichever value is set.
    let ran = repo.run_as("alice", &["set", "acme.token", "-"], b"t");
    assert!(ran.err.contains("clock of this machine is behind"), "{}", ran.err);
    // Without such a date, nothing is reported about the clock.
    repo.ok(&["unset", "acme.password"]);
    assert_eq!(repo.run_as("alice", &["set", "acme.token", "-"], b"t").err, "");
}

#[test]
fn unset_leaves_no_empty_table_behind() {
    for (text, path, after) in [
        ("a = 1\n\n[aplication]\nport = 1\n", "aplication.port", "a = 1\n"),
        ("[gateway]\nadmin = 'x'\n\n[b]\nc = 1\n", "gateway.admin", "[b]\nc = 1\n"),
        ("a = 1\n[x]\n[x.y]\nz = 1\n", "x.y.z", "a = 1\n"),
        ("a = 1\nx = { y = 1 }\n", "x.y", "a = 1\n"),
        ("[x]\ny = 1\n[x.z]\nb = 1\n", "x.y", "[x]\n[x.z]\nb = 1\n"),
        ("[x]\ny = 1\nz = 2\n", "x.y", "[x]\nz = 2\n"),
        ("a = 1\n[x]\n# why\ny = 1\n", "x.y", "a = 1\n# why\n"),
    ] {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write("in.toml", text);
        home.ok(&["seal", "in.toml", "--suggested", "--keep-comments", "-o", "app.sealed.toml"]);
        home.ok(&["unset", path]);
        let file = home.read("app.sealed.toml");
        let (own, _) = file.split_once("[bootseal]").unwrap();
        let left: Vec<&str> = own.lines().filter(|line| !line.is_empty()).collect();
        let wanted: Vec<&str> = after.lines().filter(|line| !line.is_empty()).collect();
        assert_eq!(left, wanted, "{text}");
        home.ok(&["verify"]);
    }
}

#[test]
fn unset_removes_a_whole_table_only_on_yes() {
    let home =
        Home::with_vault("a = 1\n[x]\ny = 'secret:s'\nz = 2\n[x.w]\nv = { u = 1 }\n[xx]\nb = 1\n");
    let before = home.read("app.sealed.toml");
    let said = fails(&home, &["unset", "x"], "no-terminal");
    assert!(said.contains("x is a table with 3 properties") && said.contains("--yes"), "{said}");
    assert_eq!(home.read("app.sealed.toml"), before);
    let ran = home.typed(&["unset", "x"], &[], &[("[y/N] ", "n\n")]);
    assert!(ran.code == 2 && home.read("app.sealed.toml") == before, "{}", ran.out);
    assert_eq!(document(&home, &["unset", "x", "--yes"])["name"], "x");
    let file = home.read("app.sealed.toml");
    assert!(!file.contains("[x]") && !file.contains("[x.w]") && file.contains("[xx]\nb = 1\n"));
    assert!(file.starts_with("a = 1\n"), "{file}");
    fails(&home, &["unset", "x", "--yes"], "not-found");
}
