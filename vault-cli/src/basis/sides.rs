//! The sides of a merge, for git's driver and for `resolve`: decides whether a side is trusted, and
//! reads it.

use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    CanRead, CanWrite, HandEdit, Kind, Pin, SealedFile, Side, Trust, Vault, VerifiedFile,
};
use std::path::Path;

/// The verdict on one side of a merge.
pub(crate) enum Judged {
    /// It verifies, and its vault is pinned or known on this machine.
    Trusted(Box<VerifiedFile>),
    /// Its signature is valid, but its vault is neither pinned nor known.
    Unknown(Box<VerifiedFile>),
    /// It does not verify, or it is refused for this reason.
    Refused(String),
}

/// Judges one side of a merge of the file at `path`.
pub(crate) fn judge(
    bytes: &[u8],
    path: &Path,
    keys: &Keys,
    pins: &[Pin],
    context: &Context<'_>,
) -> Result<Judged> {
    let mut file = match SealedFile::parse(bytes.to_vec()).and_then(|file| file.verify(pins)) {
        Ok(file) => file.with_plugins(&keys.plugins),
        Err(error) => return Ok(Judged::Refused(error.what().to_owned())),
    };
    let memory = Memory::of(path, context)?;
    if let Err(error) = memory.recognise(&mut file).and_then(|()| memory.refuse_older(&file)) {
        return Ok(Judged::Refused(error.what().to_owned()));
    }
    Ok(match file.trust() {
        Trust::Unverified => Judged::Unknown(Box::new(file)),
        _ => Judged::Trusted(Box::new(file)),
    })
}

/// Opens the side that is merged into the other, for reading.
pub(crate) fn side(file: VerifiedFile, keys: &mut Keys, context: &mut Context<'_>) -> Result<Side> {
    keys.unlock_unasked(&file, context)?;
    match file.role_of(&keys.identities) {
        Some(_) => Ok(Side::of(&file.open(&keys.identities)?)?),
        None => Ok(Side::closed(&file)?),
    }
}

/// Reads the user's part of a side that does not verify, or is not trusted. Its sealed values must
/// occur in signed versions.
pub(crate) fn edited(
    bytes: &[u8],
    vault: &Vault<CanWrite>,
    versions: &[Vault<CanRead>],
) -> Result<Side> {
    let edit = HandEdit::parse(bytes.to_vec()).map_err(|error| match error.kind() {
        Kind::Malformed => Failure::from(
            error.with_help("Take the whole other side: git checkout --ours FILE, or --theirs"),
        ),
        _ => error.into(),
    })?;
    Ok(Side::of_edit(&edit, vault, versions)?)
}
