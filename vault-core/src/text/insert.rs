//! Inserts new properties into their table if TOML allows it, and otherwise into a new table at the
//! end.

use crate::error::Result;
use crate::text::document::Document;
use crate::text::outline::{InlineTable, Outline};
use crate::text::path::{DottedKey, PropertyPath};
use indexmap::IndexMap;
use std::collections::HashSet;

impl Document {
    /// The document with these new properties and their values.
    pub(crate) fn with_new(&self, list: &[(&PropertyPath, &str)]) -> Result<Document> {
        let new: Vec<&PropertyPath> = list.iter().map(|(path, _)| *path).collect();
        if let Some(changed) = self.read_as(self.placed_at_once(list)?, &[], &new) {
            return Ok(changed);
        }
        match list {
            [_] => Err(Document::cannot(new.first().copied())),
            // One property may need a table that another one creates.
            several => several
                .iter()
                .try_fold(self.clone(), |document, (path, value)| document.with(path, value)),
        }
    }

    /// Inserts each property at its place in the outline of the current text; properties that need
    /// a new table come last.
    fn placed_at_once(&self, list: &[(&PropertyPath, &str)]) -> Result<String> {
        // What defines the tables of the new properties: inline tables around them, and dotted keys
        // below them.
        let tables: HashSet<&[String]> = list
            .iter()
            .map(|(path, _)| path.segments().split_last().map_or(&[][..], |(_, table)| table))
            .collect();
        let around: HashSet<&[String]> =
            tables.iter().flat_map(|table| (1..=table.len()).map(|at| &table[..at])).collect();
        let outline = Outline::near(&self.text, &|path| {
            around.contains(path) || (1..path.len()).any(|at| tables.contains(&path[..at]))
        })?;
        let mut splices: Vec<(usize, String)> = Vec::new();
        let mut tables: IndexMap<&[String], String> = IndexMap::new();
        let (mut bare, mut tight) = (false, Vec::new());
        // Bare keys go before the first header and the comments directly above it.
        let first = outline
            .sections
            .get(1)
            .map_or(self.text.len(), |section| lead(&self.text, section.start));
        for (path, value) in list {
            let segments = path.segments();
            let table = &segments[..segments.len() - 1];
            let line = |above: usize| format!("{} = {value}\n", DottedKey(&segments[above..]));
            match self.place(&outline, table) {
                Spot::Inline(inline) => {
                    let before = self.text[..inline.close].trim_end().len();
                    let comma = if inline.empty && !splices.iter().any(|(at, _)| *at == before) {
                        ""
                    } else {
                        ","
                    };
                    splices.push((
                        before,
                        format!("{comma} {} = {value}", DottedKey(&segments[inline.path.len()..])),
                    ));
                    if before == inline.close {
                        tight.push(before);
                    }
                }
                Spot::Line(at, above) => splices.push((at, line(above))),
                Spot::First => {
                    bare = true;
                    splices.push((first, line(0)));
                }
                Spot::NewTable => tables.entry(table).or_default().push_str(&line(table.len())),
            }
        }
        // If the closing brace had no blank before it, one is added after all insertions.
        tight.sort_unstable();
        tight.dedup();
        splices.extend(tight.into_iter().map(|at| (at, " ".to_owned())));
        if bare && first < self.text.len() {
            splices.push((first, "\n".into()));
        }
        splices.sort_by_key(|(at, _)| *at);
        let mut text = String::with_capacity(self.text.len() + list.len() * 64);
        let mut done = 0;
        for (at, splice) in splices {
            text.push_str(&self.text[done..at]);
            if splice.ends_with('\n') && !text.is_empty() && !text.ends_with('\n') {
                text.push('\n');
            }
            text.push_str(&splice);
            done = at;
        }
        text.push_str(&self.text[done..]);
        for (table, lines) in tables {
            let gap = if text.is_empty() || text.ends_with("\n\n") { "" } else { "\n" };
            text.push_str(&format!("{gap}[{}]\n{lines}", DottedKey(table)));
        }
        Ok(text)
    }

    fn place<'a>(&self, outline: &'a Outline, table: &[String]) -> Spot<'a> {
        // The place is inside an inline table, which cannot be extended from outside.
        let inline = outline.inline_tables.iter().filter(|inline| table.starts_with(&inline.path));
        if let Some(inline) = inline.max_by_key(|inline| inline.path.len()) {
            return Spot::Inline(inline);
        }
        // In the table's own section.
        if let Some(section) =
            outline.sections.iter().find(|section| !section.array && section.path == table)
            && (!table.is_empty() || section.end > 0)
        {
            return Spot::Line(section.end, table.len());
        }
        // The place is next to the dotted keys that define the table, because a header would define
        // the table again.
        if let Some(entry) = outline.entries.iter().rev().find(|entry| {
            let header = &outline.sections[entry.section].path;
            header.len() < table.len()
                && table.starts_with(header)
                && entry.path.len() > table.len()
                && entry.path.starts_with(table)
        }) {
            return Spot::Line(entry.line_end, outline.sections[entry.section].path.len());
        }
        if table.is_empty() { Spot::First } else { Spot::NewTable }
    }
}

/// The place of a new property.
enum Spot<'a> {
    /// At the end of this inline table.
    Inline(&'a InlineTable),
    /// On a new line at this offset; the key omits this many leading segments.
    Line(usize, usize),
    /// At the top, as the first bare key.
    First,
    /// In a new table at the end.
    NewTable,
}

/// The start of the comment lines directly above `start`.
pub(super) fn lead(text: &str, start: usize) -> usize {
    let mut at = start;
    for line in text[..start].split_inclusive('\n').rev() {
        if !line.trim_start().starts_with('#') {
            break;
        }
        at -= line.len();
    }
    at
}
