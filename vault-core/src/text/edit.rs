//! Edits of a document. Each edit replaces the bytes of values, or adds or removes lines, and the
//! result is parsed again before it is used.

use crate::error::{Error, Kind, Result};
use crate::text::document::Document;
use crate::text::outline::Outline;
use crate::text::path::{DottedKey, PropertyPath};
use std::collections::HashSet;
use std::ops::Range;

impl Document {
    /// The document in which the property `path` has the TOML value `value`; a missing property is
    /// added.
    pub(crate) fn with(&self, path: &PropertyPath, value: &str) -> Result<Document> {
        if let Some(span) = self.span(path) {
            self.refuse_blocks(path, &span)?;
            let text = [&self.text[..span.start], value, &self.text[span.end..]].concat();
            return Document::parse(text);
        }
        if self.is_table(path.segments()) {
            return Err(
                Error::new(Kind::Conflict, "this is a table; a value cannot replace it").at(path)
            );
        }
        self.refuse_inside_value(path)?;
        self.with_new(&[(path, value)])
    }

    /// Refuses a name below that of a value.
    pub(crate) fn refuse_inside_value(&self, path: &PropertyPath) -> Result<()> {
        let outer = (1..path.segments().len()).find_map(|length| {
            let outer = PropertyPath::new(path.segments()[..length].to_vec()).ok()?;
            self.contains(&outer).then_some(outer)
        });
        outer.map_or(Ok(()), |outer| {
            let what = format!("`{outer}` is a value; it cannot contain others");
            Err(Error::new(Kind::Conflict, what).at(path))
        })
    }

    /// The document in which `old` is renamed to `new`, in the same place and with its comments if the
    /// tables allow it.
    pub(crate) fn renamed(
        &self,
        old: &PropertyPath,
        new: &PropertyPath,
        value: &str,
    ) -> Result<Document> {
        let outline = Outline::near(&self.text, &|path| path == old.segments())?;
        if let Some(entry) = outline.entries.first() {
            let header = &outline.sections[entry.section].path;
            if let Some(below) =
                new.segments().strip_prefix(header.as_slice()).filter(|below| !below.is_empty())
            {
                let key = DottedKey(below).to_string();
                let changed = [
                    &self.text[..entry.key.start],
                    &key,
                    &self.text[entry.key.end..entry.value.start],
                    value,
                    &self.text[entry.value.end..],
                ]
                .concat();
                if let Some(changed) = self.read_as(changed, &[old], &[new]) {
                    return Ok(changed);
                }
            }
        }
        self.without(old)?.with(new, value)
    }

    /// The changed document, if it has exactly the intended effect. TOML's rules for tables
    /// determine the meaning of an inserted line, so the text is parsed again. It must then contain
    /// the same properties as before, without `gone` and with `new`.
    pub(super) fn read_as(
        &self,
        changed: String,
        gone: &[&PropertyPath],
        new: &[&PropertyPath],
    ) -> Option<Document> {
        let read = Document::parse(changed).ok()?;
        let moved: HashSet<&PropertyPath> = gone.iter().chain(new).copied().collect();
        let kept = || self.names().map(|(path, _)| path).filter(|path| !moved.contains(path));
        let is_intended = read.counts().0 == kept().count() + new.len()
            && new.iter().all(|new| read.contains(new))
            && kept().all(|path| self.has_same(&path, &read));
        is_intended.then_some(read)
    }

    pub(super) fn cannot(path: Option<&PropertyPath>) -> Error {
        if let Some(path) =
            path.filter(|path| path.segments().first().is_some_and(|name| name == "bootseal"))
        {
            return Error::new(Kind::Conflict, "the table [bootseal] belongs to the format, and has no properties")
                .at(path)
                .with_help("Use another name for the property. `bootseal access` changes who may read or write.");
        }
        let error =
            Error::new(Kind::Conflict, "the tables of this file do not allow this change here");
        let error = match path {
            Some(path) => error.at(path),
            None => error,
        };
        error.with_help("Edit the line in the file, then accept the change: bootseal sign")
    }

    /// Refuses `[[name]]` blocks: they are one property, but its value is not in one place.
    pub(super) fn refuse_blocks(&self, path: &PropertyPath, span: &Range<usize>) -> Result<()> {
        match self.is_blocks(span) {
            true => Err(Error::new(
                Kind::Conflict,
                "this is an array of tables; a value cannot replace it",
            )
            .at(path)
            .with_help("To change an array of tables, or to remove it: bootseal edit")),
            false => Ok(()),
        }
    }

    /// The span of the property's value, which another value can replace; `None` if the property
    /// does not exist. Fails for an array of tables.
    pub(crate) fn replaceable(&self, path: &PropertyPath) -> Result<Option<Range<usize>>> {
        let Some(span) = self.span(path) else { return Ok(None) };
        self.refuse_blocks(path, &span)?;
        Ok(Some(span))
    }

    /// The text with the values at these spans replaced.
    pub(crate) fn with_values(&self, changes: Vec<(Range<usize>, String)>) -> String {
        with_values(&self.text, changes)
    }
}

/// The text with the values at these spans replaced. Of two changes of one span, the later one
/// counts.
pub(crate) fn with_values(old: &str, mut changes: Vec<(Range<usize>, String)>) -> String {
    changes.sort_by_key(|(span, _)| span.start);
    let more = changes.iter().map(|(_, value)| value.len()).sum::<usize>();
    let less = changes.iter().map(|(span, _)| span.len()).sum::<usize>();
    let mut text = String::with_capacity((old.len() + more).saturating_sub(less));
    let (mut done, mut changes) = (0, changes.into_iter().peekable());
    while let Some((span, value)) = changes.next() {
        if changes.peek().is_some_and(|(next, _)| *next == span) {
            continue;
        }
        text.push_str(&old[done..span.start]);
        text.push_str(&value);
        done = span.end;
    }
    text.push_str(&old[done..]);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::document::Property;
    use proptest::prelude::*;

    fn with(text: &str, path: &str, value: &str) -> Result<String> {
        let document = Document::parse(text.into()).unwrap();
        document.with(&path.parse().unwrap(), value).map(|changed| changed.text().to_owned())
    }

    #[test]
    fn a_change_replaces_only_the_value() {
        let text = "# top\n[a] # table\nb  =  1   # keep\n\n'c d' = \"x\"\n";
        assert_eq!(with(text, "a.b", "2").unwrap(), text.replace('1', "2"));
        assert_eq!(with(text, "a.'c d'", "\"y\"").unwrap(), text.replace("\"x\"", "\"y\""));
    }

    #[test]
    fn a_new_property_goes_where_its_table_is() {
        assert_eq!(with("", "a.b.c", "1").unwrap(), "[a.b]\nc = 1\n");
        assert_eq!(with("", "a", "1").unwrap(), "a = 1\n");
        assert_eq!(
            with("# about t\n[t]\nx = 1\n", "a", "1").unwrap(),
            "a = 1\n\n# about t\n[t]\nx = 1\n"
        );
        assert_eq!(with("x = 1\n[t]\ny = 1\n", "a", "1").unwrap(), "x = 1\na = 1\n[t]\ny = 1\n");
        assert_eq!(
            with("[a]\nx = 1 # one\n\n[b]\n", "a.y", "2").unwrap(),
            "[a]\nx = 1 # one\ny = 2\n\n[b]\n"
        );
        assert_eq!(with("[a]\n\n[b]\n", "a.y", "2").unwrap(), "[a]\ny = 2\n\n[b]\n");
        assert_eq!(with("[a.b]\nx = 1\n", "a.y", "2").unwrap(), "[a.b]\nx = 1\n\n[a]\ny = 2\n");
        assert_eq!(with("[a]\nb.x = 1\n", "a.b.y", "2").unwrap(), "[a]\nb.x = 1\nb.y = 2\n");
        assert_eq!(
            with("[a]\nb = { x = 1 }\n", "a.b.y", "2").unwrap(),
            "[a]\nb = { x = 1, y = 2 }\n"
        );
        assert_eq!(with("[a]\nb = {}\n", "a.b.c.y", "2").unwrap(), "[a]\nb = { c.y = 2 }\n");
        assert_eq!(
            with("a = { b = { x = 1 } }\n", "a.b.y", "2").unwrap(),
            "a = { b = { x = 1, y = 2 } }\n"
        );
        assert_eq!(with("[a]\nx = 1", "a.y", "2").unwrap(), "[a]\nx = 1\ny = 2\n");
        assert_eq!(
            with("[a]\nx = \"\"\"\n[a.b]\n\"\"\"\n", "a.y", "2").unwrap(),
            "[a]\nx = \"\"\"\n[a.b]\n\"\"\"\ny = 2\n"
        );
    }

    #[test]
    fn a_property_inside_a_value_or_an_array_is_a_conflict() {
        for (text, path) in [
            ("a = 1\n", "a.b"),
            ("[a]\nb = 1\n", "a"),
            ("[[a]]\nb = 1\n", "a.c"),
            ("a = [{ b = 1 }]\n", "a.b"),
        ] {
            assert_eq!(with(text, path, "1").unwrap_err().kind(), Kind::Conflict, "{text} {path}");
        }
    }

    fn toml_text() -> impl Strategy<Value = String> {
        let key = "[a-c]{1,2}";
        let value = prop_oneof![
            Just("1".to_string()),
            Just("\"x # y\"".to_string()),
            Just("[1, 2]".to_string()),
            Just("{ k = 1 }".to_string()),
            Just("\"\"\"\n[z]\n\"\"\"".to_string()),
            Just("{}".to_string()),
            Just("'''\n# no\n'''".to_string())
        ];
        let line = prop_oneof![
            4 => (key, value.clone()).prop_map(|(key, value)| format!("{key} = {value}")),
            2 => (key, key, value).prop_map(|(a, b, value)| format!("{a}.{b} = {value} # note")),
            2 => key.prop_map(|key| format!("[{key}]")),
            2 => (key, key).prop_map(|(a, b)| format!("[{a}.{b}]")),
            1 => key.prop_map(|key| format!("[[{key}]]")),
            1 => Just("# comment".to_string()),
            1 => Just(String::new()),
        ];
        prop::collection::vec(line, 0..12)
            .prop_map(|lines| lines.iter().map(|line| format!("{line}\n")).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn an_edit_changes_one_property_and_no_other_line(text in toml_text(), path in prop::collection::vec("[a-c]{1,2}", 1..4)) {
            let Ok(before) = Document::parse(text.clone()) else { return Ok(()) };
            let path = PropertyPath::new(path).unwrap();
            let Ok(after) = before.with(&path, "77") else { return Ok(()) };
            let after = after.text();
            let read = Document::parse(after.to_owned()).unwrap();
            prop_assert_eq!(read.get(&path), Some(Property::Readable(toml::Value::Integer(77))));
            for (other, property) in before.iter().filter(|(other, _)| *other != path) {
                prop_assert_eq!(read.get(&other), Some(property));
            }
            let kept = |line: &&str| !line.contains("77");
            if before.get(&path).is_none() && !text.contains('{') {
                let old: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
                let new: Vec<&str> = after.lines().filter(kept).filter(|line| !line.is_empty() && *line != format!("[{}]", DottedKey(&path.segments()[..path.segments().len()-1]))).collect();
                let old: Vec<&str> = old.into_iter().filter(|line| *line != format!("[{}]", DottedKey(&path.segments()[..path.segments().len()-1]))).collect();
                prop_assert_eq!(old, new);
            }
        }

        #[test]
        fn arbitrary_text_never_causes_a_panic(text in ".{0,200}") {
            let _ = Document::parse(text);
        }
    }

    #[test]
    fn a_renamed_property_keeps_its_place() {
        for (before, old, new, after) in [
            (
                "[t]\n# of\n  a   = 1 # one\nb = 2\n",
                "t.a",
                "t.\"x y\"",
                "[t]\n# of\n  \"x y\"   = 1 # one\nb = 2\n",
            ),
            ("[t]\na = 1\n[u]\nb = 2\n", "t.a", "u.a", "[t]\n[u]\nb = 2\na = 1\n"),
            ("t.a = 1\n", "t.a", "t.b.c", "t.b.c = 1\n"),
            ("t = { a = 1, b = 2 }\n", "t.a", "t.c", "t = { b = 2, c = 1 }\n"),
        ] {
            let document = Document::parse(before.into()).unwrap();
            let renamed =
                document.renamed(&old.parse().unwrap(), &new.parse().unwrap(), "1").unwrap();
            assert_eq!(renamed.text(), after);
        }
    }

    /// Lines as people write them, in random order: most results are valid TOML.
    fn lines() -> impl Strategy<Value = String> {
        let line = prop_oneof![
            Just("# a comment"),
            Just(""),
            Just("[a]"),
            Just("[a.b]"),
            Just("[\"x.y\"] # header"),
            Just("[[l]]"),
            Just("a = 1"),
            Just("b = \"two\" # why"),
            Just("c.d = [1,\n  2, # in between\n]"),
            Just("c.e = 3"),
            Just("e = { f = 1, g = { h = 2 }, i.j = 3 }"),
            Just("\"k l\" = \"\"\"\n[a]\n# no comment\n\"\"\""),
            Just("m = 'x' "),
            Just("a.b.n = 1979-05-27T07:32:00Z"),
        ];
        prop::collection::vec(line, 0..14)
            .prop_map(|lines| lines.into_iter().map(|line| format!("{line}\n")).collect())
    }

    proptest! {
        #[test]
        fn no_edit_touches_another_property(text in lines(), new in "[a-n](\\.[a-n]){0,2}", at in any::<prop::sample::Index>()) {
            let Ok(document) = Document::parse(text) else { return Ok(()) };
            let new: PropertyPath = new.parse().unwrap();
            let paths: Vec<PropertyPath> = document.names().map(|(path, _)| path).collect();
            let others = |changed: Result<Document>, but: &[&PropertyPath]| -> std::result::Result<(), TestCaseError> {
                let Ok(changed) = changed else { return Ok(()) };
                let read = Document::parse(changed.text().to_owned()).map_err(|error| TestCaseError::fail(error.to_string()))?;
                for path in paths.iter().filter(|path| !but.contains(path)) {
                    prop_assert_eq!(document.get(path), read.get(path));
                }
                Ok(())
            };
            others(document.with(&new, "7"), &[&new])?;
            if !paths.is_empty() {
                let old = at.get(&paths);
                others(document.without(old), &[old])?;
                others(document.renamed(old, &new, "7"), &[old, &new])?;
            }
        }
    }
}
