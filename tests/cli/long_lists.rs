//! A file with very many properties floods no terminal: a few names are shown, and the rest counted.

use crate::support::Home;
use crate::support::team::{FILE, team};
use serde_json::Value;

const MANY: usize = 300;

fn many() -> String {
    (0..MANY).map(|at| format!("name{at} = \"secret:value{at}\"\nplain{at} = {at}\n")).collect()
}

#[test]
fn seal_shows_some_names_of_a_long_list_and_json_has_all() {
    let home = Home::new();
    home.write("in.toml", many());
    let shown = home.ok(&["seal", "in.toml", "-o", "one.sealed.toml"]);
    assert_eq!(shown.lines().count(), 2, "{shown}");
    for line in shown.lines() {
        assert!(line.len() < 600 && line.ends_with("… and 280 more: bootseal list"), "{line}");
    }
    let all = home.ok(&["seal", "in.toml", "-o", "two.sealed.toml", "--json"]);
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all["sealed"].as_array().map(Vec::len), Some(MANY));
    assert_eq!(all["readable"].as_array().map(Vec::len), Some(MANY));
}

#[test]
fn a_removal_and_doctor_count_the_values_that_a_person_knows() {
    let home = team();
    home.write("more.toml", many());
    home.ok(&["seal", "more.toml", "-f", FILE]);
    let shown = home.ok(&["access", "remove", "bob", "--yes"]);
    assert_eq!(shown.lines().count(), 21, "{shown}");
    assert!(shown.trim_end().ends_with("more: bootseal list"), "{shown}");
    let found = home.run(&["doctor", "-f", FILE, "--json"]);
    let found: Value = serde_json::from_str(&found.out).unwrap();
    let findings = found["findings"].as_array().unwrap();
    let known: Vec<&Value> =
        findings.iter().filter(|one| one["finding"] == "known-to-removed").collect();
    let [one] = &known[..] else { panic!("{known:?}") };
    let what = one["what"].as_str().unwrap();
    assert!(what.contains("values that bob, who was removed, knows"), "{what}");
    assert!(what.contains("more") && what.len() < 600, "{what}");
}
