//! The report of a change, for the user who decides whether to accept it: names, readable values,
//! dates and members, with invisible characters escaped.

mod json;

pub(crate) use crate::ui::change_report::json::{Document, Revealed, document, touches_sealed};

use crate::ui::output::{counted, timestamp};
use crate::ui::review::{Kinds, Review, counts};
use crate::ui::review_row::{Row, cut, width};
use crate::ui::{Ui, failure};
use bootseal_core::{
    Access, AddressHost, BasicString, Change, Changes, MOST_NAMES, Property, PropertyPath, Shown,
    and_more,
};
use std::collections::HashSet;

/// Reports all changes as lines of text, with those that decide where a secret is sent, marked with
/// `!`, above the other properties.
pub(crate) fn text(changes: &Changes) -> String {
    let mut cut = Cut::at(MOST_NAMES);
    let shown = entries(changes).filter(|entry| cut.shows(entry));
    let mut lines: Vec<String> = shown.map(|entry| entry.row().whole()).collect();
    lines.extend(cut.rest());
    lines.join("\n")
}

/// Adds the changes to a review.
pub(crate) fn fill(review: &mut Review, changes: &Changes) {
    add(review, entries(changes));
}

/// Adds the whole content of a file to a review; `changes` are from an empty file.
pub(crate) fn fill_content(review: &mut Review, changes: &Changes) {
    let properties = changes.properties().map(|change| {
        let what = match &change.after {
            Some(Property::Readable(value)) => cell(&change.path, value, changes),
            _ => Row::fixed("sealed"),
        };
        let entry = property(&change, changes);
        Entry { what: what.and(remark(changes, &entry.name)), ..entry }
    });
    add(review, properties.chain(minor_entries(changes)));
}

fn add(review: &mut Review, entries: impl Iterator<Item = Entry>) {
    let mut has_rules = false;
    for entry in entries {
        match entry.part {
            // Rules decide what later changes may leave readable, so they come first. They are
            // repeated at the end, which no text of a file can push off a screen.
            Part::Rules => {
                if !std::mem::replace(&mut has_rules, true) {
                    review.headline(entry.row());
                }
                review.destination(entry.row());
            }
            Part::Minor(kind) => review.minor(kind, entry.row()),
            Part::Access => review.access(entry.row()),
            Part::Destination => review.destination(entry.row()),
        }
    }
}

/// Prints the changes alone, with those that decide where a secret is sent last. The rows are made
/// one at a time, in three passes, because there can be very many. Unless `all` is true, the first
/// rows of each minor kind are printed, and the others counted.
pub(crate) fn print(changes: &Changes, all: bool, ui: &mut Ui<'_>) -> failure::Result<()> {
    if let Some(rules) = changes.properties().next().filter(|change| change.rules) {
        ui.line(property(&rules, changes).row().whole())?;
    }
    let most = if all { usize::MAX } else { MOST_NAMES };
    let (mut cut, mut is_all, mut shown) = (Cut::at(most), true, 0);
    for entry in entries(changes) {
        match entry.part {
            Part::Minor(_) if cut.shows(&entry) => {
                shown += 1;
                ui.line(entry.row().whole())?;
            }
            Part::Minor(_) => {}
            _ => is_all = false,
        }
    }
    cut.rest().try_for_each(|line| ui.line(line))?;
    if let Some(counts) = counts(&cut.kinds, shown, is_all, SEE_ALL) {
        ui.line(counts)?;
    }
    let mut cut = Cut::at(most);
    for is_marked in [false, true] {
        let decides = |entry: &Entry| !is_all && !matches!(entry.part, Part::Minor(_));
        for entry in entries(changes).filter(decides).filter(|it| it.is_marked() == is_marked) {
            if cut.shows(&entry) {
                ui.line(entry.row().whole())?;
            }
        }
    }
    cut.rest().try_for_each(|line| ui.line(line))
}

/// The command that shows what a report leaves out.
const ALL: &str = "bootseal diff --all";
/// How to see what a review leaves out.
pub(crate) const SEE_ALL: &str = "To see all: bootseal diff --all.";

/// Leaves out the rows of a kind after the first ones, and counts them. It leaves out no row that
/// decides where a secret goes or who can read it.
struct Cut {
    most: usize,
    kinds: Kinds,
}

impl Cut {
    fn at(most: usize) -> Cut {
        Cut { most, kinds: Kinds::new() }
    }

    fn shows(&mut self, entry: &Entry) -> bool {
        let kind = match entry.part {
            Part::Minor(kind) => kind,
            Part::Access if entry.is_sealed_now => "values that are sealed now",
            _ => return true,
        };
        let count = self.kinds.entry(kind).or_default();
        *count += 1;
        *count <= self.most
    }

    /// The lines that count what was left out.
    fn rest(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().filter_map(|(kind, count)| {
            let more = and_more(count.saturating_sub(self.most))?;
            Some(format!("{more} {kind}: {ALL}"))
        })
    }
}

/// The part of a review that a change belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// It decides neither access nor a destination; this is its plural noun.
    Minor(&'static str),
    /// It decides who can read what.
    Access,
    /// It decides where a secret is sent.
    Destination,
    /// It decides what must be sealed.
    Rules,
}

struct Entry {
    part: Part,
    name: String,
    what: Row,
    rank: u8,
    /// Whether it is a readable value that became sealed.
    is_sealed_now: bool,
}

impl Entry {
    fn new(part: Part, name: &str, what: Row) -> Entry {
        Entry { part, name: name.to_owned(), what, rank: 0, is_sealed_now: false }
    }

    fn is_marked(&self) -> bool {
        matches!(self.part, Part::Destination | Part::Rules)
    }

    fn row(&self) -> Row {
        let mark = if self.is_marked() { "! " } else { "" };
        Row::fixed(mark).long(&*self.name).and(": ").then(self.what.clone()).ranked(self.rank)
    }
}

fn entries(changes: &Changes) -> impl Iterator<Item = Entry> {
    let properties = changes.properties().map(|change| property(&change, changes));
    access_entries(changes).into_iter().chain(properties).chain(minor_entries(changes))
}

/// The entries for the vault, its keys and its members.
fn access_entries(changes: &Changes) -> Vec<Entry> {
    let mut rows: Vec<Entry> = Vec::new();
    if let Some((old, new)) = changes.vault {
        let what = Row::fixed(format!("{old} is replaced by {new}"));
        rows.push(Entry::new(Part::Access, "vault", what));
    }
    if changes.rotated {
        let what = "a new data key; every value was re-encrypted, and without a key it is unknown which of them changed";
        rows.push(Entry::new(Part::Access, "keys", Row::fixed(what)));
    }
    for access in &changes.access {
        let what = access_text(access.before.as_ref(), access.after.as_ref());
        let note = remark(changes, &access.name);
        let what = Row::fixed(format!("{}{note} ", access.name)).then(what);
        rows.push(Entry::new(Part::Access, "access", what));
    }
    rows
}

/// The entries for comments and empty tables.
fn minor_entries(changes: &Changes) -> impl Iterator<Item = Entry> {
    let shown = |text: &str| Row::default().long(Shown(text).to_string());
    let moved = move |(comment, from, to): &(String, String, String)| {
        shown(comment).and(", from ").then(shown(from)).and(" to ").then(shown(to))
    };
    let list = move |list: &'_ [String], kind, name| {
        let list: Vec<Entry> =
            list.iter().map(|text| Entry::new(Part::Minor(kind), name, shown(text))).collect();
        list
    };
    let ((gone, came), (tables, new)) = (&changes.comments, &changes.empty_tables);
    let moved = changes.moved.iter().map(moved);
    let moved = moved.map(|what| Entry::new(Part::Minor("comments"), "comment moved", what));
    list(gone, "comments", "comment gone")
        .into_iter()
        .chain(list(came, "comments", "comment new"))
        .chain(moved)
        .chain(list(tables, "empty tables", "empty table gone"))
        .chain(list(new, "empty tables", "empty table new"))
}

fn property(change: &Change, changes: &Changes) -> Entry {
    let name = change.path.to_string();
    let readable = [&change.before, &change.after].map(|property| match property {
        Some(Property::Readable(value)) => !AddressHost::all_in(&change.path, value).is_empty(),
        _ => false,
    });
    // What is not shown may contain a host.
    let has_address = change.is_too_large || readable.contains(&true);
    let switched = matches!(change.what(), "sealed" | "made readable");
    let is_new = change.before.is_none();
    let (part, rank) = match (change.path.settings_table(), switched, has_address) {
        _ if change.rules => (Part::Rules, 0),
        (Some(_), _, true) if !is_new => (Part::Destination, 0),
        (Some(_), _, _) => (Part::Destination, if is_new && !has_address { 2 } else { 1 }),
        (None, true, _) => (Part::Access, u8::from(change.what() == "sealed")),
        // The application itself sends something there.
        (None, false, true) => (Part::Access, 2),
        (None, false, false) => (
            Part::Minor(if touches_sealed(change) { "sealed values" } else { "readable values" }),
            0,
        ),
    };
    let rules = match change.ends_rules() {
        true => "; with another key than `names`, the table [seal] has no rules",
        false => "",
    };
    let what = change_text(change, changes).and(rules).and(remark(changes, &name));
    let is_sealed_now = change.what() == "sealed";
    Entry { part, name, what, rank, is_sealed_now }
}

/// The remark on a name or host that looks like another one, for the end of its text.
fn remark(changes: &Changes, name: &str) -> String {
    let remark = changes.lookalikes.get(name);
    remark.map_or(String::new(), |remark| format!(" [{}]", cut(remark, LONGEST_NOTE)))
}

fn access_text(before: Option<&Access>, after: Option<&Access>) -> Row {
    let entry = |row: Row, access: &Access| {
        row.and(format!("{}, ", access.role)).long(access.recipient.to_string())
    };
    match (before, after) {
        (None, Some(new)) => entry(Row::fixed("gets access ("), new).and(")"),
        (Some(old), None) => entry(Row::fixed("is removed (was "), old).and(")"),
        (Some(old), Some(new)) => entry(entry(Row::fixed("was "), old).and(", is "), new),
        (None, None) => Row::default(),
    }
}

fn change_text(change: &Change, changes: &Changes) -> Row {
    let value = |property: &Property| match property {
        Property::Readable(value) => cell(&change.path, value, changes),
        Property::Sealed(_) => Row::fixed("sealed"),
    };
    let what = change.what();
    let text = match (&change.before, &change.after) {
        (Some(Property::Sealed(_)), Some(Property::Sealed(_))) => {
            Row::fixed("sealed value changed")
        }
        (Some(before), Some(after)) => {
            let added = entries_added(before, after) + &hosts_added(&change.path, before, after);
            Row::fixed(format!("{what}, "))
                .then(value(before))
                .and(" → ")
                .then(value(after))
                .and(added)
        }
        (None, Some(only)) | (Some(only), None) => {
            Row::fixed(format!("{what}, ")).then(value(only))
        }
        (None, None) => Row::default(),
    };
    match change.set_at {
        (Some(before), Some(after)) => {
            let older =
                if change.is_older() { ": OLDER than the value that it replaces" } else { "" };
            text.and(format!("; set {} → {}{older}", timestamp(before), timestamp(after)))
        }
        (None, Some(at)) => text.and(format!("; set {}", timestamp(at))),
        _ => text,
    }
}

/// The columns of a value that shows its host by itself.
const SHORT_VALUE: usize = 60;
/// The columns of one host or remark in a note.
const LONGEST_NOTE: usize = 100;
/// The hosts or elements that a note lists.
const LISTED: usize = 3;

/// A readable value, with the hosts that a program would connect to, if the value does not show
/// them.
pub(crate) fn cell(path: &PropertyPath, value: &toml::Value, changes: &Changes) -> Row {
    let text = readable(value);
    let is_short = width(&text) <= SHORT_VALUE;
    let (mut notes, mut known) = (Vec::new(), HashSet::new());
    let hosts = AddressHost::all_in(path, value);
    // A cut could hide a host, so a short value with a host is not cut.
    let row = match is_short && !hosts.is_empty() {
        true => Row::fixed(text),
        false => Row::default().long(text),
    };
    for host in hosts {
        let remark = changes.lookalikes.get(&host.effective);
        if host.plain && is_short && remark.is_none() {
            continue;
        }
        let remark =
            remark.map_or(String::new(), |remark| format!(", {}", cut(remark, LONGEST_NOTE)));
        let note = format!("host {}{remark}", cut(&host.effective, LONGEST_NOTE));
        if known.insert(note.clone()) {
            notes.push(note);
        }
    }
    if notes.is_empty() { row } else { row.and(format!(" ({})", listed(&notes))) }
}

/// The new hosts of a value with several hosts, which is hard to compare by eye.
fn hosts_added(path: &PropertyPath, before: &Property, after: &Property) -> String {
    let (Property::Readable(before), Property::Readable(after)) = (before, after) else {
        return String::new();
    };
    let hosts = AddressHost::all_in(path, after);
    if hosts.len() < 2 {
        return String::new();
    }
    let old = AddressHost::all_in(path, before);
    let old: HashSet<&str> = old.iter().map(|host| host.effective.as_str()).collect();
    let new = hosts.iter().filter(|host| !old.contains(host.effective.as_str()));
    let new: Vec<String> = new.map(|host| cut(&host.effective, LONGEST_NOTE)).collect();
    match new.is_empty() {
        true => String::new(),
        false => format!("; new hosts: {}", listed(&new)),
    }
}

/// The new elements of a list that is too long to compare by eye.
fn entries_added(before: &Property, after: &Property) -> String {
    let (Property::Readable(toml::Value::Array(before)), Property::Readable(after)) =
        (before, after)
    else {
        return String::new();
    };
    let toml::Value::Array(list) = after else { return String::new() };
    if width(&readable(after)) <= SHORT_VALUE {
        return String::new();
    }
    let known: HashSet<String> = before.iter().map(readable).collect();
    let new: Vec<String> = list.iter().map(readable).filter(|text| !known.contains(text)).collect();
    let shown: Vec<String> =
        new.iter().take(LISTED + 1).map(|text| cut(text, LONGEST_NOTE)).collect();
    match new.len() {
        0 => String::new(),
        count if count > LISTED => {
            let others = others(count - LISTED);
            format!("; new in it: {} and {others}", shown[..LISTED].join(", "))
        }
        _ => format!("; new in it: {}", shown.join(", ")),
    }
}

fn listed(notes: &[String]) -> String {
    match notes.len().checked_sub(LISTED) {
        None | Some(0) => notes.join("; "),
        Some(count) => format!("{}; and {}", notes[..LISTED].join("; "), others(count)),
    }
}

fn others(count: usize) -> String {
    counted(count, "other", "others")
}

/// Formats a readable value on one line.
pub(crate) fn readable(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => BasicString(text).to_string(),
        other => Shown(&other.to_string()).to_string(),
    }
}

/// Reports changes as Markdown for a pull request. Everything from the file is in code spans, so it
/// cannot make links, images or mentions. It is a list and not a table: parsers disagree on whether
/// `|` after two backslashes ends a cell, and a cell's end would end the code span.
pub(crate) fn markdown(file: &str, headline: &str, changes: &Changes) -> String {
    let mut text = format!("### {}\n\n{headline}\n", code(&Shown(file).to_string()));
    if !changes.is_empty() {
        text.push('\n');
    }
    let mut cut = Cut::at(MOST_NAMES);
    for entry in entries(changes).filter(|entry| cut.shows(entry)) {
        let mark = if entry.is_marked() { "⚠ " } else { "" };
        text.push_str(&format!("- {mark}{}: {}\n", code(&entry.name), code(&entry.what.whole())));
    }
    cut.rest().for_each(|line| text.push_str(&format!("- {line}\n")));
    text
}

/// Wraps `text`, which has no line ends, in a code span that it cannot close.
fn code(text: &str) -> String {
    let longest = text.split(|next| next != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(longest + 1);
    format!("{fence} {text} {fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_a_file_cannot_close_its_code_span() {
        assert_eq!(code("a"), "` a `");
        assert_eq!(code("a`b``c"), "``` a`b``c ```");
    }
}
