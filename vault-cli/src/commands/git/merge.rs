//! `bootseal git merge`: git's merge driver. It merges only if all three versions belong to this
//! vault; otherwise it leaves a conflict.

use crate::basis::sides::{Judged, judge, side};
use crate::basis::two_handovers::TwoHandovers;
use crate::cli::GitMerge;
use crate::commands::git::read;
use crate::context::Context;
use crate::git::command::{cannot_run, git};
use crate::git::repository::Repository;
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::trust::pins;
use crate::trust::save::save;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::review_row::cut;
use bootseal_core::{
    Clash, FileLock, Kind, Merged, Pin, SealedFile, Shown, Side, Taken, VerifiedFile, goes_on_from,
    is_older, shell_path, some_names,
};
use std::path::Path;

pub(crate) fn run(options: &GitMerge, context: &mut Context<'_>) -> Result<(), Exit> {
    let name = Shown::path(&options.path).to_string();
    match merge(options, context) {
        Ok(generation) => {
            context.ui.note(format_args!(
                "{name}: merged by property, signed as generation {generation}"
            ));
            Ok(())
        }
        Err(failure) => {
            // Git treats any exit code except 0 as a conflict, and users then expect conflict
            // markers in the file.
            conflict(options)?;
            context.ui.warn(format_args!("{name}: left as a conflict: {}", failure.text()));
            let file = shell_path(&options.path);
            context.ui.note(format_args!("a writer can resolve it: bootseal resolve {file}"));
            Err(Exit::Reported(1))
        }
    }
}

fn merge(options: &GitMerge, context: &mut Context<'_>) -> Result<u64> {
    let mut keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let (base, ours, theirs) = (read(&options.base)?, read(&options.ours)?, read(&options.theirs)?);
    TwoHandovers::refuse(&ours, &theirs)?;
    let ours = match judge(&ours, &options.path, &keys, &pins, context)? {
        Judged::Trusted(file) => *file,
        other => return Err(untrusted("our", other)),
    };
    let memory = Memory::of(&options.path, context)?;
    let refuse_forked = |file: &VerifiedFile| match memory.compare(file, &options.path)? {
        Some(compared) => compared.require(file, &options.path),
        None => Ok(()),
    };
    refuse_forked(&ours)?;
    // The other versions must belong to our side's vault, or to a vault that it was handed over to.
    let pin = Pin::from(ours.vault_id());
    let verified = |bytes: Vec<u8>, which: &str| -> Result<VerifiedFile> {
        let file = SealedFile::parse(bytes).and_then(|file| file.verify(&[pin]));
        let file =
            file.map_err(|error| Failure::new(error.kind(), format!("{which}: {}", error.what())))?;
        Ok(file.with_plugins(&keys.plugins))
    };
    let base = verified(base, "the common version")?;
    let theirs = verified(theirs, "their side")?;
    if is_older(&ours, &base) || is_older(&theirs, &base) {
        return Err(Failure::new(Kind::OldGeneration, "one side is older than the common version"));
    }
    // Anyone can commit an old signed version of our side to a branch; a merge would revert the
    // changes since then.
    if was_ours(&theirs, &options.path)? {
        return Err(Failure::new(
            Kind::OldGeneration,
            "their side is identical to an earlier version of our side",
        ));
    }
    let into_theirs = goes_on_from(&ours, &theirs) == Some(Taken::Theirs);
    if into_theirs {
        match judge(theirs.text().as_bytes(), &options.path, &keys, &pins, context)? {
            Judged::Trusted(file) => refuse_forked(&file)?,
            other => return Err(untrusted("their", other)),
        }
    }
    let base = side(base, &mut keys, context)?;
    let above = match ours.vault_id() == theirs.vault_id() {
        true => ours.generation().max(theirs.generation()),
        // A former writer can sign any generation of the id that was handed over.
        false => 0,
    };
    let (mut vault, one, other): (_, Side, Side) = match into_theirs {
        true => {
            keys.unlock_to_write(&theirs, context)?;
            let vault = theirs.open_for_writing(&keys.identities)?;
            let theirs = Side::of(&vault)?;
            (vault, side(ours, &mut keys, context)?, theirs)
        }
        false => {
            keys.unlock_to_write(&ours, context)?;
            let vault = ours.open_for_writing(&keys.identities)?;
            let ours = Side::of(&vault)?;
            (vault, ours, side(theirs, &mut keys, context)?)
        }
    };
    refuse_clashes(&vault.clashes(&base, &one, &other)?)?;
    let now = context.now();
    let merged = vault.merge(&base, &one, &other, |_| None, now)?;
    refuse_losses(&merged)?;
    let file = save(vault, above, &options.path, context, |text| {
        Ok(FileLock::acquire(&options.ours)?.write(text)?)
    })?;
    Ok(file.generation())
}

fn refuse_clashes(clashes: &[Clash]) -> Result<()> {
    if clashes.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = clashes.iter().map(|clash| clash.path.to_string()).collect();
    let text = format!("both sides changed {}", cut(&some_names(names), 400));
    Err(Failure::new(Kind::Conflict, text))
}

/// Refuses a merge that would leave out a member or a comment of one side: a person decides.
fn refuse_losses(merged: &Merged) -> Result<()> {
    if let Some(access) = merged.not_let_in.first() {
        let text = format!(
            "one side gives {} access, but was made before the other side renewed the keys",
            access.name
        );
        return Err(Failure::new(Kind::Conflict, text));
    }
    if let Some(comment) = merged.left_out.first() {
        let comment = cut(&Shown(comment).to_string(), 160);
        let text = format!("both sides changed comments; theirs has: {comment}");
        return Err(Failure::new(Kind::Conflict, text));
    }
    Ok(())
}

/// Whether a version in the history of HEAD has the same signed text.
fn was_ours(theirs: &VerifiedFile, path: &Path) -> Result<bool> {
    let repository = Repository::of(Path::new("."))?;
    let head = repository.commit("HEAD")?;
    let name = repository.name_of(path)?;
    let history = repository.history(&head, &name)?;
    history.require_complete(&name)?;
    Ok(history.versions.iter().any(|version| version.signed.digest() == theirs.digest()))
}

fn untrusted(which: &str, judged: Judged) -> Failure {
    let why = match judged {
        Judged::Refused(why) => why,
        _ => "it is neither pinned nor known on this machine".into(),
    };
    Failure::new(Kind::WrongVault, format!("{which} side cannot be trusted: {why}"))
}

/// Writes the conflict markers that git itself would write.
fn conflict(options: &GitMerge) -> Result<()> {
    let size = format!("--marker-size={}", options.marker_size.unwrap_or(7));
    git(Path::new("."))?
        .args(["merge-file", "-q", &size, "-L", "ours", "-L", "base", "-L", "theirs", "--"])
        .args([&options.ours, &options.base, &options.theirs])
        .status()
        .map_err(cannot_run)?;
    Ok(())
}
