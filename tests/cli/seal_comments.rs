//! The comments of an input: one rule for all formats.

use crate::answers::fails;
use crate::support::Home;

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
