//! Files that are damaged, foreign or unusual: bad vectors, broken rules, line ends, links and
//! modes.

use crate::answers::{ACME, fails, rows, vector, without};
#[cfg(unix)]
use crate::answers::{chmod, mode};
use crate::support::{Home, root};

#[test]
fn every_bad_vector_ends_with_its_expected_error_and_one_message() {
    let home = Home::new();
    let mut tried = 0;
    for row in rows().iter().filter(|row| {
        row["expect"] != "ok" && row["pin"].is_string() && row["identity"].is_string()
    }) {
        let text = |key: &str| row[key].as_str().unwrap();
        vector(&home, text("file"));
        let args = ["verify", "vector.sealed.toml", "-i", text("identity"), "--pin", text("pin")];
        let said = fails(&home, &args, text("expect"));
        let lines: Vec<&str> = said.lines().collect();
        let one = lines[0].starts_with("bootseal: vector.sealed.toml")
            && lines[1..].iter().all(|line| line.starts_with("  "));
        assert!(one && lines.len() <= 2, "{}: {said}", text("file"));
        tried += 1;
    }
    assert!(tried > 190, "{tried}");
}

#[test]
fn a_signed_file_that_breaks_a_rule_is_malformed_and_the_error_names_it() {
    for (file, words) in [
        ("unknown-key", "is not a key that this version knows"),
        ("missing-generation", "`bootseal.generation` is missing"),
        ("missing-access", "`bootseal.access` is missing"),
        ("generation-text", "`bootseal.generation` must be an integer, but is of type string"),
        ("access-number-name", "must be a string, but is of type integer"),
        ("format-2", "format"),
        ("access-no-writer", "names no writer"),
        ("nested-65", "recurs"),
        ("sealed-in-array", "only a string directly in a table can be sealed"),
        ("sealed-cut", "truncated, or not canonical"),
    ] {
        let home = Home::new();
        let pin = vector(&home, &format!("bad/{file}.sealed.toml"));
        for verb in [
            &["verify"][..],
            &["list"],
            &["get", "password"],
            &["set", "x", "--plain", "1"],
            &["access", "list"],
        ] {
            let args =
                [verb, &["-f", "vector.sealed.toml", "-i", "alice.key", "--pin", &pin]].concat();
            let args = if verb[0] == "verify" {
                ["verify", "vector.sealed.toml", "-i", "alice.key", "--pin", &pin].to_vec()
            } else {
                args
            };
            let said = fails(&home, &args, "malformed");
            assert!(said.contains(words), "{file}: {said}");
        }
    }
}

#[test]
fn files_that_are_not_sealed_files_get_distinct_errors() {
    let home = Home::with_vault(ACME);
    home.write("clear.toml", "password = \"hunter2\"\n");
    home.write("empty", "");
    home.write("large", vec![b'#'; 20 << 20]);
    home.write("binary", [0xff, 0xfe, 0, 1]);
    home.write(
        "nest",
        format!("a = {}{}\n{}", "[".repeat(5000), "]".repeat(5000), home.read("app.sealed.toml")),
    );
    home.write("forged", home.read("app.sealed.toml").replace("bob", "eve"));
    std::fs::create_dir(home.at("folder")).unwrap();
    let mut cases = vec![
        ("none", "not-found", "no such file"),
        ("clear.toml", "malformed", "bootseal seal"),
        ("empty", "malformed", "the file is empty"),
        ("large", "malformed", "16 MiB"),
        ("binary", "malformed", "line 1 is not UTF-8"),
        ("nest", "forged", "is not valid"),
        ("forged", "forged", "git checkout"),
        ("folder", "io", "not a regular file"),
        ("clear.toml/x", "io", "clear.toml/x"),
    ];
    #[cfg(unix)]
    {
        assert!(
            std::process::Command::new("mkfifo").arg(home.at("pipe")).status().unwrap().success()
        );
        std::os::unix::fs::symlink("nowhere", home.at("dangling")).unwrap();
        cases.extend([
            ("pipe", "io", "not a regular file"),
            ("/dev/zero", "io", "not a regular file"),
            ("dangling", "not-found", "no such file"),
        ]);
    }
    for (file, kind, words) in cases {
        for verb in [
            &["list"][..],
            &["get", "password"],
            &["set", "x", "--plain", "1"],
            &["access", "list"],
            &["login", "acme"],
            &["verify"],
        ] {
            let said = fails(&home, &[verb, &["-f", file]].concat(), kind);
            assert!(
                said.contains(words) && said.contains(file) && !said.contains("hunter2"),
                "{file}: {said}"
            );
        }
    }
}

#[test]
fn crlf_and_a_missing_final_newline_are_accepted_and_fixed_by_the_next_write() {
    let home = Home::with_vault(ACME);
    let good = home.read("app.sealed.toml");
    for text in [
        good.replace('\n', "\r\n"),
        good.trim_end().to_owned(),
        good.replacen('\n', "\r\n", 3).trim_end().to_owned(),
    ] {
        home.write("app.sealed.toml", &text);
        assert_eq!(home.ok(&["get", "acme.password"]), "hunter2");
        assert_eq!(home.read("app.sealed.toml"), text, "reading changes nothing");
        home.ok(&["set", "acme.user", "--plain", "carol"]);
        let mended = home.read("app.sealed.toml");
        assert!(!mended.contains('\r') && mended.ends_with("\"\n") && !mended.ends_with("\n\n"));
        let volatile = ["user", "generation", "signature"];
        assert_eq!(without(&mended, &volatile), without(&good, &volatile));
    }
}

#[cfg(unix)]
#[test]
fn a_write_keeps_links_and_modes_and_leaves_no_temporary_file() {
    let home = Home::with_vault(ACME);
    std::fs::create_dir(home.at("etc")).unwrap();
    std::fs::rename(home.at("app.sealed.toml"), home.at("etc/real.sealed.toml")).unwrap();
    std::os::unix::fs::symlink("etc/real.sealed.toml", home.at("app.sealed.toml")).unwrap();
    chmod(&home.at("etc/real.sealed.toml"), 0o640);
    let vault = home.vault_id();
    home.ok_with(&["set", "acme.password", "--pin", &vault], b"new");
    home.ok_with(&["set", "acme.password"], b"newer");
    assert!(home.at("app.sealed.toml").symlink_metadata().unwrap().is_symlink());
    assert_eq!(mode(&home.at("etc/real.sealed.toml")), 0o640);
    assert_eq!(std::fs::read_dir(home.at("etc")).unwrap().count(), 1);
    assert_eq!(home.ok(&["get", "acme.password", "-f", "etc/real.sealed.toml"]), "newer");
}

#[test]
fn a_writer_gets_an_error_if_readers_would_see_other_values() {
    let home = Home::new();
    let vectors = root().join("tests/vectors");
    home.write(
        "x.sealed.toml",
        std::fs::read(vectors.join("bad/read-key-other.sealed.toml")).unwrap(),
    );
    let before = home.read("x.sealed.toml");
    let key = std::fs::read_to_string(vectors.join("alice.key")).unwrap();
    home.ok(&["keygen", "-o", "other.key"]);
    home.write("other.key", key); // keygen made it private
    let pin = before.lines().rev().find_map(|line| line.strip_prefix("vault = \"")).unwrap();
    let pin = pin.trim_end_matches('"');
    for args in
        [&["set", "acme.password", "-"][..], &["unset", "acme.timeout"], &["rotate", "--yes"]]
    {
        let args = [args, &["-i", "other.key", "--pin", pin, "-f", "x.sealed.toml"][..]].concat();
        let ran = home.run_with(&args, b"new");
        assert!(ran.code == 1 && ran.err.contains("same data key"), "{args:?}: {}", ran.err);
        assert_eq!(home.read("x.sealed.toml"), before);
    }
}
