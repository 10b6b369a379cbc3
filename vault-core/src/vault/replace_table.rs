//! Replaces a settings table as a whole: no key of the old table stays beside those of the new one.

use crate::error::{Error, Kind, Result};
use crate::text::document::Document;
use crate::text::outline::Outline;
use crate::text::path::PropertyPath;
use crate::vault::{CanWrite, Vault};
use std::ops::Range;

impl Vault<CanWrite> {
    /// Replaces the table `path`, with all tables in it, by `text`, the TOML of readable properties
    /// that begins with a table header. The text takes the place of the old table, or is appended
    /// if there is none. Comments between the lines of the old table stay.
    ///
    /// # Errors
    /// As [`Vault::append`].
    ///
    /// ```
    /// # let mut vault = bootseal_fixtures::vault("[acme.login]\nform = { p = \"1\" }\nurl = \"https://acme.example\"\n");
    /// let table = "acme.login".parse()?;
    /// vault.replace_table(&table, "[acme.login]\nurl = \"https://acme.example\"\nbasic = true\n")?;
    /// assert_eq!(vault.file().properties().count(), 2);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn replace_table(&mut self, path: &PropertyPath, text: &str) -> Result<()> {
        let (rest, place) = without_table(self.file.document.text(), path)?;
        let cannot = || {
            let what = "this table cannot be replaced, because of the way in which it is written";
            let help =
                "Replace its lines with a text editor, then accept the change: bootseal sign";
            Error::new(Kind::Conflict, what).at(path).with_help(help)
        };
        let without = Document::parse(rest).map_err(|_| cannot())?;
        let before = &self.file.document;
        let kept = before.names().filter(|(name, _)| !name.starts_with(path.segments()));
        if kept.count() != without.counts().0 || !keeps_all(before, &without, path) {
            return Err(cannot());
        }
        let old = std::mem::replace(&mut self.file.document, without);
        let done = self.insert_table(text, place);
        if done.is_err() {
            self.file.document = old;
        }
        done
    }

    /// Inserts `text` at `place`, or at the end if it does not fit there.
    fn insert_table(&mut self, text: &str, place: Option<usize>) -> Result<()> {
        let before = self.file.document.text().to_owned();
        self.append(text)?;
        let Some(place) = place else { return Ok(()) };
        let (above, below) = before.split_at(place);
        let gap = if below.is_empty() || below.starts_with('\n') { "" } else { "\n" };
        let here = [above, text, gap, below].concat();
        // Appended, the text was checked in every other way.
        if let Ok(here) = Document::parse(here)
            && here.counts() == self.file.document.counts()
            && self.file.document.names().all(|(name, _)| {
                let name: &PropertyPath = &name;
                here.raw_value(name) == self.file.document.raw_value(name)
            })
        {
            self.file.document = here;
        }
        Ok(())
    }
}

/// Whether `after` has every property of `before` that is not in the table.
fn keeps_all(before: &Document, after: &Document, table: &PropertyPath) -> bool {
    let kept = before.names().filter(|(name, _)| !name.starts_with(table.segments()));
    let mut kept = kept.map(|(name, _)| name);
    kept.all(|name| {
        let name: &PropertyPath = &name;
        after.contains(name) && after.raw_value(name) == before.raw_value(name)
    })
}

/// Returns the text without the table, and the offset in it of the table's first header.
fn without_table(text: &str, table: &PropertyPath) -> Result<(String, Option<usize>)> {
    let outline = Outline::of(text)?;
    let inside = |path: &[String]| path.starts_with(table.segments());
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1);
    let mut first = None;
    let mut gone: Vec<Range<usize>> = Vec::new();
    for section in outline.sections.iter().skip(1).filter(|section| inside(&section.path)) {
        // The first header leaves its blank line above to the text that replaces it.
        let above = &text[..section.start];
        let blank = first.is_some() && above.ends_with("\n\n");
        first.get_or_insert(section.start);
        gone.push(section.start - usize::from(blank)..line_end(section.start));
    }
    for entry in outline.entries.iter().filter(|entry| inside(&entry.path)) {
        gone.push(line_start(entry.key.start)..entry.line_end);
    }
    for inline in outline.inline_tables.iter().filter(|inline| !inside(&inline.path)) {
        let Some(at) = inline.members.iter().position(|(member, _)| inside(member)) else {
            continue;
        };
        let span = inline.members[at].1.clone();
        gone.push(match (at.checked_sub(1), inline.members.get(at + 1)) {
            (_, Some((_, next))) => span.start..next.start,
            (Some(before), None) => inline.members[before].1.end..span.end,
            (None, None) => span,
        });
    }
    gone.sort_by_key(|span| span.start);
    let (mut rest, mut done, mut place) = (String::with_capacity(text.len()), 0, None);
    for span in gone {
        if span.start < done {
            continue;
        }
        rest.push_str(&text[done..span.start]);
        if first == Some(span.start) {
            place = Some(rest.len());
        }
        done = span.end;
    }
    rest.push_str(&text[done..]);
    Ok((rest, place))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::{Access, Role};

    const NEW: &str = "[acme.login]\nurl = \"https://b.example\"\nbasic = true\n";

    fn replaced(before: &str) -> String {
        let alice = Identity::generate().unwrap();
        let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
        let mut vault = Vault::create(access, before).unwrap();
        vault.replace_table(&"acme.login".parse().unwrap(), NEW).unwrap();
        vault.file.document.text().to_owned()
    }

    #[test]
    fn a_table_is_replaced_in_its_place_with_everything_in_it() {
        for (before, after) in [
            ("", NEW.to_owned()),
            ("x = 1\n", format!("x = 1\n\n{NEW}")),
            (
                "x = 1\n\n[acme.login]\nurl = \"https://a.example\"\nform = { a = 1 }\n\n[z]\ny = 1\n",
                format!("x = 1\n\n{NEW}\n[z]\ny = 1\n"),
            ),
            // Steps have their own headers.
            (
                "[acme.login]\nurl = \"https://a.example\"\n\n[acme.login.refresh]\nurl = \"https://a.example\"\n\n[z]\ny = 1\n",
                format!("{NEW}\n[z]\ny = 1\n"),
            ),
            ("[acme.login]\n[z]\ny = 1\n", format!("{NEW}\n[z]\ny = 1\n")),
            // Dotted keys and inline tables have no place of their own.
            (
                "[acme]\nuser = \"u\"\nlogin.url = \"https://a.example\"\nlogin.form.a = 1\n",
                format!("[acme]\nuser = \"u\"\n\n{NEW}"),
            ),
            (
                "acme.login.form = { a = 1 }\nacme.user = \"u\"\n",
                format!("acme.user = \"u\"\n\n{NEW}"),
            ),
            // Comments between the lines stay, also that of the next table.
            (
                "[acme.login] # old\nurl = \"https://a.example\" # old\n# kept\nbasic = true\n# of z\n[z]\ny = 1\n",
                format!("{NEW}\n# kept\n# of z\n[z]\ny = 1\n"),
            ),
            ("[acme.logins]\na = 1\n", format!("[acme.logins]\na = 1\n\n{NEW}")),
        ] {
            assert_eq!(replaced(before), after, "{before}");
        }
    }

    #[test]
    fn a_table_that_cannot_be_replaced_is_an_error_and_stays() {
        let alice = Identity::generate().unwrap();
        let access = vec![Access::new("alice", Role::Writer, alice.recipient()).unwrap()];
        let before = "acme = { login = { url = \"https://a.example\" }, user = \"u\" }\n";
        let mut vault = Vault::create(access, before).unwrap();
        let table = "acme.login".parse().unwrap();
        assert_eq!(vault.replace_table(&table, NEW).unwrap_err().kind(), Kind::Conflict);
        assert_eq!(vault.file.document.text(), before);
        let secret = "[acme.login]\nurl = \"secret:x\"\n";
        assert_eq!(vault.replace_table(&table, secret).unwrap_err().kind(), Kind::Conflict);
    }
}
