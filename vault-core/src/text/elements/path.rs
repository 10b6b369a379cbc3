//! The path of a value inside an array: `users[0].password`.

use crate::error::{Error, Kind, Result};
use crate::text::elements::names::element_at;
use crate::text::parse::value_builder::value_of;
use crate::text::path::{DottedKey, PropertyPath};
use std::fmt::{self, Write};
use std::str::FromStr;
use toml::Value;

/// The path of a value inside an array. The array is one property; its elements have no names of
/// their own in the file.
///
/// ```
/// let path: bootseal_core::ElementPath = "acme.users[0].password".parse()?;
/// assert_eq!(path.property().to_string(), "acme.users");
/// assert_eq!(path.in_text("[{ password = \"pa\" }]")?, "pa".into());
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementPath {
    property: PropertyPath,
    steps: Vec<Step>,
    /// The names that read the same as this path.
    literal: Vec<PropertyPath>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Index(usize),
    Key(String),
}

impl ElementPath {
    /// The property that is the array.
    pub fn property(&self) -> &PropertyPath {
        &self.property
    }

    /// The names of properties that read the same as this path: `"users[0]".password` of a
    /// .properties file, and `"users[0].password"`. A property with such a name is meant first.
    ///
    /// ```
    /// let path: bootseal_core::ElementPath = "users[0].password".parse()?;
    /// let names: Vec<String> = path.literal_names().iter().map(ToString::to_string).collect();
    /// assert_eq!(names, ["\"users[0]\".password", "\"users[0].password\""]);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn literal_names(&self) -> &[PropertyPath] {
        &self.literal
    }

    /// The path with each index as a segment: `users.0.password`.
    ///
    /// # Errors
    /// [`Kind::Malformed`] if it has more than 16 segments.
    pub fn dotted(&self) -> Result<PropertyPath> {
        let steps = self.steps.iter().map(|step| match step {
            Step::Index(index) => index.to_string(),
            Step::Key(key) => key.clone(),
        });
        PropertyPath::new(self.property.segments().iter().cloned().chain(steps).collect())
    }

    /// The value at this path, in the text of the array, which is TOML.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if there is no such element.
    pub fn in_text(&self, array: &str) -> Result<Value> {
        let mut text = array;
        // Only the wanted element is built, because the whole array may need much memory.
        for (at, step) in self.steps.iter().enumerate() {
            let Step::Index(index) = step else {
                let value = value_of(text).ok_or_else(|| self.missing(at))?;
                return self.in_value(value, at);
            };
            text = match element_at(text, *index) {
                Some(Ok(range)) => text.get(range).unwrap_or_default(),
                Some(Err(count)) => return Err(self.beyond(at, count)),
                None => return Err(self.missing(at)),
            };
        }
        value_of(text).ok_or_else(|| self.missing(self.steps.len()))
    }

    /// Follows the steps from `at` on.
    fn in_value(&self, mut value: Value, at: usize) -> Result<Value> {
        for (at, step) in self.steps.iter().enumerate().skip(at) {
            value = match (step, value) {
                (Step::Key(key), Value::Table(mut table)) => {
                    table.remove(key).ok_or_else(|| self.missing(at))?
                }
                (Step::Index(index), Value::Array(mut array)) => {
                    if *index >= array.len() {
                        return Err(self.beyond(at, array.len()));
                    }
                    array.swap_remove(*index)
                }
                _ => return Err(self.missing(at)),
            };
        }
        Ok(value)
    }

    fn missing(&self, at: usize) -> Error {
        let what = format!("there is no {}", self.upto(at + 1));
        let help = format!("`bootseal get {}` prints the whole array.", self.property);
        Error::new(Kind::NotFound, what).with_help(help)
    }

    fn beyond(&self, at: usize, count: usize) -> Error {
        let elements = if count == 1 { "element" } else { "elements" };
        let what = format!(
            "there is no {}: {} has {count} {elements}, counted from 0",
            self.upto(at + 1),
            self.upto(at)
        );
        Error::new(Kind::NotFound, what)
    }

    fn upto(&self, steps: usize) -> String {
        let mut text = self.property.to_string();
        for step in self.steps.iter().take(steps) {
            let _ = match step {
                Step::Index(index) => write!(text, "[{index}]"),
                Step::Key(key) => write!(text, ".{}", DottedKey(std::slice::from_ref(key))),
            };
        }
        text
    }
}

impl fmt::Display for ElementPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.upto(self.steps.len()))
    }
}

impl FromStr for ElementPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<ElementPath> {
        // The error of a property's path does not repeat the text, which may contain a value.
        let wrong = || match text.parse::<PropertyPath>() {
            Err(error) => error,
            Ok(path) => Error::new(Kind::Usage, "has no index, such as [0]").at(&path),
        };
        let first = bracket(text).ok_or_else(wrong)?;
        let property: PropertyPath = text[..first].parse().map_err(|_| wrong())?;
        let (mut steps, mut rest) = (Vec::new(), &text[first..]);
        let mut names = property.segments().to_vec();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (index, after) = inside.split_once(']').ok_or_else(wrong)?;
                let is_number =
                    !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
                let index = index.parse().ok().filter(|_| is_number).ok_or_else(wrong)?;
                steps.push(Step::Index(index));
                if let Some(last) = names.last_mut() {
                    last.push_str(&format!("[{index}]"));
                }
                rest = after;
                continue;
            }
            let keys = rest.strip_prefix('.').ok_or_else(wrong)?;
            let end = bracket(keys).unwrap_or(keys.len());
            let keys: PropertyPath = keys[..end].parse().map_err(|_| wrong())?;
            steps.extend(keys.segments().iter().cloned().map(Step::Key));
            names.extend_from_slice(keys.segments());
            rest = &rest[1 + end..];
        }
        Ok(ElementPath { literal: literal(&names), property, steps })
    }
}

/// The position of the first `[` outside of quotes.
fn bracket(text: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    text.char_indices().find_map(|(at, next)| {
        match (quote, next) {
            (None, '[') => return Some(at),
            (None, '"' | '\'') => quote = Some(next),
            (Some(open), _) if open == next && !escaped => quote = None,
            _ => {}
        }
        escaped = quote == Some('"') && next == '\\' && !escaped;
        None
    })
}

/// Names with dots between segments, inside them, or both.
fn literal(names: &[String]) -> Vec<PropertyPath> {
    let joined = |apart: usize| {
        let (apart, together) = names.split_at(apart);
        PropertyPath::new([apart, &[together.join(".")]].concat()).ok()
    };
    (0..names.len()).rev().filter_map(joined).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> ElementPath {
        text.parse().unwrap()
    }

    #[test]
    fn a_path_leads_through_arrays_and_tables() {
        let array =
            "[ { name = 'a', address = { 'my city' = 'x' }, tags.all = [1, [2, 3]] }, 'b' ]";
        for (name, value) in [
            ("users[0].name", "\"a\""),
            ("users[1]", "\"b\""),
            ("users[0].address.\"my city\"", "\"x\""),
            ("users[0].tags.all[1][0]", "2"),
            ("users[0].tags.all[1]", "[2, 3]"),
            ("users[0].address", "{ \"my city\" = \"x\" }"),
        ] {
            assert_eq!(path(name).in_text(array).unwrap().to_string(), value, "{name}");
            assert_eq!(path(name).to_string(), name);
        }
        for (name, what) in [
            ("users[2]", "there is no users[2]: users has 2 elements, counted from 0"),
            ("users[0].tags.all[5]", "there is no users[0].tags.all[5]: users[0].tags.all has 2"),
            ("users[0].pw", "there is no users[0].pw"),
            ("users[0][0]", "there is no users[0][0]"),
            ("users[1].name", "there is no users[1].name"),
        ] {
            let error = path(name).in_text(array).unwrap_err();
            assert_eq!(error.kind(), Kind::NotFound);
            assert!(error.to_string().contains(what), "{error}");
        }
        assert_eq!(path("users[0]").in_text("'x'").unwrap_err().kind(), Kind::NotFound);
    }

    #[test]
    fn other_text_is_a_usage_error_that_does_not_repeat_it() {
        for text in [
            "users",
            "users[",
            "users[]",
            "users[a]",
            "users[-1]",
            "users[+1]",
            "users[0",
            "[0]",
            "users[0]x",
            "users[0].",
            "users[0]..a",
            "users.[0]",
            "a=hunter2[0]",
            "\"users[0]\"",
            "users[99999999999999999999]",
        ] {
            let error = text.parse::<ElementPath>().unwrap_err();
            assert_eq!(error.kind(), Kind::Usage, "{text}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn literal_names_are_every_reading_of_the_dots() {
        let names = |text: &str| -> Vec<String> {
            path(text).literal_names().iter().map(ToString::to_string).collect()
        };
        assert_eq!(names("a.b[0].c"), ["a.\"b[0]\".c", "a.\"b[0].c\"", "\"a.b[0].c\""]);
        assert_eq!(path("a.b[0].c").dotted().unwrap().to_string(), "a.b.0.c");
    }
}
