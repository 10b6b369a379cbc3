//! A plain-text settings file, the input of sealing: its properties, and its text without the
//! secrets.

use crate::error::{Error, Kind, Result};
use crate::text::outline::Outline;
use crate::text::path::PropertyPath;
use crate::text::sealed_text::{SEALED_PREFIX, SECRET_PREFIX};
use crate::text::toml_value::{parse_toml, quoted, to_value};
use std::collections::HashSet;
use std::ops::Range;
use toml::Value;
use toml::de::{DeTable, DeValue};
use zeroize::{Zeroize, Zeroizing};

/// A plain-text TOML file, in which `"secret:…"` may mark values to be sealed.
///
/// ```
/// let plain = bootseal_core::PlainDocument::parse("# acme\nuser = \"bob\"\npassword = \"secret:hunter2\"\n".into())?;
/// let marked: Vec<_> = plain.properties().iter().filter(|property| property.marked).collect();
/// assert_eq!(marked[0].path.to_string(), "password");
/// let path = marked[0].path.clone();
/// assert_eq!(plain.emptied(&[path].into())?, "# acme\nuser = \"bob\"\npassword = \"\"\n");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct PlainDocument {
    text: String,
    properties: Vec<PlainProperty>,
    comments: Vec<Range<usize>>,
    blocks: Vec<Vec<String>>,
}

/// Wipes the text, which contains secrets in the clear.
impl Drop for PlainDocument {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

/// One property of a plain-text file.
///
/// ```
/// let plain = bootseal_core::PlainDocument::parse("password = \"secret:hunter2\"\n".into())?;
/// let password = &plain.properties()[0];
/// assert!(password.marked && password.value.is_str());
/// assert_eq!(password.path.to_string(), "password");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
pub struct PlainProperty {
    /// Its name.
    pub path: PropertyPath,
    /// Its value, without the prefix `secret:`.
    pub value: Value,
    /// Whether it was written as `"secret:…"`.
    pub marked: bool,
    pub(crate) span: Range<usize>,
}

impl PlainDocument {
    /// Parses `text`; CR LF becomes LF.
    ///
    /// # Errors
    /// [`Kind::Malformed`], with line and column if they are known: if it is not TOML or nested too
    /// deep, if a number is out of range, if it is sealed already, or if `secret:` occurs inside an
    /// array.
    ///
    /// ```
    /// use bootseal_core::{Kind, PlainDocument};
    /// let plain = PlainDocument::parse("[acme]\nuser = \"bob\"\n".into())?;
    /// assert_eq!(plain.properties().len(), 1);
    /// let error = PlainDocument::parse("user = bob".into()).err();
    /// assert_eq!(error.map(|error| error.kind()), Some(Kind::Malformed));
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn parse(text: String) -> Result<PlainDocument> {
        PlainDocument::parse_user(text, || {
            Error::malformed("has a table `bootseal`: is it sealed already?")
                .with_help("To change a sealed file: bootseal set, or bootseal seal INPUT -f FILE")
        })
    }

    /// Like `parse`; `own` is the error for a table `bootseal`, which a plain-text file never has.
    pub(crate) fn parse_user(text: String, own: impl FnOnce() -> Error) -> Result<PlainDocument> {
        let given = Zeroizing::new(text);
        let text = given.replace("\r\n", "\n");
        let outline = Outline::of(&text)?;
        let table = parse_toml(&text)?;
        if table.get_ref().keys().any(|key| *key.get_ref() == "bootseal") {
            return Err(own());
        }
        let mut properties = Vec::new();
        collect(&text, &mut Vec::new(), table.get_ref(), &mut properties)?;
        properties.sort_by_key(|property| property.span.start);
        let blocks = outline
            .sections
            .into_iter()
            .filter(|section| section.array)
            .map(|section| section.path)
            .collect();
        Ok(PlainDocument { properties, comments: outline.comments, blocks, text })
    }

    /// All properties, in the order of the text.
    pub fn properties(&self) -> &[PlainProperty] {
        &self.properties
    }

    /// The text in which the values of `paths` are empty strings; everything else, comments
    /// included, stays the same. A missing path changes nothing.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for an array that is written as `[[blocks]]`, in more than one place.
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("password = \"secret:hunter2\" # since May\n".into())?;
    /// let text = plain.emptied(&["password".parse()?].into())?;
    /// assert_eq!(text, "password = \"\" # since May\n");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn emptied(&self, paths: &HashSet<PropertyPath>) -> Result<String> {
        let mut text = String::with_capacity(self.text.len());
        let mut done = 0;
        for property in self.properties.iter().filter(|property| paths.contains(&property.path)) {
            if self.blocks.iter().any(|block| block == property.path.segments()) {
                return Err(Error::new(
                    Kind::Conflict,
                    "an array that is written as [[blocks]] cannot be sealed in place",
                )
                .at(&property.path)
                .with_help("Write it as one array, name = [{ … }, { … }], or keep it readable with --plain."));
            }
            text.push_str(&self.text[done..property.span.start]);
            text.push_str(&quoted(""));
            done = property.span.end;
        }
        text.push_str(&self.text[done..]);
        Ok(text)
    }

    /// The comments, each with its line (from 1).
    ///
    /// ```
    /// let plain = bootseal_core::PlainDocument::parse("# who\n\nuser = \"bob\" # for now\n# the old one was: eve\n".into())?;
    /// let comments: Vec<(usize, &str)> = plain.comments().collect();
    /// assert_eq!(comments, [(1, "# who"), (3, "# for now"), (4, "# the old one was: eve")]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn comments(&self) -> impl Iterator<Item = (usize, &str)> {
        // The count continues from the previous comment, because counting from the top each time
        // would be quadratic.
        self.comments.iter().scan((0, 1), |(counted, line), span| {
            *line += self.text[*counted..span.start].matches('\n').count();
            *counted = span.start;
            Some((*line, &self.text[span.clone()]))
        })
    }
}

impl PlainDocument {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The text with the values at these spans, which are in order, replaced.
    pub(crate) fn with_values(&self, values: &[(Range<usize>, String)]) -> String {
        let mut text = String::with_capacity(
            self.text.len() + values.iter().map(|(_, value)| value.len()).sum::<usize>(),
        );
        let mut done = 0;
        for (span, value) in values {
            text.push_str(&self.text[done..span.start]);
            text.push_str(value);
            done = span.end;
        }
        text.push_str(&self.text[done..]);
        text
    }
}

fn collect(
    text: &str,
    above: &mut Vec<String>,
    table: &DeTable<'_>,
    found: &mut Vec<PlainProperty>,
) -> Result<()> {
    for (key, value) in table {
        above.push(key.get_ref().to_string());
        let span = value.span();
        let place = |error: Error| error.at_offset(text, span.start);
        if let DeValue::Table(inner) = value.get_ref() {
            collect(text, above, inner, found)?;
        } else {
            let path = PropertyPath::new(above.clone()).map_err(place)?;
            let fail = |what: &str| Err(place(Error::malformed(what).at(&path)));
            let (value, marked) = match to_value(value.get_ref()) {
                Some(Value::String(text)) if text.starts_with(SEALED_PREFIX) => {
                    return fail("begins with `sealed:`: is it sealed already?");
                }
                Some(Value::String(text)) => match text.strip_prefix(SECRET_PREFIX) {
                    Some(secret) => (Value::String(secret.to_owned()), true),
                    None => (Value::String(text), false),
                },
                Some(array @ Value::Array(_)) if mentions(&array) => {
                    return fail(
                        "`secret:` or `sealed:` in an array: an array is one property, sealed as a whole (--only) or readable",
                    );
                }
                Some(other) => (other, false),
                None => return fail("a number that is out of range"),
            };
            found.push(PlainProperty { path, value, marked, span });
        }
        above.pop();
    }
    Ok(())
}

/// Whether any string in the value begins with `secret:` or `sealed:`.
pub(crate) fn mentions(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with(SECRET_PREFIX) || text.starts_with(SEALED_PREFIX),
        Value::Array(array) => array.iter().any(mentions),
        Value::Table(table) => table.values().any(mentions),
        _ => false,
    }
}
