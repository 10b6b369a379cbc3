//! `import --from ansible-vault` reads what Ansible itself reads: its tags, its version of YAML, and
//! envelopes with any line ends. ansible-vault makes the files, and Ansible reads them for comparison.

use crate::import::{CANARY, exported, imported, list, refused, vaulted};
use crate::other_tools::{fed, python, python_reads};
use crate::support::Home;
use serde_json::{Value, json};

fn home() -> Home {
    let home = Home::new();
    home.write("pw", "hunter2");
    home
}

/// One value after `!vault`, as `ansible-vault encrypt_string` prints it.
fn encrypted_string(home: &Home, name: &str, value: &str) -> String {
    let mut command = python(home, "ansible-vault");
    let args = ["encrypt_string", "--vault-password-file", "pw", "--stdin-name", name];
    fed(command.args(args), value.as_bytes()) + "\n"
}

fn read_by_ansible(home: &Home, file: &str) -> Value {
    python_reads(home, "read_ansible.py", &[file, "pw"], b"")
}

fn import(home: &Home, file: &str, out: &str) -> Value {
    imported(home, &["ansible-vault", file, "-o", out, "--key-file", "pw"])
}

const TAGGED: &str = "\
text: !unsafe 'x{{9%}'
number: !unsafe 5
quoted_number: !unsafe '5'
quoted_word: !unsafe 'yes'
list: !unsafe [a, 1, '2']
table: !unsafe {k: 'v{%', n: 2}
mixed: [!unsafe 'a{{', b]
nested:
  deeper: !unsafe
    key: 'z{#'
block: !unsafe |
  one {{
  two
";

#[test]
fn the_tag_unsafe_is_read_as_ansible_reads_it() {
    let home = home();
    home.write("vars.yml", format!("{TAGGED}{}", encrypted_string(&home, "pw", CANARY)));
    let table = import(&home, "vars.yml", "a.sealed.toml");
    assert_eq!(exported(&home, "a.sealed.toml"), read_by_ansible(&home, "vars.yml"));
    assert_eq!(list(&table["sealed"]), ["pw"]);
    // The same in a file that is encrypted as a whole.
    home.write("all.yml", format!("{TAGGED}pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "all.yml"]);
    let table = import(&home, "all.yml", "b.sealed.toml");
    assert_eq!(exported(&home, "b.sealed.toml"), read_by_ansible(&home, "all.yml"));
    assert_eq!(table["readable"], json!([]));
    // Other tags stay errors, and so does this one where no Ansible reads.
    home.write("vars.yml", format!("{TAGGED}x: !other 1\n{}", encrypted_string(&home, "pw", "x")));
    let never = ["ansible-vault", "vars.yml", "-o", "never.sealed.toml", "--key-file", "pw"];
    refused(&home, 1, "malformed", "x: has a tag", &never);
    home.write("plain.yml", TAGGED);
    let ran = home.run(&["seal", "plain.yml"]);
    assert!(ran.code == 1 && ran.err.contains("text: has a tag"), "{ran:?}");
}

const OLDER_YAML: &str = "\
octal: 010
new_octal: 0o17
hexadecimal: 0x1F
binary: 0b101
negative: -0x1f
grouped: 1_000
sexagesimal: 12:30
fraction: 1:30.5
not_octal: 08
exponent: 1e3
signed: 1.5e+3
unsigned: 1.5e3
float: 1_0.5
point: .5
yes_word: yes
off_word: Off
letter: y
date: 2026-11-23
version: 1.2.3
base: &base {a: 1, b: 2}
merged:
  <<: *base
  b: 3
";

#[test]
fn unquoted_values_mean_what_they_mean_to_ansible() {
    let home = home();
    home.write("vars.yml", format!("{OLDER_YAML}{}", encrypted_string(&home, "pw", CANARY)));
    import(&home, "vars.yml", "a.sealed.toml");
    assert_eq!(exported(&home, "a.sealed.toml"), read_by_ansible(&home, "vars.yml"));
}

#[test]
fn envelopes_with_other_line_ends_open_and_one_with_a_prompt_is_explained() {
    let home = home();
    let good = encrypted_string(&home, "pw", CANARY);
    home.write("crlf.yml", good.replace('\n', "\r\n"));
    import(&home, "crlf.yml", "a.sealed.toml");
    assert_eq!(exported(&home, "a.sealed.toml"), json!({"pw": CANARY}));
    home.write("whole.yml", format!("pw: {CANARY}\n"));
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "whole.yml"]);
    home.write("whole.yml", home.read("whole.yml").replace('\n', "\r\n"));
    import(&home, "whole.yml", "b.sealed.toml");
    assert_eq!(exported(&home, "b.sealed.toml"), json!({"pw": CANARY}));
    // Copied from a terminal of zsh.
    home.write("vars.yml", format!("{}%\n", good.trim_end()));
    let never = ["ansible-vault", "vars.yml", "-o", "never.sealed.toml", "--key-file", "pw"];
    refused(&home, 1, "malformed", "pw: ends with `%`, which zsh shows", &never);
}

#[test]
fn import_and_seal_make_the_remarks_that_set_makes() {
    let values = [
        ("echoed", "s3cret\n", "ends with a line break"),
        ("windows", "one\r\ntwo\r\n", "has line ends of Windows (CR LF)"),
        ("prompt", "s3cret%", "ends with `%`, which zsh shows"),
        ("blank", " s3cret", "begins or ends with a blank"),
        ("hidden", "s3\u{200b}cret", "contains an invisible character"),
        ("space", "s3\u{a0}cret", "contains a no-break space"),
    ];
    let home = home();
    let vars: String =
        values.iter().map(|(name, value, _)| encrypted_string(&home, name, value)).collect();
    home.write("vars.yml", format!("{vars}fine: s3cret\n"));
    let object: serde_json::Map<String, Value> =
        values.iter().map(|(name, value, _)| ((*name).to_owned(), json!(value))).collect();
    home.write("in.json", Value::Object(object).to_string());
    let toml: String =
        values.iter().map(|(name, value, _)| format!("{name} = {}\n", json!(value))).collect();
    home.write("in.toml", toml);
    let vault = Home::with_vault("user = \"bob\"\n");
    let runs = [
        home.run(&["import", "--from", "ansible-vault", "vars.yml", "--key-file", "pw"]),
        home.run(&["seal", "in.json", "-o", "json.sealed.toml"]),
        home.run(&["seal", "in.toml", "-o", "toml.sealed.toml"]),
    ];
    for (name, value, remark) in values {
        let warning = format!("{name}: the value {remark}");
        for ran in &runs {
            assert!(ran.code == 0 && ran.err.contains(&warning), "{name}: {ran:?}");
        }
        vault.write("value", value);
        let ran = vault.run(&["set", name, "--from-file", "value"]);
        assert!(ran.code == 0 && ran.err.contains(&warning), "{name}: {ran:?}");
    }
    for ran in &runs {
        assert!(!ran.err.contains("fine") && !ran.err.contains("s3cret"), "{ran:?}");
    }
}

#[test]
fn import_names_what_looks_like_a_secret_and_stays_readable() {
    let home = home();
    let token = ["gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"].concat();
    let plain = format!(
        "x:\n  secret: hunter2\n  token: {token}\n  shape: {token}\n  user: bob\n  url: jdbc:postgresql://db/shop?user=app&password=pw12\n  list: [{{pw: hunter2}}]\n"
    );
    home.write("vars.yml", format!("{plain}{}", encrypted_string(&home, "pw", CANARY)));
    let ran = home.run(&["import", "--from", "ansible-vault", "vars.yml", "--key-file", "pw"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let names = "x.secret, x.token, x.shape, x.url, x.list (because of x.list[0].pw)";
    let warning = format!("readable, and like a secret by name or by shape: {names}. To seal one");
    assert!(ran.err.contains(&warning), "{}", ran.err);
    assert!(!ran.err.contains("hunter2") && !ran.err.contains(&token), "{}", ran.err);
    // What the command names seals the value.
    home.ok_with(&["set", "x.secret", "-f", "vars.sealed.toml"], b"hunter2");
    assert!(!home.read("vars.sealed.toml").contains("secret = \"hunter2\""));
}

#[test]
fn import_names_each_unquoted_value_that_newer_yaml_reads_differently() {
    let home = home();
    let text = "password: 0123\nflag: yes\nlate: 12:30\nlist: [1_000]\nexponent: 1e3\nquoted: '0123'\ntagged: !!str 0123\nfine: 10\nhex: 0x1F\non: true\n";
    let said = [
        ("password", 1, "a number", "text"),
        ("flag", 2, "true or false", "text"),
        ("late", 3, "a number", "text"),
        ("list", 4, "a number", "text"),
        ("exponent", 5, "text", "a number"),
    ];
    home.write("vars.yml", format!("{text}{}", encrypted_string(&home, "pw", CANARY)));
    home.write("all.yml", text);
    vaulted(&home, &["encrypt", "--vault-password-file", "pw", "all.yml"]);
    for file in ["vars.yml", "all.yml"] {
        let ran = home.run(&["import", "--from", "ansible-vault", file, "--key-file", "pw"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        for (name, line, older, newer) in said {
            let warning = format!(
                "{name}: the value in line {line} is taken as {older}, as Ansible reads it (YAML 1.1); newer YAML reads it as {newer}."
            );
            assert!(ran.err.contains(&warning), "{warning}: {}", ran.err);
        }
        assert_eq!(ran.err.matches("is taken as").count(), said.len(), "{}", ran.err);
        assert!(!ran.err.contains("0123") && !ran.err.contains("83"), "{}", ran.err);
        assert_eq!(ran.err.contains("password: encrypted as a number"), file == "all.yml");
    }
    // The command of the warning makes it a text again.
    home.ok_with(&["set", "password", "--type", "text", "-f", "all.sealed.toml"], b"0123");
    assert_eq!(home.ok(&["get", "password", "-f", "all.sealed.toml"]), "0123");
}
