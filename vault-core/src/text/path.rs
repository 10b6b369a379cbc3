//! Property paths, which are TOML dotted keys of limited length, compared by their bytes.

use crate::error::{Error, Kind, Result};
use crate::shown::{Brief, Typed, is_hidden};
use std::fmt;
use std::str::FromStr;
use toml_parser::Source;
use toml_parser::decoder::Encoding;
use toml_parser::parser::{EventReceiver, parse_key};
use toml_parser::{ErrorSink, ParseError, Raw, Span};

/// The maximum number of segments of a path.
pub(crate) const MAX_SEGMENTS: usize = 16;
/// The maximum length of a path in bytes, with its segments joined by dots.
const MAX_BYTES: usize = 1024;

/// A property's path: `acme.password`, `acme."user.name"`.
///
/// It is parsed and printed as a TOML dotted key, with invisible characters escaped. Text that is
/// not a dotted key fails with [`Kind::Usage`]; text that exceeds the bounds of
/// [`PropertyPath::new`] fails with [`Kind::Malformed`].
///
/// ```
/// let path: bootseal_core::PropertyPath = "acme.\"user.name\"".parse()?;
/// assert_eq!(path.segments(), ["acme", "user.name"]);
/// assert_eq!(path.to_string(), "acme.\"user.name\"");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PropertyPath(Vec<String>);

impl PropertyPath {
    /// Creates a path of these segments; a dot inside one is not a separator.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for no segments, more than 16 segments, or more than 1 KiB in total.
    ///
    /// ```
    /// let path = bootseal_core::PropertyPath::new(vec!["acme".into(), "user.name".into()])?;
    /// assert_eq!(path.to_string(), "acme.\"user.name\"");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn new(segments: Vec<String>) -> Result<PropertyPath> {
        let bytes =
            segments.iter().map(|segment| segment.len() + 1).sum::<usize>().saturating_sub(1);
        if segments.is_empty() {
            return Err(Error::malformed("a property's path has at least one segment"));
        }
        if segments.len() > MAX_SEGMENTS {
            return Err(Error::malformed(format!(
                "a property's path has {} segments; at most {MAX_SEGMENTS} are allowed",
                segments.len()
            )));
        }
        if bytes > MAX_BYTES {
            return Err(Error::malformed(format!(
                "a property's path has {bytes} bytes; at most {MAX_BYTES} are allowed"
            )));
        }
        Ok(PropertyPath(segments))
    }

    /// The segments, at least one.
    pub fn segments(&self) -> &[String] {
        &self.0
    }

    /// Whether this path is `table` or inside it.
    ///
    /// ```
    /// let path: bootseal_core::PropertyPath = "acme.login.url".parse()?;
    /// assert!(path.starts_with(&["acme".into(), "login".into()]));
    /// assert!(!path.starts_with(&["ac".into()])); // whole segments are compared
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn starts_with(&self, table: &[String]) -> bool {
        self.0.starts_with(table)
    }

    /// The path of `segment` in the table that this path names.
    ///
    /// # Errors
    /// As [`PropertyPath::new`].
    ///
    /// ```
    /// let table: bootseal_core::PropertyPath = "acme".parse()?;
    /// assert_eq!(table.child("password")?.to_string(), "acme.password");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn child(&self, segment: &str) -> Result<PropertyPath> {
        let mut segments = self.0.clone();
        segments.push(segment.to_owned());
        PropertyPath::new(segments)
    }
}

impl FromStr for PropertyPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<PropertyPath> {
        let source = Source::new(text);
        let tokens = source.lex().into_vec();
        let mut keys = Keys { source, segments: Vec::new() };
        let mut errors: Option<ParseError> = None;
        parse_key(&tokens, &mut keys, &mut errors);
        let stray = text.contains(['\n', '\r']);
        if Typed(text).is_private() {
            return Err(Error::new(Kind::Usage, "expected a property's path, found a private key"));
        }
        if errors.is_some() || keys.segments.is_empty() || stray {
            // NAME=VALUE is a likely mistake, and the error must not repeat the value.
            let harmless = !text.is_empty()
                && text.chars().all(|next| next.is_alphanumeric() || "._-\"'".contains(next));
            let what = if harmless {
                format!("`{}` is not a property's path", Brief(text))
            } else {
                "this is not a property's path".into()
            };
            return Err(Error::new(Kind::Usage, what)
                .with_help("A path is a TOML dotted key: acme.password, or acme.\"user.name\" if a segment has other characters than letters, digits, - and _."));
        }
        PropertyPath::new(keys.segments)
    }
}

struct Keys<'a> {
    source: Source<'a>,
    segments: Vec<String>,
}

impl EventReceiver for Keys<'_> {
    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, error: &mut dyn ErrorSink) {
        self.segments.push(decode_key(self.source, span, encoding, error));
    }

    fn error(&mut self, span: Span, error: &mut dyn ErrorSink) {
        error.report_error(ParseError::new("not a key").with_unexpected(span));
    }
}

pub(crate) fn decode_key(
    source: Source<'_>,
    span: Span,
    encoding: Option<Encoding>,
    error: &mut dyn ErrorSink,
) -> String {
    let mut decoded = std::borrow::Cow::Borrowed("");
    let raw = &source.input()[span.start()..span.end()];
    Raw::new_unchecked(raw, encoding, span).decode_key(&mut decoded, error);
    decoded.into_owned()
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, &self.0)
    }
}

impl fmt::Debug for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Segments as a TOML dotted key.
pub(crate) struct DottedKey<'a>(pub(crate) &'a [String]);

impl fmt::Display for DottedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, self.0)
    }
}

fn write_key(f: &mut fmt::Formatter<'_>, segments: &[String]) -> fmt::Result {
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            f.write_str(".")?;
        }
        if !segment.is_empty()
            && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
        {
            f.write_str(segment)?;
        } else {
            write!(f, "{}", BasicString(segment))?;
        }
    }
    Ok(())
}

/// Text as a TOML basic string, quotes included; invisible characters are escaped.
///
/// ```
/// let text = bootseal_core::BasicString("say \"hello\"\n").to_string();
/// assert_eq!(text, r#""say \"hello\"\n""#);
/// ```
pub struct BasicString<'a>(pub &'a str);

impl fmt::Display for BasicString<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\t' => f.write_str("\\t")?,
                '\r' => f.write_str("\\r")?,
                hidden if is_hidden(hidden) && u32::from(hidden) > 0xFFFF => {
                    write!(f, "\\U{:08X}", u32::from(hidden))?
                }
                hidden if is_hidden(hidden) => write!(f, "\\u{:04X}", u32::from(hidden))?,
                other => fmt::Write::write_char(f, other)?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_printed_path_parses_to_the_same_path(segments in prop::collection::vec(any::<String>(), 1..6)) {
            if let Ok(path) = PropertyPath::new(segments) {
                let printed = path.to_string();
                prop_assert!(!printed.chars().any(is_hidden));
                prop_assert_eq!(printed.parse::<PropertyPath>().unwrap(), path);
            }
        }

        #[test]
        fn arbitrary_text_never_causes_a_panic(text in any::<String>()) {
            let _ = text.parse::<PropertyPath>();
        }
    }

    #[test]
    fn a_dot_inside_quotes_is_not_a_separator() {
        let quoted: PropertyPath = "\"a.b\"".parse().unwrap();
        let dotted: PropertyPath = "a.b".parse().unwrap();
        assert_ne!(quoted, dotted);
        assert_eq!((quoted.to_string(), dotted.to_string()), ("\"a.b\"".into(), "a.b".into()));
    }

    #[test]
    fn text_that_is_not_a_path_is_a_usage_error() {
        for text in ["", ".", "a.", ".a", "a b", "a\n", "\"a", "a = 1", "[a]"] {
            assert_eq!(text.parse::<PropertyPath>().unwrap_err().kind(), Kind::Usage, "{text:?}");
        }
    }
}
