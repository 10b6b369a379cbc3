//! `import --from jasypt` opens values of every algorithm with either IV generator, and accepts no
//! reading that is not text. Jasypt 1.9.3 and BouncyCastle make the values.

use crate::import::{exported, imported, refused};
use crate::other_tools::java_sealed;
use crate::support::Home;
use serde_json::{Map, Value, json};

const PASSWORD: &str = "hunter2 master";

fn home_with(algorithm: &[&str], values: &[&str]) -> (Home, Value) {
    let home = Home::new();
    home.write("pw", PASSWORD);
    let sealed = java_sealed(algorithm, PASSWORD, values);
    let lines = sealed.iter().enumerate().map(|(at, sealed)| format!("v{at}={sealed}\n"));
    home.write("in.properties", lines.collect::<String>());
    let wanted: Map<String, Value> =
        values.iter().enumerate().map(|(at, value)| (format!("v{at}"), json!(value))).collect();
    (home, Value::Object(wanted))
}

const IMPORT: [&str; 4] = ["jasypt", "in.properties", "--key-file", "pw"];
const VALUES: [&str; 4] =
    ["abc12", "s3cr3t-8", "sixteen-chars-ok", "forty characters, as long as some tokens"];

#[test]
fn values_open_with_and_without_a_random_iv() {
    for (algorithm, usual) in [
        ("PBEWithMD5AndDES", true),
        ("PBEWithMD5AndTripleDES", true),
        ("PBEWITHSHA256AND256BITAES-CBC-BC", true),
        ("PBEWithSHA1AndDESede", false),
        ("PBEWITHSHAAND2-KEYTRIPLEDES-CBC", false),
        ("PBEWITHSHAAND3-KEYTRIPLEDES-CBC", false),
        ("PBEWITHMD5AND128BITAES-CBC-OPENSSL", false),
        ("PBEWITHMD5AND256BITAES-CBC-OPENSSL", false),
    ] {
        let (home, wanted) = home_with(&[algorithm, "RandomIvGenerator"], &VALUES);
        let named = ["--algorithm", algorithm];
        let both = ["--algorithm", algorithm, "--iv-generator", "org.jasypt.iv.RandomIvGenerator"];
        let ways: &[&[&str]] = if usual { &[&[], &named, &both] } else { &[&named, &both] };
        for (at, options) in ways.iter().enumerate() {
            let out = format!("{at}.sealed.toml");
            let table = imported(&home, &[&IMPORT[..], options, &["-o", &out]].concat());
            assert_eq!(exported(&home, &out), wanted, "{algorithm}, {options:?}");
            let scheme = table["weak"][0]["scheme"].as_str().unwrap();
            assert_eq!(scheme, format!("{algorithm} with RandomIvGenerator"));
        }
        let without = [&named[..], &["--iv-generator", "NoIvGenerator"]].concat();
        let args = [&IMPORT[..], &without, &["-o", "never.sealed.toml"]].concat();
        refused(&home, 4, "wrong-passphrase", "with NoIvGenerator", &args);
    }
    // Those that no other test seals without an IV.
    for algorithm in ["PBEWITHSHAAND2-KEYTRIPLEDES-CBC", "PBEWITHMD5AND128BITAES-CBC-OPENSSL"] {
        let (home, wanted) = home_with(&[algorithm], &VALUES);
        let options = ["--algorithm", algorithm, "-o", "a.sealed.toml"];
        imported(&home, &[&IMPORT[..], &options].concat());
        assert_eq!(exported(&home, "a.sealed.toml"), wanted, "{algorithm}");
    }
}

/// Values that open both with and without the IV: the second reading is not text. They were made by
/// `Seal.java PBEWithMD5AndDES both-ways`, which takes a while.
const BOTH_WAYS: [&str; 1] = ["ENC(yejwXfTjlqayhWr+VIkEqs2DMwH9/CpV6bUzd0bk01I=)"];

#[test]
fn a_reading_with_control_characters_is_not_accepted_in_silence() {
    let home = Home::new();
    home.write("pw", PASSWORD);
    for sealed in BOTH_WAYS {
        home.write("in.properties", format!("a={sealed}\n"));
        let out = ["-o", "a.sealed.toml"];
        imported(&home, &[&IMPORT[..], &out].concat());
        assert_eq!(exported(&home, "a.sealed.toml"), json!({"a": "s3cr3t-8"}));
        std::fs::remove_file(home.at("a.sealed.toml")).unwrap();
        // The wrong generator, named by the user, opens it; that is reported.
        let wrong = ["--algorithm", "PBEWithMD5AndDES", "--iv-generator", "NoIvGenerator"];
        let ran = home.run(&[&["import", "--from"], &IMPORT[..], &wrong, &out].concat());
        assert!(
            ran.code == 0 && ran.err.contains("a: the value contains an invisible character"),
            "{ran:?}"
        );
        std::fs::remove_file(home.at("a.sealed.toml")).unwrap();
    }
}

#[test]
fn the_errors_name_the_iv_generator() {
    let (home, _) = home_with(&["PBEWithMD5AndDES", "RandomIvGenerator"], &VALUES);
    home.write("wrong", "another password");
    let never = ["jasypt", "in.properties", "--key-file", "wrong", "-o", "never.sealed.toml"];
    let words = "with and without RandomIvGenerator";
    refused(&home, 4, "wrong-passphrase", words, &never);
    let named = [&never[..], &["--algorithm", "PBEWithMD5AndDES"]].concat();
    refused(&home, 4, "wrong-passphrase", words, &named);
    let other = [&never[..], &["--iv-generator", "org.jasypt.iv.ByteArrayFixedIvGenerator"]];
    refused(&home, 2, "usage", "is not a supported IV generator", &other.concat());
}
