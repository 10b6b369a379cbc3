//! `set` keeps the type of the value that it replaces, unless `--type` names another one; it reports
//! new names that may be slips, and confirms the change at a terminal.

use crate::answers::{ACME, document, fails, fails_with};
use crate::support::Home;
#[cfg(unix)]
use crate::support::at_a_terminal;

const TYPED: &str =
    "port = 443\nratio = 0.5\non = true\nday = 1979-05-27\nhosts = [\"a\"]\nname = \"x\"\n";

#[test]
fn a_readable_value_keeps_its_type() {
    let home = Home::new();
    home.ok(&["init"]);
    for line in TYPED.lines() {
        let (name, value) = line.split_once(" = ").unwrap();
        let sort = if name == "name" { "text" } else { "toml" };
        home.ok(&["set", name, "--plain", value.trim_matches('"'), "--type", sort]);
    }
    for (name, value, line) in [
        ("port", "8443", "port = 8443\n"),
        ("port", "-1", "port = -1\n"),
        ("ratio", "0.25", "ratio = 0.25\n"),
        ("ratio", "2", "ratio = 2.0\n"),
        ("on", "false", "on = false\n"),
        ("day", "2026-11-30", "day = 2026-11-30\n"),
        ("hosts", "[\"a\", \"b\"]", "hosts = [\"a\", \"b\"]\n"),
        ("name", "443", "name = \"443\"\n"),
        ("name", "", "name = \"\"\n"),
    ] {
        home.ok(&["set", name, "--plain", value]);
        assert!(
            home.read("app.sealed.toml").contains(line),
            "{line}: {}",
            home.read("app.sealed.toml")
        );
    }
    let before = home.read("app.sealed.toml");
    for (name, value, words) in [
        ("port", "https", "not an integer"),
        ("port", "1.5", "not an integer"),
        ("port", "", "not an integer"),
        ("port", "1\nx = 2", "not an integer"),
        ("port", "99999999999999999999", "not an integer"),
        ("ratio", "0x10", "not a number"),
        ("on", "yes", "not true or false"),
        ("day", "tomorrow", "not a date or a time"),
        ("hosts", "a", "not an array"),
        ("hosts", "[a]", "not an array"),
    ] {
        let text = fails(&home, &["set", name, "--plain", value], "usage");
        assert!(text.contains(words) && text.contains("--type"), "{name} {value}: {text}");
        assert!(value.is_empty() || !text.contains(&format!("`{value}`")), "{text}");
    }
    assert_eq!(home.read("app.sealed.toml"), before);
    home.ok(&["set", "port", "--plain", "https", "--type", "text"]);
    assert!(home.read("app.sealed.toml").contains("port = \"https\"\n"));
}

#[test]
fn a_sealed_value_keeps_its_type() {
    let home = Home::with_vault(TYPED);
    let get = |name: &str| document(&home, &["get", name])["value"].clone();
    assert_eq!(get("port"), 443);
    for (name, value, wanted) in [
        ("port", "8443\n", serde_json::json!(8443)),
        ("ratio", "2", serde_json::json!(2.0)),
        ("on", "false", serde_json::json!(false)),
        ("hosts", "[\"b\"]", serde_json::json!(["b"])),
        ("name", "443", serde_json::json!("443")),
    ] {
        home.ok_with(&["set", name], value.as_bytes());
        assert_eq!(get(name), wanted, "{name}");
    }
    // A file ends in a line break, which is no part of a number.
    home.write("port", "9443\n");
    home.ok(&["set", "port", "--from-file", "port"]);
    assert_eq!(get("port"), 9443);
    let before = home.read("app.sealed.toml");
    for (name, value, words) in [
        ("port", "hunter2", "not an integer"),
        ("port", "12x", "not an integer"),
        ("port", "1 2", "not an integer"),
        ("on", "True", "not true or false"),
        ("hosts", "[1", "not an array"),
    ] {
        let text = fails_with(&home, &["set", name], value.as_bytes(), "usage");
        assert!(text.contains(words) && !text.contains(value), "{name}: {text}");
    }
    fails(&home, &["set", "port", "--generate"], "usage");
    fails_with(&home, &["set", "port", "--empty"], b"", "usage");
    assert_eq!(home.read("app.sealed.toml"), before);
    // Readable or sealed, a number stays one.
    home.ok(&["set", "port", "--plain", "80", "--force"]);
    assert!(home.read("app.sealed.toml").contains("port = 80\n"));
    home.ok_with(&["set", "port"], b"81");
    assert_eq!(get("port"), 81);
    home.ok_with(&["set", "port", "--type", "text"], b"81");
    assert_eq!(get("port"), "81");
}

#[test]
fn bytes_stay_bytes_and_text_stays_text() {
    let home = Home::with_vault(ACME);
    home.write("binary", [0, 255, 10]);
    home.write("text", "text\n");
    home.ok(&["set", "tls.key", "--from-file", "binary"]);
    home.ok(&["set", "tls.key", "--from-file", "text"]);
    assert_eq!(document(&home, &["get", "tls.key"])["base64"], "dGV4dAo=");
    let before = home.read("app.sealed.toml");
    let text = fails(&home, &["set", "acme.password", "--from-file", "binary"], "usage");
    assert!(text.contains("not UTF-8 text"), "{text}");
    fails(&home, &["set", "tls.key", "--plain", "x", "--force"], "usage");
    assert_eq!(home.read("app.sealed.toml"), before);
    home.ok(&["set", "acme.password", "--from-file", "binary", "--type", "bytes"]);
    assert_eq!(document(&home, &["get", "acme.password"])["base64"], "AP8K");
    home.ok(&["set", "acme.password", "--generate", "--type", "text"]);
    assert_eq!(home.ok(&["get", "acme.password"]).len(), 32);
}

#[test]
fn a_new_value_has_the_type_of_the_option() {
    let home = Home::with_vault(ACME);
    for (sort, value, wanted) in [
        ("integer", "0x1F", serde_json::json!(31)),
        ("float", "1", serde_json::json!(1.0)),
        ("boolean", "true", serde_json::json!(true)),
        ("toml", "[1, 2]", serde_json::json!([1, 2])),
        ("text", "1", serde_json::json!("1")),
    ] {
        let (plain, sealed) = (format!("new.plain-{sort}"), format!("new.sealed-{sort}"));
        home.ok(&["set", &plain, "--plain", value, "--type", sort]);
        home.ok_with(&["set", &sealed, "--type", sort], value.as_bytes());
        for name in [&plain, &sealed] {
            assert_eq!(document(&home, &["get", name])["value"], wanted, "{name}");
        }
    }
    let text = fails(&home, &["set", "new.x", "--plain", "a", "--type", "integer"], "usage");
    assert!(text.contains("as --type requires"), "{text}");
    fails(&home, &["set", "new.x", "--plain", "a", "--type", "bytes"], "usage");
    fails(&home, &["set", "new.x", "--plain", "a", "--type", "number"], "usage");
}

#[test]
fn each_of_several_files_keeps_its_own_type() {
    let home = Home::with_vault("port = 443\n");
    home.write("b.toml", "port = \"443\"\n");
    home.ok(&["seal", "b.toml"]);
    home.ok_with(&["set", "port", "-f", "*.sealed.toml"], b"80");
    for (file, wanted) in
        [("app.sealed.toml", serde_json::json!(80)), ("b.sealed.toml", serde_json::json!("80"))]
    {
        assert_eq!(document(&home, &["get", "port", "-f", file])["value"], wanted);
    }
}

#[test]
fn a_new_name_is_reported_with_the_one_that_may_be_meant() {
    let home = Home::with_vault(ACME);
    let ran = home.run_with(&["set", "acme.pasword"], b"x");
    assert_eq!(ran.code, 0);
    assert_eq!(ran.err, "bootseal: acme.pasword is new; there is acme.password\n");
    for name in ["acme.pasword", "acme.password_next", "other.thing"] {
        assert_eq!(home.run_with(&["set", name], b"x").err, "", "{name}");
    }
    assert_eq!(home.run_with(&["set", "-q", "acme.passwort"], b"x").err, "");
    assert!(home.run(&["set", "acme.urll", "--plain", "x"]).err.is_empty(), "nothing is near");
}

#[cfg(unix)]
#[test]
fn at_a_terminal_one_line_confirms_the_change() {
    let home = Home::with_vault(ACME);
    let plain = ["set", "acme.timeout", "--plain", "10s"];
    let Some((code, seen, _)) = at_a_terminal(&home, &plain, &[]) else { return };
    let line = "bootseal: app.sealed.toml: acme.timeout is readable";
    assert_eq!((code, seen), (0, format!("{line}, and new\n")));
    assert_eq!(at_a_terminal(&home, &plain, &[]).unwrap().1, format!("{line}\n"));
    let quiet = [&["-q"], &plain[..]].concat();
    assert_eq!(at_a_terminal(&home, &quiet, &[]).unwrap().1, "");
    assert_eq!(home.run(&plain).err, "");
    // The name that may be meant is shown before the value is typed.
    let slip =
        at_a_terminal(&home, &["set", "acme.pasword"], &[("acme.pasword: ", "\u{3}")]).unwrap();
    assert!(slip.1.contains("acme.pasword is new; there is acme.password\n"), "{}", slip.1);
}

#[cfg(unix)]
#[test]
fn a_user_name_is_typed_once_and_with_echo() {
    let home = Home::with_vault(ACME);
    let answers = [("acme.username: ", "zo\u{eb}\n")];
    let Some((code, seen, _)) = at_a_terminal(&home, &["set", "acme.username"], &answers) else {
        return;
    };
    assert_eq!(code, 0, "{seen}");
    assert!(seen.contains("acme.username: zo\u{eb}\n") && !seen.contains("again"), "{seen}");
    assert_eq!(home.ok(&["get", "acme.username"]), "zo\u{eb}");
}

#[test]
fn a_readable_inline_table_becomes_its_properties() {
    let home = Home::with_vault("a = 1\n[t]\nb = 2\n");
    let set = |name: &str, text: &str| home.run(&["set", name, "--plain", text, "--type", "toml"]);
    for (name, text) in [("x", "{ a = 1, b = { c = [1, 2] } }"), ("t.u", "{ v.w = \"z\" }")] {
        let ran = set(name, text);
        assert_eq!(ran.code, 0, "{text}: {}", ran.err);
    }
    for (name, value) in [("x.a", "1"), ("x.b.c", "[1, 2]"), ("t.u.v.w", "z"), ("t.b", "2")] {
        assert_eq!(home.ok(&["get", name]), value, "{name}");
    }
    home.ok(&["verify"]);
    for (name, text, words) in [
        ("x", "{ a = 2 }", "x: this is a table already"),
        ("y", "{}", "y: a table without a value"),
        ("y", "{ z = {} }", "y: a table without a value"),
        ("y", "{ z = \"secret:s\" }", "may not begin with"),
        ("bootseal", "{ z = 1 }", "belongs to the format"),
        ("seal", "{ names = \"*a*\" }", "looks like a rule"),
        ("a.b", "{ z = 1 }", "`a` is a value"),
    ] {
        let before = home.read("app.sealed.toml");
        let ran = set(name, text);
        assert!(ran.code == 1 && ran.err.contains(words), "{text}: {}", ran.err);
        assert_eq!(home.read("app.sealed.toml"), before, "{text}");
    }
    // A rule also holds for what is inside.
    home.ok(&["set", "seal.names", "--plain", "[\"*password*\"]", "--type", "toml"]);
    let ran = set("db", "{ user = \"u\", password = \"p\" }");
    assert!(ran.code == 1 && ran.err.contains("db.password: matches"), "{}", ran.err);
}
