//! Compares a handover with those in git: if an id was handed over twice, a former writer may have
//! made one of the handovers, on any branch and under any name of the file.

use crate::git::history::Gap;
use crate::git::repository::Repository;
use crate::git::version::{Version, handed_over};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind, SignedVersion, VaultId, VerifiedFile};
use std::collections::HashSet;
use std::path::Path;

/// Two ids that the same former id was handed over to.
#[derive(Clone)]
pub(crate) struct Fork(VaultId, VaultId);

impl Fork {
    /// Finds two current ids among these versions that both succeed the same former id.
    pub(crate) fn among(found: &[Version]) -> Option<Fork> {
        let dead = handed_over(found);
        let mut live: Vec<&SignedVersion> = found.iter().map(|version| &version.signed).collect();
        let mut seen = HashSet::new();
        live.retain(|one| !dead.contains(&one.vault_id()) && seen.insert(one.vault_id()));
        let shares = |one: &SignedVersion, other: &SignedVersion| {
            one.former_ids().iter().any(|id| other.former_ids().contains(id))
        };
        live.iter().enumerate().find_map(|(at, one)| {
            let other = live[at + 1..].iter().find(|other| shares(one, other))?;
            Some(Fork(one.vault_id(), other.vault_id()))
        })
    }

    /// The error for the file at `path`.
    pub(crate) fn error(&self, path: &Path) -> Failure {
        let Fork(one, other) = self;
        let what = format!(
            "this vault was handed over twice, to {one} and to {other}: a former writer may have made one of them"
        );
        Error::new(Kind::WrongVault, what)
            .in_file(path)
            .with_help(
                "Ask the person who removed the last writer, and name the right one: --pin VAULT",
            )
            .into()
    }
}

/// The handovers of a file that a machine would follow for the first time, compared with those of
/// all files on all branches and tags.
#[derive(Clone)]
pub(crate) struct Compared {
    /// The fork, and the version in git with the other handover.
    pub(crate) fork: Option<(Fork, SignedVersion)>,
    /// Why not every version could be compared.
    pub(crate) gap: Option<Gap>,
}

impl Compared {
    /// Refuses a fork, and a comparison that reached the limits, which anyone who can push can
    /// cause.
    ///
    /// # Errors
    /// [`Kind::WrongVault`], in both cases.
    pub(crate) fn refuse_fork(&self, file: &VerifiedFile, path: &Path) -> Result<()> {
        match (&self.fork, self.gap) {
            (Some((fork, _)), _) => Err(fork.error(path)),
            (None, Some(Gap::Limits)) => Err(incomplete(file, path, Gap::Limits)),
            (None, _) => Ok(()),
        }
    }

    /// Refuses a fork, and a comparison that is not complete.
    ///
    /// # Errors
    /// [`Kind::WrongVault`], in both cases.
    pub(crate) fn require(&self, file: &VerifiedFile, path: &Path) -> Result<()> {
        self.refuse_fork(file, path)?;
        self.gap.map_or(Ok(()), |gap| Err(incomplete(file, path, gap)))
    }
}

/// Compares the handovers of a file with those in git, beginning with the handover of `known`, the
/// id that is known or pinned. `None` if the file contains no handover that is still undecided.
///
/// # Errors
/// The errors of git.
pub(crate) fn compare(
    file: &VerifiedFile,
    path: &Path,
    known: Option<VaultId>,
    is_decided: impl Fn(&VaultId) -> bool,
) -> Result<Option<Compared>> {
    let mut chain = file.former_ids();
    chain.push(file.vault_id());
    let place = |id: Option<VaultId>| id.and_then(|id| chain.iter().position(|one| *one == id));
    let Some(start) = place(known).max(place(file.handed_over_from())) else { return Ok(None) };
    let confirmed = file.is_pinned_itself();
    let open: Vec<&[VaultId]> =
        chain[start..].windows(2).filter(|step| !is_decided(&step[0])).collect();
    if confirmed || open.is_empty() {
        return Ok(None);
    }
    let mut gap = None;
    for repository in Repository::around(path)? {
        let names = [repository.name_of(path).ok(), repository.name_as_written(path)];
        let names: Vec<String> = names.into_iter().flatten().collect();
        let all = repository.all_sealed(&names)?;
        let fork = all.versions.iter().find_map(|version| fork_of(&open, &version.signed));
        if fork.is_some() {
            return Ok(Some(Compared { fork, gap: None }));
        }
        gap = gap.or(all.gap);
    }
    Ok(Some(Compared { fork: None, gap }))
}

/// The fork, if a version contradicts one of `steps`, each of which is an id and the id to which it
/// was handed over.
fn fork_of(steps: &[&[VaultId]], version: &SignedVersion) -> Option<(Fork, SignedVersion)> {
    let other: Vec<VaultId> =
        version.former_ids().iter().copied().chain([version.vault_id()]).collect();
    let fork = steps.iter().find_map(|step| {
        let next = other.windows(2).find(|next| next[0] == step[0] && next[1] != step[1])?;
        Some(Fork(step[1], next[1]))
    })?;
    Some((fork, version.clone()))
}

/// The error of a comparison that is not complete.
fn incomplete(file: &VerifiedFile, path: &Path, gap: Gap) -> Failure {
    let id = file.vault_id();
    let why = match gap {
        Gap::Limits => "git has too many versions to compare it with",
        Gap::Missing => "this clone is partial, so versions to compare it with are missing",
        Gap::Shallow => "this clone is shallow, so versions to compare it with may be missing",
    };
    let what = format!(
        "this vault was handed over to {id}, and {why}: a former writer may have made this handover"
    );
    Error::new(Kind::WrongVault, what)
        .in_file(path)
        .with_help(format!("{}If it is the right vault, confirm it: --pin {id}", gap.fetch()))
        .into()
}
