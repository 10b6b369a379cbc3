//! The changes between two versions, by name, without any sealed value.

use crate::file::header::{Access, Header};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::review::lookalike::{of_members, of_properties};
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::vault::value::OpenedValue;
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::rc::Rc;

/// The changes between two versions of a file.
///
/// ```
/// # let (alice, [old, file]) = bootseal_fixtures::file_twice("timeout = \"10s\"\n");
/// use bootseal_core::{Changes, Secret, ValueKind};
/// let mut vault = file.open_for_writing(&[alice])?;
/// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
/// let (_, new) = vault.sign_above(0)?;
/// let changes = Changes::between(&old, &new);
/// let change = changes.properties().next().unwrap();
/// assert_eq!((change.path.to_string().as_str(), change.what()), ("acme.password", "added"));
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    old: Document,
    new: Document,
    /// The changed properties: the position of each in the old and in the new version.
    properties: Vec<(Option<NonZeroU32>, Option<NonZeroU32>)>,
    /// Whether the old or the new version has rules for what is sealed.
    has_rules: bool,
    /// The dates of their values, if the values could be opened.
    dates: Vec<Dates>,
    /// Members who were added or removed, or who have another role or recipient.
    pub access: Vec<AccessChange>,
    /// Comment lines that were removed and added.
    pub comments: (Vec<String>, Vec<String>),
    /// Comments that moved, each with its old and its new property.
    pub moved: Vec<(String, String, String)>,
    /// Empty tables that were removed and added.
    pub empty_tables: (Vec<String>, Vec<String>),
    /// The old and new vault id, if they differ.
    pub vault: Option<(VaultId, VaultId)>,
    /// Whether there is a new data key, under which every value was sealed again.
    pub rotated: bool,
    /// Remarks on names and hosts that mix scripts, or that look like another name or host of the
    /// file. The key is the property, member or [effective host](crate::AddressHost::effective).
    pub lookalikes: BTreeMap<String, String>,
}

/// One property that changed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Its name.
    pub path: PropertyPath,
    /// The old value.
    pub before: Option<Property>,
    /// The new value.
    pub after: Option<Property>,
    /// Whether a readable array has more than 1 MiB of TOML, before or after the change. A text with
    /// its size and its SHA-256 then stands for it, and the hosts in it are unknown.
    pub is_too_large: bool,
    /// The times at which the old and the new sealed value were set, in seconds since 1970-01-01
    /// UTC, if they could be opened.
    pub set_at: Dates,
    /// Whether it is in the table `[seal]`, which has rules for what is sealed before or after the
    /// change: see [`sealing_names`](crate::sealing_names).
    pub rules: bool,
}

/// The times at which the old and the new value were set.
type Dates = (Option<u64>, Option<u64>);

/// One name of the access list that changed.
///
/// ```
/// # let change = bootseal_core::AccessChange { name: "bob".into(), before: None, after: None };
/// match (&change.before, &change.after) {
///     (None, Some(new)) => println!("{} is added as a {}", change.name, new.role),
///     (Some(_), None) => println!("{} is removed", change.name),
///     _ => println!("{} has another role or recipient", change.name),
/// }
/// ```
#[derive(Clone, Debug)]
pub struct AccessChange {
    /// The name.
    pub name: String,
    /// The old entry.
    pub before: Option<Access>,
    /// The new entry.
    pub after: Option<Access>,
}

impl Change {
    /// `added`, `removed`, `changed`, `sealed` (it was readable) or `made readable`.
    pub fn what(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "added",
            (_, None) => "removed",
            (Some(Property::Readable(_)), Some(Property::Sealed(_))) => "sealed",
            (Some(Property::Sealed(_)), Some(Property::Readable(_))) => "made readable",
            _ => "changed",
        }
    }

    /// Whether it adds another key to the table of rules, which then belongs to the application.
    pub fn ends_rules(&self) -> bool {
        self.rules && self.after.is_some() && self.path.segments() != ["seal", "names"]
    }

    /// Whether a sealed value is older than the value that it replaces. If so, someone may have
    /// restored an old value that is known to others.
    pub fn is_older(&self) -> bool {
        matches!(self.set_at, (Some(before), Some(after)) if after < before)
    }
}

impl Changes {
    /// The changes from `old` to `new`. Sealed values are compared by their ciphertext, which needs
    /// no key. After a rotation every ciphertext differs, so sealed values count as unchanged, and
    /// [`Changes::rotated`] is set.
    pub fn between(old: &VerifiedFile, new: &VerifiedFile) -> Changes {
        let rotated = old.header.epoch != new.header.epoch || old.header.vault != new.header.vault;
        let mut changes = Changes::of(&old.document, &new.document, |_, _, _| rotated);
        changes.headers(&old.header, &new.header);
        changes
    }

    /// Like `between`, but with the opened values of both versions, which also show the values that
    /// a rotation left unchanged.
    ///
    /// ```
    /// # let (alice, [old, new]) = bootseal_fixtures::file_twice("");
    /// use bootseal_core::Changes;
    /// let (old, new) = (old.open(&[alice.clone()])?, new.open(&[alice])?);
    /// let changes = Changes::between_opened((old.file(), &old.open_all()?), (new.file(), &new.open_all()?));
    /// assert!(changes.is_empty());
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn between_opened(
        old: (&VerifiedFile, &[(PropertyPath, OpenedValue)]),
        new: (&VerifiedFile, &[(PropertyPath, OpenedValue)]),
    ) -> Changes {
        let (before, after) = (by_name(old.1), by_name(new.1));
        let mut changes = Changes::opened(&old.0.document, &before, &new.0.document, &after);
        changes.headers(&old.0.header, &new.0.header);
        changes
    }

    pub(crate) fn opened(
        old: &Document,
        before: &Values<'_>,
        new: &Document,
        after: &Values<'_>,
    ) -> Changes {
        let mut changes =
            Changes::of(old, new, |path, _, _| match (before.get(path), after.get(path)) {
                (Some(before), Some(after)) => {
                    before.same_as(after) && before.set_at == after.set_at
                }
                _ => false,
            });
        let date = |values: &Values<'_>, path: &PropertyPath| Some(values.get(path)?.set_at);
        changes.dates =
            changes.paths().map(|path| (date(before, &path), date(after, &path))).collect();
        changes
    }

    /// The names of the changed properties, in the order of [`Changes::properties`].
    pub(crate) fn paths(&self) -> impl Iterator<Item = PropertyPath> {
        self.properties.iter().filter_map(|(before, after)| {
            path_of(&self.old, before.map(at)).or_else(|| path_of(&self.new, after.map(at)))
        })
    }

    /// The changed properties, each read from the texts when the iterator reaches it. The rules
    /// for what is sealed come first, and then login, route and fleet tables, because they decide
    /// where a secret is sent.
    pub fn properties(&self) -> impl Iterator<Item = Change> {
        self.paths().enumerate().map(|(index, path)| {
            let stand_ins = [&self.old, &self.new].map(|document| document.stand_in(&path));
            let is_too_large = stand_ins.iter().any(Option::is_some);
            let [before, after] = stand_ins;
            let shown = |document: &Document, text: Option<String>| match text {
                Some(text) => Some(Property::Readable(text.into())),
                None => document.get(&path),
            };
            Change {
                before: shown(&self.old, before),
                after: shown(&self.new, after),
                is_too_large,
                set_at: self.dates.get(index).copied().unwrap_or_default(),
                rules: self.has_rules && path.is_in_seal_table(),
                path,
            }
        })
    }

    /// Whether nothing but the generation changed.
    pub fn is_empty(&self) -> bool {
        let (gone, came) = &self.comments;
        self.properties.is_empty()
            && self.access.is_empty()
            && gone.is_empty()
            && came.is_empty()
            && self.moved.is_empty()
            && self.empty_tables.0.is_empty()
            && self.empty_tables.1.is_empty()
            && self.vault.is_none()
            && !self.rotated
    }

    /// `same` decides whether two different sealed texts have the same value.
    pub(crate) fn of(
        old: &Document,
        new: &Document,
        same: impl Fn(&PropertyPath, &str, &str) -> bool,
    ) -> Changes {
        let unchanged = |path: &PropertyPath| {
            let (before, after) = (old.stand_in(path), new.stand_in(path));
            if before.is_some() || after.is_some() {
                return before == after;
            }
            old.has_same(path, new)
                || match (old.get(path), new.get(path)) {
                    (Some(Property::Sealed(before)), Some(Property::Sealed(after))) => {
                        same(path, &before, &after)
                    }
                    _ => false,
                }
        };
        let has_rules = old.has_rules() || new.has_rules();
        let (mut rules, mut settings, mut properties) = (Vec::new(), Vec::new(), Vec::new());
        let mut add = |path: &PropertyPath| {
            let list = match path.settings_table() {
                _ if has_rules && path.is_in_seal_table() => &mut rules,
                Some(_) => &mut settings,
                None => &mut properties,
            };
            list.push((number(old, path), number(new, path)));
        };
        old.names().filter(|(path, _)| !unchanged(path)).for_each(|(path, _)| add(&path));
        new.names().filter(|(path, _)| !old.contains(path)).for_each(|(path, _)| add(&path));
        rules.append(&mut settings);
        rules.append(&mut properties);
        let (before, after) = (old.comments(), new.comments());
        let comments = (missing(&before, &after), missing(&after, &before));
        let (tables, now) = (old.empty_tables(), new.empty_tables());
        let moved =
            if before.is_empty() || after.is_empty() { Vec::new() } else { moved(old, new) };
        let mut changes = Changes {
            properties: rules,
            has_rules,
            comments,
            moved,
            empty_tables: (missing(&tables, &now), missing(&now, &tables)),
            old: old.clone(),
            new: new.clone(),
            ..Changes::default()
        };
        changes.lookalikes = of_properties(changes.paths(), old, new);
        changes
    }

    fn headers(&mut self, old: &Header, new: &Header) {
        self.vault = (old.vault != new.vault).then_some((old.vault, new.vault));
        self.rotated = old.epoch != new.epoch || old.vault != new.vault;
        self.access = access_changes(&old.access, &new.access);
        let changed: Vec<&str> = self.access.iter().map(|change| change.name.as_str()).collect();
        self.lookalikes.extend(of_members(&changed, &old.access, &new.access));
    }
}

/// The number of a property in its document, from 1; a list of pairs is then half as long.
fn number(document: &Document, path: &PropertyPath) -> Option<NonZeroU32> {
    NonZeroU32::new(document.position(path)? as u32 + 1)
}

fn at(number: NonZeroU32) -> usize {
    number.get() as usize - 1
}

fn path_of(document: &Document, at: Option<usize>) -> Option<PropertyPath> {
    document.path_at(at?)
}

/// The members who were added, removed or changed between two access lists, in the order of the old
/// list, and then of the new list.
pub(crate) fn access_changes(before: &[Access], after: &[Access]) -> Vec<AccessChange> {
    let names =
        before.iter().chain(after.iter().filter(|access| find(before, &access.name).is_none()));
    let changes = names.map(|access| AccessChange {
        name: access.name.clone(),
        before: find(before, &access.name),
        after: find(after, &access.name),
    });
    changes.filter(|change| change.before != change.after).collect()
}

/// The entry of this name.
pub(crate) fn find(list: &[Access], name: &str) -> Option<Access> {
    list.iter().find(|access| access.name == name).cloned()
}

pub(crate) type Values<'a> = HashMap<&'a PropertyPath, &'a OpenedValue>;

pub(crate) fn by_name(values: &[(PropertyPath, OpenedValue)]) -> Values<'_> {
    values.iter().map(|(path, value)| (path, value)).collect()
}

/// The lines of `one` that `other` does not contain, or contains less often.
fn missing<T: AsRef<str>>(one: &[T], other: &[T]) -> Vec<String> {
    let mut there: HashMap<&str, usize> = HashMap::new();
    other.iter().for_each(|line| *there.entry(line.as_ref()).or_default() += 1);
    let is_missing = |line: &&str| match there.get_mut(*line) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    };
    one.iter().map(AsRef::as_ref).filter(is_missing).map(str::to_owned).collect()
}

/// Comments that are in both versions but moved from one property to another, although both
/// properties are in both versions. For example, `# never log this` was moved to another line.
fn moved(old: &Document, new: &Document) -> Vec<(String, String, String)> {
    let (mut before, mut after) = (old.placed_comments(), new.placed_comments());
    if before == after {
        return Vec::new();
    }
    before.sort();
    after.sort();
    type Placed<'a> = (&'a str, Rc<str>);
    fn only<'a, 'b>(one: &'b [Placed<'a>], other: &[Placed<'a>]) -> Vec<&'b Placed<'a>> {
        one.iter().filter(|pair| other.binary_search(pair).is_err()).collect()
    }
    let (gone, came) = (only(&before, &after), only(&after, &before));
    let now: HashMap<&str, &Rc<str>> =
        came.iter().rev().map(|(comment, to)| (*comment, to)).collect();
    let place = |(comment, from): &&Placed<'_>| {
        Some(((*comment).to_owned(), from.to_string(), now.get(comment)?.to_string()))
    };
    let mut stays: Vec<(String, String, String)> = gone.iter().filter_map(place).collect();
    // If the property of the comment was removed, or another was inserted between them, that change
    // is reported already.
    let holds = |document: &Document, name: &str| {
        name.starts_with('[') || name.parse().is_ok_and(|path| document.contains(&path))
    };
    stays.retain(|(_, from, to)| holds(new, from) && holds(old, to));
    stays
}
