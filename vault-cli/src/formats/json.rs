//! JSON files: objects become tables; duplicate names, null, and numbers that TOML cannot hold are
//! errors.

use crate::formats::tree::{Node, Table};
use bootseal_core::{Error, Kind, PropertyPath};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Parses a JSON object. An error contains a position and names, never a value.
pub(super) fn parse(text: &str) -> Result<Table, Error> {
    parse_with(text, false)
}

/// Does the same as [`parse`]; `nulls` keeps null values, for an importer that handles them.
pub(super) fn parse_with(text: &str, nulls: bool) -> Result<Table, Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let mut place = Place { nulls, ..Place::default() };
    let read = Value(&mut place).deserialize(&mut json).and_then(|node| json.end().map(|()| node));
    match read {
        Ok(Node::Table(table)) => Ok(table),
        Ok(_) => Err(Error::new(Kind::Malformed, "is not a JSON object: only an object has names")
            .at_line(1, 1)),
        Err(error) => {
            let failed = place.problem.take().unwrap_or_else(|| {
                let what = error.to_string();
                // The messages of `serde_json` are fixed texts, followed by the position.
                let what = what.split(" at line ").next().unwrap_or_default();
                let failed = Error::new(Kind::Malformed, format!("not JSON: {what}"));
                if what == "number out of range" { place.placed(failed) } else { failed }
            });
            Err(failed.at_line(error.line(), error.column().max(1)))
        }
    }
}

/// The parser's place in the tree, and the error that it found there.
#[derive(Default)]
struct Place {
    /// The names that lead to the property.
    path: Vec<String>,
    /// The number of open arrays: a value in an array is part of the array's property.
    arrays: usize,
    problem: Option<Error>,
    nulls: bool,
}

impl Place {
    fn placed(&self, error: Error) -> Error {
        match PropertyPath::new(self.path.clone()) {
            Ok(path) => error.at(&path),
            Err(_) => error,
        }
    }

    /// Keeps the error, because an error of `serde_json` contains only text. Line and column are
    /// added from the error of `serde_json`.
    fn wrong<E: serde::de::Error>(&mut self, what: &str) -> E {
        let what =
            if self.arrays > 0 { format!("{what} (in this array)") } else { what.to_owned() };
        self.problem = Some(self.placed(Error::new(Kind::Malformed, what)));
        E::custom("")
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
            Err(_) => Err(self.0.wrong(BEYOND)),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        // An integer beyond 64 bits arrives here too, rounded.
        if value.abs() >= 9.2e18 {
            return Err(self.0.wrong(BEYOND));
        }
        Ok(Node::Toml(Zeroizing::new(toml::Value::Float(value).to_string())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(Zeroizing::new(value.to_owned())))
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        if self.0.nulls {
            return Ok(Node::Null);
        }
        Err(self.0.wrong("is null, which TOML does not have: remove it, or give it a value"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node, A::Error> {
        let mut array = Vec::new();
        self.0.arrays += 1;
        while let Some(element) = elements.next_element_seed(Value(self.0))? {
            array.push(element);
        }
        self.0.arrays -= 1;
        Ok(Node::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Node, A::Error> {
        let (mut table, mut seen) = (Table::new(), HashSet::new());
        while let Some(key) = entries.next_key_seed(Key { place: self.0, seen: &mut seen })? {
            let value = entries.next_value_seed(Value(self.0))?;
            if self.0.arrays == 0 {
                self.0.path.pop();
            }
            table.push((key, value));
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
        match self.seen.insert(key.to_owned()) {
            true => Ok(key.to_owned()),
            false => Err(self.place.wrong("appears twice in its object")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        parse(text).err().unwrap_or_else(|| panic!("{text}")).to_string()
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
            let _ = parse(&text);
        }
    }
}
