//! Tests of the outline.

use super::*;

fn newer(text: &str) -> Option<&'static str> {
    Outline::of(text).unwrap().newer_toml.map(|(_, what)| what)
}

#[test]
fn syntax_of_toml_1_1_is_found() {
    assert_eq!(newer("a = { b = 1, }\n"), Some("a trailing comma in an inline table"));
    assert_eq!(newer("a = {\n b = 1 }\n"), Some("a line break in an inline table"));
    assert_eq!(newer("a = \"\\e\"\n"), Some("the escape \\e"));
    assert_eq!(newer("a = \"\\x41\"\n"), Some("the escape \\x"));
    assert_eq!(newer("\"\\x41\" = 1\n"), Some("the escape \\x"));
    assert_eq!(newer("a = 07:32\n"), Some("a time without seconds"));
    assert_eq!(newer("a = 1979-05-27T07:32Z\n"), Some("a time without seconds"));
}

#[test]
fn syntax_of_toml_1_0_is_not_reported() {
    assert_eq!(
        newer(
            "a = 1979-05-27T07:32:00-07:00\nb = 07:32:00.5\nc = 1979-05-27 07:32:00Z\nd = 1979-05-27\n"
        ),
        None
    );
    assert_eq!(
        newer(
            "a = { b = [\n 1,\n 2,\n] }\nc = '\\e\\x'\nd = \"\\\\e \\\\x41\"\ne = { f = \", }\" }\n"
        ),
        None
    );
}

#[test]
fn depth_is_bounded_before_anything_recurses() {
    let deep = format!("a = {}{}\n", "[".repeat(65), "]".repeat(65));
    assert!(Outline::of(&deep).is_err());
    let allowed = format!("a = {}{}\n", "[".repeat(64), "]".repeat(64));
    assert!(Outline::of(&allowed).is_ok());
    assert!(Outline::of(&format!("a = {}\n", "[".repeat(200_000))).is_err());
    assert!(Outline::of(&format!("[{}a]\n", "a.".repeat(1_000_000))).is_err());
    assert!(Outline::of(&format!("{}a = 1\n", "a.".repeat(1_000_000))).is_err());
}

#[test]
fn spans_are_those_of_the_values() {
    let text = "a.b = 1 # one\n[c]\nd = { e = \"x\" }\nf = [\n  1, # first\n  2\n]\n";
    let outline = Outline::of(text).unwrap();
    let values: Vec<_> = outline
        .entries
        .iter()
        .map(|entry| (entry.path.join("."), &text[entry.value.clone()]))
        .collect();
    assert_eq!(values[0], ("a.b".into(), "1"));
    assert_eq!(values[1], ("c.d".into(), "{ e = \"x\" }"));
    assert_eq!(values[2], ("c.f".into(), "[\n  1, # first\n  2\n]"));
    assert_eq!(outline.inline_tables[0].path.join("."), "c.d");
    let end = outline.entries[2].array.unwrap();
    assert!(text[..end.last_element].ends_with("  2") && !end.comma_follows);
}
