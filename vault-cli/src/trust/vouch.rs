//! Deciding whether a file is the right vault: by a pin, by this machine's memory, or by asking a
//! person.

use crate::context::Context;
use crate::trust::memory::{Memory, remember};
use crate::ui::failure::{Failure, Result};
use crate::ui::tables;
use bootseal_core::{Kind, Pin, SealedFile, Shown, Trust, VerifiedFile};
use std::path::Path;

/// Verifies a file against the pins, and against what this machine remembers of the path.
pub(crate) fn verified(
    file: SealedFile,
    path: &Path,
    memory: &Memory,
    pins: &[Pin],
    context: &mut Context<'_>,
) -> Result<VerifiedFile> {
    let mut file = file.verify(pins)?;
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

/// Makes sure that a pin, this machine's memory or a person vouches for the file before it receives
/// a secret. Otherwise anyone could replace it with a vault of their own, and have the real
/// password sealed for them.
pub(crate) fn vouch(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    memory.refuse_older(file)?;
    if file.trust() != Trust::Unverified {
        // A handover is remembered when something was written after it, not when the file is only
        // read.
        if memory
            .vault_id()
            .is_none_or(|known| known == file.vault_id() || !file.former_ids().contains(&known))
        {
            remember(path, file, context);
        }
        return Ok(());
    }
    let unknown = format!(
        "{}: nothing vouches for this vault: {} is neither pinned nor known on this machine",
        Shown::path(path),
        file.vault_id()
    );
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::WrongVault, unknown)
            .with_help(format!("If it is the right one, pin it: --pin {}", file.vault_id())));
    }
    let who = tables::access(file.access());
    let question = format!("{unknown}.\nIts values can be read by:\n{who}\nIs it the right vault?");
    if !context.ui.ask(&question)? {
        return Err(Failure::new(Kind::WrongVault, "not the right vault; nothing was changed"));
    }
    file.trusted_by(Trust::FirstUse);
    remember(path, file, context);
    Ok(())
}

/// What vouches for the file, as one or two words.
pub(crate) fn trusted(file: &VerifiedFile) -> &'static str {
    match file.trust() {
        Trust::Pinned => "pinned",
        Trust::Unverified => "not pinned",
        _ => "remembered",
    }
}
