//! Renames of members in a merge: both sides and the common version get every new name, so that the
//! entries of one member are compared with each other.

use crate::error::{Error, Kind, Result};
use crate::file::header::Access;
use crate::review::changes::find;

/// Returns the lists of the common version, of our side and of their side, with the names that
/// members have after the renames of both sides.
///
/// # Errors
/// [`Kind::Conflict`] if the sides gave one member two names, or two members one name.
pub(super) fn with_all_renames([base, ours, theirs]: [&[Access]; 3]) -> Result<[Vec<Access>; 3]> {
    let (mine, other) = (renames(base, ours), renames(base, theirs));
    for (old, new) in &mine {
        if let Some((_, another)) = other.iter().find(|(name, to)| name == old && to != new) {
            let what = format!("one side renamed {old} to {new}, and the other to {another}");
            return Err(Error::new(Kind::Conflict, what));
        }
    }
    for (renamed, list) in [(&mine, theirs), (&other, ours)] {
        for (old, new) in renamed {
            if find(list, old).is_some() && find(list, new).is_some() {
                let what = format!("one side renamed {old} to {new}, and the other added {new}");
                return Err(Error::new(Kind::Conflict, what));
            }
        }
    }
    let all: Vec<(&str, &str)> = mine.into_iter().chain(other).collect();
    Ok([base, ours, theirs].map(|list| list.iter().map(|entry| renamed(entry, &all)).collect()))
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
