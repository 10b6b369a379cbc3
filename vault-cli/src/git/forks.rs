//! Refuses to follow a handover if git has another one of the same id: a former writer may have
//! made one of them, on any branch.

use crate::git::history::{Gap, in_git};
use crate::git::version::Version;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind, SignedVersion, Trust, VaultId, VerifiedFile};
use std::collections::HashSet;
use std::path::Path;

/// Two ids that the same former id was handed over to.
pub(crate) struct Fork(VaultId, VaultId);

impl Fork {
    /// Finds two current ids among these versions that both succeed the same former id.
    pub(crate) fn among(found: &[Version]) -> Option<Fork> {
        let dead: HashSet<&VaultId> =
            found.iter().flat_map(|version| version.signed.former_ids()).collect();
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

/// Refuses a file that the known or pinned vault was handed over to, if any version in git hands the
/// same id over to another one. Once one handover is recorded, the machine's records refuse others.
///
/// # Errors
/// [`Kind::WrongVault`] if there is another handover; the errors of [`contradicting`].
pub(crate) fn refuse_forked(
    file: &VerifiedFile,
    path: &Path,
    known: Option<VaultId>,
) -> Result<()> {
    match contradicting(file, path, known)? {
        Some((fork, _)) => Err(fork.error(path)),
        None => Ok(()),
    }
}

/// Finds a version in git that hands the known or pinned vault over to another id than a file does,
/// or a later id of the file's chain.
///
/// # Errors
/// [`Kind::WrongVault`] if git has too many versions to check; the errors of git.
pub(crate) fn contradicting(
    file: &VerifiedFile,
    path: &Path,
    known: Option<VaultId>,
) -> Result<Option<(Fork, SignedVersion)>> {
    let mut chain = file.former_ids();
    chain.push(file.vault_id());
    let place = |id: Option<VaultId>| id.and_then(|id| chain.iter().position(|one| *one == id));
    let Some(start) = place(known).max(place(file.handed_over_from())) else { return Ok(None) };
    let confirmed = file.trust() == Trust::Pinned && file.handed_over_from().is_none();
    if confirmed || start + 1 == chain.len() {
        return Ok(None);
    }
    let (_, all) = in_git(path)?;
    let found = all.versions.iter().find_map(|version| {
        Some((fork_of(&chain[start..], &version.signed)?, version.signed.clone()))
    });
    if found.is_none() && all.gap == Some(Gap::Limits) {
        all.require_complete(&path.to_string_lossy())?;
    }
    Ok(found)
}

/// The fork, if a version hands one of the ids of a chain over to another id than the chain does.
fn fork_of(chain: &[VaultId], version: &SignedVersion) -> Option<Fork> {
    let other: Vec<VaultId> =
        version.former_ids().iter().copied().chain([version.vault_id()]).collect();
    chain.windows(2).find_map(|step| {
        let next = other.windows(2).find(|next| next[0] == step[0] && next[1] != step[1])?;
        Some(Fork(step[1], next[1]))
    })
}
