//! How do two versions become one? By property, three ways; access by name, where a removal wins; `[bootseal]` made anew.

use crate::changes::{AccessChange, Values, by_name};
use crate::document::{Document, Property, quoted};
use crate::error::{Error, Kind, Result};
use crate::hand_edit::HandEdit;
use crate::header::{Access, Removed};
use crate::path::PropertyPath;
use crate::sealed_file::VerifiedFile;
use crate::value::{self, OpenedValue};
use crate::vault::{Reader, Vault, Writer};
use std::collections::{HashMap, HashSet};

/// One version that takes part in a merge: its properties, and its access list where that is signed.
///
/// ```
/// # use bootseal_core::*;
/// # let alice = Identity::generate()?;
/// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
/// # let text = Vault::create(access, "timeout = \"10s\"\n")?.sign()?;
/// let vault = SealedFile::parse(text.into_bytes())?.verify(&[])?.open(&[alice])?;
/// let side = Side::of(&vault)?;
/// # Ok::<(), bootseal_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Side {
    document: Document,
    values: Vec<(PropertyPath, OpenedValue)>,
    /// Nothing of an unsigned side's `[bootseal]` is used.
    signed: Option<Signed>,
}

#[derive(Debug)]
struct Signed {
    access: Vec<Access>,
    removed: Vec<Removed>,
    generation: u64,
    epoch: u64,
}

impl Side {
    /// A version that verifies and opens.
    ///
    /// # Errors
    /// Those of [`Vault::open`] where a value does not open.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// # let vault = SealedFile::parse(text.into_bytes())?.verify(&[])?.open_for_writing(&[alice])?;
    /// let ours = Side::of(&vault)?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn of<Role>(vault: &Vault<Role>) -> Result<Side> {
        Ok(Side { values: vault.open_all()?, ..Side::closed(vault.file())? })
    }

    /// A version that verifies, and that none of our identities opens: its sealed values are compared by their text.
    ///
    /// # Errors
    /// [`Kind::Malformed`] only where the file was not read from a text.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let access = vec![Access::new("alice", Role::Writer, Identity::generate()?.recipient())?];
    /// # let text = Vault::create(access, "")?.sign()?;
    /// let base = Side::closed(&SealedFile::parse(text.into_bytes())?.verify(&[])?)?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn closed(file: &VerifiedFile) -> Result<Side> {
        let header = &file.header;
        Ok(Side {
            document: Document::parse(file.document.text().to_owned())?,
            values: Vec::new(),
            signed: Some(Signed {
                access: header.access.clone(),
                removed: header.removed.clone(),
                generation: header.generation,
                epoch: header.epoch,
            }),
        })
    }

    /// A side that does not verify: its user's part as a hand edit, whose sealed values one of `versions` must know.
    ///
    /// # Errors
    /// [`Kind::MovedValue`] where none of them knows a sealed value.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "timeout = \"10s\"\n")?.sign()?;
    /// let vault = SealedFile::parse(text.clone().into_bytes())?.verify(&[])?.open_for_writing(&[alice])?;
    /// let edit = HandEdit::parse(text.replace("10s", "20s").into_bytes())?;
    /// let theirs = Side::of_edit(&edit, &vault, &[])?;
    /// # Ok::<(), bootseal_core::Error>(())
    /// ```
    pub fn of_edit<Role>(edit: &HandEdit, vault: &Vault<Role>, versions: &[Vault<Reader>]) -> Result<Side> {
        let values = edit.open_with(vault, versions)?;
        Ok(Side { document: Document::parse(edit.document.text().to_owned())?, values, signed: None })
    }

    /// A side with nothing in it: for two versions that have no common one.
    ///
    /// ```
    /// let base = bootseal_core::Side::empty();
    /// ```
    pub fn empty() -> Side {
        Side { document: Document::default(), values: Vec::new(), signed: None }
    }
}

/// From which side something is taken.
///
/// ```
/// assert_ne!(bootseal_core::Taken::Ours, bootseal_core::Taken::Theirs);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The side that is merged into.
    Ours,
    /// The side that is merged.
    Theirs,
}

/// One property that both sides changed, each in its way.
///
/// ```
/// # let clash: Option<bootseal_core::Clash> = None;
/// if let Some(clash) = clash {
///     println!("{}: ours was given {:?}, theirs {:?}", clash.path, clash.ours.1, clash.theirs.1);
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Clash {
    /// Its name.
    pub path: PropertyPath,
    /// What stands on our side, and when it was given, where it is sealed.
    pub ours: (Option<Property>, Option<u64>),
    /// What stands on theirs.
    pub theirs: (Option<Property>, Option<u64>),
}

/// What a merge made.
///
/// ```
/// # let merged: Option<bootseal_core::Merged> = None;
/// if let Some(merged) = merged {
///     for (path, side) in &merged.took {
///         println!("{path}: from {side:?}");
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Merged {
    /// What differs from the common version, and whose it is; both having the same counts as ours.
    pub took: Vec<(PropertyPath, Taken)>,
    /// Who came, went or has another role, against our list.
    pub access: Vec<AccessChange>,
    /// Comments of a side that could not be kept: both sides changed comments, and only one text could be gone on with.
    pub left_out: Vec<String>,
}

impl Vault<Writer> {
    /// Makes this vault, which is ours or theirs, the merge of both. `choose` decides where both changed the same property; without a
    /// choice that is a conflict. `now` in seconds since 1970-01-01 UTC. To be signed above the generation of both.
    ///
    /// # Errors
    /// [`Kind::Conflict`] where `choose` gives nothing, or both changed the same entry of the access list; those of
    /// [`Vault::remove_access`] where one side removed someone.
    ///
    /// ```
    /// # use bootseal_core::*;
    /// # let alice = Identity::generate()?;
    /// # let access = vec![Access::new("alice", Role::Writer, alice.recipient())?];
    /// # let text = Vault::create(access, "a = 1\nb = 1\n")?.sign()?;
    /// # let open = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[])?.open_for_writing(&[alice.clone()]);
    /// # let change = |name: &str| -> Result<String> {
    /// #     let mut vault = open(text.clone())?;
    /// #     vault.set_readable(&name.parse()?, &toml::Value::Integer(2))?;
    /// #     vault.sign()
    /// # };
    /// # let (ours, theirs) = (change("a")?, change("b")?);
    /// let (base, mut ours, theirs) = (open(text.clone())?, open(ours)?, open(theirs)?);
    /// let (base, mine, theirs) = (Side::of(&base)?, Side::of(&ours)?, Side::of(&theirs)?);
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
        let (before, mine, other) = (by_name(&base.values), by_name(&ours.values), by_name(&theirs.values));
        let mut took = Vec::new();
        let mut wanted: Vec<(PropertyPath, Taken)> = Vec::new();
        let paths = ours.document.iter().map(|(path, _)| path);
        let only_theirs = theirs.document.iter().map(|(path, _)| path).filter(|path| ours.document.get(path).is_none());
        for path in paths.chain(only_theirs) {
            let one = (base.document.get(path), before.get(path).copied());
            let (a, b) = (
                (ours.document.get(path), mine.get(path).copied()),
                (theirs.document.get(path), other.get(path).copied()),
            );
            let side = if same(a, b) {
                // The younger date of two that hold the same.
                let younger = matches!((a.1, b.1), (Some(a), Some(b)) if b.set_at > a.set_at);
                if younger { Taken::Theirs } else { Taken::Ours }
            } else if same(one, b) {
                took.push((path.clone(), Taken::Ours));
                Taken::Ours
            } else if same(one, a) {
                took.push((path.clone(), Taken::Theirs));
                Taken::Theirs
            } else {
                let clash = Clash {
                    path: path.clone(),
                    ours: (a.0.cloned(), a.1.map(|value| value.set_at)),
                    theirs: (b.0.cloned(), b.1.map(|value| value.set_at)),
                };
                let side = choose(&clash).ok_or_else(|| {
                    self.placed(
                        Error::new(Kind::Conflict, "both sides changed this property, each in its way").at(path),
                    )
                })?;
                took.push((path.clone(), side));
                side
            };
            let source = if side == Taken::Ours { ours } else { theirs };
            if source.document.get(path).is_some() {
                wanted.push((path.clone(), side));
            }
        }
        // What both sides removed is in neither list, and gone.
        let (start, left_out) = start(base, ours, theirs);
        let text = self.assemble(start, &wanted, (ours, &mine), (theirs, &other))?;
        self.replace_text(text)?;
        // After the values, so that new keys are made for all of them, and marks are held against all of them.
        let access = self.merge_access(base, ours, theirs, now)?;
        Ok(Merged { took, access, left_out })
    }

    /// The text of `start` with exactly the `wanted` properties in it.
    fn assemble(
        &self,
        start: &Side,
        wanted: &[(PropertyPath, Taken)],
        ours: (&Side, &Values<'_>),
        theirs: (&Side, &Values<'_>),
    ) -> Result<String> {
        let mut document = Document::parse(start.document.text().to_owned())?;
        let kept: HashSet<&PropertyPath> = wanted.iter().map(|(path, _)| path).collect();
        let gone: Vec<PropertyPath> =
            document.iter().map(|(path, _)| path).filter(|path| !kept.contains(path)).cloned().collect();
        for path in gone {
            document = Document::parse(document.without(&path)?)?;
        }
        let (mut changed, mut added) = (HashMap::new(), Vec::new());
        for (path, side) in wanted {
            let (source, values) = if *side == Taken::Ours { ours } else { theirs };
            let text = match (source.document.get(path), values.get(path)) {
                (Some(Property::Sealed(text)), Some(opened)) => {
                    // What opens under our keys keeps its text.
                    match value::open(&self.key, &self.file.vault(), path, text) {
                        Ok(_) => quoted(text),
                        Err(_) => quoted(&self.seal_as_it_was(path, opened)?),
                    }
                }
                _ => source.document.raw_value(path).unwrap_or_default().to_owned(),
            };
            match document.get(path) {
                None => added.push((path, text)),
                Some(_) if document.raw_value(path) == Some(text.as_str()) => {}
                Some(_) => drop(changed.insert(path.clone(), text)),
            }
        }
        document = Document::parse(document.with_all(&changed)?)?;
        for (path, text) in added {
            document = Document::parse(document.with(path, &text)?)?;
        }
        Ok(document.text().to_owned())
    }

    /// Brings the access list of this vault to what both sides made of the common one.
    fn merge_access(&mut self, base: &Side, ours: &Side, theirs: &Side, now: u64) -> Result<Vec<AccessChange>> {
        let list = |side: &Side| side.signed.as_ref().map(|signed| signed.access.clone());
        let current = self.file.header.access.clone();
        let mine = list(ours).unwrap_or_else(|| current.clone());
        let other = list(theirs).unwrap_or_else(|| mine.clone());
        let common =
            list(base).unwrap_or_else(|| mine.iter().filter(|access| other.contains(access)).cloned().collect());
        let find = |list: &[Access], name: &str| list.iter().find(|access| access.name == name).cloned();
        let mut result: Vec<Access> = Vec::new();
        for access in mine.iter().chain(other.iter().filter(|access| find(&mine, &access.name).is_none())) {
            let name = &access.name;
            let entry = match (find(&common, name), find(&mine, name), find(&other, name)) {
                (_, Some(a), Some(b)) if a == b => Some(a),
                (Some(one), Some(a), Some(b)) if one == b => Some(a),
                (Some(one), Some(a), Some(b)) if one == a => Some(b),
                (_, Some(_), Some(_)) => {
                    let what = format!("both sides gave {name} another role or recipient in access");
                    return Err(self.placed(Error::new(Kind::Conflict, what)));
                }
                // In the common list and missing on one side: removed there, and a removal wins.
                (Some(_), _, _) => None,
                (None, a, b) => a.or(b),
            };
            result.extend(entry);
        }
        // What anyone who was removed on either side knew stays marked.
        for removed in
            [ours, theirs].into_iter().filter_map(|side| side.signed.as_ref()).flat_map(|signed| &signed.removed)
        {
            let known = &mut self.file.header.removed;
            match known.iter_mut().find(|other| other.name == removed.name) {
                Some(other) => other.at = other.at.max(removed.at),
                None => known.push(removed.clone()),
            }
        }
        self.file.header.removed.sort_by_key(|removed| removed.at);
        self.file.own = crate::header::set_removed(&self.file.own, &self.file.header.removed)?;
        // Those who come and change first: the last writer may go only when another is there.
        for entry in &result {
            match find(&current, &entry.name) {
                None => self.add_access(entry.clone())?,
                Some(before) if before != *entry => drop(self.replace_access(entry.clone(), now)?),
                Some(_) => {}
            }
        }
        for gone in current.iter().filter(|access| find(&result, &access.name).is_none()) {
            self.remove_access(&gone.name, now)?;
        }
        // Both sides made a new data key: one number must not stand for two.
        if let (Some(a), Some(b)) = (&ours.signed, &theirs.signed)
            && base.signed.as_ref().is_some_and(|one| one.epoch < a.epoch && one.epoch < b.epoch)
            && self.file.header.epoch <= a.epoch.max(b.epoch)
        {
            self.rotate(false)?;
        }
        let header = &mut self.file.header;
        let highest =
            [ours, theirs].into_iter().filter_map(|side| side.signed.as_ref()).map(|signed| signed.generation).max();
        header.generation = header.generation.max(highest.unwrap_or_default());
        let names = mine.iter().chain(result.iter().filter(|access| find(&mine, &access.name).is_none()));
        let changes = names.map(|access| AccessChange {
            name: access.name.clone(),
            before: find(&mine, &access.name),
            after: find(&result, &access.name),
        });
        Ok(changes.filter(|change| change.before != change.after).collect())
    }
}

type Content<'a> = (Option<&'a Property>, Option<&'a OpenedValue>);

/// Whether two sides hold the same under a name: sealed values by what is in them, wherever both could be opened.
fn same(one: Content<'_>, other: Content<'_>) -> bool {
    match (one, other) {
        ((Some(Property::Sealed(_)), Some(one)), (Some(Property::Sealed(_)), Some(other))) => one.same_as(other),
        _ => one.0 == other.0,
    }
}

/// The side whose text is gone on with: theirs where only they changed comments. Where both did, the comments that theirs alone has
/// are left out.
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
    (ours, other.into_iter().filter(|comment| !common.contains(comment) && !mine.contains(comment)).collect())
}

#[cfg(test)]
#[allow(clippy::cloned_ref_to_slice_refs)] // one shape for all calls
mod tests {
    use super::*;
    use crate::header::Role;
    use crate::identity::Identity;
    use crate::sealed_file::SealedFile;
    use crate::value::ValueKind;
    use bootseal_memory::Secret;

    const TEXT: &str = "# ours\na = 1\nb = 1\n[acme]\nuser = \"u\" # who\n";

    struct Team {
        alice: Identity,
        bob: Identity,
        base: String,
    }

    fn path(text: &str) -> PropertyPath {
        text.parse().unwrap()
    }

    fn set(vault: &mut Vault<Writer>, name: &str, value: &str, now: u64) {
        vault.set(&path(name), ValueKind::Text, &Secret::copy_of(value.as_bytes()).unwrap(), now).unwrap();
    }

    fn read(text: &str) -> VerifiedFile {
        SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
    }

    fn value(vault: &Vault<Writer>, name: &str) -> String {
        vault.open(&path(name)).unwrap().secret.expose_str(str::to_owned).unwrap()
    }

    impl Team {
        fn new() -> Team {
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

        fn open(&self, text: &str) -> Vault<Writer> {
            read(text).open_for_writing(&[self.alice.clone()]).unwrap()
        }

        fn branch(&self, change: impl FnOnce(&mut Vault<Writer>)) -> String {
            let mut vault = self.open(&self.base);
            change(&mut vault);
            vault.sign().unwrap()
        }

        /// As a merge driver does it: into ours, or into theirs where the vault went on there.
        fn merge(&self, ours: &str, theirs: &str) -> Result<(Vault<Writer>, Merged)> {
            let (base, mine, other) = (self.open(&self.base), self.open(ours), self.open(theirs));
            let (base, a, b) = (Side::of(&base)?, Side::of(&mine)?, Side::of(&other)?);
            let mut vault = if mine.file().epoch() >= other.file().epoch() { mine } else { other };
            let merged = vault.merge(&base, &a, &b, |_| None, 300)?;
            let text = vault.sign()?;
            Ok((self.open(&text), merged))
        }
    }

    #[test]
    fn two_branches_that_changed_different_values_become_one() {
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
        assert_eq!(["acme.password", "acme.token", "acme.new"].map(|name| value(&vault, name)), ["p2", "t2", "n"]);
        assert!(vault.file().property(&path("a")).is_none());
        assert_eq!(merged.took.len(), 5);
        assert!(merged.left_out.is_empty() && merged.access.is_empty());
        // What stands in neither branch anew keeps its text, and so do the key blocks.
        assert!(vault.file().text().contains("# ours\nb = 2\n[acme]\nuser = \"u\" # who\n"));
        assert_eq!(vault.file().header.read_key, read(&team.base).header.read_key);
    }

    #[test]
    fn the_same_property_on_both_sides_is_a_conflict_unless_it_became_the_same() {
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
    fn a_removal_wins_whatever_the_other_side_did() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let removed = team.branch(|vault| drop(vault.remove_access("bob", 200).unwrap()));
        let added = team.branch(|vault| {
            set(vault, "acme.token", "t2", 150);
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        for (ours, theirs) in [(&removed, &added), (&added, &removed)] {
            let (vault, _) = team.merge(ours, theirs).unwrap();
            let names: Vec<&str> = vault.file().access().iter().map(|access| access.name.as_str()).collect();
            assert_eq!(names, ["alice", "web1"]);
            assert_ne!(vault.file().vault(), read(&team.base).vault());
            assert!(vault.file().former_ids().contains(&read(&team.base).vault()));
            assert_eq!(value(&vault, "acme.token"), "t2");
            assert_eq!(vault.file().known_to(150), ["bob"]);
            let text = vault.file().text();
            assert!(read(&text).open(&[team.bob.clone()]).is_err());
            assert!(read(&text).open(&[web1.clone()]).is_ok());
        }
    }

    #[test]
    fn two_removals_leave_keys_that_neither_has() {
        let team = Team::new();
        let (web1, web2) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let mut team = team;
        team.base = team.branch(|vault| {
            for (name, who) in [("web1", &web1), ("web2", &web2)] {
                vault.add_access(Access::new(name, Role::Reader, who.recipient()).unwrap()).unwrap();
            }
        });
        let one = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let two = team.branch(|vault| drop(vault.remove_access("web2", 201).unwrap()));
        // Each still opens the branch that removed the other, and so has its data key.
        let leaked = read(&one).open(&[web2.clone()]).unwrap();
        let (vault, _) = team.merge(&one, &two).unwrap();
        assert!(vault.file().epoch() > 2);
        assert_eq!(vault.file().known_to(100), ["web1", "web2"]);
        for who in [&web1, &web2] {
            assert!(read(&vault.file().text()).open(&[who.clone()]).is_err());
        }
        for (name, property) in vault.file().properties() {
            if let Property::Sealed(text) = property {
                assert!(value::open(&leaked.key, &vault.file().vault(), name, text).is_err());
            }
        }
    }

    #[test]
    fn both_rotated_and_one_number_does_not_stand_for_two_keys() {
        let team = Team::new();
        let one = team.branch(|vault| vault.rotate(false).unwrap());
        let two = team.branch(|vault| {
            vault.rotate(false).unwrap();
            set(vault, "acme.token", "t2", 200);
        });
        let (vault, merged) = team.merge(&one, &two).unwrap();
        assert_eq!(vault.file().epoch(), 3);
        assert_eq!(merged.took.len(), 1);
        assert_eq!(value(&vault, "acme.token"), "t2");
    }

    #[test]
    fn comments_of_either_side_stay_and_of_both_are_said() {
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
}
