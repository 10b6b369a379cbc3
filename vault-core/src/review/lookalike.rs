//! Lookalikes: names and hosts that mix scripts, or that look like another name of the same file,
//! by Unicode's table of confusable characters (UTS 39).

use crate::file::header::Access;
use crate::file::verified::VerifiedFile;
use crate::text::document::{Document, Property};
use crate::text::host::AddressHost;
use crate::text::path::{DottedKey, PropertyPath};
use std::collections::hash_map::{Entry, RandomState};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use unicode_security::MixedScript;
use unicode_security::confusable_detection::skeleton;

/// The remarks on names and hosts in a review, by the name or host as it is printed.
pub(crate) type Remarks = BTreeMap<String, String>;

const MIXED: &str = "mixes scripts";

/// The remarks on these properties and on the hosts in them, compared with both versions.
pub(super) fn of_properties(changed: &[&PropertyPath], old: &Document, new: &Document) -> Remarks {
    let mut remarks = Remarks::new();
    if changed.is_empty() {
        return remarks;
    }
    let names = Names::of(old.iter().chain(new.iter()).map(|(path, _)| path));
    let mut hosts = Confusable::default();
    for (path, property) in old.iter().chain(new.iter()) {
        hosts_of(path, Some(property)).into_iter().for_each(|host| hosts.add(host.unicode()));
    }
    for path in changed {
        if let Some(remark) = names.remark(path) {
            remarks.insert(path.to_string(), remark);
        }
        for host in [old, new].into_iter().flat_map(|text| hosts_of(path, text.get(path))) {
            if let Some(remark) = hosts.remark(&host.unicode()) {
                remarks.insert(host.effective, remark);
            }
        }
    }
    remarks
}

/// The remarks on these members, compared with all members of both versions.
pub(super) fn of_members(changed: &[&str], old: &[Access], new: &[Access]) -> Remarks {
    let mut names = Confusable::default();
    old.iter().chain(new).for_each(|access| names.add(access.name.clone()));
    let remark = |name: &&str| Some(((*name).to_owned(), names.remark(name)?));
    changed.iter().filter_map(remark).collect()
}

impl VerifiedFile {
    /// What a reviewer of `path` should know: it mixes scripts, or it looks like another name of
    /// the file.
    ///
    /// ```
    /// # let (_, file) = bootseal_fixtures::file("acme.key1 = \"x\"\n");
    /// assert_eq!(file.lookalike_of(&"acme.keyl".parse()?).as_deref(), Some("looks like acme.key1"));
    /// assert_eq!(file.lookalike_of(&"acme.key1".parse()?), None);
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn lookalike_of(&self, path: &PropertyPath) -> Option<String> {
        let names = self.properties().map(|(path, _)| path);
        Names::of(names.chain([path])).remark(path)
    }
}

fn hosts_of(path: &PropertyPath, property: Option<&Property>) -> Vec<AddressHost> {
    match property {
        Some(Property::Readable(value)) => AddressHost::all_in(path, value),
        _ => Vec::new(),
    }
}

fn is_mixed(text: &str) -> bool {
    // A host is read label by label.
    !text.is_ascii() && text.split('.').any(|label| !label.is_single_script())
}

/// Texts by their skeletons: two texts with one skeleton look alike.
#[derive(Default)]
struct Confusable(HashMap<String, Vec<String>>);

impl Confusable {
    fn add(&mut self, text: String) {
        let alike = self.0.entry(skeleton(&text).collect()).or_default();
        // Two are enough: each of them has another one that it looks like.
        if alike.len() < 2 && !alike.contains(&text) {
            alike.push(text);
        }
    }

    fn remark(&self, text: &str) -> Option<String> {
        let alike = self.0.get(&skeleton(text).collect::<String>());
        let other = alike.and_then(|alike| alike.iter().find(|other| *other != text));
        remark(is_mixed(text), other.map(String::as_str))
    }
}

fn remark(mixed: bool, other: Option<&str>) -> Option<String> {
    match (mixed, other) {
        (false, None) => None,
        (true, None) => Some(MIXED.to_owned()),
        (false, Some(other)) => Some(format!("looks like {other}")),
        (true, Some(other)) => Some(format!("{MIXED}, and looks like {other}")),
    }
}

/// The tables and properties of a file, by the hashes of their skeletons: a lookalike of a table is
/// found even if no whole name has a lookalike. Hashes need no copy of each name for each table.
struct Names<'a> {
    state: RandomState,
    alike: HashMap<u64, [Option<Seen<'a>>; 2]>,
}

/// The hash of a name, and the name.
type Seen<'a> = (u64, &'a [String]);

impl<'a> Names<'a> {
    fn of(paths: impl Iterator<Item = &'a PropertyPath>) -> Names<'a> {
        let mut names = Names { state: RandomState::new(), alike: HashMap::new() };
        for path in paths {
            for (looks, exact, name) in names.prefixes(path.segments()) {
                match names.alike.entry(looks) {
                    Entry::Vacant(free) => drop(free.insert([Some((exact, name)), None])),
                    Entry::Occupied(mut taken) => {
                        let [first, second] = taken.get_mut();
                        if second.is_none() && first.is_some_and(|(hash, _)| hash != exact) {
                            *second = Some((exact, name));
                        }
                    }
                }
            }
        }
        names
    }

    /// For each table that contains the property, and for the property itself: the hash of its
    /// skeleton, the hash of its text, and its segments.
    fn prefixes<'b>(&self, segments: &'b [String]) -> Vec<(u64, u64, &'b [String])> {
        let (mut looks, mut exact) = (0, 0);
        let each = segments.iter().enumerate().map(|(at, segment)| {
            looks = self.state.hash_one((looks, skeleton(segment).collect::<String>()));
            exact = self.state.hash_one((exact, segment));
            (looks, exact, &segments[..=at])
        });
        each.collect()
    }

    fn remark(&self, path: &PropertyPath) -> Option<String> {
        let mixed = path.segments().iter().any(|segment| is_mixed(segment));
        let other = self.prefixes(path.segments()).into_iter().find_map(|(looks, exact, _)| {
            let alike = self.alike.get(&looks)?.iter().flatten();
            alike.copied().find(|(other, _)| *other != exact).map(|(_, name)| name)
        });
        remark(mixed, other.map(|name| DottedKey(name).to_string()).as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::changes::Changes;

    fn remarks(old: &str, new: &str) -> Vec<(String, String)> {
        let doc = |text: &str| Document::parse(text.to_owned()).unwrap();
        let changes = Changes::of(&doc(old), &doc(new), |_, _, _| false);
        changes.lookalikes.into_iter().collect()
    }

    #[test]
    fn names_and_hosts_that_look_like_others_are_found() {
        // Cyrillic letters in place of Latin ones.
        for (old, new, name, remark) in [
            (
                "acme.user = 1",
                "acme.user = 1\n\"\u{430}\u{441}m\u{435}\".password = 1",
                "\"\u{430}\u{441}m\u{435}\".password",
                "mixes scripts, and looks like acme",
            ),
            ("db.key1 = 1", "db.key1 = 1\ndb.keyl = 1", "db.keyl", "looks like db.key1"),
            ("", "\"p\u{430}ssword\" = 1", "\"p\u{430}ssword\"", "mixes scripts"),
            (
                "[acme.login]\nurl = \"https://api.acme.example/\"",
                "[acme.login]\nurl = \"https://api.acrne.example/\"",
                "api.acrne.example",
                "looks like api.acme.example",
            ),
            (
                "",
                "[acme.login]\nurl = \"https://xn--cme-7cd.example/\"",
                "xn--cme-7cd.example",
                "mixes scripts",
            ),
        ] {
            let found = remarks(old, new);
            assert!(found.contains(&(name.to_owned(), remark.to_owned())), "{new}: {found:?}");
        }
        assert_eq!(
            remarks("a.b = 1", "a.b = 2\n\"für\".\"größe\" = 1\n\"日本語の\".\"ключ\" = 1"),
            []
        );
    }
}
