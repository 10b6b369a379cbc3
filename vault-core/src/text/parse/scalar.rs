//! Scalars: checked where they are in the text, and decoded when they are needed.

use std::borrow::Cow;
use std::str::FromStr;
use toml::Value;
use toml::value::Datetime;
use toml_parser::decoder::{Encoding, ScalarKind};
use toml_parser::{ErrorSink, ParseError, Raw, Span};

/// Checks a scalar; an error goes to `error`. Returns false for a number that does not fit into an
/// i64, or that cannot be read as an f64. TOML requires an error for such an integer.
pub(in crate::text) fn check_scalar(
    raw: &str,
    encoding: Option<Encoding>,
    span: Span,
    error: &mut dyn ErrorSink,
) -> bool {
    let mut decoded = Cow::Borrowed("");
    match Raw::new_unchecked(raw, encoding, span).decode_scalar(&mut decoded, error) {
        ScalarKind::Integer(radix) => i64::from_str_radix(&decoded, radix.value()).is_ok(),
        ScalarKind::Float => decoded.parse::<f64>().is_ok(),
        ScalarKind::DateTime => {
            if let Err(what) = Datetime::from_str(&decoded) {
                error.report_error(ParseError::new(what.to_string()).with_unexpected(span));
            }
            true
        }
        ScalarKind::String | ScalarKind::Boolean(_) => true,
    }
}

/// The text of a string.
pub(in crate::text) fn string_of(raw: &str, encoding: Encoding, span: Span) -> Cow<'_, str> {
    let mut decoded = Cow::Borrowed("");
    let _ = Raw::new_unchecked(raw, Some(encoding), span).decode_scalar(&mut decoded, &mut ());
    decoded
}

/// The value of a scalar that was checked.
pub(in crate::text) fn scalar_value(raw: &str, encoding: Option<Encoding>) -> Option<Value> {
    let span = Span::new_unchecked(0, raw.len());
    let mut decoded = Cow::Borrowed("");
    Some(match Raw::new_unchecked(raw, encoding, span).decode_scalar(&mut decoded, &mut ()) {
        ScalarKind::String => Value::String(decoded.into_owned()),
        ScalarKind::Boolean(value) => Value::Boolean(value),
        ScalarKind::DateTime => Value::Datetime(decoded.parse().ok()?),
        ScalarKind::Float => Value::Float(decoded.parse().ok()?),
        ScalarKind::Integer(radix) => {
            Value::Integer(i64::from_str_radix(&decoded, radix.value()).ok()?)
        }
    })
}
