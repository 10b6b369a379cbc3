//! The leaves of a JSON document, as borrowed pieces of its text: no value is copied out of guarded
//! memory.
//!
//! `serde_json::Value` would copy the whole document to the plain heap, and so would the buffer in
//! which a parser decodes escapes. A leaf is therefore the text as it is written, escapes included.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The maximum depth of objects and arrays; no login response nests deeper.
const MAX_DEPTH: usize = 64;
/// The maximum length of a field's name. A longer name may be a secret, and is skipped with
/// everything below it.
const MAX_NAME: usize = 64;

/// A text, number, boolean or null, and its place.
pub(crate) struct Leaf<'a> {
    /// A JSON pointer (RFC 6901); empty for a document that is one leaf.
    pub(crate) pointer: String,
    /// The name of the field, reduced to lower-case letters and digits; for an element, the name of
    /// its array.
    pub(crate) name: String,
    written: &'a str,
}

impl<'a> Leaf<'a> {
    /// Returns the inside of a text as it is written, with its escapes; `None` for a number, a
    /// boolean or null.
    pub(crate) fn text(&self) -> Option<&'a str> {
        self.written.strip_prefix('"')?.strip_suffix('"')
    }

    /// Returns the value of a number.
    pub(crate) fn number(&self) -> Option<f64> {
        self.written.parse().ok()
    }

    /// Returns the length of a text of printable ASCII characters without blanks, such as a token;
    /// `None` for anything else.
    pub(crate) fn graphic_length(&self) -> Option<usize> {
        let mut rest = self.text()?.bytes();
        let mut length = 0;
        while let Some(byte) = rest.next() {
            let graphic = match (byte, byte == b'\\') {
                (_, true) => match rest.next()? {
                    b'"' | b'\\' | b'/' => true,
                    // `+` is often written \u002B.
                    b'u' => {
                        let digit = |byte: u8| char::from(byte).to_digit(16);
                        let digits = [rest.next()?, rest.next()?, rest.next()?, rest.next()?];
                        let code = digits
                            .into_iter()
                            .try_fold(0, |code, byte| Some(code * 16 + digit(byte)?))?;
                        (0x21..0x7F).contains(&code)
                    }
                    _ => false,
                },
                (plain, false) => plain.is_ascii_graphic(),
            };
            if !graphic {
                return None;
            }
            length += 1;
        }
        Some(length)
    }
}

/// Returns all leaves in the order of the text; `None` if the text is not JSON.
pub(crate) fn leaves(document: &[u8]) -> Option<Vec<Leaf<'_>>> {
    let root: &RawValue = serde_json::from_slice(document).ok()?;
    let mut found = Vec::new();
    walk(root.get(), String::new(), "", MAX_DEPTH, &mut found);
    Some(found)
}

fn walk<'a>(
    written: &'a str,
    pointer: String,
    name: &str,
    depth: usize,
    found: &mut Vec<Leaf<'a>>,
) {
    let Some(depth) = depth.checked_sub(1) else { return };
    match written.as_bytes().first() {
        Some(b'{') => {
            let Members(members) = serde_json::from_str(written).unwrap_or_default();
            for (name, member) in members.iter().filter(|(name, _)| name.len() <= MAX_NAME) {
                let step = name.replace('~', "~0").replace('/', "~1");
                walk(member.get(), format!("{pointer}/{step}"), name, depth, found);
            }
        }
        Some(b'[') => {
            let elements: Vec<&RawValue> = serde_json::from_str(written).unwrap_or_default();
            for (index, element) in elements.iter().enumerate() {
                walk(element.get(), format!("{pointer}/{index}"), name, depth, found);
            }
        }
        _ => {
            let name = name
                .chars()
                .filter(|next| next.is_alphanumeric())
                .flat_map(char::to_lowercase)
                .collect();
            found.push(Leaf { pointer, name, written });
        }
    }
}

/// The members of an object, each value as it is written.
#[derive(Default)]
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(Members::default())
    }
}

impl<'de: 'a, 'a> Visitor<'de> for Members<'a> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some(member) = map.next_entry()? {
            self.0.push(member);
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_leaf_has_a_pointer_a_name_and_its_written_text() {
        let document =
            br#"{"a/b":{"Access-Token":"x\/y"},"list":[1.5,{"t~":null}],"e":{},"deep":true}"#;
        let found = leaves(document).unwrap();
        let leaves: Vec<_> = found
            .iter()
            .map(|leaf| (leaf.pointer.as_str(), leaf.name.as_str(), leaf.written))
            .collect();
        assert_eq!(
            leaves,
            [
                ("/a~1b/Access-Token", "accesstoken", r#""x\/y""#),
                ("/list/0", "list", "1.5"),
                ("/list/1/t~0", "t", "null"),
                ("/deep", "deep", "true"),
            ]
        );
        assert_eq!(
            (found[0].text(), found[0].number(), found[1].number()),
            (Some(r"x\/y"), None, Some(1.5))
        );
    }

    #[test]
    fn an_escape_counts_as_one_character_of_a_token() {
        let length = |text: &str| leaves(text.as_bytes()).unwrap()[0].graphic_length();
        assert_eq!(length(r#""abc""#), Some(3));
        assert_eq!(length(r#""a\/b\u002Bc\\\"""#), Some(7));
        for other in [r#""a b""#, r#""a\nb""#, r#""\u00e4""#, "\"ä\"", "12", "true"] {
            assert_eq!(length(other), None, "{other}");
        }
    }

    #[test]
    fn invalid_json_has_no_leaves_and_depth_is_bounded() {
        for bad in ["", "{", "{\"a\":1} x", "<html>"] {
            assert!(leaves(bad.as_bytes()).is_none(), "{bad}");
        }
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(leaves(deep.as_bytes()).unwrap().is_empty());
        let long = format!("{{\"{}\":1}}", "n".repeat(MAX_NAME + 1));
        assert!(leaves(long.as_bytes()).unwrap().is_empty());
    }
}
