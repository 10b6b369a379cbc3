//! Places in a response, from which a token, a captured value, a lifetime or a condition is read.

use crate::error::Result;
use crate::text::table_reader::Fields;
use std::collections::BTreeSet;
use toml::Value;

/// A place in a response.
///
/// ```
/// use bootseal_core::ResponsePlace;
/// // token = { json = "/data/access_token" }
/// let token = ResponsePlace::Json("/data/access_token".into());
/// assert_ne!(token, ResponsePlace::Cookie("session".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponsePlace {
    /// A JSON pointer (RFC 6901).
    Json(String),
    /// A header.
    Header(String),
    /// A cookie that the response sets (RFC 6265).
    Cookie(String),
    /// The whole body, as text.
    Body,
    /// The whole body, which is one JSON string.
    BodyJsonString,
}

/// A number or date in a response, and its unit.
///
/// ```
/// use bootseal_core::{Field, ResponsePlace, Unit};
/// // expiry = { json = "/data/expires_at", unit = "epoch" }
/// let field = Field { place: ResponsePlace::Json("/data/expires_at".into()), unit: Unit::Epoch };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The place of the field. For a cookie, the cookie's own Max-Age or Expires is used, without a
    /// unit.
    pub place: ResponsePlace,
    /// The unit of the number.
    pub unit: Unit,
}

/// The unit of a [`Field`].
///
/// ```
/// assert_ne!(bootseal_core::Unit::Seconds, bootseal_core::Unit::Epoch);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Milliseconds,
    /// Minutes.
    Minutes,
    /// Seconds since 1970-01-01 UTC.
    Epoch,
    /// Milliseconds since 1970-01-01 UTC.
    EpochMilliseconds,
    /// A date and time with an offset (RFC 3339).
    Iso8601,
}

/// A named value of a response that is kept together with the token.
///
/// ```
/// use bootseal_core::{Capture, ResponsePlace};
/// // capture = [ { cookie = "ROUTEID" } ]
/// let capture = Capture { place: ResponsePlace::Cookie("ROUTEID".into()), name: "ROUTEID".into() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// The place of the value.
    pub place: ResponsePlace,
    /// The name of the value in `${name}`.
    pub name: String,
}

/// A condition on the JSON of a response.
///
/// ```
/// use bootseal_core::{Test, When};
/// // rejected_when = { json = "/error/code", equals = "SESSION_EXPIRED" }
/// let when = When { pointer: "/error/code".into(), test: Test::Equals("SESSION_EXPIRED".into()) };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct When {
    /// The JSON pointer of the tested value (RFC 6901).
    pub pointer: String,
    /// The test.
    pub test: Test,
}

/// The test of a [`When`].
///
/// ```
/// use bootseal_core::Test;
/// assert_ne!(Test::Present, Test::Contains("expired".into()));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The value is anything except null, false and the empty string.
    Present,
    /// The value is this string, number or boolean.
    Equals(String),
    /// The value is a string that contains this string.
    Contains(String),
}

impl ResponsePlace {
    /// Reads a place from a table that names it with exactly one key.
    pub(crate) fn read(fields: &mut Fields) -> Result<ResponsePlace> {
        let found = [
            fields.string("json")?.map(ResponsePlace::Json),
            fields.string("header")?.map(ResponsePlace::Header),
            fields.string("cookie")?.map(ResponsePlace::Cookie),
            match fields.string("body")?.as_deref() {
                None => None,
                Some("text") => Some(ResponsePlace::Body),
                Some("json-string") => Some(ResponsePlace::BodyJsonString),
                Some(_) => return Err(fields.error("body", "must be \"text\" or \"json-string\"")),
            },
        ];
        let mut found = found.into_iter().flatten();
        let (Some(place), None) = (found.next(), found.next()) else {
            return Err(fields.error(
                "json",
                "or `header`, `cookie` or `body` must name the place: exactly one of them",
            ));
        };
        match &place {
            ResponsePlace::Json(text) if !is_pointer(text) => Err(fields.error("json", NO_POINTER)),
            ResponsePlace::Header(name) if !is_token(name) => {
                Err(fields.error("header", "must be the name of a header"))
            }
            ResponsePlace::Cookie(name) if !is_token(name) => {
                Err(fields.error("cookie", "must be the name of a cookie"))
            }
            _ => Ok(place),
        }
    }
}

impl Field {
    pub(crate) fn read(fields: &mut Fields) -> Result<Field> {
        let place = ResponsePlace::read(fields)?;
        let unit = fields.string("unit")?;
        if matches!(place, ResponsePlace::Cookie(_)) && unit.is_some() {
            return Err(fields.error(
                "unit",
                "cannot be combined with `cookie`, whose own Max-Age or Expires counts",
            ));
        }
        let unit = match unit.as_deref() {
            None | Some("s") => Unit::Seconds,
            Some("ms") => Unit::Milliseconds,
            Some("min") => Unit::Minutes,
            Some("epoch") => Unit::Epoch,
            Some("epoch-ms") => Unit::EpochMilliseconds,
            Some("iso8601") => Unit::Iso8601,
            Some(_) => {
                return Err(fields.error(
                    "unit",
                    "must be one of \"s\", \"ms\", \"min\", \"epoch\", \"epoch-ms\", \"iso8601\"",
                ));
            }
        };
        Ok(Field { place, unit })
    }

    pub(crate) fn within(fields: &mut Fields, key: &'static str) -> Result<Option<Field>> {
        let Some(mut inner) = fields.inner(key)? else { return Ok(None) };
        let field = Field::read(&mut inner)?;
        inner.finish()?;
        Ok(Some(field))
    }
}

impl Capture {
    pub(crate) fn list(fields: &mut Fields) -> Result<Option<Vec<Capture>>> {
        let Some(list) = fields.array("capture")? else { return Ok(None) };
        let mut names = BTreeSet::new();
        let mut captures = Vec::new();
        for element in list {
            let Value::Table(table) = element else {
                return Err(fields
                    .error("capture", "must contain tables, such as { cookie = \"ROUTEID\" }"));
            };
            let mut inner = fields.inner_of("capture", table);
            let place = ResponsePlace::read(&mut inner)?;
            let name = match (inner.string("as")?, &place) {
                (Some(name), _) => name,
                (None, ResponsePlace::Header(name) | ResponsePlace::Cookie(name)) => name.clone(),
                (None, _) => {
                    return Err(inner.error("as", "is missing: it names the value in ${…}"));
                }
            };
            if !is_name(&name) || ["token", "totp"].contains(&name.as_str()) {
                return Err(
                    inner.error("as", "must be a name of letters, digits, `_` and `-`, and neither `token` nor `totp`")
                );
            }
            if !names.insert(name.clone()) {
                return Err(inner.error("as", format_args!("is `{name}` twice")));
            }
            inner.finish()?;
            captures.push(Capture { place, name });
        }
        Ok(Some(captures))
    }
}

impl When {
    pub(crate) fn within(fields: &mut Fields, key: &'static str) -> Result<Option<When>> {
        let Some(mut inner) = fields.inner(key)? else { return Ok(None) };
        let pointer = inner.string("json")?;
        let pointer = inner.required("json", pointer)?;
        if !is_pointer(&pointer) {
            return Err(inner.error("json", NO_POINTER));
        }
        let equals = match inner.take("equals") {
            None => None,
            Some(Value::String(text)) => Some(text),
            Some(value @ (Value::Integer(_) | Value::Boolean(_))) => Some(value.to_string()),
            Some(_) => return Err(inner.error("equals", "must be text, an integer or a boolean")),
        };
        let test = match (equals, inner.string("contains")?) {
            (None, None) => Test::Present,
            (Some(text), None) => Test::Equals(text),
            (None, Some(text)) if !text.is_empty() => Test::Contains(text),
            (None, Some(_)) => {
                return Err(
                    inner.error("contains", "is empty, and every text contains an empty text")
                );
            }
            (Some(_), Some(_)) => {
                return Err(inner.error("contains", "cannot be combined with `equals`"));
            }
        };
        inner.finish()?;
        Ok(Some(When { pointer, test }))
    }
}

const NO_POINTER: &str = "must be a JSON pointer (RFC 6901), such as \"/data/access_token\"";

fn is_pointer(text: &str) -> bool {
    let bad_escape = text.split('~').skip(1).any(|after| !after.starts_with(['0', '1']));
    !bad_escape && (text.is_empty() || text.starts_with('/'))
}

/// A header's or cookie's name (RFC 9110 §5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether `name` is valid in `${…}`.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
}
