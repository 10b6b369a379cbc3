//! `unset` and `get` with several names, and `list --values`.

use crate::answers::{document, fails};
use crate::support::{Home, at_a_terminal};
use serde_json::json;

const FILE: &str = "app.sealed.toml";
const MANY: &str = "port = 8080\n[acme]\nuser = \"bob\"\npassword = \"secret:hunter2\"\n\
                    list = [1, \"a b\"]\n[acme.deep]\nkey = \"secret:k\"\n[db]\n\
                    a = { x = 1, y = \"secret:y\" }\nb = 2\n[rest]\nz = true\n";

fn generation(home: &Home) -> u64 {
    document(home, &["verify"])["generation"].as_u64().unwrap()
}

fn names(home: &Home) -> Vec<String> {
    let list = document(home, &["list"]);
    let names = list["properties"].as_array().unwrap().iter();
    names.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn unset_removes_several_properties_in_one_version() {
    let home = Home::with_vault(MANY);
    let before = generation(&home);
    let removed = document(&home, &["unset", "acme.user", "db.a.y", "port", "acme.'user'"]);
    assert_eq!(removed, json!({ "names": ["acme.user", "db.a.y", "port"] }));
    assert_eq!(generation(&home), before + 1);
    assert_eq!(
        names(&home),
        ["acme.password", "acme.list", "acme.deep.key", "db.a.x", "db.b", "rest.z"]
    );
    assert!(home.read(FILE).contains("a = { x = 1 }"), "{}", home.read(FILE));
    // A script that removes one property finds its name.
    assert_eq!(document(&home, &["unset", "db.b"]), json!({ "name": "db.b" }));
}

#[test]
fn unset_changes_nothing_if_one_of_the_names_is_missing() {
    let home = Home::with_vault(MANY);
    let before = home.read(FILE);
    let text = fails(&home, &["unset", "acme.user", "acme.pasword"], "not-found");
    assert!(text.contains("Did you mean acme.password"), "{text}");
    assert!(text.contains("Nothing was changed"), "{text}");
    let text = fails(&home, &["unset", "zzz", "acme.user", "acme.pasword"], "not-found");
    assert!(
        text.contains("no such properties: zzz, acme.pasword (Did you mean acme.password"),
        "{text}"
    );
    assert_eq!(home.read(FILE), before);
    // A misspelt table is found before any question about another table.
    let text = fails(&home, &["unset", "acme", "bd"], "not-found");
    assert!(!text.contains("--yes"), "{text}");
    let many: Vec<String> = (0..300).map(|at| format!("missing{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let text = fails(&home, &[&["unset"], &many[..]].concat(), "not-found");
    assert!(text.contains("… and 280 more") && text.len() < 800, "{text}");
    assert_eq!(home.read(FILE), before);
}

#[test]
fn unset_of_several_tables_asks_once() {
    let home = Home::with_vault(MANY);
    let before = home.read(FILE);
    let text = fails(&home, &["unset", "acme", "db", "port"], "no-terminal");
    let words = "acme is a table with 4 properties, db is a table with 3 properties";
    assert!(text.contains(words) && text.contains("--yes"), "{text}");
    assert_eq!(home.read(FILE), before);
    let question = [("Remove all of them, and port? [y/N] ", "n\n")];
    let ran = home.typed(&["unset", "acme", "db", "port"], &[], &question);
    assert!(ran.code == 2 && ran.out.contains(words), "{}", ran.out);
    assert_eq!(home.read(FILE), before);
    let question = [("Remove all of them, and port? [y/N] ", "y\n")];
    let ran = home.typed(&["unset", "acme", "db", "port"], &[], &question);
    assert_eq!((ran.code, ran.out.matches("[y/N]").count()), (0, 1), "{}", ran.out);
    assert_eq!(names(&home), ["rest.z"]);
    let file = home.read(FILE);
    assert!(!file.contains("[acme") && !file.contains("[db]"), "{file}");
    // A table, and names that are in it already.
    let nested = Home::with_vault(MANY);
    let removed = document(&nested, &["unset", "acme.deep", "acme", "acme.user", "--yes"]);
    assert_eq!(removed["names"], json!(["acme.deep", "acme", "acme.user"]));
    assert_eq!(names(&nested), ["port", "db.a.x", "db.a.y", "db.b", "rest.z"]);
}

#[test]
fn unset_of_several_names_in_several_files_removes_what_each_has() {
    let home = Home::new();
    for (name, text) in [("a", "x = 1\ny = 2\nz = 3\n"), ("b", "y = 2\nz = 3\n"), ("c", "z = 3\n")]
    {
        home.write("in.toml", text);
        home.ok(&["seal", "in.toml", "--suggested", "-o", &format!("{name}.sealed.toml")]);
    }
    let all = ["-f", "*.sealed.toml"];
    let before = home.files();
    let text = fails(&home, &[&["unset", "x", "w"][..], &all].concat(), "not-found");
    assert!(text.contains("none of these files has these properties: w"), "{text}");
    assert_eq!(home.files(), before);
    let ran = home.run(&[&["unset", "x", "y"][..], &all].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("c.sealed.toml has no x, y, so nothing changes there"), "{}", ran.err);
    for name in ["a", "b", "c"] {
        let file = format!("{name}.sealed.toml");
        let list = document(&home, &["list", "-f", &file]);
        assert_eq!(list["properties"].as_array().unwrap().len(), 1, "{list}");
    }
    home.ok(&["set", "y", "--plain", "2", "-f", "a.sealed.toml"]);
    let answer = document(&home, &[&["unset", "y", "z"][..], &all].concat());
    assert_eq!(answer["files"][0]["names"], json!(["y", "z"]));
    assert_eq!(answer["files"][1]["names"], json!(["z"]));
}

#[test]
fn a_table_of_twenty_thousand_properties_is_removed_at_once() {
    let lines: String = (0..10_000).map(|at| format!("k{at} = {at}\n")).collect();
    let members: Vec<String> = (0..10_000).map(|at| format!("m{at} = {at}")).collect();
    let home = Home::new();
    home.write(
        "in.toml",
        format!("keep = 1\n[many]\n{lines}inline = {{ {} }}\n", members.join(", ")),
    );
    home.ok(&["seal", "in.toml", "--suggested", "-o", FILE]);
    home.ok(&["unset", "many", "--yes"]);
    assert_eq!(names(&home), ["keep"]);
}

#[test]
fn get_prints_several_values_one_on_each_line() {
    let home = Home::with_vault(MANY);
    let ran = home.run(&["get", "acme.password", "port", "acme.list", "acme.list[1]"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(ran.out, "hunter2\n8080\n[1, \"a b\"]\na b\n");
    assert_eq!(home.ok(&["get", "acme.user", "acme.user"]), "bob\nbob\n");
    home.ok(&["set", "empty", "--empty"]);
    assert_eq!(home.ok(&["get", "empty", "port"]), "\n8080\n");
    assert_eq!(
        document(&home, &["get", "acme.password", "port", "acme.list", "acme.list[1]", "port"]),
        json!({ "acme.password": "hunter2", "port": 8080, "acme.list": [1, "a b"], "acme.list[1]": "a b" })
    );
    // Without a key, readable values are printed.
    let other = Home::new();
    std::fs::copy(home.at(FILE), other.at(FILE)).unwrap();
    assert_eq!(other.ok(&["get", "acme.user", "port"]), "bob\n8080\n");
    let text = fails(&other, &["get", "acme.user", "acme.password"], "no-identity");
    assert!(!text.contains("bob"), "{text}");
}

#[test]
fn get_prints_none_of_several_values_if_one_is_missing_or_has_a_line_break() {
    let home = Home::with_vault(MANY);
    for (value, name) in [(&b"one\ntwo"[..], "lf"), (b"one\rtwo", "cr"), (b"end\n\n", "end")] {
        home.write("value", value);
        home.ok(&["set", name, "--from-file", "value"]);
        let ran = home.run(&["get", "acme.user", name]);
        assert_eq!((ran.code, ran.out.as_str()), (1, ""), "{}", ran.err);
        assert!(ran.err.contains(&format!("line break: {name}\n")), "{}", ran.err);
        assert!(ran.err.contains("--json") && !ran.err.contains("two"), "{}", ran.err);
        let all = document(&home, &["get", "acme.user", name]);
        assert_eq!(all["acme.user"], "bob");
        // By itself, it is printed as it is.
        assert_eq!(home.ok(&["get", name]).as_bytes()[..3], value[..3]);
    }
    let text = fails(&home, &["get", "acme.user", "acme.usr", "nothing"], "not-found");
    assert!(text.contains("no such properties: acme.usr (Did you mean acme.user"), "{text}");
    for option in [&["--clip"][..], &["--out", "x"]] {
        let text = fails(&home, &[&["get", "acme.user", "port"], option].concat(), "usage");
        assert!(text.contains(&format!("{} takes one property", option[0])), "{text}");
    }
    assert!(!home.at("x").exists());
    home.write("raw", b"\xff\x00");
    home.ok(&["set", "acme.raw", "--from-file", "raw"]);
    let all = document(&home, &["get", "acme.raw", "port"]);
    assert_eq!(all, json!({ "acme.raw": { "base64": "/wA=" }, "port": 8080 }));
}

#[cfg(unix)]
#[test]
fn get_shows_several_values_at_a_terminal_without_hidden_characters() {
    let home = Home::with_vault(MANY);
    home.ok_with(&["set", "acme.password"], "a\u{1b}[31m".as_bytes());
    let args = ["get", "acme.user", "acme.password", "--color", "never"];
    let Some((code, seen, _)) = at_a_terminal(&home, &args, &[]) else { return };
    assert_eq!(code, 0);
    assert!(seen.ends_with("\nbob\na\\u{1b}[31m\n"), "{seen:?}");
}

#[test]
fn list_shows_readable_values_on_request_and_never_a_sealed_one() {
    let home = Home::with_vault(MANY);
    home.ok(&["set", "odd", "--plain", "a\nb\u{202e}"]);
    home.ok(&["set", "long", "--plain", &"x".repeat(5000)]);
    assert!(!home.ok(&["list"]).contains("bob"));
    let list = home.ok(&["list", "--values"]);
    let line = |name: &str| {
        let line = list.lines().find(|line| line.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("{name}: {list}")).to_owned()
    };
    assert!(line("acme.user").ends_with("readable  \"bob\""), "{list}");
    assert!(line("port").ends_with("readable  8080"), "{list}");
    assert!(line("acme.list").ends_with("readable  [1, \"a b\"]"), "{list}");
    assert!(line("odd").ends_with("readable  \"a\\nb\\u202E\""), "{list}");
    assert!(line("acme.password").contains("sealed") && !list.contains("hunter2"), "{list}");
    assert!(line("long").len() < 500 && line("long").contains("more characters"), "{list}");
    let all = document(&home, &["list", "--values"]);
    let value = |name: &str| {
        let rows = all["properties"].as_array().unwrap().iter();
        rows.clone().find(|row| row["name"] == name).unwrap()["value"].clone()
    };
    assert_eq!(value("acme.user"), "bob");
    assert_eq!(value("acme.list"), json!([1, "a b"]));
    assert_eq!(value("odd"), "a\nb\u{202e}");
    assert_eq!(value("long"), "x".repeat(5000));
    assert!(value("acme.password").is_null() && value("acme.deep.key").is_null(), "{all}");
    let rows = all["properties"].as_array().unwrap();
    assert!(rows.iter().all(|row| row.get("value").is_some()), "{all}");
    assert!(document(&home, &["list"])["properties"][0].get("value").is_none());
    let rest = home.ok(&["list", "rest", "--values"]);
    assert_eq!(rest, "rest.z  readable  true\n");
}
