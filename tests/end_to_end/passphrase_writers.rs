//! A passphrase that can sign was typed and checked, whichever command makes a member a writer.

use crate::support::{Home, Ran};

const SHORT: &str = "elf letters";

/// A vault of alice with the reader `r1`, whose passphrase is short; also returns r1's recipient.
fn vault() -> (Home, String) {
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let add = ["access", "add", "r1", "--passphrase", "--small", "--yes"];
    assert_eq!(with(&home, &add, SHORT).code, 0);
    let recipient = recipient(&home, "app.sealed.toml");
    (home, recipient)
}

fn with(home: &Home, args: &[&str], passphrase: &str) -> Ran {
    home.run_with(&[args, &["--passphrase-fd", "0"]].concat(), passphrase.as_bytes())
}

fn recipient(home: &Home, file: &str) -> String {
    let text = home.read(file);
    let row = text.lines().find(|line| line.contains("\"r1\"")).unwrap();
    let start = row.find("age1").unwrap();
    row[start..].split('"').next().unwrap().to_owned()
}

/// Whether r1's passphrase opens the file on a machine without a key.
fn opens(home: &Home) -> bool {
    let (own, away) = (home.at(".config/bootseal/identity.txt"), home.at("alice.key"));
    std::fs::rename(&own, &away).unwrap();
    let ran = with(home, &["get", "acme.password"], SHORT);
    std::fs::rename(&away, &own).unwrap();
    ran.code == 0 && ran.out == "hunter2"
}

#[test]
fn a_reader_with_a_passphrase_becomes_a_writer_only_by_typing_it() {
    let (home, recipient) = vault();
    let before = home.read("app.sealed.toml");
    std::fs::create_dir(home.at("other")).unwrap();
    home.ok(&["init", "-f", "other/b.sealed.toml"]);
    for args in [
        &["access", "add", "r1", &recipient, "--writer", "--replace", "--yes"][..],
        &["access", "add", "w9", &recipient, "--writer", "--yes"],
        // The entry with the passphrase is in the other file.
        &[
            "access",
            "add",
            "w9",
            &recipient,
            "--writer",
            "--yes",
            "-f",
            "app.sealed.toml",
            "-f",
            "other/b.sealed.toml",
        ],
    ] {
        let ran = home.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {}", ran.err);
        let next = "bootseal access add r1 --passphrase --writer --replace";
        assert!(ran.err.contains("typed and checked") && ran.err.contains(next), "{}", ran.err);
    }
    let promote = ["access", "add", "r1", "--passphrase", "--small", "--writer", "--replace"];
    let promote = [&promote[..], &["--yes"]].concat();
    assert_eq!(with(&home, &promote, SHORT).code, 2);
    assert_eq!(home.read("app.sealed.toml"), before);
    assert!(opens(&home));
    let ran = with(&home, &promote, "quay ladder ember fossil");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(home.ok(&["access", "list"]).contains("by passphrase"));
}

#[test]
fn a_new_role_with_the_same_recipient_keeps_the_passphrase() {
    let (home, recipient) = vault();
    home.ok(&["access", "add", "r1", &recipient, "--replace", "--yes"]);
    assert!(opens(&home));
    // A writer with a checked passphrase becomes a reader, and still opens the file.
    let home = Home::with_vault("[acme]\npassword = \"secret:hunter2\"\n");
    let add = ["access", "add", "r1", "--passphrase", "--small", "--writer", "--yes"];
    assert_eq!(with(&home, &add, "quay ladder ember fossil").code, 0);
    let recipient = self::recipient(&home, "app.sealed.toml");
    home.ok(&["access", "add", "r1", &recipient, "--replace", "--yes"]);
    assert!(home.ok(&["access", "list"]).contains("by passphrase"));
}

#[test]
fn a_vault_like_another_makes_no_reader_a_writer() {
    let (home, recipient) = vault();
    let writer = format!("w9={recipient}");
    let like = ["init", "--like", "app.sealed.toml", "-f", "new.sealed.toml"];
    let ran = home.run(&[&like[..], &["--writer", &writer]].concat());
    assert!(ran.code == 2 && ran.err.contains("the same recipient as r1"), "{}", ran.err);
    home.ok(&like);
    let text = home.read("new.sealed.toml");
    let row = text.lines().find(|line| line.contains("\"r1\"")).unwrap();
    assert!(row.contains("\"reader\"") && row.contains("passphrase = "), "{row}");
}

#[test]
fn only_characters_that_somebody_has_to_guess_count() {
    let (home, _) = vault();
    let writer = ["access", "add", "w1", "--passphrase", "--small", "--writer", "--yes"];
    for short in [
        // Six letters, each of two characters before they are normalised.
        "a\u{308}a\u{308}a\u{308}a\u{308}a\u{308}a\u{308}",
        "abcdefghijk\u{200b}",
        "abc\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{309}\u{30a}",
        "abcdefghijk\u{2060}\u{feff}\u{fe0f}",
    ] {
        let ran = with(&home, &writer, short);
        let words = "fewer than 12 characters";
        assert!(ran.code == 2 && ran.err.contains(words), "{short:?}: {}", ran.err);
        let new = ["keygen", "--passphrase", "-o", "locked"];
        let ran = with(&home, &new, short);
        assert!(ran.code == 0 && ran.err.contains(words), "{short:?}: {}", ran.err);
        std::fs::remove_file(home.at("locked")).unwrap();
    }
    // Twelve letters count as twelve in either form.
    assert_eq!(with(&home, &writer, &"u\u{308}".repeat(12)).code, 0);
}
