//! JSON files: objects become tables; duplicate names, null, and numbers that TOML cannot hold are
//! errors.

use crate::formats::problems::{IS_NULL, NULL_HELP, joined};
use crate::formats::reading::Nulls;
use crate::formats::tree::{Node, Table};
use bootseal_core::{Error, Kind, PropertyPath};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Parses a JSON object, with the names of the values that are null and were left out. An error
/// contains a position and names, never a value.
pub(super) fn parse(text: &str, nulls: Nulls) -> Result<(Table, Vec<String>), Error> {
    let first = match parse_once(text, Place { nulls, ..Place::default() }) {
        Err((error, true)) => error,
        read => return read.map_err(|(error, _)| error),
    };
    // The parser stops at the first error, the only one with a position. The others are collected
    // by their names.
    let mut all = Place { nulls, found: Some(Vec::new()), ..Place::default() };
    let mut json = serde_json::Deserializer::from_str(text);
    let whole = Value(&mut all).deserialize(&mut json).is_ok() && json.end().is_ok();
    let others = all.found.filter(|_| whole).unwrap_or_default().into_iter().skip(1);
    Err(joined(std::iter::once(first).chain(others).collect()).unwrap_or_else(unexpected))
}

fn unexpected() -> Error {
    Error::new(Kind::Malformed, "not JSON")
}

/// Parses up to the first error; the second part of an error is whether parsing could continue.
fn parse_once(text: &str, mut place: Place) -> Result<(Table, Vec<String>), (Error, bool)> {
    let mut json = serde_json::Deserializer::from_str(text);
    let read = Value(&mut place).deserialize(&mut json).and_then(|node| json.end().map(|()| node));
    match read {
        Ok(Node::Table(table)) => Ok((table, place.skipped)),
        Ok(_) => Err((not_an_object(), false)),
        Err(error) => {
            let known = place.problem.is_some();
            let failed = place.problem.take().unwrap_or_else(|| {
                let what = error.to_string();
                // The messages of `serde_json` are fixed texts, followed by the position.
                let what = what.split(" at line ").next().unwrap_or_default();
                let failed = Error::new(Kind::Malformed, format!("not JSON: {what}"));
                if what == "number out of range" { place.placed(failed) } else { failed }
            });
            Err((failed.at_line(error.line(), error.column().max(1)), known))
        }
    }
}

fn not_an_object() -> Error {
    Error::new(Kind::Malformed, "is not a JSON object: only an object has names").at_line(1, 1)
}
/// The parser's place in the tree, and the error that it found there.
#[derive(Default)]
struct Place {
    /// The names that lead to the property.
    path: Vec<String>,
    /// The number of open arrays: a value in an array is part of the array's property.
    arrays: usize,
    /// Whether the next value is a member of an object.
    in_object: bool,
    problem: Option<Error>,
    /// All such errors, if parsing continues after them.
    found: Option<Vec<Error>>,
    nulls: Nulls,
    /// The values that are null and were left out.
    skipped: Vec<String>,
}

impl Place {
    fn placed(&self, error: Error) -> Error {
        match PropertyPath::new(self.path.clone()) {
            Ok(path) => error.at(&path),
            Err(_) => error,
        }
    }

    fn error(&self, what: &str) -> Error {
        let what =
            if self.arrays > 0 { format!("{what} (in this array)") } else { what.to_owned() };
        self.placed(Error::new(Kind::Malformed, what))
    }

    /// Keeps the error, because an error of `serde_json` contains only text, and continues if all
    /// errors are collected. Line and column are added from the error of `serde_json`.
    fn wrong<E: serde::de::Error>(&mut self, problem: Error) -> Result<(), E> {
        match &mut self.found {
            Some(found) => {
                found.push(problem);
                Ok(())
            }
            None => {
                self.problem = Some(problem);
                Err(E::custom(""))
            }
        }
    }

    fn beyond<E: serde::de::Error>(&mut self) -> Result<Node, E> {
        self.wrong(self.error(BEYOND)).map(|()| Node::Null)
    }
}

struct Value<'a>(&'a mut Place);

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Node, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Toml(Zeroizing::new(value.to_string())))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Toml(Zeroizing::new(value.to_string())))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.0.beyond(),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        // An integer beyond 64 bits arrives here too, rounded.
        if value.abs() >= 9.2e18 {
            return self.0.beyond();
        }
        Ok(Node::Toml(Zeroizing::new(toml::Value::Float(value).to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        match self.0.nulls {
            Nulls::Empty => return Ok(Node::Text(Zeroizing::default())),
            Nulls::Keep => {}
            // Without an element of an array, those behind it would move.
            Nulls::Skip if self.0.in_object => {
                let name = PropertyPath::new(self.0.path.clone());
                self.0.skipped.extend(name.map(|name| name.to_string()));
            }
            Nulls::Skip | Nulls::Refuse => {
                self.0.wrong(self.0.error(IS_NULL).with_help(NULL_HELP))?;
            }
        }
        Ok(Node::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        self.0.arrays += 1;
        self.0.in_object = false;
        while let Some(element) = elements.next_element_seed(Value(self.0))? {
            self.0.in_object = false;
            array.push(element);
        }
        self.0.arrays -= 1;
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let (mut table, mut seen) = (Table::new(), HashSet::new());
        while let Some(key) = entries.next_key_seed(Key { place: self.0, seen: &mut seen })? {
            self.0.in_object = true;
            let value = entries.next_value_seed(Value(self.0))?;
            if self.0.arrays == 0 {
                self.0.path.pop();
            }
            if !(matches!(value, Node::Null) && self.0.nulls == Nulls::Skip) {
                table.push((key, value));
            }
        }
        Ok(Node::Table(table))
    }
}

const BEYOND: &str = "is a number that does not fit into TOML's 64 bits; write it as a string";

struct Key<'a> {
    place: &'a mut Place,
    seen: &'a mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<String, D::Error> {
        source.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = String;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<String, E> {
        let inside = self.place.arrays > 0;
        if !inside {
            self.place.path.push(key.to_owned());
            if let Err(error) = PropertyPath::new(self.place.path.clone()) {
                self.place.problem = Some(error);
                return Err(E::custom(""));
            }
        }
        if !self.seen.insert(key.to_owned()) {
            let twice = self.place.error("appears twice in its object");
            self.place.wrong(twice)?;
        }
        Ok(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        parse(text, Nulls::Refuse).err().unwrap_or_else(|| panic!("{text}")).to_string()
    }

    #[test]
    fn errors_contain_the_position_and_never_a_value() {
        for (text, words) in [
            ("{\"a\": {\"b\": null}}", "line 1, column 16: a.b: is null"),
            ("{\"a\": [1,\n null]}", "line 2, column 5: a: is null"),
            ("{\"a\": 1,\n \"a\": \"hunter2\"}", "line 2, column 4: a: appears twice"),
            ("{\"a\": [{\"b\": 1, \"b\": 2}]}", "a: appears twice in its object (in this array)"),
            ("{\"a\": 9223372036854775808}", "a: is a number"),
            ("{\"a\": 123456789012345678901234567890}", "a: is a number"),
            ("{\"a\": 1e999}", "a: not JSON: number out of range"),
            ("{\"a\": \"hunter2", "line 1, column 14: not JSON: EOF while parsing a string"),
            ("{\"a\": hunter2}", "line 1, column 7: not JSON: expected value"),
            ("{\"a\": \"hunter2\\q\"}", "invalid escape"),
            ("{\"a\": \"hunter2\" \"hunter2\"}", "expected `,` or `}`"),
            ("{\"a\": 1} hunter2", "trailing characters"),
            ("[\"hunter2\"]", "not a JSON object"),
            ("\"hunter2\"", "not a JSON object"),
            ("null", "is null"),
            ("", "EOF"),
        ] {
            let error = error(text);
            assert!(error.contains(words) && !error.contains("hunter2"), "{text}: {error}");
        }
        let deep = |open: &str, close: &str| {
            format!("{{\"a\":{}1{}}}", open.repeat(5000), close.repeat(5000))
        };
        assert!(error(&deep("[", "]")).contains("recursion limit"));
        assert!(error(&deep("{\"a\":", "}")).contains("17 segments"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"a-c0-9.eE+\\\\ \n-]{0,60}") {
            let _ = parse(&text, Nulls::Refuse);
        }
    }
}
