//! Two sides of a merge whose vault id was handed over twice, to a different id on each side. Either
//! two writers removed a member each, or a former writer made one of the handovers. No file can
//! follow both.

use crate::ui::failure::{Failure, Result};
use bootseal_core::{Access, Kind, SealedFile, VaultId, VerifiedFile};

/// Two signed sides, and the newest former id that both have.
pub(crate) struct TwoHandovers {
    pub(crate) ours: VerifiedFile,
    pub(crate) theirs: VerifiedFile,
    from: VaultId,
}

impl TwoHandovers {
    /// Compares two texts; `None` if one of them is not signed, or continues the other one.
    pub(crate) fn of(ours: &[u8], theirs: &[u8]) -> Option<TwoHandovers> {
        let signed = |bytes: &[u8]| SealedFile::parse(bytes.to_vec()).ok()?.verify(&[]).ok();
        let (ours, theirs) = (signed(ours)?, signed(theirs)?);
        let (one, other) = (ours.former_ids(), theirs.former_ids());
        let is_one_line = ours.vault_id() == theirs.vault_id()
            || one.contains(&theirs.vault_id())
            || other.contains(&ours.vault_id());
        let from = one.iter().rev().find(|id| other.contains(id)).copied()?;
        (!is_one_line).then_some(TwoHandovers { ours, theirs, from })
    }

    /// Refuses two texts whose vault id was handed over twice.
    ///
    /// # Errors
    /// [`Kind::WrongVault`].
    pub(crate) fn refuse(ours: &[u8], theirs: &[u8]) -> Result<()> {
        TwoHandovers::of(ours, theirs).map_or(Ok(()), |two| Err(two.failure()))
    }

    /// The error without help.
    pub(crate) fn failure(&self) -> Failure {
        let text = format!(
            "{} was handed over twice, by our side to {} and by their side to {}, and a file can follow only one of them",
            self.from,
            self.ours.vault_id(),
            self.theirs.vault_id()
        );
        Failure::new(Kind::WrongVault, text)
    }
}

/// The command that repeats the removals of `other` on `kept`, the side to continue with.
pub(crate) fn again(kept: &VerifiedFile, other: &VerifiedFile) -> String {
    let is_gone =
        |member: &&Access| other.access().iter().all(|access| access.recipient != member.recipient);
    let gone: Vec<&str> =
        kept.access().iter().filter(is_gone).map(|access| access.name.as_str()).collect();
    let pin = kept.vault_id();
    match gone.is_empty() {
        true => format!("bootseal rotate --signing-key --pin {pin}"),
        false => format!("bootseal access remove {} --pin {pin}", gone.join(" ")),
    }
}
