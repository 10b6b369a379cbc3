//! `verify` reports which vault a file belongs to, why it is trusted, and whether its values open.

use crate::answers::{ACME, document, fails, keys};
use crate::support::Home;
use serde_json::{Value, json};

#[test]
fn verify_reports_the_vault_its_trust_and_whether_values_open() {
    let home = Home::with_vault(ACME);
    let vault = home.vault_id();
    let good = |trust: &str, generation: u64, values: &str| {
        format!(
            "app.sealed.toml: good, {trust}. {vault}, generation {generation}, 3 properties, 1 sealed; {values}\n"
        )
    };
    assert_eq!(home.ok(&["verify"]), good("remembered", 1, "every value opens (writer)"));
    home.ok(&["access", "add", "web", "--new-key", "web.key", "--yes"]);
    assert_eq!(
        home.ok(&["verify", "-i", "web.key"]),
        good("pinned", 2, "every value opens (reader)")
    );
    let other = Home::new();
    std::fs::copy(home.at("app.sealed.toml"), other.at("app.sealed.toml")).unwrap();
    let ran = other.run(&["verify"]);
    assert_eq!(ran.code, 0);
    assert_eq!(
        ran.out,
        good("not pinned", 2, "values not opened: no available identity is in access")
    );
    assert!(
        ran.err.contains("warning: ") && ran.err.contains(&format!("--pin {vault}\n")),
        "{}",
        ran.err
    );
    let ran = other.run(&["verify", "--json"]);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["role"], &document["trust"]), (&json!(null), &json!("not pinned")));
    let warning: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(warning["warning"].is_string(), "{warning}");
    // The user's own identity need not open every file; a named identity must.
    other.ok(&["keygen"]);
    other.ok(&["verify"]);
    fails(&other, &["verify", "-i", ".config/bootseal/identity.txt"], "no-identity");
}

#[test]
fn verify_checks_pins_with_and_without_a_minimum_generation() {
    let home = Home::with_vault(ACME);
    home.ok(&["set", "acme.x", "--plain", "1"]);
    home.ok(&["init", "-f", "other.sealed.toml"]);
    let (vault, other) = (
        home.vault_id(),
        document(&home, &["verify", "other.sealed.toml"])["vault"].as_str().unwrap().to_owned(),
    );
    let verify = |pins: &[&str]| -> Vec<String> {
        let pins = pins.iter().flat_map(|pin| ["--pin", pin]);
        ["verify", "app.sealed.toml"].into_iter().chain(pins).map(str::to_owned).collect()
    };
    let (floor, high, padded) = (format!("{vault}@2"), format!("{vault}@3"), format!("{vault}@02"));
    for pins in
        [&[vault.as_str()][..], &[&floor], &[&padded], &[&other, &vault], &[&format!("{vault}@0")]]
    {
        let args = verify(pins);
        home.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
    }
    for (pins, kind) in [
        (&[other.as_str()][..], "wrong-vault"),
        (&[&high], "old-generation"),
        (&[&vault, &high], "old-generation"),
        (&["vault1nonsense"], "usage"),
        (&[&format!("{vault}@")], "usage"),
        (&[&format!("{vault}@x")], "usage"),
        (&[&format!("{vault}@-1")], "usage"),
        (&[&vault.to_uppercase()], "usage"),
    ] {
        let args = verify(pins);
        fails(&home, &args.iter().map(String::as_str).collect::<Vec<_>>(), kind);
    }
}

#[test]
fn verify_checks_every_file_and_exits_with_the_worst_code() {
    let home = Home::with_vault(ACME);
    home.write("cut.sealed.toml", "cut");
    home.write("forged.sealed.toml", home.read("app.sealed.toml").replace("bob", "eve"));
    home.write("copy.sealed.toml", home.read("app.sealed.toml"));
    let two = home.ok(&["verify", "app.sealed.toml", "copy.sealed.toml", "app.sealed.toml"]);
    assert_eq!(two.lines().count(), 2);
    for (files, code) in [
        (&["cut.sealed.toml", "app.sealed.toml", "none"][..], 1),
        (&["forged.sealed.toml", "cut.sealed.toml", "app.sealed.toml"], 3),
        (&["app.sealed.toml", "cut.sealed.toml", "forged.sealed.toml"], 3),
    ] {
        let ran = home.run(&[&["verify"], files].concat());
        assert_eq!(ran.code, code, "{}", ran.err);
        assert_eq!(ran.out.lines().count(), 1, "the valid file is reported: {}", ran.out);
        assert_eq!(
            ran.err.lines().filter(|line| line.starts_with("bootseal: ")).count(),
            2,
            "{}",
            ran.err
        );
        let ran = home.run(&[&["--json", "verify"], files].concat());
        assert_eq!((ran.code, ran.err.as_str()), (code, ""));
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(keys(&document), ["files"]);
        for (row, file) in document["files"].as_array().unwrap().iter().zip(files) {
            assert_eq!(row["file"], *file);
            if *file == "app.sealed.toml" {
                assert_eq!(
                    (&row["signed"], &row["role"], &row["sealed"]),
                    (&json!(true), &json!("writer"), &json!(1))
                );
            } else {
                assert_eq!(keys(row), ["error", "file"]);
                assert_eq!(keys(&row["error"]), ["file", "help", "kind", "message", "property"]);
            }
        }
    }
}

#[test]
fn verify_names_a_broken_profile() {
    let home = Home::with_vault(
        "[acme]\npassword = \"secret:x\"\n[acme.login]\nurl = \"http://acme.example/login\"\n",
    );
    let ran = home.run(&["verify"]);
    assert_eq!(ran.code, 0, "the missing value may be set later");
    assert!(
        ran.err.starts_with("bootseal: warning: app.sealed.toml: ")
            && ran.err.contains("acme.login"),
        "{}",
        ran.err
    );
}
