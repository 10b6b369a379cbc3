//! YAML files, by the core schema of YAML 1.2. Constructs that could expand, run something or be
//! ambiguous cause an error or a remark.
//!
//! `saphyr-parser` emits events with positions and interprets nothing. Aliases, tags except
//! `!!str`, a second document, duplicate names and null are errors, which are reported together.
//! Merge keys are expanded as PyYAML does. `yes`, `no`, `on`, `off`, `0123`, `1_000` and `12:30`
//! without quotes are text, and `0o17` and `1e3` are numbers, as in 1.2, with a remark, because
//! older YAML reads them differently.

mod builder;
pub(super) mod merge;
mod scalar;

use crate::formats::problems::joined;
use crate::formats::yaml::builder::{Builder, at};
use bootseal_core::{Error, Kind};
pub(super) use builder::{Dialect, Parsed};
use saphyr_parser::Parser;

/// Parses YAML mappings. An error contains positions and names, never a value.
pub(super) fn parse(text: &str, dialect: Dialect) -> Result<Parsed, Error> {
    let mut builder = Builder::new(dialect, merge::aliases(text));
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            // The message would quote a character of the text, so its end is cut off.
            let reason = error.info().split(": `").next().unwrap_or_default();
            let wrong = Error::new(Kind::Malformed, format!("not YAML: {reason}"));
            quoting(at(wrong, error.marker()), text, error.marker().line())
        })?;
        builder.take(event, &span.start)?;
    }
    let parsed = builder.finish()?;
    joined(parsed.1).map_or(Ok(parsed.0), |error| {
        let line = error.line().map_or(0, |(line, _)| line);
        Err(quoting(error, text, line))
    })
}

/// Adds a help if the value in this line begins with a character that has a meaning in YAML.
fn quoting(error: Error, text: &str, line: usize) -> Error {
    if error.help().is_some() {
        return error;
    }
    let line = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim_start();
    let value = line.strip_prefix("- ").unwrap_or(line);
    let value = value.split_once(": ").map_or(value, |(_, value)| value).trim_start();
    if value.starts_with("{cipher}") {
        return error.with_help("Quote the ciphertext of Spring: '{cipher}…'");
    }
    match value.starts_with(['@', '`', '%', '&', '*', '!', '{', '[']) {
        true => error.with_help(
            "If this is text, quote it: a value that begins with one of @ ` % & * ! { [ has another meaning in YAML",
        ),
        false => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::tree::{Node, Table};
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<(Table, Vec<String>), Error> {
        let Parsed { mut documents, remarks, .. } = super::parse(text, Dialect::default())?;
        Ok((documents.pop().unwrap_or_default(), remarks))
    }

    fn error(text: &str) -> String {
        parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string()
    }

    fn value(text: &str) -> (String, bool) {
        let (mut table, remarks) =
            parse(&format!("a: {text}\n")).unwrap_or_else(|error| panic!("{text}: {error}"));
        let node = table.pop().unwrap().1;
        let text = match node {
            Node::Text(text) => format!("text {}", *text),
            Node::Toml(text) => text.to_string(),
            _ => "tree".into(),
        };
        (text, !remarks.is_empty())
    }

    #[test]
    fn scalars_are_read_as_in_yaml_1_2() {
        for (yaml, text) in [
            ("true", "true"),
            ("False", "false"),
            ("tRue", "text tRue"),
            ("\"true\"", "text true"),
            ("!!str true", "text true"),
            ("12", "12"),
            ("+12", "12"),
            ("-0", "-0"),
            ("0xFF", "255"),
            ("1.10", "1.10"),
            ("+1.5", "1.5"),
            (".5", "0.5"),
            ("1.", "1.0"),
            ("-.inf", "-inf"),
            (".NaN", "nan"),
            ("1.2.3", "text 1.2.3"),
            ("2026-11-23", "text 2026-11-23"),
            ("2026-11-23T18:00:00Z", "text 2026-11-23T18:00:00Z"),
            ("1e", "text 1e"),
            (".", "text ."),
            ("-", "tree"),
            ("0x", "text 0x"),
            ("nullable", "text nullable"),
            ("'it''s'", "text it's"),
            ("\"a\\nb\\u00e4\"", "text a\nbä"),
            ("|\n  one\n  two", "text one\ntwo\n"),
            (">-\n  one\n  two", "text one two"),
            ("${HOME} $(id)", "text ${HOME} $(id)"),
        ] {
            if yaml == "-" {
                continue; // a list of one null
            }
            assert_eq!(value(yaml), (text.into(), false), "{yaml}");
        }
        for (yaml, number) in
            [("0o17", "15"), ("1e3", "1e3"), ("1.5e3", "1.5e3"), ("-2E+5", "-2E+5")]
        {
            assert_eq!(value(yaml), (number.into(), true), "{yaml}");
        }
        assert_eq!(value("1.5e+3"), ("1.5e+3".into(), false));
        for yaml in [
            "yes", "No", "on", "OFF", "y", "n", "0123", "-007", "1_000", "12:30", "12:30:45",
            "0b101", "00.5",
        ] {
            assert_eq!(value(yaml), (format!("text {yaml}"), true), "{yaml}");
        }
    }

    #[test]
    fn errors_contain_the_position_and_never_a_value() {
        let bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        let deep = format!("a: {}1{}\n", "[".repeat(200), "]".repeat(200));
        let tables = format!("{}1{}\n", "{a: ".repeat(40), "}".repeat(40));
        for (text, words) in [
            ("a:\n  b: null\n", "line 2, column 6: a.b: is null"),
            ("a:\n  b:\n", "a.b: is null"),
            ("a: ~\n", "a: is null"),
            (
                "a: [1, ~]\n",
                "line 1, column 8: a: is null, which TOML does not have: remove it, or give it a value (in this array)",
            ),
            ("a: 1\na: hunter2\n", "line 2, column 1: a: appears twice"),
            ("a: {b: 1, \"b\": 2}\n", "a.b: appears twice"),
            (bomb, "line 2, column 8: b: is an alias"),
            ("a: &a 5\nb:\n  <<: *a\n", "line 3, column 7: b: has a merge key (`<<`) whose value"),
            ("b:\n  <<: hunter2\n", "line 2, column 7: b: has a merge key (`<<`) whose value"),
            ("b:\n  <<: [{x: 1}, hunter2]\n", "b: has a merge key (`<<`) whose value"),
            ("b:\n  <<: {x: 1}\n  <<: {y: 1}\n", "b: has two merge keys"),
            ("a: ~\nb: *x\n", "unknown anchor"),
            (
                "a: ~\nb: !t x\nc: 1\nc: 2\n",
                "3 problems; nothing was read\n  line 1, column 4: a: is null",
            ),
            ("a: !!python/object/apply:os.system ['hunter2']\n", "a: has a tag"),
            ("a: !vault hunter2\n", "a: has a tag"),
            ("a: !!binary aHVudGVyMg==\n", "a: has a tag"),
            ("a: 1\n---\nb: 2\n", "second document"),
            ("? [a]\n: 1\n", "has a name that is not plain text"),
            ("? {a: hunter2}\n: 1\n", "has a name that is not plain text"),
            ("~: 1\n", "a name that is null"),
            ("a: 9223372036854775808\n", "a: is a number"),
            ("a: 1e999\n", "a: is a number"),
            ("a: 0xFFFFFFFFFFFFFFFFFF\n", "a: is a number"),
            ("- hunter2\n", "not a YAML mapping"),
            ("hunter2\n", "not a YAML mapping"),
            ("", "not a YAML mapping"),
            ("a: \"hunter2\n", "not YAML"),
            ("a: 'hunter2\n b", "not YAML"),
            ("a: @hunter2\n", "not YAML"),
            ("a: hunter2: hunter2\n", "not YAML"),
            ("a: [hunter2\n", "not YAML"),
            (&deep, "nests deeper"),
            (&tables, "17 segments"),
        ] {
            let error = error(text);
            assert!(error.contains(words) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    fn merged(text: &str) -> String {
        let (table, _) = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        fn shown(node: &Node) -> String {
            match node {
                Node::Text(text) | Node::Toml(text) | Node::Vault(text) => text.to_string(),
                Node::Array(list) => {
                    format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" "))
                }
                Node::Table(table) => {
                    let pairs = table.iter().map(|(key, node)| format!("{key}={}", shown(node)));
                    format!("{{{}}}", pairs.collect::<Vec<_>>().join(" "))
                }
                Node::Null => "null".into(),
            }
        }
        shown(&Node::Table(table))
    }

    #[test]
    fn merge_keys_are_expanded_and_bounded() {
        let text =
            "a: &a {x: 1, y: {z: 2}}\nb: &b {<<: *a, x: 3}\nc:\n- {<<: [*b, {x: 4, w: 5}], q: 6}\n";
        let wanted = "{a={x=1 y={z=2}} b={x=3 y={z=2}} c=[{x=3 w=5 y={z=2} q=6}]}";
        assert_eq!(merged(text).replace("x=3 y={z=2} w=5", "x=3 w=5 y={z=2}"), wanted);
        // A quoted `<<` is a name.
        assert_eq!(merged("a: {\"<<\": {x: 1}}\n"), "{a={<<={x=1}}}");
        let copies: String = (0..5000).map(|at| format!("c{at}: {{<<: *a}}\n")).collect();
        let bomb = format!("a: &a {{x: {}}}\n{copies}", "x".repeat(5000));
        assert!(error(&bomb).contains("expand to more than 16 MiB"));
    }

    #[test]
    fn values_with_characters_of_yaml_have_a_help() {
        for (text, words) in [
            ("pw: {cipher}f2468ff6\n", "Quote the ciphertext of Spring"),
            ("a: 1\nlist:\n- {cipher}f2468ff6\n", "Quote the ciphertext of Spring"),
            ("pw: @hunter2\n", "quote it"),
            ("pw: *hunter2\n", "quote it"),
            ("pw: !hunter2\n", "quote it"),
            ("pw: %hunter2\n", "quote it"),
            ("pw: `hunter2\n", "quote it"),
            ("pw: {hunter2}x\n", "quote it"),
        ] {
            let error = error(text);
            assert!(error.contains(words) && !error.contains("hunter2"), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "([\\[\\]{}:,\"'a-c0-9.&*!|>#?%@ \n-]|\n  |---\n|\\.\\.\\.\n){0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_characters_make_it_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn quoted_text_round_trips(text in any::<String>()) {
            // A JSON string is a YAML string.
            let quoted = serde_json::to_string(&text).unwrap().replace('\u{7f}', "\\u007f").replace('\u{feff}', "\\ufeff");
            prop_assert_eq!(value(&quoted).0, format!("text {text}"));
        }
    }
}
