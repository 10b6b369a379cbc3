//! Every row of docs/threat-model.md names tests that exist.

use crate::support::root;

#[test]
fn every_test_named_in_the_threat_model_exists() {
    let text = std::fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let shown = text.as_str();
    let named = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .filter(|word| word.contains(".rs::"))
            .map(str::to_owned)
            .collect()
    };
    let missing: Vec<String> = named(shown)
        .into_iter()
        .filter(|name| {
            let (file, function) = name.split_once("::").unwrap();
            let code = std::fs::read_to_string(root().join(file)).unwrap_or_default();
            // The name must be a test, not only a function.
            let at = code.find(&format!("fn {function}("));
            !at.is_some_and(|at| {
                let above = code[..at].rsplit("}\n").next().unwrap();
                above.contains("test]") || above.contains("test(start_paused")
            })
        })
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    // Every row needs at least one test.
    let rows = shown
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| who, with what in hand"));
    let bare: Vec<&str> = rows.filter(|row| named(row).is_empty()).collect();
    assert!(bare.is_empty() && named(shown).len() > 60, "{bare:#?}");
}
