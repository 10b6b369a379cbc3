//! Builds the tree of a YAML file from the events of its parser.

use crate::formats::problems::{IS_NULL, NULL_HELP, bounded, skipped};
use crate::formats::reading::{Documents, Nulls};
use crate::formats::tree::{MAX_DEPTH, Node, Table};
use crate::formats::yaml::merge::{Anchors, in_several, merged};
use crate::formats::yaml::scalar::{Plain, differs_in_1_2, plain, plain_1_1};
use bootseal_core::{Error, Kind, PropertyPath, shell_word, some_names};
use saphyr_parser::{Event, Marker, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashSet;
use zeroize::Zeroizing;

/// How a file is read.
#[derive(Clone, Copy, Default)]
pub(in crate::formats) struct Dialect {
    pub(in crate::formats) nulls: Nulls,
    pub(in crate::formats) documents: Documents,
    /// As Ansible reads its files: YAML 1.1, with the tags `!vault` and `!unsafe`.
    pub(in crate::formats) ansible: bool,
    /// Whether `<<` is a name like any other, because sops encrypted the values below it.
    pub(in crate::formats) merge_keys_are_names: bool,
}

/// The documents of a file that are not empty, with remarks for the user.
pub(in crate::formats) struct Parsed {
    pub(in crate::formats) documents: Vec<Table>,
    pub(in crate::formats) remarks: Vec<String>,
    /// The properties that are null and were left out.
    pub(in crate::formats) skipped: Vec<String>,
    /// The number of documents that were not read.
    pub(in crate::formats) other_documents: usize,
}

pub(super) fn at(error: Error, place: &Marker) -> Error {
    error.at_line(place.line().max(1), place.col() + 1)
}

enum Open {
    Array(Vec<Node>),
    Table(OpenTable),
    /// The list of mappings after `<<:`.
    MergeList(Vec<Table>),
}

#[derive(Default)]
struct OpenTable {
    table: Table,
    seen: HashSet<String>,
    key: Option<String>,
    anchor: usize,
    /// Whether the next value belongs to the key `<<`.
    merging: bool,
    /// The mappings that are merged into this one; the last one wins.
    merges: Vec<Table>,
    /// Whether this is itself a mapping after `<<:`.
    is_merged: bool,
}

pub(super) struct Builder {
    open: Vec<Open>,
    /// The names that lead to the property; none inside an array.
    path: Vec<String>,
    root: Option<Node>,
    /// The number of the current document, from 1.
    document: usize,
    done: Vec<Table>,
    dialect: Dialect,
    anchors: Anchors,
    remarks: Vec<String>,
    /// The properties that are null and were left out.
    skipped: Vec<String>,
    /// Errors after which parsing can continue.
    problems: Vec<Error>,
}

const TOO_LARGE: &str = "has merge keys (`<<`) that expand to more than 16 MiB";

impl Builder {
    pub(super) fn new(dialect: Dialect, aliases: HashSet<usize>) -> Builder {
        Builder {
            open: Vec::new(),
            path: Vec::new(),
            root: None,
            document: 0,
            done: Vec::new(),
            dialect,
            anchors: Anchors::new(aliases),
            remarks: Vec::new(),
            skipped: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Returns the documents, and the errors that were found in them.
    pub(super) fn finish(mut self) -> Result<(Parsed, Vec<Error>), Error> {
        if let Documents::Number(wanted) = self.dialect.documents
            && wanted > self.document
        {
            let what = format!("has {} documents, so there is no document {wanted}", self.document);
            return Err(Error::new(Kind::NotFound, what));
        }
        let is_mapping = matches!(self.root, Some(Node::Table(_)))
            || self.root.is_none() && !self.done.is_empty();
        if self.problems.is_empty() && !is_mapping {
            let what = "is not a YAML mapping: only a mapping has names";
            return Err(Error::new(Kind::Malformed, what).at_line(1, 1));
        }
        if let Some(Node::Table(table)) = self.root.take() {
            self.done.push(table);
        }
        let remarks = bounded(self.remarks).chain(skipped(&self.skipped)).collect();
        let other_documents = match self.dialect.documents {
            Documents::Number(_) => self.document.saturating_sub(1),
            _ => 0,
        };
        let (documents, skipped) = (self.done, self.skipped);
        Ok((Parsed { documents, remarks, skipped, other_documents }, self.problems))
    }

    pub(super) fn take(&mut self, event: Event<'_>, place: &Marker) -> Result<(), Error> {
        if let Event::DocumentStart(_) = event {
            return self.start_document(place);
        }
        if matches!(self.dialect.documents, Documents::Number(wanted) if wanted != self.document) {
            return Ok(());
        }
        match event {
            Event::Alias(anchor) => self.alias(anchor, place),
            Event::Scalar(text, style, _, tag) => {
                // This takes over the parser's copy, in which escapes are replaced, so that it is
                // wiped.
                let text = Zeroizing::new(text.into_owned());
                if self.merges() {
                    self.not_a_mapping(place);
                } else if self.wants_key() {
                    self.key(&text, style, place)?;
                } else {
                    self.scalar(text, style, tag, place);
                }
                Ok(())
            }
            Event::SequenceStart(_, tag) => {
                self.check_tag(tag.as_deref(), "seq", place);
                match self.merges() {
                    true => self.enter(Open::MergeList(Vec::new()), place),
                    false => self.enter(Open::Array(Vec::new()), place),
                }
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", place);
                let is_merged = self.merges();
                let table = OpenTable { anchor, is_merged, ..OpenTable::default() };
                self.enter(Open::Table(table), place)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            _ => Ok(()),
        }
    }

    fn start_document(&mut self, place: &Marker) -> Result<(), Error> {
        self.document += 1;
        match (self.root.take(), self.dialect.documents) {
            (None, _) => Ok(()),
            (Some(root), Documents::All) => match root {
                Node::Table(table) => {
                    self.done.push(table);
                    Ok(())
                }
                Node::Null => Ok(()),
                _ => Err(Error::new(Kind::Malformed, "contains a document that is not a mapping")
                    .at_line(place.line(), 1)),
            },
            (root, Documents::Number(_)) => {
                self.root = root;
                Ok(())
            }
            (_, Documents::One) => Err(self
                .wrong("contains a second document", place)
                .with_help("To read one of the documents: --document N, counted from 1")),
        }
    }

    fn close(&mut self, place: &Marker) -> Result<(), Error> {
        match self.open.pop() {
            Some(Open::Array(array)) => self.put(Node::Array(array)),
            Some(Open::MergeList(tables)) => {
                let twice = in_several(&tables);
                if !twice.is_empty() {
                    self.remarks.push(format!(
                        "{}: {} is in several of the mappings that are merged in line {}; the first one counts, as specified, but some readers take the last one",
                        self.name(),
                        some_names(&twice),
                        place.line()
                    ));
                }
                if let Some(Open::Table(above)) = self.open.last_mut() {
                    above.merging = false;
                    // The first mapping of a list wins.
                    above.merges.extend(tables.into_iter().rev());
                }
            }
            Some(Open::Table(closed)) => {
                let OpenTable { mut table, mut merges, anchor, is_merged, .. } = closed;
                if !merges.is_empty() {
                    merges.push(table);
                    table = merged(merges);
                }
                if !self.anchors.keep(anchor, &table) {
                    return Err(self.wrong(TOO_LARGE, place));
                }
                match is_merged {
                    true => self.merge(table),
                    false => self.put(Node::Table(table)),
                }
            }
            None => {}
        }
        Ok(())
    }

    /// Whether the next value is one of those that are merged.
    fn merges(&self) -> bool {
        match self.open.last() {
            Some(Open::Table(table)) => table.merging,
            Some(Open::MergeList(_)) => true,
            _ => false,
        }
    }

    fn merge(&mut self, table: Table) {
        match self.open.last_mut() {
            Some(Open::Table(above)) => {
                above.merging = false;
                above.merges.push(table);
            }
            Some(Open::MergeList(tables)) => tables.push(table),
            _ => {}
        }
    }

    fn not_a_mapping(&mut self, place: &Marker) {
        let problem = self.wrong("has a merge key (`<<`) whose value is not a mapping", place);
        self.problems.push(problem);
        self.merge(Table::new());
    }

    fn alias(&mut self, anchor: usize, place: &Marker) -> Result<(), Error> {
        if self.merges() {
            match self.anchors.copy(anchor) {
                Ok(Some(table)) => self.merge(table),
                Ok(None) => self.not_a_mapping(place),
                Err(()) => return Err(self.wrong(TOO_LARGE, place)),
            }
            return Ok(());
        }
        let problem =
            self.wrong("is an alias (`*name`), which is not expanded: write it out", place);
        if self.wants_key() {
            return Err(problem);
        }
        self.problems.push(problem);
        self.put(Node::Null);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open::Table(table)) if table.key.is_none() && !table.merging)
    }

    fn in_array(&self) -> bool {
        self.open.iter().any(|open| matches!(open, Open::Array(_)))
    }

    fn placed(&self, error: Error, place: &Marker) -> Error {
        let error = at(error, place);
        match PropertyPath::new(self.path.clone()) {
            Ok(path) => error.at(&path),
            Err(_) => error,
        }
    }

    fn wrong(&self, what: &str, place: &Marker) -> Error {
        let what =
            if self.in_array() { format!("{what} (in this array)") } else { what.to_owned() };
        self.placed(Error::new(Kind::Malformed, what), place)
    }

    fn enter(&mut self, open: Open, place: &Marker) -> Result<(), Error> {
        if self.wants_key() {
            return Err(self.wrong("has a name that is not plain text", place));
        }
        if self.open.len() >= MAX_DEPTH {
            return Err(self.wrong("nests deeper than a sealed file allows", place));
        }
        self.open.push(open);
        Ok(())
    }

    fn key(&mut self, text: &str, style: ScalarStyle, place: &Marker) -> Result<(), Error> {
        let plain = style == ScalarStyle::Plain;
        if plain && text == "<<" && !self.dialect.merge_keys_are_names {
            let again = match self.open.last_mut() {
                Some(Open::Table(table)) => {
                    table.merging = true;
                    !table.merges.is_empty()
                }
                _ => false,
            };
            if again {
                let problem = self.wrong("has two merge keys (`<<`) in one mapping", place);
                self.problems.push(problem);
            }
            return Ok(());
        }
        if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Err(self.wrong("has a name that is null", place));
        }
        if !self.in_array() {
            self.path.push(text.to_owned());
            PropertyPath::new(self.path.clone()).map_err(|error| at(error, place))?;
        }
        let twice = match self.open.last_mut() {
            Some(Open::Table(table)) => {
                table.key = Some(text.to_owned());
                !table.seen.insert(text.to_owned())
            }
            _ => false,
        };
        if twice {
            let problem = self.wrong("appears twice in its mapping", place);
            self.problems.push(problem);
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: Zeroizing<String>,
        style: ScalarStyle,
        tag: Option<Cow<'_, Tag>>,
        place: &Marker,
    ) {
        let ansible = self.dialect.ansible;
        if ansible && tag.as_deref().is_some_and(is_vault) {
            return self.put(Node::Vault(text));
        }
        // Ansible reads what follows `!unsafe` like a text without quotes.
        let is_unsafe = ansible && tag.as_deref().is_some_and(is_unsafe);
        self.check_tag(tag.as_deref(), "str", place);
        let meaning = match style == ScalarStyle::Plain && tag.is_none() || is_unsafe {
            true if ansible => plain_1_1(&text),
            true => plain(&text),
            false => None,
        };
        // A password such as 0123 would be another value without a word.
        if ansible
            && (style == ScalarStyle::Plain && tag.is_none() || is_unsafe)
            && let Some((older, newer)) = differs_in_1_2(&text, meaning.as_ref())
        {
            let path = self.name();
            self.remarks.push(format!(
                "{path}: the value in line {} is taken as {older}, as Ansible reads it (YAML 1.1); newer YAML reads it as {newer}. If that is meant, quote it in the input, or set it again: bootseal set {}",
                place.line(), shell_word(&path)
            ));
        }
        let node = match meaning {
            None => Node::Text(text),
            Some(Plain::Null) => self.null(place),
            Some(Plain::Beyond) => {
                let what = "is a number that does not fit into TOML's 64 bits; put it in quotes";
                let problem = self.wrong(what, place);
                self.problems.push(problem);
                Node::Null
            }
            Some(Plain::Toml(value)) => Node::Toml(value),
            Some(Plain::OlderText(value)) => {
                self.remark("a number", "text", place);
                Node::Toml(value)
            }
            Some(Plain::OlderYaml(otherwise)) => {
                self.remark("text", otherwise, place);
                Node::Text(text)
            }
        };
        self.put(node);
    }

    fn remark(&mut self, taken: &str, otherwise: &str, place: &Marker) {
        let path = self.name();
        self.remarks.push(format!(
            "{path}: the value in line {} is taken as {taken}, as in YAML 1.2; older YAML reads it as {otherwise}. Quote it to be explicit",
            place.line()
        ));
    }

    fn name(&self) -> String {
        PropertyPath::new(self.path.clone()).map_or_else(|_| String::new(), |path| path.to_string())
    }

    fn null(&mut self, place: &Marker) -> Node {
        let in_list = matches!(self.open.last(), Some(Open::Array(_)));
        match self.dialect.nulls {
            Nulls::Keep => {}
            Nulls::Empty => return Node::Text(Zeroizing::default()),
            // Without the element, those behind it would move.
            Nulls::Skip if !in_list => self.skipped.push(self.name()),
            Nulls::Skip | Nulls::Refuse => {
                let problem = self.wrong(IS_NULL, place).with_help(NULL_HELP);
                self.problems.push(problem);
            }
        }
        Node::Null
    }

    /// Reports a tag as an error, because it can name a type of a program, with unknown effects.
    fn check_tag(&mut self, tag: Option<&Tag>, harmless: &str, place: &Marker) {
        let Some(tag) = tag else { return };
        let known = tag.is_yaml_core_schema() && tag.suffix == harmless
            || self.dialect.ansible && is_unsafe(tag);
        if !known {
            let what = "has a tag (`!…`), and tags are not supported: remove it";
            let problem = self.wrong(what, place);
            self.problems.push(problem);
        }
    }

    fn put(&mut self, node: Node) {
        let in_array = self.in_array();
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::Array(array)) => array.push(node),
            Some(Open::MergeList(_)) => {}
            Some(Open::Table(open)) => {
                let key = open.key.take();
                if !(matches!(node, Node::Null) && self.dialect.nulls == Nulls::Skip) {
                    open.table.extend(key.map(|key| (key, node)));
                }
                if !in_array {
                    self.path.pop();
                }
            }
        }
    }
}

fn is_vault(tag: &Tag) -> bool {
    tag.handle == "!" && matches!(tag.suffix.as_str(), "vault" | "vault-encrypted")
}

fn is_unsafe(tag: &Tag) -> bool {
    tag.handle == "!" && tag.suffix == "unsafe"
}
