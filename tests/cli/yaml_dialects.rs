//! YAML and other nested inputs that the tools around them read in more than one way: merge keys,
//! null, several documents, older numbers, names that are both value and table. PyYAML decides.

use crate::import::{CANARY, age_key, exported, imported, opened_by_sops, sops};
use crate::other_tools::{java_sealed, python_reads};
use crate::support::{Home, Ran};
use serde_json::json;

fn refused(home: &Home, args: &[&str], words: &[&str]) -> Ran {
    let ran = home.run(args);
    assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
    for words in words {
        assert!(ran.err.contains(words), "{args:?}: {words}: {ran:?}");
    }
    assert!(!ran.err.contains("hunter2"), "{ran:?}");
    ran
}

const MERGED: &str = "\
base: &base
  host: h
  port: 1
  inner: {a: 1}
other: &other {port: 2, user: u}
named: &named {name: n}
one:
  <<: *base
  port: 3
before:
  port: 3
  <<: *base
list:
  <<: [*named, *base]
  user: v
chained: &chained
  <<: *other
  more: x
twice:
  <<: *chained
inline:
  <<: {port: 9}
array:
  - <<: *base
    port: 4
  - {<<: *other}
";

#[test]
fn merge_keys_are_expanded_as_pyyaml_does() {
    let home = Home::new();
    home.write("in.yaml", MERGED);
    home.ok(&["seal", "in.yaml"]);
    let wanted = python_reads(&home, "read_yaml.py", &[], MERGED.as_bytes());
    assert_eq!(exported(&home, "in.sealed.toml"), wanted);
    // The import of a file with ciphertext reads the same.
    let sealed = java_sealed(&["PBEWithMD5AndDES"], "master", &[CANARY, "x"]);
    home.write("pw", "master");
    let text = MERGED.replace("user: u", &format!("user: '{}'", sealed[0]));
    home.write("jasypt.yaml", text.replace("more: x", &format!("more: '{}'", sealed[1])));
    imported(&home, &["jasypt", "jasypt.yaml", "-o", "b.sealed.toml", "--key-file", "pw"]);
    let mut wanted = wanted;
    wanted["other"]["user"] = json!(CANARY);
    wanted["chained"]["user"] = json!(CANARY);
    wanted["twice"]["user"] = json!(CANARY);
    wanted["array"][1]["user"] = json!(CANARY);
    assert_eq!(exported(&home, "b.sealed.toml"), wanted);
}

#[test]
fn names_in_several_merged_mappings_are_reported() {
    let home = Home::new();
    // PyYAML 6.0.4 takes the last value of `port`, and other versions the first, as specified.
    home.write("in.yaml", "a: &a {port: 1, x: 2}\nb: &b {port: 3}\nc:\n  <<: [*b, *a]\n");
    let ran = home.run(&["seal", "in.yaml"]);
    let words =
        "c: port is in several of the mappings that are merged in line 4; the first one counts";
    assert!(ran.code == 0 && ran.err.contains(words), "{ran:?}");
    assert_eq!(exported(&home, "in.sealed.toml")["c"], json!({"port": 3, "x": 2}));
}

#[test]
fn merge_keys_in_a_file_of_sops_are_expanded_after_the_mac_is_checked() {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    // sops does not take a list of mappings.
    let text = MERGED.replace("[*named, *base]", "*named");
    home.write("in.yaml", &text);
    sops(&home, &["encrypt", "--age", &recipient, "in.yaml"], "e.yaml");
    let table =
        imported(&home, &["sops", "e.yaml", "-o", "a.sealed.toml", "--key-file", "age.key"]);
    assert_eq!(
        exported(&home, "a.sealed.toml"),
        python_reads(&home, "read_yaml.py", &[], text.as_bytes())
    );
    // sops itself keeps the key.
    assert_eq!(opened_by_sops(&home, "e.yaml")["one"]["<<"]["host"], json!("h"));
    assert!(table["sealed"].as_array().unwrap().contains(&json!("one.host")), "{table}");
}

#[test]
fn null_is_refused_skipped_or_made_empty_by_choice() {
    let home = Home::new();
    home.write("in.yaml", "a: x\nb: ~\nc:\n  d:\n  e: [{f: ~, g: 1}]\n");
    home.write("in.json", r#"{"a": "x", "b": null, "c": {"d": null, "e": [{"f": null, "g": 1}]}}"#);
    home.write("list.yaml", "a: [1, ~]\n");
    home.write("list.json", r#"{"a": [1, null]}"#);
    for input in ["in.yaml", "in.json"] {
        let words = ["3 problems", "b: is null", "c.d: is null", "c.e: is null", "--null skip"];
        refused(&home, &["seal", input], &words);
        let ran = home.run(&["seal", input, "--null", "skip", "-o", "skip.sealed.toml"]);
        assert!(ran.code == 0 && ran.err.contains("b, c.d, c.e: null, so left out"), "{ran:?}");
        assert_eq!(exported(&home, "skip.sealed.toml"), json!({"a": "x", "c": {"e": [{"g": 1}]}}));
        home.ok(&["seal", input, "--null", "empty", "-o", "empty.sealed.toml"]);
        let wanted = json!({"a": "x", "b": "", "c": {"d": "", "e": [{"f": "", "g": 1}]}});
        assert_eq!(exported(&home, "empty.sealed.toml"), wanted);
        for out in ["skip.sealed.toml", "empty.sealed.toml"] {
            std::fs::remove_file(home.at(out)).unwrap();
        }
        std::fs::remove_dir_all(home.at(".local")).unwrap();
    }
    for input in ["list.yaml", "list.json"] {
        // Without the element, those behind it would move.
        let words = ["a: is null", "(in this array)", "--null empty"];
        refused(&home, &["seal", input, "--null", "skip"], &words);
    }
}

#[test]
fn one_of_several_documents_is_read_by_its_number() {
    let home = Home::new();
    home.write("in.yaml", "a: 1\n---\na: two\nb: x\n---\nc: 3\nbad: ~\n");
    refused(&home, &["seal", "in.yaml"], &["contains a second document", "--document N"]);
    home.ok(&["seal", "in.yaml", "--document", "2"]);
    assert_eq!(exported(&home, "in.sealed.toml"), json!({"a": "two", "b": "x"}));
    let out = ["-o", "never.sealed.toml"];
    let words = ["has 3 documents, so there is no document 4"];
    refused(&home, &[&["seal", "in.yaml", "--document", "4"], &out[..]].concat(), &words);
    let words = ["line 7, column 6: bad: is null"];
    refused(&home, &[&["seal", "in.yaml", "--document", "3"], &out[..]].concat(), &words);
    // The profiles of Spring are documents with the same names.
    home.write("pw", "master");
    let sealed = java_sealed(&["PBEWithMD5AndDES"], "master", &[CANARY, "x"]);
    home.write("app.yml", format!("pw: '{}'\n---\npw: '{}'\n", sealed[0], sealed[1]));
    let import = ["jasypt", "app.yml", "--key-file", "pw"];
    let words = ["pw: appears twice, perhaps in several documents"];
    refused(&home, &[&["import", "--from"], &import[..], &out].concat(), &words);
    imported(&home, &[&import[..], &["--document", "1", "-o", "b.sealed.toml"]].concat());
    assert_eq!(exported(&home, "b.sealed.toml"), json!({"pw": CANARY}));
}

#[test]
fn a_value_beside_values_below_it_is_kept_by_whole_names() {
    let home = Home::new();
    let log4j = "log4j.logger=WARN\nlog4j.logger.org.x=DEBUG\na=1\na.b=2\n";
    home.write("log4j.properties", log4j);
    let words = ["log4j.logger, a are values and have other values below them", "--flat"];
    refused(&home, &["seal", "log4j.properties"], &words);
    home.ok(&["seal", "log4j.properties", "--flat"]);
    let wanted =
        json!({"log4j.logger": "WARN", "log4j.logger.org.x": "DEBUG", "a": "1", "a.b": "2"});
    assert_eq!(exported(&home, "log4j.sealed.toml"), wanted);
    let back = home.ok(&["export", "--format", "properties", "-f", "log4j.sealed.toml"]);
    assert!(log4j.lines().all(|line| back.contains(line)), "{back}");
}

#[test]
fn all_problems_are_reported_in_one_run_and_twenty_are_shown() {
    let home = Home::new();
    let yaml: String = (0..30).map(|at| format!("n{at}: ~\n")).collect();
    home.write("in.yaml", format!("a: &x hunter2\nb: *x\nc: !tag hunter2\na: hunter2\n{yaml}"));
    let words = [
        "in.yaml: 33 problems",
        "line 2, column 4: b: is an alias",
        "c: has a tag",
        "… and 13 more",
    ];
    let ran = refused(&home, &["seal", "in.yaml"], &words);
    assert!(ran.err.contains("line 4, column 1: a: appears twice") && ran.err.lines().count() < 26);
    let json: Vec<String> = (0..30).map(|at| format!("\"n{at}\": null")).collect();
    home.write("in.json", format!("{{{}}}", json.join(",\n")));
    let words =
        ["in.json: 30 problems", "line 1, column 11: n0: is null", "n1: is null", "10 more"];
    refused(&home, &["seal", "in.json"], &words);
}

#[test]
fn numbers_that_older_yaml_reads_as_text_are_reported() {
    let home = Home::new();
    home.write("in.yaml", "a: 0o17\nb: 1e3\nc: 1.5e+3\nd: 17\ne: yes\n");
    let ran = home.run(&["seal", "in.yaml"]);
    let older = "as in YAML 1.2; older YAML reads it as";
    for words in [
        format!("a: the value in line 1 is taken as a number, {older} text"),
        format!("b: the value in line 2 is taken as a number, {older} text"),
        format!("e: the value in line 5 is taken as text, {older} true or false"),
    ] {
        assert!(ran.code == 0 && ran.err.contains(&words), "{words}: {ran:?}");
    }
    assert!(!ran.err.contains("c: the") && !ran.err.contains("d: the"), "{ran:?}");
    let wanted = python_reads(&home, "read_yaml.py", &[], home.read("in.yaml").as_bytes());
    assert_eq!(
        (&wanted["a"], &wanted["b"], &wanted["c"]),
        (&json!("0o17"), &json!("1e3"), &json!(1500.0))
    );
}

#[test]
fn ciphertext_of_spring_without_quotes_has_the_way_on() {
    let home = Home::new();
    home.write("application.yml", "db:\n  pw: {cipher}f2468ff634eccc46\n");
    home.write("key", "k");
    let import = ["import", "--from", "spring", "application.yml", "--key-file", "key"];
    refused(&home, &import, &["line 2", "Quote the ciphertext of Spring: '{cipher}…'"]);
}
