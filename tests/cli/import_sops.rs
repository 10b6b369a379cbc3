//! `import --from sops` reads what sops itself reads: comments among the elements of lists, the
//! rules of a file by comment, and values of every type. sops makes the files.

use crate::import::{age_key, as_json, exported, imported, opened_by_sops, refused, sops};
use crate::support::Home;
use serde_json::{Value, json};

/// Encrypts `text` by this creation rule, and imports the result into `out`.
fn through_sops(home: &Home, text: &str, rule: &str, out: &str) -> Value {
    home.write("in.yaml", text);
    let recipient = home.read("recipient");
    home.write(".sops.yaml", format!("creation_rules:\n  - age: {recipient}\n{rule}"));
    sops(home, &["encrypt", "in.yaml"], "e.yaml");
    imported(home, &["sops", "e.yaml", "-o", out, "--key-file", "age.key"])
}

fn sops_home() -> Home {
    let home = Home::new();
    let recipient = age_key(&home, "age.key");
    home.write("recipient", recipient);
    home
}

const COMMENTED: &str = "\
# head
hosts:
  # first
  - db1 # after the value
  # plain: next
  - db2
  # last
users:
  # of a
  - name: a # name
    # between
    pw: q1
  # of b
  - name: b
    pw: q2
  # end
nested:
  - # inner
    - x
    # inner end
  - [y]
only:
  # nothing but a comment
  []
number: 3 # three
";

#[test]
fn comments_in_lists_are_left_out_under_every_rule_of_sops() {
    let home = sops_home();
    for (at, rule) in [
        "",
        "    unencrypted_comment_regex: plain\n",
        "    encrypted_comment_regex: plain\n",
        "    encrypted_regex: pw\n",
        "    unencrypted_suffix: s\n",
        "    mac_only_encrypted: true\n",
        "    mac_only_encrypted: true\n    unencrypted_comment_regex: plain\n",
    ]
    .iter()
    .enumerate()
    {
        let out = format!("{at}.sealed.toml");
        let table = through_sops(&home, COMMENTED, rule, &out);
        let got = exported(&home, &out);
        assert_eq!(got, opened_by_sops(&home, "e.yaml"), "{rule}");
        assert_eq!(got["hosts"], json!(["db1", "db2"]), "{rule}");
        let left = table["left_out"].as_array().unwrap();
        assert!(left.iter().any(|row| row["name"] == "comments"), "{rule}: {table}");
        assert!(!home.read(&out).contains("after the value"));
    }
}

#[test]
fn a_value_that_is_relabelled_as_a_comment_is_a_forgery() {
    let home = sops_home();
    through_sops(&home, "list:\n  # note\n  - one\n  - two\n", "", "a.sealed.toml");
    let good = home.read("e.yaml");
    let lines: Vec<&str> = good.lines().collect();
    assert!(lines[1].ends_with("type:comment]") && lines[2].ends_with("type:str]"), "{good}");
    for (line, from, to) in [(2, "type:str]", "type:comment]"), (1, "type:comment]", "type:str]")] {
        home.write("e.yaml", good.replacen(lines[line], &lines[line].replace(from, to), 1));
        let args = ["sops", "e.yaml", "-o", "never.sealed.toml", "--key-file", "age.key"];
        refused(&home, 3, "forged", "the MAC of sops does not match", &args);
    }
}

#[test]
fn a_type_that_sops_does_not_know_is_refused_by_name() {
    let home = sops_home();
    through_sops(&home, "pw: one\n", "", "a.sealed.toml");
    let good = home.read("e.yaml");
    home.write("e.yaml", good.replacen("type:str]", "type:blob]", 1));
    let words = "pw: has the type `blob`, which sops does not know";
    let args = ["sops", "e.yaml", "-o", "never.sealed.toml", "--key-file", "age.key"];
    refused(&home, 1, "malformed", words, &args);
}

/// Scalars whose text in the file is not the text that the MAC covers.
const SCALARS: &str = "\
octal: 0o17
old_octal: 010
hexadecimal: 0x1F
grouped: 1_000
exponent: 1e3
large: 1e20
small: 0.1e-7
minus: -0
rate: 1.10
yes: yes
sexagesimal: 12:30
date: 2026-11-23
time: 2026-11-23T10:00:00.5+02:00
tagged: !!str 5
binary: !!binary aGVsbG8=
block: |
  one
  two
folded: >-
  one
  two
anchor: &x abc
alias: *x
quoted: 'yes'
";

#[test]
fn scalars_of_every_spelling_keep_the_value_that_sops_reads() {
    let home = sops_home();
    for (at, rule) in
        ["", "    unencrypted_regex: .\n", "    mac_only_encrypted: true\n"].iter().enumerate()
    {
        let out = format!("{at}.sealed.toml");
        through_sops(&home, SCALARS, rule, &out);
        let wanted = as_json(&opened_by_sops(&home, "e.yaml"));
        assert_eq!(as_json(&exported(&home, &out)), wanted, "{rule}");
    }
}

#[test]
fn a_password_that_sops_has_stored_as_a_number_is_named() {
    let home = sops_home();
    through_sops(
        &home,
        "password: 0123\nport: 8443\ndb:\n  pin: true\n  token: '0123'\n",
        "",
        "a.sealed.toml",
    );
    let ran = home.run(&[
        "import",
        "--from",
        "sops",
        "e.yaml",
        "-o",
        "b.sealed.toml",
        "--key-file",
        "age.key",
    ]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("password, db.pin: encrypted as a number, or as true"), "{}", ran.err);
}
