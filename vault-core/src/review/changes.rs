//! The changes between two versions, by name, without any sealed value.

use crate::file::header::{Access, Header};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::review::lookalike::{of_members, of_properties};
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::vault::value::OpenedValue;
use std::collections::{BTreeMap, HashMap};

/// The changes between two versions of a file.
///
/// ```
/// # let (alice, [old, file]) = bootseal_fixtures::file_twice("timeout = \"10s\"\n");
/// use bootseal_core::{Changes, Secret, ValueKind};
/// let mut vault = file.open_for_writing(&[alice])?;
/// vault.set(&"acme.password".parse()?, ValueKind::Text, &Secret::copy_of(b"hunter2")?, 1_700_000_000)?;
/// let (_, new) = vault.sign_above(0)?;
/// let changes = Changes::between(&old, &new);
/// assert_eq!(changes.properties[0].path.to_string(), "acme.password");
/// assert_eq!(changes.properties[0].what(), "added");
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Changes {
    /// The changed properties. Those in login, route and fleet tables come first, because they
    /// decide where a secret is sent.
    pub properties: Vec<Change>,
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
    /// The times at which the old and the new sealed value were set, in seconds since 1970-01-01
    /// UTC, if they could be opened.
    pub set_at: (Option<u64>, Option<u64>),
    /// Whether it is in the table `[seal]`, which has rules for what is sealed before or after the
    /// change: see [`sealing_names`](crate::sealing_names).
    pub rules: bool,
}

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
        for change in &mut changes.properties {
            let date = |values: &Values<'_>| values.get(&change.path).map(|value| value.set_at);
            change.set_at = (date(before), date(after));
        }
        changes
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
        let mut properties = Vec::new();
        let has_rules = old.sealing_names().is_some() || new.sealing_names().is_some();
        let change = |path: &PropertyPath, before, after| Change {
            rules: has_rules && path.is_in_seal_table(),
            path: path.clone(),
            before,
            after,
            set_at: (None, None),
        };
        let unchanged =
            |path: &PropertyPath, before: &Property, after: &Property| match (before, after) {
                (Property::Sealed(before), Property::Sealed(after)) => {
                    before == after || same(path, before, after)
                }
                _ => before == after,
            };
        for (path, before) in old.iter() {
            let after = new.get(path);
            if !after.is_some_and(|after| unchanged(path, before, after)) {
                properties.push(change(path, Some(before.clone()), after.cloned()));
            }
        }
        for (path, after) in new.iter().filter(|(path, _)| old.get(path).is_none()) {
            properties.push(change(path, None, Some(after.clone())));
        }
        properties.sort_by_key(|change| (!change.rules, change.path.settings_table().is_none()));
        let (before, after) = (old.comments(), new.comments());
        let (tables, now) = (old.empty_tables(), new.empty_tables());
        let changed: Vec<&PropertyPath> = properties.iter().map(|change| &change.path).collect();
        Changes {
            lookalikes: of_properties(&changed, old, new),
            properties,
            comments: (missing(&before, &after), missing(&after, &before)),
            moved: moved(old, new),
            empty_tables: (missing(&tables, &now), missing(&now, &tables)),
            ..Changes::default()
        }
    }

    fn headers(&mut self, old: &Header, new: &Header) {
        self.vault = (old.vault != new.vault).then_some((old.vault, new.vault));
        self.rotated = old.epoch != new.epoch || old.vault != new.vault;
        self.access = access_changes(&old.access, &new.access);
        let changed: Vec<&str> = self.access.iter().map(|change| change.name.as_str()).collect();
        self.lookalikes.extend(of_members(&changed, &old.access, &new.access));
    }
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
    type Placed<'a> = (&'a str, String);
    fn only<'a, 'b>(one: &'b [Placed<'a>], other: &[Placed<'a>]) -> Vec<&'b Placed<'a>> {
        one.iter().filter(|pair| other.binary_search(pair).is_err()).collect()
    }
    let (gone, came) = (only(&before, &after), only(&after, &before));
    let now: HashMap<&str, &String> =
        came.iter().rev().map(|(comment, to)| (*comment, to)).collect();
    let place = |(comment, from): &&Placed<'_>| {
        Some(((*comment).to_owned(), from.clone(), (*now.get(comment)?).clone()))
    };
    let mut stays: Vec<(String, String, String)> = gone.iter().filter_map(place).collect();
    // If the property of the comment was removed, or another was inserted between them, that change
    // is reported already.
    let names = |document: &Document| -> std::collections::HashSet<String> {
        document.iter().map(|(path, _)| path.to_string()).collect()
    };
    let (before, after) = (names(old), names(new));
    stays.retain(|(_, from, to)| {
        (after.contains(from) || from.starts_with('['))
            && (before.contains(to) || to.starts_with('['))
    });
    stays
}
