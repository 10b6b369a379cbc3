//! Lookalikes: names and hosts that mix scripts, or that look like another name of the same file,
//! by Unicode's table of confusable characters (UTS 39).

use crate::file::header::Access;
use crate::file::verified::VerifiedFile;
use crate::text::document::Document;
use crate::text::host::AddressHost;
use crate::text::parse::value_parts::ValuePart;
use crate::text::path::{DottedKey, PropertyPath};
use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use unicode_security::MixedScript;
use unicode_security::confusable_detection::skeleton;

/// The remarks on names and hosts in a review, by the name or host as it is printed.
pub(crate) type Remarks = BTreeMap<String, String>;

const MIXED: &str = "mixes scripts";

/// The remarks on these properties and on the hosts in them, compared with both versions.
pub(super) fn of_properties(
    changed: impl Iterator<Item = PropertyPath>,
    old: &Document,
    new: &Document,
) -> Remarks {
    let mut remarks = Remarks::new();
    let mut changed = changed.peekable();
    if changed.peek().is_none() {
        return remarks;
    }
    let names = Names::of(vec![old, new]);
    let mut hosts = Confusable::default();
    for document in [old, new] {
        for (path, _) in document.names() {
            each_host(&path, document, &mut |host| hosts.add(host.unicode()));
        }
    }
    for path in changed {
        if let Some(remark) = names.remark(&path) {
            remarks.insert(path.to_string(), remark);
        }
        for document in [old, new] {
            each_host(&path, document, &mut |host| {
                if let Some(remark) = hosts.remark(&host.unicode()) {
                    remarks.insert(host.effective, remark);
                }
            });
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
        Names::of(vec![&self.document]).remark(path)
    }
}

fn each_host(path: &PropertyPath, document: &Document, each: &mut dyn FnMut(AddressHost)) {
    if !document.is_sealed(path) && document.too_large(path).is_none() {
        document.parts(path, &mut |part| {
            if let ValuePart::Value(value) = part {
                AddressHost::each_in(path, &value, each);
            }
        });
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

/// The tables and properties of files, by the hashes of their skeletons: a lookalike of a table is
/// found even if no whole name has a lookalike. Hashes need no copy of each name for each table.
struct Names<'a> {
    state: RandomState,
    documents: Vec<&'a Document>,
    /// The first name with a skeleton, and the first one that differs from it.
    first: HashMap<u64, Seen>,
    second: HashMap<u64, Seen>,
}

/// A name: its hash, and the document and the property that it was found in.
#[derive(Clone, Copy)]
struct Seen {
    exact: u64,
    document: u32,
    at: u32,
}

impl<'a> Names<'a> {
    fn of(documents: Vec<&'a Document>) -> Names<'a> {
        let (first, second) = (HashMap::new(), HashMap::new());
        let mut names = Names { state: RandomState::new(), documents, first, second };
        for (document, text) in names.documents.clone().into_iter().enumerate() {
            for (at, (path, _)) in text.names().enumerate() {
                for (looks, exact, _) in names.prefixes(path.segments()) {
                    let seen = Seen { exact, document: document as u32, at: at as u32 };
                    let first = names.first.entry(looks).or_insert(seen);
                    if first.exact != exact {
                        names.second.entry(looks).or_insert(seen);
                    }
                }
            }
        }
        names
    }

    fn name(&self, seen: Seen) -> Option<String> {
        let path = self.documents.get(seen.document as usize)?.path_at(seen.at as usize)?;
        let mut prefixes = self.prefixes(path.segments()).into_iter();
        let (_, _, name) = prefixes.find(|(_, exact, _)| *exact == seen.exact)?;
        Some(DottedKey(name).to_string())
    }

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
            let alike = [self.first.get(&looks), self.second.get(&looks)];
            alike.into_iter().flatten().copied().find(|other| other.exact != exact)
        });
        remark(mixed, other.and_then(|seen| self.name(seen)).as_deref())
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
