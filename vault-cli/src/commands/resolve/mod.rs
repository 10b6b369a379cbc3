//! `bootseal resolve`: resolves a merge conflict that git left in a sealed file. Both sides are
//! read from git, never from the text with the markers.

mod choices;
mod sides;
mod two_handovers;

use crate::basis::sides::{Judged, edited, judge, side};
use crate::basis::versions::Versions;
use crate::cli::Resolve;
use crate::commands::resolve::choices::Choices;
use crate::commands::resolve::sides::Sides;
use crate::commands::sign::refuse_dates;
use crate::context::Context;
use crate::git::repository::Repository;
use crate::trust::keyring::Keys;
use crate::trust::locate::sealed_file;
use crate::trust::memory::Memory;
use crate::trust::pins;
use crate::trust::save::save;
use crate::trust::vouch::vouch;
use crate::ui::change_report;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use bootseal_core::{
    CanWrite, Changes, FileLock, HandEdit, Kind, MergePlan, MergeSide, Merged, NameClash,
    SealedFile, Shown, Side, Taken, Vault, VerifiedFile, shell_path,
};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &Resolve, context: &mut Context<'_>) -> Result<(), Exit> {
    let path = match &options.file {
        Some(path) => path.clone(),
        None => sealed_file(context)?,
    };
    let path = path.as_path();
    let mut keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let repository = Repository::of(path)?;
    let name = repository.name_of(path)?;
    let sides = Sides::of(&repository, &name, options)?;
    two_handovers::refuse(&sides, &repository, path, options)?;
    let before = HandEdit::read_bytes(path)?;

    let common = sides
        .base
        .as_ref()
        .and_then(|bytes| SealedFile::parse(bytes.clone()).ok()?.verify(&[]).ok());
    let judged = |bytes: &[u8], context: &mut Context<'_>| -> Result<MergeSide> {
        Ok(match judge(bytes, path, &keys, &pins, context)? {
            // An unknown vault is not trusted yet: the user is asked before the file becomes the
            // basis.
            Judged::Trusted(file) | Judged::Unknown(file) => MergeSide::Signed(file),
            Judged::Refused(why) => MergeSide::Refused(why),
        })
    };
    let plan =
        MergePlan::of(judged(&sides.ours, context)?, judged(&sides.theirs, context)?, common);
    let MergePlan { mut into, side: gone_on_from, other, base: common, warnings, .. } =
        plan.map_err(|error| error.in_file(path))?;
    context.ui.warn_each(warnings);
    let into_theirs = gone_on_from == Taken::Theirs;
    vouch(&mut into, &Memory::of(path, context)?, path, context)?;
    keys.unlock_to_write(&into, context)?;
    let both_signed = other.is_some() && common.is_some();
    let old = into.text();
    // A sealed value of an unsigned side must occur in a signed version.
    let history = repository.history("--all", &name)?;
    let versions = Versions::of_line(history.versions, &into);
    let mut above = versions.highest().max(Memory::of(path, context)?.generation(&into.vault_id()));
    let mut vault = into.open_for_writing(&keys.identities)?;
    let texts = [Some(&sides.ours), Some(&sides.theirs), sides.base.as_ref()].into_iter().flatten();
    let texts: String = texts.map(|bytes| String::from_utf8_lossy(bytes)).collect();
    let versions = versions.opened(&keys, &texts, &old)?;
    let (one, values_before) = (Side::of(&vault)?, vault.open_all()?);
    let two = match other {
        Some(file) => {
            // A former writer can sign any generation of an id that was handed over.
            if file.vault_id() == vault.file().vault_id() {
                above = above.max(file.generation());
            }
            side(file, &mut keys, context)?
        }
        None => edited(if into_theirs { &sides.ours } else { &sides.theirs }, &vault, &versions)?,
    };
    let base = match (common, &sides.base) {
        (Some(common), _) => side(common, &mut keys, context)?,
        (None, Some(bytes)) => edited(bytes, &vault, &versions).unwrap_or_else(|_| Side::empty()),
        (None, None) => Side::empty(),
    };
    let (mut ours, mut theirs) = if into_theirs { (two, one) } else { (one, two) };
    let clashes = vault.clashes(&base, &ours, &theirs).map_err(|error| error.in_file(path))?;
    let names = NameClash::between(&base, &ours, &theirs);
    let choices = Choices::make(&clashes, &names, &options.take, &sides, context)
        .map_err(|failure| failure.in_file(path))?;
    for (clash, side) in &choices.names {
        let sides = (&mut ours, &mut theirs);
        clash.take(*side, &mut vault, sides).map_err(|error| error.in_file(path))?;
    }
    let now = context.now();
    let merged = vault.merge(&base, &ours, &theirs, |clash| choices.of(clash), now);
    let merged = merged.map_err(|error| error.in_file(path))?;

    let before_merge = SealedFile::parse(old.into_bytes())?.verify(&[])?;
    let (file, values) = (vault.file(), vault.open_all()?);
    let changes = Changes::between_opened((&before_merge, &values_before), (file, &values));
    refuse_dates(&changes, options.older || both_signed, now, path)?;
    let described = described(path, &merged, &changes);
    context.ui.agree(Consent::to_sign(described))?;

    let file = write(path, vault, above, &before, context)?;
    report(path, &file, &merged, &changes, context)
}

/// Signs the merged file and replaces the file with the markers, unless that file has changed in
/// the meantime.
fn write(
    path: &Path,
    vault: Vault<CanWrite>,
    above: u64,
    before: &[u8],
    context: &mut Context<'_>,
) -> Result<VerifiedFile> {
    let written = save(vault, above, path, context, |text| {
        let lock = FileLock::acquire(path)?;
        if HandEdit::read_bytes(path)? != before {
            return Err(Failure::new(
                Kind::Conflict,
                "the file was changed during the prompt; nothing was written",
            ));
        }
        Ok(lock.write(text)?)
    });
    written.map_err(|failure| failure.in_file(path))
}

/// Reports what was written, and the next step.
fn report(
    path: &Path,
    file: &VerifiedFile,
    merged: &Merged,
    changes: &Changes,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    context.ui.note(format_args!(
        "{}: signed as generation {}; next: git add {}",
        Shown::path(path),
        file.generation(),
        shell_path(path)
    ));
    if context.ui.style.json {
        let took = merged
            .took
            .iter()
            .map(|(path, side)| json!({ "name": path.to_string(), "from": word(*side) }));
        context.ui.document(&json!({
            "file": path.to_string_lossy(), "vault": file.vault_id().to_string(), "generation": file.generation(), "signed": true,
            "took": took.collect::<Vec<_>>(), "changes": change_report::document(changes),
        }))?;
    }
    Ok(())
}

fn described(path: &Path, merged: &Merged, changes: &Changes) -> Review {
    let mut review = Review::new(
        Row::default().long(Shown::path(path).to_string()).and(": merged from both sides"),
        "To see all: sign it, and then: bootseal diff.",
    );
    for (property, side) in &merged.took {
        let row = Row::fixed("  ").long(property.to_string());
        review.minor("choices of a side", row.and(format!(": from {}", word(*side))));
    }
    for comment in &merged.left_out {
        let row = Row::fixed("  left out, a comment of their side: ");
        review.minor("comments", row.long(Shown(comment).to_string()));
    }
    for access in &merged.not_let_in {
        let what = "a member on one side only: the other side has newer keys, or there is no common version; to give access again: bootseal access add";
        let row = Row::fixed(format!("  without access: {} ({}, ", access.name, access.role));
        review.access(row.long(access.recipient.to_string()).and(format!("), {what}")));
    }
    match changes.is_empty() {
        true => {
            review.caption(Row::fixed("there are no changes against the side that it is based on"))
        }
        false => {
            review.caption(Row::fixed("the changes against the side that it is based on:"));
            change_report::fill(&mut review, changes);
        }
    }
    review
}

fn word(side: Taken) -> &'static str {
    match side {
        Taken::Ours => "ours",
        Taken::Theirs => "theirs",
    }
}
