//! Removals from a document: properties with the rest of their lines, members of inline tables with
//! their commas, and the tables that are empty afterwards. Each removal reads the text once,
//! however many properties it removes.

use crate::error::{Error, Kind, Result};
use crate::text::document::Document;
use crate::text::outline::{InlineTable, Outline};
use crate::text::path::PropertyPath;
use std::collections::HashSet;
use std::ops::Range;

impl Document {
    /// The document without the property `path` and the comment on its line; comments above it
    /// stay.
    pub(crate) fn without(&self, path: &PropertyPath) -> Result<Document> {
        self.without_all(&[path])
    }

    /// Like `without`, for several properties.
    pub(crate) fn without_all(&self, paths: &[&PropertyPath]) -> Result<Document> {
        for path in paths {
            let Some(span) = self.span(path) else {
                return Err(Error::new(Kind::NotFound, "no such property").at(path));
            };
            self.refuse_blocks(path, &span)?;
        }
        let wanted: HashSet<&[String]> = paths.iter().map(|path| path.segments()).collect();
        let tables: HashSet<&[String]> = tables_above(paths).collect();
        let near = |path: &[String]| wanted.contains(path) || tables.contains(path);
        let outline = Outline::near(&self.text, &near)?;
        let entries = outline.entries.iter().filter(|entry| wanted.contains(&entry.path[..]));
        let lines = entries.map(|entry| self.line_start(entry.key.start)..entry.line_end);
        let members = outline.inline_tables.iter();
        let members = members.flat_map(|table| members_of(table, |path| wanted.contains(path)));
        let text = without_spans(&self.text, lines.chain(members).collect());
        self.read_as(text, paths, &[]).ok_or_else(|| Document::cannot(paths.first().copied()))
    }

    /// The document without the tables around the former properties `paths` that are empty now. A
    /// comment in such a table stays.
    pub(crate) fn without_empty_above(self, paths: &[&PropertyPath]) -> Result<Document> {
        let tables: HashSet<&[String]> = tables_above(paths).collect();
        let empty: HashSet<&[String]> =
            tables.iter().copied().filter(|table| !self.is_table(table)).collect();
        if empty.is_empty() {
            return Ok(self);
        }
        let outline = Outline::near(&self.text, &|path| tables.contains(path))?;
        let mut gone: Vec<Range<usize>> = Vec::new();
        for section in outline.sections.iter().filter(|section| !section.array) {
            if empty.contains(&section.path[..]) {
                let end = self.text[section.start..].find('\n');
                let end = end.map_or(self.text.len(), |end| section.start + end + 1);
                let blank = self.text[..section.start].ends_with("\n\n");
                gone.push(section.start - usize::from(blank)..end);
            }
        }
        for entry in outline.entries.iter().filter(|entry| empty.contains(&entry.path[..])) {
            if self.text[entry.value.clone()].starts_with('{') {
                gone.push(self.line_start(entry.key.start)..entry.line_end);
            }
        }
        for table in &outline.inline_tables {
            gone.extend(members_of(table, |path| empty.contains(path)));
        }
        let text = without_spans(&self.text, gone);
        self.read_as(text, &[], &[]).ok_or_else(|| Document::cannot(paths.first().copied()))
    }
}

/// The paths of the tables that the properties are in.
fn tables_above<'a>(paths: &[&'a PropertyPath]) -> impl Iterator<Item = &'a [String]> {
    paths.iter().flat_map(|path| (1..path.segments().len()).map(|end| &path.segments()[..end]))
}

/// The spans of the members of an inline table that are gone. Neighbours are one span, with the
/// comma that is not needed without them.
fn members_of(table: &InlineTable, is_gone: impl Fn(&[String]) -> bool) -> Vec<Range<usize>> {
    let (mut spans, mut kept_end, mut run) = (Vec::new(), None, None);
    for (path, span) in &table.members {
        if is_gone(path) {
            run.get_or_insert(span.start);
            continue;
        }
        spans.extend(run.take().map(|start| start..span.start));
        kept_end = Some(span.end);
    }
    if let (Some(start), Some((_, last))) = (run, table.members.last()) {
        spans.push(kept_end.unwrap_or(start)..last.end);
    }
    spans
}

/// The text without these spans, of which one may contain others.
fn without_spans(text: &str, mut spans: Vec<Range<usize>>) -> String {
    spans.sort_by_key(|span| span.start);
    let (mut kept, mut done) = (String::with_capacity(text.len()), 0);
    for span in spans {
        kept.push_str(&text[done..span.start.max(done)]);
        done = done.max(span.end);
    }
    kept.push_str(&text[done..]);
    kept
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_property_leaves_all_other_bytes_unchanged() {
        for (before, path, after) in [
            ("# top\na = 1 # one\nb = 2\n", "a", "# top\nb = 2\n"),
            ("[t]\na = \"\"\"\nx\n\"\"\"\nb = 2\n", "t.a", "[t]\nb = 2\n"),
            ("t.a = 1\nt.b = 2\n", "t.b", "t.a = 1\n"),
            ("t = { a = 1, b = 2, c = 3 }\n", "t.a", "t = { b = 2, c = 3 }\n"),
            ("t = { a = 1, b = 2, c = 3 }\n", "t.b", "t = { a = 1, c = 3 }\n"),
            ("t = { a = 1, b = 2, c = 3 } # t\n", "t.c", "t = { a = 1, b = 2 } # t\n"),
            ("t = { u = { a = 1 }, b = 2 }\n", "t.u.a", "t = { u = {  }, b = 2 }\n"),
            ("t = { u.a = 1, u.b = [1, 2] }\n", "t.u.b", "t = { u.a = 1 }\n"),
        ] {
            let document = Document::parse(before.into()).unwrap();
            assert_eq!(document.without(&path.parse().unwrap()).unwrap().text(), after);
        }
        let blocks = Document::parse("[[t]]\na = 1\n".into()).unwrap();
        assert_eq!(blocks.without(&"t".parse().unwrap()).unwrap_err().kind(), Kind::Conflict);
    }

    fn unset(text: &str, paths: &[&str]) -> String {
        let paths: Vec<PropertyPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let paths: Vec<&PropertyPath> = paths.iter().collect();
        let document = Document::parse(text.into()).unwrap().without_all(&paths).unwrap();
        document.without_empty_above(&paths).unwrap().text().to_owned()
    }

    #[test]
    fn several_members_of_inline_tables_are_removed_with_their_commas() {
        let table = "t = { a = 1, u = { x = 1, y = 2 }, b = 2, c = 3 } # t\n";
        for (gone, after) in [
            (&["t.a", "t.b"][..], "t = { u = { x = 1, y = 2 }, c = 3 } # t\n"),
            (&["t.b", "t.c"], "t = { a = 1, u = { x = 1, y = 2 } } # t\n"),
            (&["t.c", "t.a"], "t = { u = { x = 1, y = 2 }, b = 2 } # t\n"),
            (&["t.u.x"], "t = { a = 1, u = { y = 2 }, b = 2, c = 3 } # t\n"),
            (&["t.u.y", "t.u.x"], "t = { a = 1, b = 2, c = 3 } # t\n"),
            (&["t.a", "t.u.x", "t.u.y"], "t = { b = 2, c = 3 } # t\n"),
            (&["t.u.x", "t.u.y", "t.b", "t.c"], "t = { a = 1 } # t\n"),
            (&["t.a", "t.u.x", "t.u.y", "t.b", "t.c"], ""),
        ] {
            assert_eq!(unset(table, gone), after, "{gone:?}");
        }
        assert_eq!(
            unset("t = { u = { v = { a = 1 } } , b = 2 }\n", &["t.u.v.a"]),
            "t = { b = 2 }\n"
        );
        assert_eq!(unset("a = { b.c = 1, b.d = 2 }\nz = 1\n", &["a.b.d", "a.b.c"]), "z = 1\n");
        assert_eq!(unset("[s]\na = { x = 1 }\n[s.u]\nb = 1\n", &["s.a.x", "s.u.b"]), "");
    }

    #[test]
    fn a_name_given_twice_is_removed_once() {
        assert_eq!(unset("a = 1\nb = 2\n", &["a", "a"]), "b = 2\n");
    }
}
