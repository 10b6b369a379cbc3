//! YAML files, by the core schema of YAML 1.2. Constructs that could expand, run something or be
//! ambiguous cause an error or a remark.
//!
//! `saphyr-parser` emits events with positions and interprets nothing. Aliases, merge keys, tags
//! except `!!str`, a second document, duplicate names and null are errors. `yes`, `no`, `on`,
//! `off`, `0123`, `1_000` and `12:30` without quotes are text, as in 1.2, with a remark, because
//! older YAML reads them as booleans and numbers.

use crate::formats::tree::{MAX_DEPTH, Node, Table};
use bootseal_core::{Error, Kind, PropertyPath};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// Parses a YAML mapping, with remarks for the user. An error contains a position and names, never
/// a value.
pub(super) fn parse(text: &str) -> Result<(Table, Vec<String>), Error> {
    let (mut documents, remarks) = parse_with(text, Lenience::default())?;
    Ok((documents.pop().unwrap_or_default(), remarks))
}

/// The additional constructs that a file of another tool may contain, and that its importer
/// handles.
#[derive(Clone, Copy, Default)]
pub(super) struct Lenience {
    pub(super) nulls: bool,
    /// `!vault` and `!vault-encrypted` before a scalar.
    pub(super) vaults: bool,
    pub(super) documents: bool,
}

/// Does the same as [`parse`] for a file of another tool, and returns each document that is not
/// empty.
pub(super) fn parse_with(
    text: &str,
    lenience: Lenience,
) -> Result<(Vec<Table>, Vec<String>), Error> {
    let mut builder = Builder { lenience, ..Builder::default() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            // The message would quote a character of the text, so its end is cut off.
            let reason = error.info().split(": `").next().unwrap_or_default();
            at(Error::new(Kind::Malformed, format!("not YAML: {reason}")), error.marker())
        })?;
        builder.take(event, &span.start)?;
    }
    match builder.root {
        Some(Node::Table(table)) => {
            builder.documents.push(table);
            Ok((builder.documents, builder.remarks))
        }
        _ => Err(Error::new(Kind::Malformed, "is not a YAML mapping: only a mapping has names")
            .at_line(1, 1)),
    }
}

fn at(error: Error, place: &Marker) -> Error {
    error.at_line(place.line().max(1), place.col() + 1)
}

enum Open {
    Array(Vec<Node>),
    Table { table: Table, seen: HashSet<String>, key: Option<String> },
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    /// The names that lead to the property; none inside an array.
    path: Vec<String>,
    root: Option<Node>,
    /// The documents before `root`.
    documents: Vec<Table>,
    lenience: Lenience,
    remarks: Vec<String>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, place: &Marker) -> Result<(), Error> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() && self.lenience.documents => match self
                .root
                .take()
            {
                Some(Node::Table(table)) => {
                    self.documents.push(table);
                    Ok(())
                }
                _ => Err(Error::new(Kind::Malformed, "contains a document that is not a mapping")
                    .at_line(place.line(), 1)),
            },
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(self.wrong("contains a second document", place))
            }
            Event::Alias(_) => {
                Err(self.wrong("is an alias (`*name`), which is not expanded: write it out", place))
            }
            Event::Scalar(text, style, _, tag) => {
                // This takes over the parser's copy, in which escapes are replaced, so that it is
                // wiped.
                let text = Zeroizing::new(text.into_owned());
                if self.wants_key() {
                    self.key(&text, style, place)
                } else {
                    self.scalar(text, style, tag, place)
                }
            }
            Event::SequenceStart(_, tag) => {
                self.refuse_tag(tag.as_deref(), "seq", place)?;
                self.enter(Open::Array(Vec::new()), place)
            }
            Event::MappingStart(_, tag) => {
                self.refuse_tag(tag.as_deref(), "map", place)?;
                self.enter(
                    Open::Table { table: Table::new(), seen: HashSet::new(), key: None },
                    place,
                )
            }
            Event::SequenceEnd | Event::MappingEnd => {
                match self.open.pop() {
                    Some(Open::Array(array)) => self.put(Node::Array(array)),
                    Some(Open::Table { table, .. }) => self.put(Node::Table(table)),
                    None => {}
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Table { key: None, .. }))
    }

    fn in_array(&self) -> bool {
        self.open.iter().any(|open| matches!(open, Open::Array(_)))
    }

    fn placed(&self, error: Error, place: &Marker) -> Error {
        let error = at(error, place);
        match PropertyPath::new(self.path.clone()) {
            Ok(path) => error.at(&path),
            Err(_) => error,
        }
    }

    fn wrong(&self, what: &str, place: &Marker) -> Error {
        let what =
            if self.in_array() { format!("{what} (in this array)") } else { what.to_owned() };
        self.placed(Error::new(Kind::Malformed, what), place)
    }

    fn enter(&mut self, open: Open, place: &Marker) -> Result<(), Error> {
        if self.wants_key() {
            return Err(self.wrong("has a name that is not plain text", place));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.wrong("nests deeper than a sealed file allows", place));
        }
        self.open.push(open);
        Ok(())
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: &Marker) -> Result<(), Error> {
        let plain = style == ScalarStyle::Plain;
        if plain && text == "<<" {
            return Err(
                self.wrong("has a merge key (`<<`), which is not expanded: write it out", place)
            );
        }
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Err(self.wrong("has a name that is null", place));
        }
        if !self.in_array() {
            self.path.push(text.to_owned());
            PropertyPath::new(self.path.clone()).map_err(|error| at(error, place))?;
        }
        if let Some(Open::Table { seen, key, .. }) = self.open.last_mut() {
            if !seen.insert(text.to_owned()) {
                return Err(self.wrong("appears twice in its mapping", place));
            }
            *key = Some(text.to_owned());
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Zeroizing<String>,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        place: &Marker,
    ) -> Result<(), Error> {
        if self.lenience.vaults && tag.as_deref().is_some_and(is_vault) {
            self.put(Node::Vault(text));
            return Ok(());
        }
        self.refuse_tag(tag.as_deref(), "str", place)?;
        let node = match plain(&text).filter(|_| style == ScalarStyle::Plain && tag.is_none()) {
            None => Node::Text(text),
            Some(Plain::Null) if self.lenience.nulls => Node::Null,
            Some(Plain::Null) => {
                return Err(self.wrong(
                    "is null, which TOML does not have: remove it, or give it a value",
                    place,
                ));
            }
            Some(Plain::Beyond) => {
                return Err(self.wrong(
                    "is a number that does not fit into TOML's 64 bits; put it in quotes",
                    place,
                ));
            }
            Some(Plain::Toml(value)) => Node::Toml(value),
            Some(Plain::OlderYaml(otherwise)) => {
                let path = PropertyPath::new(self.path.clone())
                    .map_or_else(|_| String::new(), |path| path.to_string());
                self.remarks.push(format!(
                    "{path}: the value in line {} is taken as text, as in YAML 1.2; older YAML reads it as {otherwise}. Quote it to be explicit",
                    place.line()
                ));
                Node::Text(text)
            }
        };
        self.put(node);
        Ok(())
    }

    /// Refuses a tag, because it can name a type of a program, with unknown effects.
    fn refuse_tag(&self, tag: Option<&Tag>, harmless: &str, place: &Marker) -> Result<(), Error> {
        match tag {
            Some(tag) if !(tag.is_yaml_core_schema() && tag.suffix == harmless) => {
                Err(self.wrong("has a tag (`!…`), and tags are not supported: remove it", place))
            }
            _ => Ok(()),
        }
    }

    fn put(&mut self, node: Node) {
        let in_array = self.in_array();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Array(array)) => array.push(node),
            Some(Open::Table { table, key, .. }) => {
                table.extend(key.take().map(|key| (key, node)));
                if !in_array {
                    self.path.pop();
                }
            }
        }
    }
}

fn is_vault(tag: &Tag) -> bool {
    tag.handle == "!" && matches!(tag.suffix.as_str(), "vault" | "vault-encrypted")
}

/// The meaning of an unquoted scalar that is not simply text.
enum Plain {
    Null,
    /// A number or a boolean, as TOML writes it.
    Toml(Zeroizing<String>),
    /// A number that TOML cannot hold.
    Beyond,
    /// Text, but something else in YAML 1.1.
    OlderYaml(&'static str),
}

/// Interprets an unquoted scalar by the core schema of YAML 1.2.2, section 10.3.2; `None` for text.
fn plain(text: &str) -> Option<Plain> {
    let toml = |text: &str| Some(Plain::Toml(Zeroizing::new(text.to_owned())));
    let (negative, unsigned) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let sign = if negative { "-" } else { "" };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Some(Plain::Null),
        "true" | "True" | "TRUE" => return toml("true"),
        "false" | "False" | "FALSE" => return toml("false"),
        ".nan" | ".NaN" | ".NAN" => return toml("nan"),
        _ if matches!(unsigned, ".inf" | ".Inf" | ".INF") => return toml(&format!("{sign}inf")),
        _ => {}
    }
    if ["y", "n", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(Plain::OlderYaml("true or false"));
    }
    // An integer beyond 64 bits does not fit into TOML.
    let integer = |radix: u32, prefix: &str| {
        let value = i64::from_str_radix(&unsigned[prefix.len()..], radix).ok();
        value.map_or(Some(Plain::Beyond), |value| toml(&value.to_string()))
    };
    if let Some(octal) = text.strip_prefix("0o")
        && !octal.is_empty()
        && octal.bytes().all(|byte| matches!(byte, b'0'..=b'7'))
    {
        return integer(8, "0o");
    }
    if let Some(hexadecimal) = text.strip_prefix("0x")
        && !hexadecimal.is_empty()
        && hexadecimal.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return integer(16, "0x");
    }
    if !unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.') {
        return None;
    }
    let number = is_float(unsigned);
    let leading_zero =
        unsigned.len() > 1 && unsigned.starts_with('0') && unsigned.as_bytes()[1].is_ascii_digit();
    let loose = unsigned.contains(['_', ':'])
        && unsigned.split(['_', ':', '.']).all(|part| part.is_empty() || digits(part))
        || unsigned
            .strip_prefix("0b")
            .is_some_and(|bits| bits.bytes().all(|byte| b"01_".contains(&byte)));
    if leading_zero && number || loose {
        return Some(Plain::OlderYaml("a number"));
    }
    if digits(unsigned) {
        let literal = Zeroizing::new(format!("{sign}{unsigned}"));
        return Some(if literal.parse::<i64>().is_ok() {
            Plain::Toml(literal)
        } else {
            Plain::Beyond
        });
    }
    if !number {
        return None;
    }
    // The literal is kept if TOML allows it; otherwise 1.10 would become 1.1.
    let literal = Zeroizing::new(format!("{sign}{unsigned}"));
    let value = literal.parse::<f64>().ok().filter(|value| value.is_finite());
    let Some(value) = value else { return Some(Plain::Beyond) };
    let same = toml::de::DeValue::parse(&literal).is_ok();
    if same { Some(Plain::Toml(literal)) } else { toml(&toml::Value::Float(value).to_string()) }
}

/// Whether a text is `[0-9]+`, `1.5`, `.5` or `1.`, with or without an exponent.
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
        }
        None => (text, None),
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let some = !whole.is_empty() || !fraction.is_empty();
    some && digits(whole)
        && digits(fraction)
        && exponent.is_none_or(|digit| !digit.is_empty() && digits(digit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
            ("0o17", "15"),
            ("0xFF", "255"),
            ("1.10", "1.10"),
            ("+1.5", "1.5"),
            (".5", "0.5"),
            ("1.", "1.0"),
            ("1e3", "1e3"),
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
            ("a: &a {x: 1}\nb:\n  <<: *a\n", "line 3, column 3: b: has a merge key"),
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
