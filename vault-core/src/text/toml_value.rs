//! TOML values, which are parsed from text, and written so that a review shows every character.

use crate::error::{Error, Result};
use crate::shown::is_hidden;
use crate::text::path::{BasicString, DottedKey};
use toml::de::{DeTable, DeValue};

/// Parses TOML; an error has line and column, but nothing of the text.
pub(crate) fn parse_toml(text: &str) -> Result<toml::Spanned<DeTable<'_>>> {
    DeTable::parse(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Error::malformed(format!("not TOML: {}", error.message())).at_offset(text, offset)
    })
}

/// Converts a value; `None` for a number that does not fit into an i64, or that cannot be read as
/// an f64. TOML requires an error for such an integer.
pub(crate) fn to_value(value: &DeValue<'_>) -> Option<toml::Value> {
    Some(match value {
        DeValue::String(string) => toml::Value::String(string.to_string()),
        DeValue::Integer(integer) => {
            toml::Value::Integer(i64::from_str_radix(integer.as_str(), integer.radix()).ok()?)
        }
        DeValue::Float(float) => toml::Value::Float(float.as_str().parse().ok()?),
        DeValue::Boolean(boolean) => toml::Value::Boolean(*boolean),
        DeValue::Datetime(datetime) => toml::Value::Datetime(*datetime),
        DeValue::Array(array) => toml::Value::Array(
            array.iter().map(|element| to_value(element.get_ref())).collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => {
            let pairs = table.iter().map(|(key, element)| {
                Some((key.get_ref().to_string(), to_value(element.get_ref())?))
            });
            toml::Value::Table(pairs.collect::<Option<_>>()?)
        }
    })
}

/// The text of a readable value. Invisible characters are escaped, so that a review shows them.
pub(crate) fn value_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => {
            let unseen = text.chars().any(|next| is_hidden(next) && next != '\n' && next != '\t');
            // Multi-line text stays multi-line, so that a certificate remains readable.
            if text.contains('\n') && !unseen { value.to_string() } else { quoted(text) }
        }
        toml::Value::Array(array) => {
            format!("[{}]", array.iter().map(value_text).collect::<Vec<_>>().join(", "))
        }
        toml::Value::Table(table) => {
            let pairs = table.iter().map(|(key, value)| {
                format!("{} = {}", DottedKey(std::slice::from_ref(key)), value_text(value))
            });
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Text as a TOML string.
pub(crate) fn quoted(text: &str) -> String {
    BasicString(text).to_string()
}
