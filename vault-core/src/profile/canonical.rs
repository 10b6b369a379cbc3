//! The canonical text of a profile, as JSON by RFC 8785. Two profiles are equal if their canonical
//! texts are equal.

use toml::{Table, Value};

/// The canonical JSON of `table`. Dates are strings.
pub(crate) fn canonical(table: &Table) -> String {
    let mut text = String::new();
    object(&mut text, table);
    text
}

fn object(text: &mut String, table: &Table) {
    let mut members: Vec<_> = table.iter().collect();
    members.sort_by_cached_key(|(name, _)| name.encode_utf16().collect::<Vec<u16>>());
    text.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        string(text, name);
        text.push(':');
        any(text, value);
    }
    text.push('}');
}

fn any(text: &mut String, value: &Value) {
    match value {
        Value::Table(table) => object(text, table),
        Value::String(inner) => string(text, inner),
        Value::Datetime(date) => string(text, &date.to_string()),
        Value::Float(float) => text.push_str(&number(*float)),
        Value::Integer(_) | Value::Boolean(_) => text.push_str(&value.to_string()),
        Value::Array(array) => {
            text.push('[');
            for (index, element) in array.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                any(text, element);
            }
            text.push(']');
        }
    }
}

/// Formats a number as ECMAScript does, with the fewest possible digits, and with an exponent from
/// 1e21 upwards and below 1e-6.
fn number(float: f64) -> String {
    let size = float.abs();
    if float == 0.0 || !float.is_finite() {
        return "0".into();
    }
    if (1e-6..1e21).contains(&size) {
        return format!("{float}");
    }
    let text = format!("{float:e}");
    if size >= 1e21 { text.replace('e', "e+") } else { text }
}

fn string(text: &mut String, inner: &str) {
    text.push('"');
    for character in inner.chars() {
        match character {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            '\0'..'\u{20}' => text.push_str(&format!("\\u{:04x}", u32::from(character))),
            _ => text.push(character),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_json_follows_rfc_8785() {
        let table: Table = toml::from_str(
            "b = 1\na = [true, \"x\\u0001\\\"\\\\\\n\", 1.5, 1e30, 1e-7, 100.0]\n\"\u{fb33}\" = 2\n\"\u{1f600}\" = 3\nd = 2026-01-01T00:00:00Z\n[t]\nz = {}\n",
        )
        .unwrap();
        assert_eq!(
            canonical(&table),
            "{\"a\":[true,\"x\\u0001\\\"\\\\\\n\",1.5,1e+30,1e-7,100],\"b\":1,\"d\":\"2026-01-01T00:00:00Z\",\"t\":{\"z\":{}},\"\u{1f600}\":3,\"\u{fb33}\":2}"
        );
    }
}
