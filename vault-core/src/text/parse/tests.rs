//! The index accepts what `toml` accepts, and reads the same values.

use crate::text::parse::index::{Index, Rules};
use crate::text::parse::tree::HIDDEN;
use crate::text::toml_value::to_value;
use proptest::prelude::*;
use toml::Value;
use toml::de::{DeTable, DeValue};

/// The properties that `toml` finds, in the order of the text.
fn by_toml(text: &str) -> Option<Vec<(Vec<String>, Value)>> {
    fn collect(
        above: &[String],
        table: &DeTable<'_>,
        out: &mut Vec<(usize, Vec<String>, Value)>,
    ) -> Option<()> {
        for (key, value) in table {
            let path = [above, &[key.get_ref().to_string()]].concat();
            match value.get_ref() {
                DeValue::Table(inner) => collect(&path, inner, out)?,
                other => out.push((value.span().start, path, to_value(other)?)),
            }
        }
        Some(())
    }
    let mut out = Vec::new();
    collect(&[], DeTable::parse(text).ok()?.get_ref(), &mut out)?;
    out.sort_by_key(|(start, ..)| *start);
    Some(out.into_iter().map(|(_, path, value)| (path, value)).collect())
}

fn by_index(text: &str) -> Option<Vec<(Vec<String>, Value)>> {
    let index = Index::of(text, Rules::Plain).ok()?;
    (0..index.entries.len())
        .map(|at| {
            let path = index.property_path(text, at)?.segments().to_vec();
            assert_eq!(index.position(text, &path), Some(at), "{text}");
            Some((path, index.value(text, at)?))
        })
        .collect()
}

/// What is below each table is what a search of the whole index finds.
fn below_agrees(text: &str) {
    let Ok(index) = Index::of(text, Rules::Plain) else { return };
    let paths: Vec<Vec<String>> = (0..index.tree.len() as u32)
        .filter(|node| !index.tree.is(*node, HIDDEN))
        .map(|node| index.tree.path(text, node))
        .collect();
    for table in &paths {
        let inside = |path: &[String]| path.len() > table.len() && path.starts_with(table);
        let property = |at: &usize| inside(index.property_path(text, *at).unwrap().segments());
        let found: Vec<usize> = (0..index.entries.len()).filter(property).collect();
        assert_eq!(index.positions_below(text, table), found, "{table:?} in {text}");
        let empty = (0..index.tree.len() as u32).filter(|node| index.is_empty_table(*node));
        let mut empty: Vec<_> = empty.map(|node| index.tree.path(text, node)).collect();
        empty.retain(|path| inside(path));
        empty.sort();
        let mut ours = index.empty_tables(text, table);
        ours.sort();
        assert_eq!(ours, empty, "{table:?} in {text}");
    }
}

fn agree(text: &str) {
    below_agrees(text);
    let (ours, theirs) = (by_index(text), by_toml(text));
    // TOML forbids a dotted key that leads into an array of tables; `toml` allows some of them.
    if ours.is_none() && theirs.is_some() && text.contains("[[") {
        return;
    }
    assert_eq!(format!("{ours:?}"), format!("{theirs:?}"), "{text}");
}

#[test]
fn the_rules_of_toml_are_those_of_the_toml_crate() {
    for text in [
        "a.b = 1\n[a]\nc = 2\n",
        "[a.b]\nc = 1\n[a]\nd = 2\n",
        "[a]\nb.c = 1\n[a.b]\nd = 2\n",
        "[a]\nb.c = 1\n[a.b.e]\nd = 2\n",
        "[a.b.c]\nz = 9\n[a]\nb.c.t = 1\n",
        "[a.b.c]\nz = 9\n[a]\nb.t = 1\n",
        "[a]\n[a]\n",
        "a = { b = 1 }\na.c = 2\n",
        "a = { b = 1 }\n[a.c]\n",
        "a = { b = { c = 1 }, b.d = 2 }\n",
        "a = { b.c = 1, b.d = 2 }\n",
        "a = [{ b.c = 1, b.d = 2 }, { b = [{ c = [] }] }, []]\nb = 1\n",
        "a = [{ b = 1, b = 2 }]\n",
        "a = []\n[[a]]\n",
        "[a]\n[[a]]\n",
        "[[a]]\n[a]\n",
        "a = 1\na = 2\n",
        "a = 9223372036854775808\n",
        "a = 0xff\nb = 1e9\nc = -nan\nd = 1979-05-27 07:32:00Z\ne = 3.14\n3.14 = 1\n",
        "a = \"\\u0041\\t\"\nb = '''\nx'''\nc = \"\"\"\\\n  y\"\"\"\n",
        "a = [1, 2,\n # three\n 3,]\n",
        "a = { b = 1, }\n",
        "a = {\n b = 1 # one\n}\n",
        "a = [,]\n",
        "a = [1 2]\n",
        "a = 1 b = 2\n",
        "a =\n",
        "= 1\n",
        "a\n",
        "a. = 1\n",
        "[]\n",
        "[a\n",
        "[[a]\n",
        "a = \"x\n",
        "a = 1979-13-01\n",
        "\"\"\"a\"\"\" = 1\n",
        "a = 1 # \u{7f}\n",
        "a = inf\nb = 1_000\nc = 1__0\n",
    ] {
        agree(text);
    }
}

#[test]
fn blocks_are_read_as_by_the_toml_crate() {
    for text in [
        "[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3\n[[a.e]]\n[[a.e]]\nf = 1\n",
        "[[a]]\n[x]\ny = 1\n[[a]]\nb.c = { d = 1 }\n",
        "[[a.b]]\nc = 1\n[a]\nd = 2\n",
    ] {
        assert!(by_index(text).is_some());
        agree(text);
    }
    assert!(by_index("[[a.b]]\n[a]\nb.c.d = 1\n").is_none());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn statements_in_any_order_are_read_as_by_the_toml_crate(lines in prop::collection::vec(prop::sample::select(vec![
        "[a]", "[a.b]", "[a.b.c]", "[b]", "[[a]]", "[[a.b]]", "[[b]]", "[a.c]", "[ a . \"b\" ]",
        "a = 1", "a.b = 1", "a.b.c = 'x'", "b = { a = 1 }", "b.a = []", "b.c = [{ a.b = 1 }, { a = {} }]",
        "a = {}", "a = { b.c = 1, b.d = 2 }", "c = \"\"", "\"a\".'c' = 1.5", "c.a = 1979-05-27", "# [a]", "",
        "d = [[], [1, 2], [[{ x = [1] }]]]", "e = '''\n[a]\n'''",
    ]), 0..8)) {
        agree(&(lines.join("\n") + "\n"));
    }

    #[test]
    fn pieces_in_any_order_are_read_as_by_the_toml_crate(pieces in prop::collection::vec(prop::sample::select(vec![
        "a", "b", ".", "=", " ", ",", "[", "]", "{", "}", "\n", "1", "\"x\"", "'y'", "#", "-", "\\", "\"", "[[", "]]",
        "a = ", "b = [", "c = {", "true", "1979-05-27 07:32:00", "\"\"\"", "e1", "\r", "\t", "ä",
    ]), 0..14)) {
        agree(&pieces.concat());
    }
}
