//! Decides whether a file is the right vault: by a pin, by the known vaults, or by asking the user.

use crate::context::Context;
use crate::trust::memory::{Memory, remember};
use crate::ui::failure::{Failure, Result};
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::tables;
use bootseal_core::{Error, Kind, Pin, SealedFile, Shown, Trust, VerifiedFile, shell_path};
use std::path::Path;

/// How to see an access list that is longer than a screen.
const SEE_ALL: &str = "To see all: bootseal access list.";
/// What to do with a version that a former writer may have signed.
const MERGE: &str = "Merge the newer version into this one: git merge BRANCH, or git pull.";

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
        if let Some(compared) = memory.compare(file, path)? {
            compared.require(file, path)?;
        }
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
    confirm_unknown(file, memory, path, context)
}

/// Makes sure that the vault is pinned, known or confirmed by the user before its values leave for a
/// program, a shell or a vendor: whoever made the vault chose names and addresses. An older version
/// of a known vault is accepted. A version that a former writer may have signed is accepted only if
/// exactly this text was seen here, or if `--pin` names its id.
pub(crate) fn vouch_for_use(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    match (memory.refuse_handed_over(file), file.trust()) {
        (Ok(()), Trust::Unverified) => confirm_unknown(file, memory, path, context),
        (Ok(()), _) => follow_in_use(file, memory, path, context),
        (Err(_), _) if accepted_anyway(file, memory, context) => {
            warn_of_handover(file, memory, context);
            Ok(())
        }
        (Err(doubt), _) => {
            let help = format!(
                "{}\n  To use its values nevertheless: --pin {}",
                doubt.help().unwrap_or_default(),
                file.vault_id()
            );
            confirm(file, path, &doubt_of(&doubt), help, context)
        }
    }
}

/// Compares the file's handovers that are new to this machine with those in git, and records them
/// if git has no contradicting one. If the machine lacks git or some branches, the verb continues,
/// because the application needs its values.
fn follow_in_use(
    file: &VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    match memory.compare(file, path) {
        Ok(None) => {}
        Ok(Some(compared)) => {
            compared.refuse_fork(file, path)?;
            if compared.gap.is_none() {
                remember(path, file, context);
            }
        }
        Err(failure) => context.ui.warn(format_args!(
            "{}: the handover to {} was not compared with those in git: {}",
            Shown::path(path),
            file.vault_id(),
            failure.text()
        )),
    }
    Ok(())
}

/// Like [`vouch_for_use`], for a trusted file that has changed while a program uses its values: the
/// user is not asked.
pub(crate) fn vouch_for_next_use(
    file: &VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    match memory.refuse_handed_over(file) {
        Err(doubt) if !accepted_anyway(file, memory, context) => Err(doubt.into()),
        _ => follow_in_use(file, memory, path, context),
    }
}

/// Whether the values of a file that a former writer may have signed are used nevertheless.
fn accepted_anyway(file: &VerifiedFile, memory: &Memory, context: &Context<'_>) -> bool {
    // A pin in a key file or in the environment may be from before the handover.
    let named = |text: &String| text.parse().is_ok_and(|pin: Pin| pin.vault == file.vault_id());
    file.trust() != Trust::Unverified && memory.was_seen(file)
        || context.options.pin.iter().any(named)
}

fn doubt_of(doubt: &Error) -> String {
    let file = doubt.file().map_or(String::new(), |path| format!("{}: ", Shown::path(path)));
    format!("{file}{}", doubt.what())
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

/// Warns, for verbs that only show values, if the vault is neither pinned nor known, or if a former
/// writer may have signed the file.
pub(crate) fn warn_if_doubtful(
    file: &VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) {
    if !warn_of_handover(file, memory, context) && file.trust() == Trust::Unverified {
        let (unknown, help) = (unknown(file, memory, path), how_to_trust(file, memory, path));
        context.ui.warn(format_args!("{unknown}. {help}"));
    }
}

/// Warns if a former writer may have signed the file; returns whether that is so.
pub(crate) fn warn_of_handover(
    file: &VerifiedFile,
    memory: &Memory,
    context: &mut Context<'_>,
) -> bool {
    let Err(doubt) = memory.refuse_handed_over(file) else { return false };
    // Of two handovers, either may be the wrong one, so a merge is no answer.
    let help = match doubt.kind() {
        Kind::OldGeneration => MERGE,
        _ => doubt.help().unwrap_or_default(),
    };
    context.ui.warn(format_args!("{}. {help}", doubt_of(&doubt)));
    true
}

/// The commands that pin the vault, for one run and in a key file.
pub(crate) fn how_to_pin(file: &VerifiedFile) -> String {
    format!(
        "If it is the right one, pin it: --pin {}. To keep the pin in a key file: bootseal access pin KEYFILE --pin {0}",
        file.vault_id()
    )
}

fn unknown(file: &VerifiedFile, memory: &Memory, path: &Path) -> String {
    let (path, id) = (Shown::path(path), file.vault_id());
    match memory.elsewhere(&id) {
        Some(other) => format!(
            "{path}: this vault is not trusted yet: {id} is known on this machine at {}, but not at this path",
            Shown::path(&other)
        ),
        None => format!(
            "{path}: this vault is not trusted yet: {id} is neither pinned nor known on this machine"
        ),
    }
}

/// The commands that make the vault trusted: at this path, if it is known at another one, else by a
/// pin.
fn how_to_trust(file: &VerifiedFile, memory: &Memory, path: &Path) -> String {
    match memory.elsewhere(&file.vault_id()) {
        Some(_) => format!(
            "If this is another copy of it, such as a worktree: bootseal vaults add --pin {} -f {}",
            file.vault_id(),
            shell_path(path)
        ),
        None => how_to_pin(file),
    }
}

fn confirm_unknown(
    file: &mut VerifiedFile,
    memory: &Memory,
    path: &Path,
    context: &mut Context<'_>,
) -> Result<()> {
    let help = how_to_trust(file, memory, path);
    confirm(file, path, &unknown(file, memory, path), help, context)
}

/// Asks whether it is the right vault, and remembers the answer.
fn confirm(
    file: &mut VerifiedFile,
    path: &Path,
    doubt: &str,
    help: String,
    context: &mut Context<'_>,
) -> Result<()> {
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::WrongVault, doubt).with_help(help));
    }
    let mut review = Review::new(Row::fixed(format!("{doubt}.")), SEE_ALL);
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
