//! The comments of an input: one rule for all formats.

use crate::answers::fails;
use crate::support::{Home, at_a_terminal};

const TOML: &str =
    "# top\na = 1 # of a\n[db]\n# of pw\npassword = \"secret:x\"\nlist = [\n  1, # one\n]\n# end\n";
const YAML: &str = "# top\na: 1 # of a\ndb:\n  # of pw\n  password: x\n  list: [1]\n# end\n";
const PROPERTIES: &str = "# top\na = 1\n! of pw\ndb.password = x\ndb.list = 1\n# end\n";
const ENV: &str = "# top\na='1' # of a\n\n# of pw\nexport password=x\n# end\n";

fn inputs() -> [(&'static str, &'static str, usize); 4] {
    [
        ("in.toml", TOML, 5),
        ("in.yaml", YAML, 4),
        ("in.properties", PROPERTIES, 3),
        ("in.env", ENV, 4),
    ]
}

/// The user's part of the sealed file.
fn head(home: &Home) -> String {
    home.read("in.sealed.toml").split("[bootseal]").next().unwrap().to_owned()
}

#[test]
fn comments_are_dropped_in_every_format_and_that_is_reported() {
    for (name, text, count) in inputs() {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text);
        let ran = home.run(&["seal", name, "--plain", "a"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let said = format!(
            "bootseal: left out {count} comments of the input, which may contain old values; --keep-comments keeps them\n"
        );
        assert!(ran.err.contains(&said), "{name}: {}", ran.err);
        let head = head(&home);
        assert!(!head.contains('#') && head.starts_with("a = "), "{name}: {head}");
    }
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("in.json", "{\"a\": \"# none\"}");
    let ran = home.run(&["seal", "in.json", "--keep-comments"]);
    assert!(ran.code == 0 && !ran.err.contains("comment"), "{}", ran.err);
}

#[test]
fn comments_are_kept_in_every_format_at_the_property_that_they_are_about() {
    for (name, text, count) in inputs() {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text);
        let ran = home.run(&["seal", name, "--keep-comments", "--only", "*password"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let said = format!("bootseal: kept {count} comments of the input\n");
        assert!(ran.err.contains(&said) && !ran.err.contains("may contain"), "{name}: {}", ran.err);
        let head = head(&home);
        let at =
            |words: &str| head.find(words).unwrap_or_else(|| panic!("{name}: {words}: {head}"));
        assert!(
            at("# top\n") < at("a = ") && at("# of pw\n") < at("password = \"sealed:"),
            "{head}"
        );
        assert!(at("password") < at("# end\n"), "{head}");
        if count > 3 {
            let distance = at("# of a").abs_diff(at("a = "));
            assert!(distance < 10, "{head}");
        }
        home.ok(&["verify", "-f", "in.sealed.toml"]);
    }
}

#[test]
fn a_comment_stays_at_a_name_that_is_not_split_at_its_dots() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("in.properties", "# of both\nlog.a=1\n# of b\nlog.a.b=2\n");
    home.ok(&["seal", "in.properties", "--flat", "--keep-comments", "--plain", "*"]);
    let text = head(&home);
    let wanted = "# of both\n\"log.a\" = \"1\"\n# of b\n\"log.a.b\" = \"2\"\n";
    assert!(text.starts_with(wanted), "{text}");
}

#[test]
fn a_kept_comment_never_contains_a_value_and_a_suspicious_one_is_reported() {
    for (name, text) in [
        ("in.toml", "# password: hunter0\n# port\np = \"hunter2\" # old: hunter1\n"),
        ("in.yaml", "# password: hunter0\n# port\np: hunter2 # old: hunter1\n"),
        ("in.env", "# password: hunter0\n# port\np=hunter2 # old: hunter1\n"),
    ] {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text);
        let ran = home.run(&["seal", name, "--keep-comments"]);
        let said =
            "warning: a kept comment may contain a secret, in the clear: line 1, 3 of the input";
        assert!(ran.code == 0 && ran.err.contains(said), "{name}: {}", ran.err);
        assert!(!ran.err.contains("hunter"), "{}", ran.err);

        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text.replace("port", "it is hunter2"));
        let said = fails(&home, &["seal", name, "--keep-comments"], "conflict");
        assert!(said.contains("the comment in line 2 contains the value of p"), "{said}");
        assert!(!home.at("in.sealed.toml").exists());
        // A comment that is dropped does no harm.
        home.ok(&["seal", name]);
        assert!(!home.read("in.sealed.toml").contains("hunter"));
    }
}

/// Inputs of which a part does not get into the sealed file, with the options that they need.
const PARTLY: [(&str, &str, &[&str], &str); 8] = [
    ("in.toml", "# why\na = \"secret:hunter2\"\n", &[], "1 comment"),
    ("in.yaml", "# why\n# and how\na: hunter2\n", &[], "2 comments"),
    ("in.yaml", "a: hunter2\nb: null\n", &["--null", "skip"], "b (null)"),
    ("in.yaml", "a: hunter2\nb: {}\n", &[], "b (an empty table)"),
    ("in.yaml", "a: hunter2\n---\nb: 1\n", &["--document", "1"], "1 other document"),
    (
        "in.json",
        "{\"a\": \"hunter2\", \"b\": null, \"c\": {}}",
        &["--null", "skip"],
        "c (an empty table)",
    ),
    ("in.properties", "a=old\na=hunter2\n", &[], "an earlier value of a"),
    ("in.env", "a=hunter2 # why\n", &[], "the text after ` #` of a"),
];

#[test]
fn shred_is_refused_without_a_terminal_if_something_was_left_out() {
    for (name, text, options, part) in PARTLY {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text);
        let args = [&["seal", name, "--shred"][..], options].concat();
        let error = fails(&home, &args, "conflict");
        for word in [part, "nothing was sealed", "--keep-comments", "--null empty", "--yes"] {
            assert!(error.contains(word), "{word}: {error}");
        }
        assert!(home.read(name) == text && !home.at("in.sealed.toml").exists(), "{part}");
        home.ok(&[&args[..], &["--yes"]].concat());
        assert!(!home.at(name).exists() && home.at("in.sealed.toml").exists(), "{part}");
    }
}

#[test]
fn shred_asks_nothing_if_everything_is_kept() {
    for (name, text, options) in [
        ("in.toml", "# why\na = \"secret:hunter2\"\n[b]\n", &["--keep-comments"][..]),
        ("in.yaml", "a: hunter2\nb: null\n", &["--null", "empty"]),
    ] {
        let home = Home::new();
        home.ok(&["keygen"]);
        home.write(name, text);
        home.ok(&[&["seal", name, "--shred"][..], options].concat());
        assert!(!home.at(name).exists());
    }
}

#[test]
fn shred_keeps_an_input_whose_empty_tables_cannot_be_added() {
    let home = Home::with_vault("[acme]\npassword = \"secret:one\"\n");
    home.write("in.toml", "a = \"secret:hunter2\"\n[b.c]\n");
    let args = ["seal", "in.toml", "--shred", "-f", "app.sealed.toml"];
    let error = fails(&home, &args, "conflict");
    assert!(error.contains("b.c (an empty table)"), "{error}");
    assert!(home.at("in.toml").exists() && !home.read("app.sealed.toml").contains("\na ="));
}

#[test]
fn at_a_terminal_shred_asks_before_it_destroys_what_was_left_out() {
    let home = Home::new();
    home.ok(&["keygen"]);
    home.write("in.yaml", "# why\na: hunter2\n");
    let args = ["seal", "in.yaml", "--all", "--shred"];
    let answer = |text| [("destroy the file? [y/N] ", text)];
    let Some((code, seen, _)) = at_a_terminal(&home, &args, &answer("n\n")) else { return };
    assert_eq!(code, 2, "{seen}");
    assert!(seen.contains("1 comment") && seen.contains("--keep-comments"), "{seen}");
    assert!(home.at("in.yaml").exists() && !home.at("in.sealed.toml").exists(), "{seen}");
    let (code, seen, _) = at_a_terminal(&home, &args, &answer("y\n")).unwrap();
    assert_eq!(code, 0, "{seen}");
    assert!(!home.at("in.yaml").exists() && home.at("in.sealed.toml").exists(), "{seen}");
}
