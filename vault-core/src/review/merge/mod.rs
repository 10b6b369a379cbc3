//! Merges two versions, property by property. If both sides changed a property differently, this is
//! a conflict.

pub(crate) mod access;
pub(crate) mod assemble;
pub(crate) mod renames;
pub(crate) mod side;

use crate::error::{Error, Kind, Result};
use crate::file::header::Access;
use crate::review::changes::{AccessChange, Values, access_changes, by_name};
use crate::review::merge::side::Side;
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::vault::value::OpenedValue;
use crate::vault::{CanWrite, Vault};
use std::borrow::Cow;

/// The side that a property is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The side that is merged into.
    Ours,
    /// The side that is merged.
    Theirs,
}

/// One property that both sides changed differently.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Clash {
    /// Its name.
    pub path: PropertyPath,
    /// The value on our side and, if it is sealed, the time at which it was set.
    pub ours: (Option<Property>, Option<u64>),
    /// The value on their side and, if it is sealed, the time at which it was set.
    pub theirs: (Option<Property>, Option<u64>),
}

/// The result of a merge.
#[derive(Debug)]
#[non_exhaustive]
pub struct Merged {
    /// The properties that differ between the two sides, each with the side that it was taken from.
    pub took: Vec<(PropertyPath, Taken)>,
    /// The changes of the access list, compared with our side.
    pub access: Vec<AccessChange>,
    /// Comments of their side that were left out, because both sides changed comments and the merge
    /// starts from the text of one side.
    pub left_out: Vec<String>,
    /// Entries that one side added or promoted and that were not accepted, because that side is
    /// older than the other side's new keys, or because there is no signed common version.
    /// Otherwise, a version from before a removal could restore the removed member.
    pub not_let_in: Vec<Access>,
}

impl Vault<CanWrite> {
    /// Turns this vault, which is one of the sides, into the merge of both. If both sides changed
    /// the same property differently, `choose` selects a side; if it selects none, the merge fails
    /// with a conflict. `now` is in seconds since 1970-01-01 UTC. Sign the result with a generation
    /// above those of both sides.
    ///
    /// # Errors
    /// - [`Kind::Conflict`] if `choose` returns `None`, if both changed the same entry of the access
    ///   list ([`NameClash`](crate::NameClash) decides between two names of one member), if your keys do not open a value that is to be taken from a side, or if the tables of
    ///   both sides cannot be combined: for example, one side changed an array of tables. Also if a
    ///   new host in a settings table is not written in ASCII.
    /// - [`Kind::WrongVault`] if a side belongs to another vault, [`Kind::OldGeneration`] if one is older
    ///   than the common version.
    /// - Those of [`Vault::remove_access`] if one side removed someone.
    ///
    /// ```
    /// # let (alice, text) = bootseal_fixtures::sealed("a = 1\nb = 1\n");
    /// use bootseal_core::{SealedFile, Side};
    /// let base = || SealedFile::parse(text.clone().into_bytes())?.verify(&[])?.open_for_writing(&[alice.clone()]);
    /// let (mut ours, mut theirs) = (base()?, base()?);
    /// ours.set_readable(&"a".parse()?, &2.into())?;
    /// theirs.set_readable(&"b".parse()?, &2.into())?;
    ///
    /// let (base, mine, theirs) = (Side::of(&base()?)?, Side::of(&ours)?, Side::of(&theirs)?);
    /// let merged = ours.merge(&base, &mine, &theirs, |_| None, 1_700_000_000)?;
    /// assert_eq!(merged.took.len(), 2); // a from ours, b from theirs
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn merge(
        &mut self,
        base: &Side,
        ours: &Side,
        theirs: &Side,
        mut choose: impl FnMut(&Clash) -> Option<Taken>,
        now: u64,
    ) -> Result<Merged> {
        self.check_sides(base, ours, theirs)?;
        // A side whose id was handed over does not count: its former writers can sign any number.
        let counts = [ours, theirs].into_iter().filter_map(|side| side.signed.as_ref());
        let counts = counts.filter(|signed| signed.vault == self.file.vault_id());
        let generation = counts.map(|signed| signed.generation).max().unwrap_or_default();
        let (before, mine, other) =
            (by_name(&base.values), by_name(&ours.values), by_name(&theirs.values));
        let (took, wanted) =
            self.decide(base, (ours, &mine), (theirs, &other), &before, &mut choose)?;
        // A property that both sides removed is in neither list.
        let (start, left_out) = start(base, ours, theirs);
        let merged = self.assemble(start, &wanted, (ours, &mine), (theirs, &other))?;
        self.replace_document(merged)?;
        // The access lists are merged after the values, so that new keys and marks cover all
        // values.
        let before = self.file.header.access.clone();
        let not_let_in = self.merge_access(base, ours, theirs, now)?;
        self.mark_who_is_gone([base, ours, theirs])?;
        let header = &mut self.file.header;
        header.generation = header.generation.max(generation);
        let access = access_changes(&before, &header.access);
        Ok(Merged { took, access, left_out, not_let_in })
    }

    /// Lists the properties that both sides changed differently: a merge asks for a choice for each.
    ///
    /// # Errors
    /// [`Kind::WrongVault`] and [`Kind::OldGeneration`] as for [`Vault::merge`].
    ///
    /// ```
    /// # let (alice, text) = bootseal_fixtures::sealed("a = 1\n");
    /// use bootseal_core::{SealedFile, Side};
    /// let base = || SealedFile::parse(text.clone().into_bytes())?.verify(&[])?.open_for_writing(&[alice.clone()]);
    /// let (mut ours, mut theirs) = (base()?, base()?);
    /// ours.set_readable(&"a".parse()?, &2.into())?;
    /// theirs.set_readable(&"a".parse()?, &3.into())?;
    ///
    /// let (base, mine, theirs) = (Side::of(&base()?)?, Side::of(&ours)?, Side::of(&theirs)?);
    /// assert_eq!(ours.clashes(&base, &mine, &theirs)?[0].path.to_string(), "a");
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn clashes(&self, base: &Side, ours: &Side, theirs: &Side) -> Result<Vec<Clash>> {
        self.check_sides(base, ours, theirs)?;
        let mut clashes = Vec::new();
        let (before, mine, other) =
            (by_name(&base.values), by_name(&ours.values), by_name(&theirs.values));
        let mut note = |clash: &Clash| {
            clashes.push(clash.clone());
            Some(Taken::Ours)
        };
        self.decide(base, (ours, &mine), (theirs, &other), &before, &mut note)?;
        Ok(clashes)
    }

    /// Makes the three-way decision for each property. Returns the properties that differ between
    /// the sides, and all properties of the result, each with the side that it is taken from.
    fn decide(
        &self,
        base: &Side,
        (ours, mine): (&Side, &Values<'_>),
        (theirs, other): (&Side, &Values<'_>),
        before: &Values<'_>,
        choose: &mut impl FnMut(&Clash) -> Option<Taken>,
    ) -> Result<(Vec<Choice>, Vec<Choice>)> {
        // Without a common version, additions cannot be distinguished from removals.
        let no_base = base.signed.is_none() && base.document.counts().0 == 0;
        let (mut took, mut wanted) = (Vec::new(), Vec::new());
        let paths = ours.document.names().map(|(path, _)| path);
        let only_theirs = theirs
            .document
            .names()
            .map(|(path, _)| path)
            .filter(|path| !ours.document.contains(path));
        for path in paths.chain(only_theirs) {
            let path = &path;
            let one = (&base.document, before.get(path).copied());
            let a = (&ours.document, mine.get(path).copied());
            let b = (&theirs.document, other.get(path).copied());
            let side = if same(path, a, b) {
                // Of two equal values, the value with the later date is taken.
                let younger = matches!((a.1, b.1), (Some(a), Some(b)) if b.set_at > a.set_at);
                if younger { Taken::Theirs } else { Taken::Ours }
            } else {
                let side = if same(path, one, b) && !no_base {
                    Taken::Ours
                } else if same(path, one, a) && !no_base {
                    Taken::Theirs
                } else {
                    choose(&Clash::of(path, a, b)).ok_or_else(|| self.clash(path))?
                };
                took.push((path.clone(), side));
                side
            };
            let source = if side == Taken::Ours { ours } else { theirs };
            if source.document.contains(path) {
                wanted.push((path.clone(), side));
            }
        }
        Ok((took, wanted))
    }

    fn clash(&self, path: &PropertyPath) -> Error {
        self.placed(
            Error::new(Kind::Conflict, "both sides changed this property differently").at(path),
        )
    }

    /// Checks that each signed side has the id of this vault or one of its former ids, and that no
    /// side is older than the common version.
    fn check_sides(&self, base: &Side, ours: &Side, theirs: &Side) -> Result<()> {
        let signed = [base, ours, theirs].into_iter().filter_map(|side| side.signed.as_ref());
        let former = self.file.former_ids();
        for side in signed {
            if side.vault != self.file.vault_id() && !former.contains(&side.vault) {
                let what = format!(
                    "a side of the merge belongs to the vault {}, which is neither this vault nor one of its former ids",
                    side.vault
                );
                return Err(self.placed(Error::new(Kind::WrongVault, what)));
            }
        }
        // Generations are compared only within one id.
        let Some(common) = &base.signed else { return Ok(()) };
        let is_older = |side: &&Side| {
            side.signed.as_ref().is_some_and(|signed| {
                signed.vault == common.vault && signed.generation < common.generation
            })
        };
        match [ours, theirs].iter().find(|side| is_older(side)) {
            None => Ok(()),
            Some(_) => Err(self.placed(Error::new(
                Kind::OldGeneration,
                "a side of the merge is older than the common version",
            ))),
        }
    }
}

/// A property, and the side it comes from.
type Choice = (PropertyPath, Taken);

impl Clash {
    fn of(path: &PropertyPath, a: Content<'_>, b: Content<'_>) -> Clash {
        let side =
            |(document, value): Content<'_>| (document.get(path), value.map(|value| value.set_at));
        Clash { path: path.clone(), ours: side(a), theirs: side(b) }
    }
}

/// The document of a side, and the opened value of the property in question.
type Content<'a> = (&'a Document, Option<&'a OpenedValue>);

/// Whether two sides have the same value. Sealed values are compared by content if both could be
/// opened.
fn same(path: &PropertyPath, one: Content<'_>, other: Content<'_>) -> bool {
    match (one.1, other.1) {
        (Some(one), Some(other)) => one.same_as(other),
        _ => one.0.has_same(path, other.0),
    }
}

/// The side whose text the merge starts from, which is theirs if only that side changed comments.
/// If both sides changed comments, the comments that only their side has are left out.
fn start<'a>(base: &Side, ours: &'a Side, theirs: &'a Side) -> (&'a Side, Vec<String>) {
    let (mut common, mut mine, mut other) =
        (base.document.comments(), ours.document.comments(), theirs.document.comments());
    [&mut common, &mut mine, &mut other].into_iter().for_each(|list| list.sort());
    if other == common || other == mine {
        return (ours, Vec::new());
    }
    if mine == common {
        return (theirs, Vec::new());
    }
    (
        ours,
        other
            .into_iter()
            .filter(|comment| {
                common.binary_search(comment).is_err() && mine.binary_search(comment).is_err()
            })
            .map(Cow::into_owned)
            .collect(),
    )
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
pub(super) mod tests {
    use super::*;
    use crate::access::identity::Identity;
    use crate::file::header::Role;
    use crate::file::sealed::SealedFile;
    use crate::file::verified::VerifiedFile;
    use crate::review::hand_edit::HandEdit;
    use crate::review::lineage::goes_on_from;
    use crate::vault::value::ValueKind;
    use bootseal_memory::Secret;

    const TEXT: &str = "# ours\na = 1\nb = 1\n[acme]\nuser = \"u\" # who\n";

    pub(crate) struct Team {
        pub(crate) alice: Identity,
        pub(crate) bob: Identity,
        pub(crate) base: String,
    }

    fn path(text: &str) -> PropertyPath {
        text.parse().unwrap()
    }

    pub(crate) fn set(vault: &mut Vault<CanWrite>, name: &str, value: &str, now: u64) {
        vault
            .set(&path(name), ValueKind::Text, &Secret::copy_of(value.as_bytes()).unwrap(), now)
            .unwrap();
    }

    pub(crate) fn read(text: &str) -> VerifiedFile {
        SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
    }

    pub(crate) fn value(vault: &Vault<CanWrite>, name: &str) -> String {
        vault.open(&path(name)).unwrap().secret.expose_str(str::to_owned).unwrap()
    }

    impl Team {
        pub(crate) fn new() -> Team {
            let (alice, bob) = (Identity::generate().unwrap(), Identity::generate().unwrap());
            let access = vec![
                Access::new("alice", Role::Writer, alice.recipient()).unwrap(),
                Access::new("bob", Role::Writer, bob.recipient()).unwrap(),
            ];
            let mut vault = Vault::create(access, TEXT).unwrap();
            set(&mut vault, "acme.password", "p", 100);
            set(&mut vault, "acme.token", "t", 100);
            Team { base: vault.sign().unwrap(), alice, bob }
        }

        pub(crate) fn open(&self, text: &str) -> Vault<CanWrite> {
            read(text).open_for_writing(&[self.alice.clone()]).unwrap()
        }

        pub(crate) fn branch(&self, change: impl FnOnce(&mut Vault<CanWrite>)) -> String {
            let mut vault = self.open(&self.base);
            change(&mut vault);
            vault.sign().unwrap()
        }

        /// Merges like the merge driver: into ours, or into theirs if theirs has newer keys.
        pub(crate) fn merge(&self, ours: &str, theirs: &str) -> Result<(Vault<CanWrite>, Merged)> {
            let (base, mine, other) = (self.open(&self.base), self.open(ours), self.open(theirs));
            let (base, a, b) = (Side::of(&base)?, Side::of(&mine)?, Side::of(&other)?);
            let into_theirs = goes_on_from(mine.file(), other.file()) == Some(Taken::Theirs);
            let mut vault = if into_theirs { other } else { mine };
            let merged = vault.merge(&base, &a, &b, |_| None, 300)?;
            let text = vault.sign()?;
            Ok((self.open(&text), merged))
        }
    }

    #[test]
    fn two_branches_with_different_changes_are_merged() {
        let team = Team::new();
        let ours = team.branch(|vault| {
            set(vault, "acme.password", "p2", 200);
            vault.unset(&path("a")).unwrap();
        });
        let theirs = team.branch(|vault| {
            set(vault, "acme.token", "t2", 200);
            set(vault, "acme.new", "n", 200);
            vault.set_readable(&path("b"), &toml::Value::Integer(2)).unwrap();
        });
        let (vault, merged) = team.merge(&ours, &theirs).unwrap();
        assert_eq!(vault.file().generation(), 3);
        assert_eq!(
            ["acme.password", "acme.token", "acme.new"].map(|name| value(&vault, name)),
            ["p2", "t2", "n"]
        );
        assert!(vault.file().property(&path("a")).is_none());
        assert_eq!(merged.took.len(), 5);
        assert!(merged.left_out.is_empty() && merged.access.is_empty());
        // Text that neither branch changed stays the same, and so do the key blocks.
        assert!(vault.file().text().contains("# ours\nb = 2\n[acme]\nuser = \"u\" # who\n"));
        assert_eq!(vault.file().header.read_key, read(&team.base).header.read_key);
    }

    #[test]
    fn two_different_changes_of_one_property_are_a_conflict() {
        let team = Team::new();
        let ours = team.branch(|vault| set(vault, "acme.password", "x", 200));
        let theirs = team.branch(|vault| set(vault, "acme.password", "y", 201));
        assert_eq!(team.merge(&ours, &theirs).unwrap_err().kind(), Kind::Conflict);
        let same = team.branch(|vault| set(vault, "acme.password", "x", 202));
        let (vault, _) = team.merge(&ours, &same).unwrap();
        assert_eq!(vault.open(&path("acme.password")).unwrap().set_at, 202);
        let gone = team.branch(|vault| vault.unset(&path("acme.password")).unwrap());
        assert_eq!(team.merge(&ours, &gone).unwrap_err().kind(), Kind::Conflict);
    }

    #[test]
    fn comments_of_one_side_stay_and_left_out_comments_are_reported() {
        let team = Team::new();
        let plain = team.branch(|vault| set(vault, "acme.token", "t2", 200));
        let comment = |from: &str, to: &str| {
            let edit = HandEdit::parse(team.base.replace(from, to).into_bytes()).unwrap();
            team.branch(|vault| drop(vault.adopt(&edit, &[]).unwrap()))
        };
        let (one, two) = (comment("# ours", "# top"), comment("# who", "# whoever"));
        for (ours, theirs) in [(&plain, &one), (&one, &plain)] {
            let (vault, merged) = team.merge(ours, theirs).unwrap();
            assert!(vault.file().text().contains("# top") && merged.left_out.is_empty());
            assert_eq!(value(&vault, "acme.token"), "t2");
        }
        let (vault, merged) = team.merge(&one, &two).unwrap();
        assert!(vault.file().text().contains("# top"));
        assert_eq!(merged.left_out, ["# whoever"]);
    }

    #[test]
    fn a_changed_array_of_tables_is_a_conflict() {
        let mut team = Team::new();
        let edit = |text: String| HandEdit::parse(text.into_bytes()).unwrap();
        let with = |team: &Team, from: &str, to: &str| {
            let edited = edit(team.base.replace(from, to));
            team.branch(|vault| drop(vault.adopt(&edited, &[]).unwrap()))
        };
        team.base =
            with(&team, "[acme]", "[[rules]]\nhost = \"a\"\n[[rules]]\nhost = \"b\"\n[acme]");
        let theirs = with(&team, "host = \"a\"", "host = \"c\"");
        let ours = team.branch(|vault| set(vault, "acme.token", "t2", 200));
        assert_eq!(team.merge(&ours, &theirs).unwrap_err().kind(), Kind::Conflict);
        let unchanged = team.branch(|vault| set(vault, "acme.password", "p2", 200));
        assert!(team.merge(&ours, &unchanged).is_ok());
    }

    #[test]
    fn a_side_of_another_vault_or_older_than_the_common_version_is_refused() {
        let team = Team::new();
        let ours = team.branch(|vault| set(vault, "acme.token", "t2", 200));
        let foreign = Team::new();
        let sides =
            (Side::of(&team.open(&team.base)).unwrap(), Side::of(&team.open(&ours)).unwrap());
        let theirs = Side::of(&foreign.open(&foreign.base)).unwrap();
        let error = team.open(&ours).merge(&sides.0, &sides.1, &theirs, |_| None, 300).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongVault);
        let newer = Side::of(&team.open(&ours)).unwrap();
        let error = team.open(&ours).merge(&newer, &sides.1, &sides.0, |_| None, 300).unwrap_err();
        assert_eq!(error.kind(), Kind::OldGeneration);
    }
}
