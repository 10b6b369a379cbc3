//! How do two versions become one? By property, three ways; access by name, where a removal wins; `[bootseal]` made anew.

use crate::access::recipient::Recipient;
use crate::error::{Error, Kind, Result};
use crate::file::header::{Access, Removed};
use crate::file::verified::VerifiedFile;
use crate::keys::vault_id::VaultId;
use crate::review::changes::{AccessChange, Values, access_changes, by_name, find};
use crate::review::hand_edit::HandEdit;
use crate::text::document::{Document, Property};
use crate::text::path::PropertyPath;
use crate::text::toml_value::quoted;
use crate::vault::value::{self, OpenedValue};
use crate::vault::{CanRead, CanWrite, Vault};
use bootseal_memory::Secret;
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
    /// Who knows values of it, and up to when they were given, where older versions had to be asked for them.
    marks: Vec<(String, u64)>,
}

#[derive(Debug)]
struct Signed {
    vault: VaultId,
    access: Vec<Access>,
    removed: Vec<Removed>,
    generation: u64,
    epoch: u64,
    /// The value key, where it was opened: two sides with one may have been given two.
    key: Option<Secret>,
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
    pub fn of<Mode>(vault: &Vault<Mode>) -> Result<Side> {
        let mut side = Side { values: vault.open_all()?, ..Side::closed(vault.file())? };
        if let Some(signed) = &mut side.signed {
            signed.key = Some(vault.key.0.clone());
        }
        Ok(side)
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
                vault: header.vault,
                access: header.access.clone(),
                removed: header.removed.clone(),
                generation: header.generation,
                epoch: header.epoch,
                key: None,
            }),
            marks: Vec::new(),
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
    pub fn of_edit<Mode>(edit: &HandEdit, vault: &Vault<Mode>, versions: &[Vault<CanRead>]) -> Result<Side> {
        let (values, marks) = edit.open_with(vault, versions)?;
        Ok(Side { document: Document::parse(edit.document.text().to_owned())?, values, signed: None, marks })
    }

    /// A side with nothing in it: for two versions that have no common one.
    ///
    /// ```
    /// let base = bootseal_core::Side::empty();
    /// ```
    pub fn empty() -> Side {
        Side { document: Document::default(), values: Vec::new(), signed: None, marks: Vec::new() }
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
    /// Who one side let in or raised, and who was not: that side is from before new keys of the other, or there is no common version
    /// that is signed; a version from before a removal would let the removed one in again.
    pub not_let_in: Vec<Access>,
}

impl Vault<CanWrite> {
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
        self.check_sides(base, ours, theirs)?;
        let (before, mine, other) = (by_name(&base.values), by_name(&ours.values), by_name(&theirs.values));
        let mut took = Vec::new();
        // With no common version it cannot be told who added and who removed.
        let no_base = base.signed.is_none() && base.document.iter().next().is_none();
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
            } else if same(one, b) && !no_base {
                took.push((path.clone(), Taken::Ours));
                Taken::Ours
            } else if same(one, a) && !no_base {
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
        let before = self.file.header.access.clone();
        let not_let_in = self.merge_access(base, ours, theirs, now)?;
        self.mark_who_is_gone([base, ours, theirs])?;
        let header = &mut self.file.header;
        let generations =
            [ours, theirs].into_iter().filter_map(|side| side.signed.as_ref()).map(|signed| signed.generation);
        header.generation = header.generation.max(generations.max().unwrap_or_default());
        let access = access_changes(&before, &header.access);
        Ok(Merged { took, access, left_out, not_let_in })
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
        document = Document::parse(document.without_all(&gone.iter().collect::<Vec<_>>())?)?;
        let (mut changed, mut added) = (HashMap::new(), Vec::new());
        for (path, side) in wanted {
            let (source, values) = if *side == Taken::Ours { ours } else { theirs };
            let conflict = |what: &str| self.placed(Error::new(Kind::Conflict, what).at(path));
            let text = match (source.document.get(path), values.get(path)) {
                (Some(Property::Sealed(text)), Some(opened)) => {
                    // What opens under our keys keeps its text.
                    match value::open(&self.key, &self.file.vault_id(), path, text) {
                        Ok(_) => quoted(text),
                        Err(_) => quoted(&self.seal_as_it_was(path, opened)?),
                    }
                }
                (Some(Property::Sealed(_)), None) => {
                    return Err(conflict("your keys do not open this value on the side that it comes from"));
                }
                (same, _) if same == document.get(path) => continue,
                _ if document.has_blocks(path) || source.document.has_blocks(path) => {
                    return Err(conflict(
                        "one side changed an array of tables, which is in more than one place of the text",
                    )
                    .with_help("Take one side as a whole (git checkout --ours FILE, or --theirs), change the blocks there, then: bootseal sign"));
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
        let added: Vec<(&PropertyPath, &str)> = added.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let text = document.with_new(&added)?;
        self.check_result(&text, wanted, ours, theirs)?;
        Ok(text)
    }

    /// Every wanted property, and no other, holds what it held on the side that it comes from.
    fn check_result(
        &self,
        text: &str,
        wanted: &[(PropertyPath, Taken)],
        ours: (&Side, &Values<'_>),
        theirs: (&Side, &Values<'_>),
    ) -> Result<()> {
        let read = Document::parse(text.to_owned())?;
        let holds = |(path, side): &(PropertyPath, Taken)| {
            let (source, values) = if *side == Taken::Ours { ours } else { theirs };
            match (read.get(path), values.get(path)) {
                (Some(Property::Sealed(text)), Some(opened)) => {
                    value::open(&self.key, &self.file.vault_id(), path, text)
                        .is_ok_and(|read| read.same_as(opened) && read.set_at == opened.set_at)
                }
                (found, None) => found == source.document.get(path),
                _ => false,
            }
        };
        match read.iter().count() == wanted.len() && wanted.iter().all(holds) {
            true => Ok(()),
            false => Err(self.placed(Error::new(Kind::Conflict, "the tables of both sides do not go together"))),
        }
    }

    /// A signed side is of this vault, or of one that it was; neither is older than what both came from.
    fn check_sides(&self, base: &Side, ours: &Side, theirs: &Side) -> Result<()> {
        let signed = [base, ours, theirs].into_iter().filter_map(|side| side.signed.as_ref());
        let former = self.file.former_ids();
        for side in signed {
            if side.vault != self.file.vault_id() && !former.contains(&side.vault) {
                let what = format!("a side of the merge is of the vault {}, which this is not and was not", side.vault);
                return Err(self.placed(Error::new(Kind::WrongVault, what)));
            }
        }
        let common = base.signed.as_ref().map_or(0, |signed| signed.generation);
        match [ours, theirs].into_iter().filter_map(|side| side.signed.as_ref()).all(|side| side.generation >= common) {
            true => Ok(()),
            false => {
                Err(self
                    .placed(Error::new(Kind::OldGeneration, "a side of the merge is older than what both came from")))
            }
        }
    }

    /// Brings the access list of this vault to what both sides made of the common one; who was not let in.
    fn merge_access(&mut self, base: &Side, ours: &Side, theirs: &Side, now: u64) -> Result<Vec<Access>> {
        let current = self.file.header.access.clone();
        let (result, not_let_in) = match (&ours.signed, &theirs.signed) {
            (Some(ours), Some(theirs)) => self.joined(base.signed.as_ref(), ours, theirs)?,
            // Of a hand edit only properties are taken.
            _ => (current.clone(), Vec::new()),
        };
        // Those who come and change first: the last writer may go only when another is there.
        let mut renamed = Vec::new();
        for entry in &result {
            let same_key = current
                .iter()
                .find(|access| access.recipient == entry.recipient && find(&result, &access.name).is_none());
            match (find(&current, &entry.name), same_key) {
                (None, Some(old)) if old.role == entry.role => {
                    renamed.push(old.name.clone());
                    self.rename_access(&old.name, entry)?;
                }
                (None, Some(old)) => {
                    let what = format!("one side calls {} {}, in another role", old.name, entry.name);
                    return Err(self.placed(Error::new(Kind::Conflict, what)));
                }
                (None, None) => self.add_access(entry.clone())?,
                (Some(before), _) if before != *entry => drop(self.replace_access(entry.clone(), now)?),
                _ => {}
            }
        }
        for gone in
            current.iter().filter(|access| find(&result, &access.name).is_none() && !renamed.contains(&access.name))
        {
            self.remove_access(&gone.name, now)?;
        }
        if let (Some(a), Some(b)) = (&ours.signed, &theirs.signed)
            && a.epoch == b.epoch
            && self.file.header.epoch == a.epoch
            && two_keys(base.signed.as_ref(), a, b)
        {
            // One number must not stand for two keys.
            self.rotate(false)?;
        }
        Ok(not_let_in)
    }

    /// The list that three lists make, and who is not let in.
    fn joined(&self, base: Option<&Signed>, ours: &Signed, theirs: &Signed) -> Result<(Vec<Access>, Vec<Access>)> {
        let has = |list: &[Access], recipient: &Recipient| list.iter().any(|access| access.recipient == *recipient);
        let (mine, other) = (&ours.access, &theirs.access);
        let conflict = |name: &str| {
            let what = format!("both sides gave {name} another role or recipient in access");
            self.placed(Error::new(Kind::Conflict, what))
        };
        let (mut result, mut not_let_in): (Vec<Access>, Vec<Access>) = (Vec::new(), Vec::new());
        for access in mine.iter().chain(other.iter().filter(|access| find(mine, &access.name).is_none())) {
            let name = &access.name;
            let (a, b) = (find(mine, name), find(other, name));
            let Some(base) = base else {
                match (a, b) {
                    (Some(a), Some(b)) if a == b => result.push(a),
                    (Some(_), Some(_)) => return Err(conflict(name)),
                    // Let in on one side, or removed on the other? A removal wins.
                    (a, b) => not_let_in.extend(a.or(b)),
                }
                continue;
            };
            // A side from before the other's new keys may be a version that was put back: it lets nobody in.
            let entry = match (find(&base.access, name), a, b) {
                (_, Some(a), Some(b)) if a == b => a,
                (Some(one), Some(a), Some(b)) if one == b && ours.epoch >= theirs.epoch => a,
                (Some(one), Some(a), Some(b)) if one == a && theirs.epoch >= ours.epoch => b,
                (Some(one), Some(a), Some(b)) if one == a || one == b => {
                    let (kept, refused) = if one == a { (a, b) } else { (b, a) };
                    not_let_in.push(refused);
                    kept
                }
                (_, Some(_), Some(_)) => return Err(conflict(name)),
                // In the common list and missing on one side: removed there, and a removal wins.
                (Some(_), _, _) => continue,
                (None, Some(a), None) if ours.epoch >= theirs.epoch => a,
                (None, None, Some(b)) if theirs.epoch >= ours.epoch => b,
                (None, a, b) => {
                    not_let_in.extend(a.or(b));
                    continue;
                }
            };
            // By recipient as well: one side may have removed what the other only gave another name.
            let was = has(&base.access, &entry.recipient);
            if !was || has(mine, &entry.recipient) && has(other, &entry.recipient) {
                result.push(entry);
            }
        }
        Ok((result, not_let_in))
    }

    /// What anyone knew who was removed on either side, or is in no list any more, stays marked.
    fn mark_who_is_gone(&mut self, sides: [&Side; 3]) -> Result<()> {
        let mut marks: Vec<(String, u64)> = Vec::new();
        for side in sides {
            marks.extend(side.marks.iter().cloned());
            let Some(signed) = &side.signed else { continue };
            marks.extend(signed.removed.iter().map(|removed| (removed.name.clone(), removed.at)));
            let newest = side.values.iter().map(|(_, value)| value.set_at).max();
            let here = &self.file.header.access;
            let gone = signed.access.iter().filter(|access| !here.iter().any(|now| now.recipient == access.recipient));
            marks.extend(gone.filter_map(|access| Some((access.name.clone(), newest?))));
        }
        self.mark(marks)
    }
}

/// Whether two sides of one epoch have two data keys, as far as that can be told.
fn two_keys(base: Option<&Signed>, ours: &Signed, theirs: &Signed) -> bool {
    match (&ours.key, &theirs.key) {
        (Some(one), Some(other)) => !one.same_as(other),
        _ => base.is_none_or(|base| base.epoch < ours.epoch),
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
    use crate::access::identity::Identity;
    use crate::file::header::Role;
    use crate::file::sealed::SealedFile;
    use crate::vault::value::ValueKind;
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

    fn set(vault: &mut Vault<CanWrite>, name: &str, value: &str, now: u64) {
        vault.set(&path(name), ValueKind::Text, &Secret::copy_of(value.as_bytes()).unwrap(), now).unwrap();
    }

    fn read(text: &str) -> VerifiedFile {
        SealedFile::parse(text.as_bytes().to_vec()).unwrap().verify(&[]).unwrap()
    }

    fn value(vault: &Vault<CanWrite>, name: &str) -> String {
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

        fn open(&self, text: &str) -> Vault<CanWrite> {
            read(text).open_for_writing(&[self.alice.clone()]).unwrap()
        }

        fn branch(&self, change: impl FnOnce(&mut Vault<CanWrite>)) -> String {
            let mut vault = self.open(&self.base);
            change(&mut vault);
            vault.sign().unwrap()
        }

        /// As a merge driver does it: into ours, or into theirs where the vault went on there.
        fn merge(&self, ours: &str, theirs: &str) -> Result<(Vault<CanWrite>, Merged)> {
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
            let (vault, merged) = team.merge(ours, theirs).unwrap();
            let names: Vec<&str> = vault.file().access().iter().map(|access| access.name.as_str()).collect();
            // Who was let in on the side from before the new keys is said, and let in by hand: it may be an old file that was put back.
            assert_eq!((names, merged.not_let_in.len()), (vec!["alice"], 1));
            assert_ne!(vault.file().vault_id(), read(&team.base).vault_id());
            assert!(vault.file().former_ids().contains(&read(&team.base).vault_id()));
            assert_eq!(value(&vault, "acme.token"), "t2");
            // Who was let in on that branch has read what is on it.
            assert_eq!(vault.file().known_to(150), ["web1", "bob"]);
            let text = vault.file().text();
            assert!(read(&text).open(&[team.bob.clone()]).is_err());
            assert!(read(&text).open(&[web1.clone()]).is_err());
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
                assert!(value::open(&leaked.key, &vault.file().vault_id(), name, text).is_err());
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

    /// Found by review: every signed version lies in git for whoever wants to put it onto a branch.
    #[test]
    fn a_version_from_before_a_removal_lets_nobody_in_again() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let with = team.branch(|vault| {
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        let next = |text: &str, change: &dyn Fn(&mut Vault<CanWrite>)| {
            let mut vault = team.open(text);
            change(&mut vault);
            vault.sign().unwrap()
        };
        let without = next(&with, &|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let ours = next(&without, &|vault| set(vault, "acme.password", "new", 300));
        let (vault, merged) = team.merge(&ours, &with).unwrap();
        assert_eq!((vault.file().access().len(), merged.not_let_in[0].name.as_str()), (2, "web1"));
        assert!(read(&vault.file().text()).open(&[web1]).is_err());
    }

    #[test]
    fn what_was_given_on_a_branch_where_the_removed_one_still_read_stays_marked() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let mut team = team;
        team.base = team.branch(|vault| {
            vault.add_access(Access::new("web1", Role::Reader, web1.recipient()).unwrap()).unwrap();
        });
        let removed = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let other = team.branch(|vault| set(vault, "acme.token", "t2", 250));
        for (ours, theirs) in [(&removed, &other), (&other, &removed)] {
            let (vault, _) = team.merge(ours, theirs).unwrap();
            assert_eq!(vault.open(&path("acme.token")).unwrap().set_at, 250);
            assert_eq!(vault.file().known_to(250), ["web1"]);
        }
    }

    #[test]
    fn a_removal_goes_by_recipient_whatever_the_other_side_calls_it() {
        let team = Team::new();
        let web1 = Identity::generate().unwrap();
        let access = |name: &str| Access::new(name, Role::Reader, web1.recipient()).unwrap();
        let mut team = team;
        team.base = team.branch(|vault| vault.add_access(access("web1")).unwrap());
        let removed = team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap()));
        let renamed = team.branch(|vault| vault.rename_access("web1", &access("web-1")).unwrap());
        for (ours, theirs) in [(&removed, &renamed), (&renamed, &removed)] {
            let (vault, _) = team.merge(ours, theirs).unwrap();
            assert!(read(&vault.file().text()).open(&[web1.clone()]).is_err());
        }
        // Another name alone lets nobody go.
        let both = team.branch(|vault| {
            vault.remove_access("web1", 200).unwrap();
            vault.add_access(access("web-1")).unwrap();
        });
        let (vault, _) = team.merge(&both, &renamed).unwrap();
        assert!(read(&vault.file().text()).open(&[web1.clone()]).is_ok());
    }

    #[test]
    fn without_a_signed_common_version_nobody_is_let_in_who_one_side_does_not_have() {
        let team = Team::new();
        let (web1, web2) = (Identity::generate().unwrap(), Identity::generate().unwrap());
        let mut team = team;
        team.base = team.branch(|vault| {
            for (name, who) in [("web1", &web1), ("web2", &web2)] {
                vault.add_access(Access::new(name, Role::Reader, who.recipient()).unwrap()).unwrap();
            }
        });
        let one = team.open(&team.branch(|vault| drop(vault.remove_access("web1", 200).unwrap())));
        let two = team.open(&team.branch(|vault| drop(vault.remove_access("web2", 200).unwrap())));
        let (a, b) = (Side::of(&one).unwrap(), Side::of(&two).unwrap());
        let mut vault = one;
        let merged = vault.merge(&Side::empty(), &a, &b, |_| Some(Taken::Ours), 300).unwrap();
        assert_eq!((vault.file().access().len(), merged.not_let_in.len()), (2, 2));
        assert!(vault.file().epoch() > 2);
    }

    #[test]
    fn a_changed_block_is_a_conflict_and_never_half_taken() {
        let mut team = Team::new();
        let edit = |text: String| HandEdit::parse(text.into_bytes()).unwrap();
        let with = |team: &Team, from: &str, to: &str| {
            let edited = edit(team.base.replace(from, to));
            team.branch(|vault| drop(vault.adopt(&edited, &[]).unwrap()))
        };
        team.base = with(&team, "[acme]", "[[rules]]\nhost = \"a\"\n[[rules]]\nhost = \"b\"\n[acme]");
        let theirs = with(&team, "host = \"a\"", "host = \"c\"");
        let ours = team.branch(|vault| set(vault, "acme.token", "t2", 200));
        assert_eq!(team.merge(&ours, &theirs).unwrap_err().kind(), Kind::Conflict);
        let unchanged = team.branch(|vault| set(vault, "acme.password", "p2", 200));
        assert!(team.merge(&ours, &unchanged).is_ok());
    }

    #[test]
    fn a_side_of_another_vault_or_older_than_the_common_one_is_none() {
        let team = Team::new();
        let ours = team.branch(|vault| set(vault, "acme.token", "t2", 200));
        let foreign = Team::new();
        let sides = (Side::of(&team.open(&team.base)).unwrap(), Side::of(&team.open(&ours)).unwrap());
        let theirs = Side::of(&foreign.open(&foreign.base)).unwrap();
        let error = team.open(&ours).merge(&sides.0, &sides.1, &theirs, |_| None, 300).unwrap_err();
        assert_eq!(error.kind(), Kind::WrongVault);
        let newer = Side::of(&team.open(&ours)).unwrap();
        let error = team.open(&ours).merge(&newer, &sides.1, &sides.0, |_| None, 300).unwrap_err();
        assert_eq!(error.kind(), Kind::OldGeneration);
    }
}
