//! Renames of members in a merge: both sides and the common version get every new name, so that the
//! entries of one member are compared with each other.

use crate::error::{Error, Kind, Result};
use crate::file::header::Access;
use crate::review::changes::find;
use crate::review::merge::Taken;
use crate::review::merge::side::Side;
use crate::shown::shell_word;
use crate::vault::{CanWrite, Vault};

/// A member whom the two sides gave different names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NameClash {
    /// The name in the common version.
    pub name: String,
    /// The name on our side.
    pub ours: String,
    /// The name on their side.
    pub theirs: String,
}

impl NameClash {
    /// Lists the members whom both sides renamed differently: [`Vault::merge`] needs a decision for
    /// each of them.
    ///
    /// [`Vault::merge`]: crate::Vault::merge
    pub fn between(base: &Side, ours: &Side, theirs: &Side) -> Vec<NameClash> {
        match [base, ours, theirs].map(|side| side.signed.as_ref()) {
            [Some(base), Some(ours), Some(theirs)] => {
                let theirs = renames(&base.access, &theirs.access);
                clashes(&renames(&base.access, &ours.access), &theirs).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Gives the member the name of one side on both sides, and in the vault that is merged into.
    /// `ours` and `theirs` are those of [`NameClash::between`].
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the other side has another member of that name.
    pub fn take(
        &self,
        side: Taken,
        vault: &mut Vault<CanWrite>,
        (ours, theirs): (&mut Side, &mut Side),
    ) -> Result<()> {
        let (old, new, other) = match side {
            Taken::Ours => (&self.theirs, &self.ours, theirs),
            Taken::Theirs => (&self.ours, &self.theirs, ours),
        };
        let Some(signed) = &mut other.signed else { return Ok(()) };
        if find(&signed.access, new).is_some() {
            return Err(taken(&self.name, new));
        }
        for entry in signed.access.iter_mut().filter(|entry| entry.name == *old) {
            entry.name.clone_from(new);
        }
        // The list of the vault is that of one side.
        match find(&vault.file.header.access, new) {
            Some(_) => Ok(()),
            None => vault.rename_access(old, new),
        }
    }
}

/// Returns the lists of the common version, of our side and of their side, with the names that
/// members have after the renames of both sides.
///
/// # Errors
/// [`Kind::Conflict`] if the sides gave one member two names, or two members one name.
pub(super) fn with_all_renames([base, ours, theirs]: [&[Access]; 3]) -> Result<[Vec<Access>; 3]> {
    let (mine, other) = (renames(base, ours), renames(base, theirs));
    if let Some(NameClash { name, ours, theirs }) = clashes(&mine, &other).next() {
        let what = format!("our side renamed {name} to {ours}, and their side to {theirs}");
        return Err(Error::new(Kind::Conflict, what));
    }
    for (renamed, list) in [(&mine, theirs), (&other, ours)] {
        for (old, new) in renamed {
            if find(list, old).is_some() && find(list, new).is_some() {
                return Err(taken(old, new));
            }
        }
    }
    let all: Vec<(&str, &str)> = mine.into_iter().chain(other).collect();
    Ok([base, ours, theirs].map(|list| list.iter().map(|entry| renamed(entry, &all)).collect()))
}

/// The renames of one member to two names.
fn clashes<'a>(
    ours: &'a [(&str, &str)],
    theirs: &'a [(&str, &str)],
) -> impl Iterator<Item = NameClash> + 'a {
    ours.iter().filter_map(|(old, new)| {
        let (_, other) = theirs.iter().find(|(name, to)| name == old && to != new)?;
        let [name, ours, theirs] = [old, new, other].map(|name| (*name).to_owned());
        Some(NameClash { name, ours, theirs })
    })
}

/// The error of a new name that another member has on the other side.
fn taken(old: &str, new: &str) -> Error {
    let what = format!("one side renamed {old} to {new}, and the other added {new}");
    Error::new(Kind::Conflict, what).with_help(format!(
        "Abort the merge, give {new} another name on our side, commit it, and merge again: bootseal access rename {} NAME",
        shell_word(new)
    ))
}

/// The members of `base` that have another name on this side, each with its old and new name.
fn renames<'a>(base: &'a [Access], side: &'a [Access]) -> Vec<(&'a str, &'a str)> {
    let gone = base.iter().filter(|old| find(side, &old.name).is_none());
    gone.filter_map(|old| {
        let same =
            |now: &&Access| now.recipient == old.recipient && find(base, &now.name).is_none();
        Some((old.name.as_str(), side.iter().find(same)?.name.as_str()))
    })
    .collect()
}

fn renamed(entry: &Access, all: &[(&str, &str)]) -> Access {
    match all.iter().find(|(old, _)| *old == entry.name) {
        Some((_, new)) => Access { name: (*new).to_owned(), ..entry.clone() },
        None => entry.clone(),
    }
}
