//! Finds values in the bytes of a JSON document by JSON pointer (RFC 6901).
//!
//! It builds no tree, and copies only the value that it finds.

use bootseal_core::Secret;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The value that a pointer leads to.
#[derive(Debug)]
pub(crate) enum Found {
    Text(Secret),
    /// A number as it is written in the document, because a floating-point number cannot represent
    /// an id of 19 digits.
    Number(Secret),
    True,
    /// False or null.
    Nothing,
    /// An array or object.
    Other,
}

impl Found {
    /// The value of a number, or of a string that contains a number, because vendors send both.
    pub(crate) fn number(&self) -> Option<f64> {
        let parse =
            |text: &Secret| text.expose_str(|text| text.trim().parse::<f64>().ok()).ok().flatten();
        match self {
            Found::Number(number) => parse(number).filter(|number| number.is_finite()),
            Found::Text(text) => parse(text),
            _ => None,
        }
    }

    /// Whether the value is neither null, nor false, nor an empty string.
    pub(crate) fn is_present(&self) -> bool {
        match self {
            Found::Text(text) => !text.is_empty(),
            Found::Nothing => false,
            _ => true,
        }
    }

    /// Whether the value is this string, or is the number or the boolean that `text` represents.
    pub(crate) fn is(&self, text: &str) -> bool {
        match self {
            Found::Text(found) => found.expose(|bytes| bytes == text.as_bytes()),
            Found::Number(number) => {
                number.expose_str(|number| same_number(number, text)).unwrap_or(false)
            }
            Found::True => text == "true",
            Found::Nothing => text == "false",
            Found::Other => false,
        }
    }
}

fn same_number(one: &str, other: &str) -> bool {
    match (one.parse::<i128>(), other.parse::<i128>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one.parse::<f64>().is_ok_and(|one| other.parse() == Ok(one)),
    }
}

/// The reason why a document cannot be searched. It contains no part of the document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FindError {
    /// The document is not JSON, is nested more than 128 levels deep, or contains the requested key
    /// twice.
    NotJson,
    /// The value was found, but there is no guarded memory for it.
    NoMemory,
}

/// The text of the error that serde carries out of the search.
const NO_MEMORY: &str = "no guarded memory";

impl FindError {
    fn of(error: &serde_json::Error) -> FindError {
        let no_memory = error.is_data() && error.to_string().starts_with(NO_MEMORY);
        if no_memory { FindError::NoMemory } else { FindError::NotJson }
    }
}

/// Follows `pointer` through `document`; `Ok(None)` if there is no such value.
pub(crate) fn find(document: &[u8], pointer: &str) -> Result<Option<Found>, FindError> {
    let steps: Vec<String> =
        pointer.split('/').skip(1).map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let mut reader = serde_json::Deserializer::from_slice(document);
    let found = Follow(&steps).deserialize(&mut reader).map_err(|error| FindError::of(&error))?;
    reader.end().map_err(|_| FindError::NotJson)?;
    Ok(found)
}

struct Follow<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for Follow<'_> {
    type Value = Option<Found>;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if !self.0.is_empty() {
            return reader.deserialize_any(self);
        }
        let written = <&RawValue>::deserialize(reader)?.get();
        Ok(Some(match written.as_bytes().first() {
            Some(b'"') => {
                let text = serde_json::Deserializer::from_str(written).deserialize_str(self);
                return text.map_err(D::Error::custom);
            }
            Some(b'{' | b'[') => Found::Other,
            Some(b't') => Found::True,
            Some(b'f' | b'n') => Found::Nothing,
            _ => Found::Number(guarded(written)?),
        }))
    }
}

fn guarded<E: serde::de::Error>(text: &str) -> Result<Secret, E> {
    Secret::copy_of(text.as_bytes()).map_err(|_| E::custom(NO_MEMORY))
}

impl<'de> Visitor<'de> for Follow<'_> {
    type Value = Option<Found>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        let mut seen = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.split_first() {
                Some((step, rest)) if *step == *key => {
                    if std::mem::replace(&mut seen, true) {
                        return Err(A::Error::custom("twice"));
                    }
                    found = map.next_value_seed(Follow(rest))?;
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        // RFC 6901: digits without leading zeros.
        let step = self.0.split_first();
        let wanted = step.and_then(|(step, rest)| {
            Some((step.parse::<usize>().ok().filter(|index| index.to_string() == *step)?, rest))
        });
        let mut found = None;
        for index in 0.. {
            let more = match wanted {
                Some((wanted, rest)) if wanted == index => {
                    let element = sequence.next_element_seed(Follow(rest))?;
                    element.map(|element| found = element).is_some()
                }
                _ => sequence.next_element::<IgnoredAny>()?.is_some(),
            };
            if !more {
                break;
            }
        }
        Ok(found)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        if self.0.is_empty() { guarded(text).map(|text| Some(Found::Text(text))) } else { Ok(None) }
    }

    // The pointer has further steps, but a scalar has no members.

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Returns pointers to the values in `document`, for the error if the requested value is missing. A
/// name that does not look like a field name may itself be a secret, so it is left out, together
/// with everything below it.
pub(crate) fn places(document: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(document);
    // Nothing is listed for a document that is not JSON.
    let _ = Places { at: String::new(), found: &mut found }.deserialize(&mut reader);
    found
}

/// The maximum number of pointers that are listed.
const MOST_PLACES: usize = 12;

struct Places<'a> {
    at: String,
    found: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Places<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        let written = <&RawValue>::deserialize(reader)?.get();
        if written.starts_with('{') {
            return serde_json::Deserializer::from_str(written)
                .deserialize_map(self)
                .map_err(D::Error::custom);
        }
        if !self.at.is_empty() && self.found.len() < MOST_PLACES {
            self.found.push(self.at);
        }
        Ok(())
    }
}

impl<'de> Visitor<'de> for Places<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let plain = |name: &str| {
            (1..=32).contains(&name.len())
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
                && name.bytes().filter(u8::is_ascii_digit).count() <= 2
        };
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match plain(&key) {
                true => map.next_value_seed(Places {
                    at: format!("{}/{key}", self.at),
                    found: &mut *self.found,
                })?,
                false => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(document: &str, pointer: &str) -> Option<String> {
        match find(document.as_bytes(), pointer).unwrap()? {
            Found::Text(text) | Found::Number(text) => text.expose_str(str::to_owned).ok(),
            _ => Some("other".into()),
        }
    }

    #[test]
    fn places_are_listed_by_name_and_never_by_value() {
        let listed = |text: &str| places(text.as_bytes()).join(" ");
        assert_eq!(
            listed(r#"{"a":1,"data":{"access_token":"x","more":[{"b":1}]},"":{"c":1}}"#),
            "/a /data/access_token /data/more"
        );
        assert_eq!(
            listed(r#"{"9f86d081884c7d659a2feaa0c55ad015":1,"hunter 2":{"a":1},"id":null}"#),
            "/id"
        );
        assert_eq!(listed(r#"{"a":1,"b""#), "");
        for none in ["", "[{\"a\":1}]", "\"text\"", "{}", "<html>"] {
            assert_eq!(listed(none), "", "{none}");
        }
        let many: Vec<String> =
            (b'a'..=b'z').map(|name| format!("\"{}\":1", name as char)).collect();
        assert_eq!(places(format!("{{{}}}", many.join(",")).as_bytes()).len(), MOST_PLACES);
    }

    #[test]
    fn the_examples_of_rfc_6901_are_found() {
        let document = r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, expected) in [
            ("", "other"),
            ("/foo", "other"),
            ("/foo/0", "bar"),
            ("/foo/1", "baz"),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ] {
            assert_eq!(text(document, pointer).as_deref(), Some(expected), "{pointer}");
        }
        for pointer in ["/foo/2", "/foo/01", "/foo/-", "/bar", "/a~1b/x"] {
            assert!(find(document.as_bytes(), pointer).unwrap().is_none(), "{pointer}");
        }
    }

    #[test]
    fn a_number_keeps_its_written_form() {
        for number in [
            "1234567890123456789",
            "-1234567890123456789",
            "98765432109876543210987",
            "0",
            "1.50",
            "1e3",
        ] {
            assert_eq!(text(&format!("{{\"n\": {number} }}"), "/n").as_deref(), Some(number));
        }
        let is =
            |written: &str, text: &str| find(written.as_bytes(), "").unwrap().unwrap().is(text);
        assert!(
            is("-32602", "-32602")
                && is("1.0", "1")
                && is("1e2", "100")
                && is("1234567890123456789", "1234567890123456789")
        );
        assert!(
            !is("1234567890123456789", "1234567890123456788")
                && !is("1", "one")
                && !is("\"1\"", "1.0")
        );
        assert_eq!(find(b"1e999", "").unwrap().unwrap().number(), None);
    }

    #[test]
    fn escapes_are_decoded() {
        assert_eq!(text(r#"{"t":"a\/b\u00e4\ud83d\ude00"}"#, "/t").as_deref(), Some("a/bä😀"));
    }

    #[test]
    fn a_broken_deep_or_ambiguous_document_is_an_error() {
        for bad in [
            "",
            "{",
            "{\"a\":1",
            "nonsense",
            "{\"t\":1} {\"t\":2}",
            "{\"t\":1,\"t\":2}",
            "{\"t\":\"\u{1}\"}",
        ] {
            assert!(find(bad.as_bytes(), "/t").is_err(), "{}", &bad[..bad.len().min(20)]);
        }
        assert!(find(b"{\"t\":\"\xff\"}", "/t").is_err());
        // Other values are skipped without recursion; the pointer is followed 128 levels deep.
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(find(deep.as_bytes(), "/t").unwrap().is_none());
        assert!(find(deep.as_bytes(), &"/0".repeat(10_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), pointer in "(/[a-z0-9~]{0,3}){0,3}") {
            let _ = find(&bytes, &pointer);
        }
    }
}
