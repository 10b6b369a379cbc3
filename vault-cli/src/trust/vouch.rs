//! Decides whether a file is the right vault: by a pin, by the known vaults, or by asking the user.

use crate::context::Context;
use crate::trust::memory::{Memory, remember};
use crate::ui::failure::{Failure, Result};
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::tables;
use bootseal_core::{Kind, Pin, SealedFile, Shown, Trust, VerifiedFile};
use std::path::Path;

/// How to see an access list that is longer than a screen.
const SEE_ALL: &str = "To see all: bootseal access list.";

/// Verifies a file against the pins, and against the known vault of the path.
pub(crate) fn verified(
    file: SealedFile,
    path: &Path,
    memory: &Memory,
    pins: &[Pin],
    context: &mut Context<'_>,
) -> Result<VerifiedFile> {
    let signed = file.verify_signature()?;
    if pins.is_empty() {
        memory.refuse_other_vault(&signed)?;
    }
    let mut file = signed.under(pins)?;
    memory.recognise(&mut file)?;
    if let Some(old) = file.handed_over_from() {
        context.ui.warn(format_args!(
            "the pin {old} is outdated: this vault is now {}; renew the pin",
            file.vault_id()
        ));
    }
    context.ui.detail(format_args!(
        "{}: {}, generation {}, {}",
        Shown::path(path),
        file.vault_id(),
        file.generation(),
        trusted(&file)
    ));
    Ok(file)
}

/// Makes sure that the vault is pinned, known or confirmed by the user before a secret is sealed
/// into the file. Otherwise anyone could replace the file with their own vault, and open the
/// password that is sealed into it.
pub(crate) fn vouch(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    memory.refuse_older(file)?;
    known_or_confirmed(file, memory, path, context)
}

/// Like [`vouch`], for a version that the user named as the one to continue from: its epoch may be
/// older than one seen, because it gets new keys.
pub(crate) fn vouch_for_named(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    memory.refuse_handed_over(file)?;
    known_or_confirmed(file, memory, path, context)
}

/// Remembers a trusted file, and asks about any other.
fn known_or_confirmed(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    if file.trust() != Trust::Unverified {
        // A handover is added to the known vaults only when the file is next written, not when it
        // is read.
        if memory
            .vault_id()
            .is_none_or(|known| known == file.vault_id() || !file.former_ids().contains(&known))
        {
            remember(path, file, context);
        }
        return Ok(());
    }
    confirm(file, path, context)
}

/// Makes sure that the vault is pinned, known or confirmed by the user before its values leave for a
/// program, a shell or a vendor: whoever made the vault chose names and addresses. An older version
/// of a known vault is accepted.
pub(crate) fn vouch_for_use(
    file: &mut VerifiedFile,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    match file.trust() {
        Trust::Unverified => confirm(file, path, context),
        _ => Ok(()),
    }
}

/// Adds the command that reads the file anyway to the error of a file that is refused as another or
/// an older vault. A file with an invalid signature is never read.
pub(crate) fn or_read_anyway(failure: Failure, path: &Path) -> Failure {
    if !matches!(failure.kind(), Kind::WrongVault | Kind::OldGeneration) {
        return failure;
    }
    match SealedFile::read(path).and_then(|file| file.verify(&[])) {
        Ok(file) => failure.and_help(&format!(
            "To read this file anyway: --pin {}. It may be someone else's, or out of date.",
            file.vault_id()
        )),
        Err(_) => failure,
    }
}

/// Warns if the vault is neither pinned nor known, where values are only shown.
pub(crate) fn warn_if_unknown(file: &VerifiedFile, path: &Path, context: &mut Context<'_>) {
    if file.trust() == Trust::Unverified {
        context.ui.warn(format_args!("{}. {}", unknown(file, path), how_to_pin(file)));
    }
}

/// The commands that pin the vault, for one run and in a key file.
pub(crate) fn how_to_pin(file: &VerifiedFile) -> String {
    format!(
        "If it is the right one, pin it: --pin {}. To keep the pin in a key file: bootseal access pin KEYFILE --pin {0}",
        file.vault_id()
    )
}

fn unknown(file: &VerifiedFile, path: &Path) -> String {
    format!(
        "{}: this vault is not trusted yet: {} is neither pinned nor known on this machine",
        Shown::path(path),
        file.vault_id()
    )
}

/// Asks whether it is the right vault, and remembers the answer.
fn confirm(file: &mut VerifiedFile, path: &Path, context: &mut Context<'_>) -> Result<()> {
    let unknown = unknown(file, path);
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::WrongVault, unknown).with_help(how_to_pin(file)));
    }
    let mut review = Review::new(Row::fixed(format!("{unknown}.")), SEE_ALL);
    review.headline(Row::fixed("Its values can be read by:"));
    review.members(tables::rows(file.access(), None));
    if !context.ui.ask(&review.question("Is it the right vault?"))? {
        return Err(Failure::new(Kind::WrongVault, "not the right vault; nothing was changed"));
    }
    file.trusted_by(Trust::FirstUse);
    remember(path, file, context);
    Ok(())
}

/// Returns the reason to trust the file, in one or two words.
pub(crate) fn trusted(file: &VerifiedFile) -> &'static str {
    match file.trust() {
        Trust::Pinned => "pinned",
        Trust::Unverified => "not pinned",
        _ => "remembered",
    }
}
