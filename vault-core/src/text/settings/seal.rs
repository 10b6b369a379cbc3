//! The table `[seal]`: patterns of the names whose values must be sealed.

use crate::text::document::{Document, Property};
use crate::text::parse::value_parts::ValuePart;
use crate::text::path::PropertyPath;
use std::borrow::Cow;

/// The name of the table.
const TABLE: &str = "seal";
/// Its only key.
const KEY: &str = "names";

impl PropertyPath {
    /// Whether this property is in a table `seal` at the top of the file, which may be the table of
    /// rules: see [`sealing_names`].
    pub fn is_in_seal_table(&self) -> bool {
        self.segments().len() > 1 && self.segments().first().is_some_and(|top| top == TABLE)
    }

    /// Whether this property belongs to a settings table, or is in a table `seal`.
    pub fn may_be_setting(&self) -> bool {
        self.settings_table().is_some() || self.is_in_seal_table()
    }
}

/// The patterns of the names whose values must be sealed: a table `seal` at the top of the file
/// with exactly the key `names`, a readable array of strings. Any other table `seal` belongs to the
/// application, and gives `None`.
///
/// ```
/// use bootseal_core::{PlainDocument, sealing_names};
/// let rules = |text: &str| {
///     let plain = PlainDocument::parse(text.into()).unwrap();
///     let names: Vec<_> = plain.names().map(|(path, _)| path).collect();
///     sealing_names(names.iter(), |path| Some(std::borrow::Cow::Owned(plain.property(path)?.into_property())))
/// };
/// assert_eq!(rules("[seal]\nnames = [\"*password*\"]\n"), Some(vec!["*password*".to_owned()]));
/// assert_eq!(rules("[seal]\nnames = [\"harp\"]\ncolour = \"grey\"\n"), None);
/// ```
pub fn sealing_names<'a, 'p>(
    names: impl Iterator<Item = &'a PropertyPath>,
    property: impl Fn(&PropertyPath) -> Option<Cow<'p, Property>>,
) -> Option<Vec<String>> {
    let mut table = names.filter(|path| path.is_in_seal_table());
    let only = table.next().filter(|path| path.segments().len() == 2)?;
    if table.next().is_some() || only.segments().last().is_none_or(|key| key != KEY) {
        return None;
    }
    let property = property(only)?;
    let Property::Readable(toml::Value::Array(list)) = &*property else { return None };
    list.iter().map(|pattern| pattern.as_str().map(str::to_owned)).collect()
}

impl Document {
    /// See [`sealing_names`].
    pub(crate) fn sealing_names(&self) -> Option<Vec<String>> {
        let mut patterns = Vec::new();
        self.patterns(&mut |pattern| patterns.push(pattern)).then_some(patterns)
    }

    /// Whether the text has rules for what is sealed.
    pub(crate) fn has_rules(&self) -> bool {
        self.patterns(&mut |_| {})
    }

    /// Calls `each` with the strings of the array. Returns whether they are rules.
    fn patterns(&self, each: &mut dyn FnMut(String)) -> bool {
        let table = [TABLE.to_owned()];
        let mut names = self.names_below(&table);
        let (Some(only), None) = (names.next(), names.next()) else { return false };
        if only.segments() != [TABLE, KEY] || self.is_sealed(&only) {
            return false;
        }
        let (mut depth, mut is_list) = (0, true);
        self.parts(&only, &mut |part| match part {
            ValuePart::ArrayStart => depth += 1,
            ValuePart::ArrayEnd => is_list &= depth == 1,
            ValuePart::Value(toml::Value::String(pattern)) if depth == 1 => each(pattern),
            ValuePart::Value(_) => is_list = false,
        });
        is_list && depth == 1
    }

    /// Whether a new value with this name would be the only one of the table `[seal]`, in the place
    /// of its rules.
    pub(crate) fn would_begin_rules(&self, path: &PropertyPath) -> bool {
        let is_names = path.segments() == [TABLE, KEY];
        is_names && self.names_below(&[TABLE.to_owned()]).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Option<usize> {
        let document = Document::parse(text.into()).unwrap();
        document.sealing_names().map(|names| names.len())
    }

    #[test]
    fn only_a_table_with_exactly_the_array_of_names_has_rules() {
        for (text, rules) in [
            ("[seal]\nnames = ['*password*', '*.secret']\n", Some(2)),
            ("seal.names = []\n", Some(0)),
            ("seal = { names = ['a'] }\n", Some(1)),
            ("[seal]\nnames = ['a']\n[seal.x]\n", Some(1)),
            ("[seal]\nnames = ['a']\nx = 1\n", None),
            ("[seal]\nnames = ['a']\n[seal.x]\ny = 1\n", None),
            ("[seal.names]\nx = ['a']\n", None),
            ("[seal]\nnames = 'a'\n", None),
            ("[seal]\nnames = ['a', 1]\n", None),
            ("[[seal]]\nnames = ['a']\n", None),
            ("seal = ['a']\n", None),
            ("[x.seal]\nnames = ['a']\n", None),
            ("[Seal]\nnames = ['a']\n", None),
            ("names = ['a']\n", None),
        ] {
            assert_eq!(names(text), rules, "{text}");
        }
    }
}
