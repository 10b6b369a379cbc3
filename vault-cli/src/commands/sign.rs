//! `bootseal sign`: signs a manual edit, on the basis of the newest version that verifies.

use crate::basis::versions::Versions;
use crate::cli::Sign;
use crate::context::Context;
use crate::git::history::in_git;
use crate::git::named_version::bytes_of;
use crate::git::version::Version;
use crate::trust::keyring::Keys;
use crate::trust::memory::Memory;
use crate::trust::rules::Rules;
use crate::trust::save::save;
use crate::trust::vouch::{verified, vouch, vouch_for_named};
use crate::trust::{locate, pins};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::timestamp;
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::{change_report, tables};
use bootseal_core::{
    CanWrite, Changes, FileLock, HandEdit, Kind, MAX_REAL, Pin, SealedFile, Shown, Vault, VaultId,
    VerifiedFile, some_names,
};
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Sign, context: &mut Context<'_>) -> Result<(), Exit> {
    let path = edited(options, context)?;
    let mut keys = Keys::find(context)?;
    let pins = pins::at_hand(&keys, context)?;
    let memory = Memory::of(&path, context)?;
    let edit = HandEdit::read(&path)?;
    let on_disk = edit.text();
    let (here, known) = in_git(&path)?;
    if options.against.is_none() {
        here.require_complete(&path.to_string_lossy())?;
    }
    // The file may have a valid signature, but be older than a version seen before.
    let unchecked = known.require_complete(&path.to_string_lossy());
    let (mut candidates, mut known) = (here.versions, known.versions);
    let current = Version::of_text(on_disk.clone().into_bytes());
    candidates.extend(current.clone());
    known.extend(candidates.iter().cloned());
    let basis = match &options.against {
        // The user named this basis, so no other version replaces it.
        Some(against) => Some(named(against, &path, &memory, &pins, context)?),
        None => {
            Versions::trusted(candidates, &path, &pins, &memory)?.newest(&pins, Some(&memory))?
        }
    };
    let above = options.above.unwrap_or_default();

    let (vault, changes, headline, above) = match basis {
        Some(basis) => {
            let mut basis = basis.with_plugins(&keys.plugins);
            let versions = Versions::of_line(known, &basis);
            let seen = Seen::of(&versions, &basis, &memory, options.against.is_some());
            let above = above.max(seen.generation);
            match options.against {
                Some(_) => vouch_for_named(&mut basis, &memory, &path, context)?,
                None => vouch(&mut basis, &memory, &path, context)?,
            }
            keys.unlock_to_write(&basis, context)?;
            if basis.text() == on_disk && basis.generation() >= above && seen.newer_epoch.is_none()
            {
                context.ui.note(format_args!(
                    "{} is signed already; there is nothing to accept",
                    Shown::path(&path)
                ));
                return report(
                    &path,
                    basis.vault_id(),
                    basis.generation(),
                    &Changes::default(),
                    context,
                );
            }
            let signed_before = current.as_ref().filter(|one| versions.contains(&one.signed));
            let signed_before = signed_before.map(|version| version.signed.generation());
            let headline = headline(&path, &edit, &memory, &basis, signed_before, &seen);
            let basis_text = basis.text();
            let mut vault =
                basis.open_for_writing(&keys.identities).map_err(|error| error.in_file(&path))?;
            let versions = versions.opened(&keys, &on_disk, &basis_text)?;
            let changes = vault.adopt(&edit, &versions).map_err(|error| error.in_file(&path))?;
            keep_rules(vault.file(), Some(basis_text), options, context)?;
            if let Some(epoch) = seen.newer_epoch {
                vault.rotate_above(epoch).map_err(|error| error.in_file(&path))?;
            }
            (vault, changes, headline, above)
        }
        None => {
            // Another branch may have the version to continue from.
            unchecked?;
            let vault = first(&path, &edit, &keys, &pins, &memory, context)?;
            keep_rules(vault.file(), None, options, context)?;
            let above = above.max(Versions::of_line(known, vault.file()).highest());
            return write(&path, &edit, vault, above, &Changes::default(), context);
        }
    };
    refuse_dates(&changes, options.older, context.now(), &path)?;
    let mut review = headline;
    match changes.is_empty() {
        true => review.headline(Row::fixed("nothing but the generation changes")),
        false => change_report::fill(&mut review, &changes),
    }
    context.ui.agree(Consent::to_sign(review))?;
    write(&path, &edit, vault, above, &changes, context)
}

/// The file that the user edited.
fn edited(options: &Sign, context: &mut Context<'_>) -> Result<PathBuf> {
    match &options.edited {
        Some(file) if context.options.file.is_empty() => Ok(file.clone()),
        Some(_) => Err(Failure::new(Kind::Usage, "the file is named twice")),
        None => locate::sealed_file(context),
    }
}

/// Refuses new readable values that the rules of the file say to seal. `before` is the text of the
/// basis.
fn keep_rules(
    after: &VerifiedFile,
    before: Option<String>,
    options: &Sign,
    context: &mut Context<'_>,
) -> Result<()> {
    if !after.names().any(|(path, _)| path.is_in_seal_table()) {
        return Ok(());
    }
    let read = |text: String| SealedFile::parse(text.into_bytes())?.verify(&[]);
    let before = before.map(read).transpose()?;
    let is_kept = match &before {
        Some(before) if Rules::meant(before).is_some() => Ok(()),
        _ => Rules::refuse_meant(after),
    };
    is_kept.map_err(|error| {
        let help = "While the file is not signed, correct the table [seal] in it, and sign that: bootseal sign";
        error.with_help(help)
    })?;
    let rules = Rules::of_file(after)?;
    if rules.is_empty() {
        return Ok(());
    }
    let kept = rules.keep(after, before.as_ref(), options.allow_plain);
    // `set` would refuse the file too: it is not signed yet.
    let kept = kept.map_err(|failure| {
        failure.and_help("While the file is not signed, remove the value from it first, and sign that: bootseal sign. To sign it with the value: --allow-plain")
    })?;
    if let Some(remark) = kept {
        context.ui.warn(remark);
    }
    Ok(())
}

/// Reads the version that the user named as the basis.
fn named(
    against: &Path,
    path: &Path,
    memory: &Memory,
    pins: &[Pin],
    context: &mut Context<'_>,
) -> Result<VerifiedFile> {
    let (name, bytes) = bytes_of(&against.to_string_lossy(), path)?;
    let file = SealedFile::parse(bytes).map_err(|error| error.in_file(Path::new(&name)))?;
    verified(file, path, memory, pins, context)
}

/// The numbers of the vault that were seen elsewhere, which the signed file must exceed.
struct Seen {
    generation: u64,
    /// The highest generation of git.
    in_git: u64,
    /// A generation that was left out because no honest file reaches it.
    unreal: Option<u64>,
    /// The epoch that was seen, if it is above that of the basis.
    newer_epoch: Option<u64>,
}

impl Seen {
    /// If the user named the basis, the numbers continue from it. A number that is so high that it
    /// leaves no room for further ones then does not count. If an epoch above that of the basis was
    /// seen, the file gets new keys.
    fn of(versions: &Versions, basis: &VerifiedFile, memory: &Memory, named: bool) -> Seen {
        let id = basis.vault_id();
        let remembered = memory.generation(&id);
        let numbers = || versions.generations().chain([remembered, basis.generation()]);
        let real = |generation: &u64| !named || *generation <= MAX_REAL;
        Seen {
            generation: numbers().filter(real).max().unwrap_or_default().max(basis.generation()),
            in_git: versions.highest(),
            unreal: numbers().filter(|generation| !real(generation)).max(),
            newer_epoch: Some(memory.epoch(&id).max(versions.highest_epoch(&id)))
                .filter(|epoch| named && *epoch > basis.epoch()),
        }
    }
}

/// Describes the basis and the current file for the user, who decides whether to sign.
fn headline(
    path: &Path,
    edit: &HandEdit,
    memory: &Memory,
    basis: &VerifiedFile,
    signed_before: Option<u64>,
    seen: &Seen,
) -> Review {
    let old = basis.handed_over_from().or(memory.vault_id());
    let old = old.filter(|old| *old != basis.vault_id());
    let mut text = format!(": against generation {}", basis.generation());
    if let Some(old) = &old {
        text.push_str(&format!(" of {}, which {old} was handed over to", basis.vault_id()));
    }
    if let Some(generation) = signed_before {
        text.push_str(&format!("; this content was signed as generation {generation}"));
    } else if edit.differs_in_own_table(basis) {
        text.push_str(
            ", whose access list and keys are kept; changes to [bootseal] in this file are ignored",
        );
    }
    let mut review = Review::new(
        Row::default().long(Shown::path(path).to_string()).and(text),
        change_report::SEE_ALL,
    );
    if let Some(generation) = seen.unreal {
        review.headline(Row::fixed(format!(
            "a writer signed generation {generation}, which no honest file reaches; it does not count. Hosts that saw it refuse this file until that writer is removed: bootseal access remove NAME"
        )));
    }
    let remembered = memory.generation(&basis.vault_id());
    if seen.newer_epoch.is_none()
        && remembered <= seen.generation
        && remembered > seen.in_git.max(basis.generation())
    {
        review.headline(Row::fixed(format!(
            "generation {remembered} was signed on this machine, but is not in git: its changes of access are not in the basis, and must be made again"
        )));
    }
    let members = match seen.newer_epoch {
        Some(epoch) => Some(format!(
            "epoch {epoch} was seen, and this version has epoch {}: members removed since then are in its list again. The file gets new keys, which can be opened by:",
            basis.epoch()
        )),
        None => old.map(|_| "after the handover, access is given to:".to_owned()),
    };
    if let Some(caption) = members {
        review.access(Row::fixed(caption).into_caption());
        review.members(tables::rows(basis.access(), None));
    }
    review
}

/// Refuses suspicious dates. A sealed value that is older than the one it replaces may have leaked
/// and been pasted back in; a value that is dated in the future would count as the newest value
/// until that date.
pub(crate) fn refuse_dates(changes: &Changes, allowed: bool, now: u64, path: &Path) -> Result<()> {
    const AHEAD: u64 = 300;
    if let Some(change) =
        changes.properties().find(|change| change.set_at.1.is_some_and(|at| at > now + AHEAD))
    {
        let what = format!(
            "is dated {}, which is in the future",
            change.set_at.1.map_or(String::new(), timestamp)
        );
        return Err(bootseal_core::Error::new(Kind::Conflict, what)
            .at(&change.path)
            .in_file(path)
            .with_help("The date was changed manually. Leave the value out, and set it again: bootseal set")
            .into());
    }
    let older = changes.properties().filter(|change| change.is_older());
    let older: Vec<String> = older
        .map(|change| {
            let date = |at: Option<u64>| at.map_or(String::new(), timestamp);
            format!(
                "{} (set {}, replaces a value set {})",
                change.path,
                date(change.set_at.1),
                date(change.set_at.0)
            )
        })
        .collect();
    if allowed || older.is_empty() {
        return Ok(());
    }
    let older = some_names(older);
    let what = format!("some values are older than those that they replace: {older}");
    Err(bootseal_core::Error::new(Kind::Conflict, what)
        .in_file(path)
        .with_help("An old value may be known to someone. To restore it anyway: --older")
        .into())
}

/// Asks for a confirmation of the whole file, because there is no basis to compare it with; `--yes`
/// is not enough here.
fn first(
    path: &Path,
    edit: &HandEdit,
    keys: &Keys,
    pins: &[Pin],
    memory: &Memory,
    context: &mut Context<'_>,
) -> Result<Vault<CanWrite>> {
    let known = edit.claimed_vault().is_some_and(|claimed| memory.epoch(&claimed) > 0);
    if known || !pins.is_empty() || memory.vault_id().is_some() {
        let what = "neither this file nor any version in git verifies as the vault that is pinned or known";
        return Err(bootseal_core::Error::new(Kind::WrongVault, what)
            .in_file(path)
            .with_help("Name a version that verifies, from a backup or another branch: bootseal sign --against VERSION")
            .into());
    }
    // No plugin is run for an unsigned text.
    let own: Vec<_> =
        keys.identities.iter().filter(|identity| !identity.is_plugin()).cloned().collect();
    let vault = Vault::without_basis(edit, &own).map_err(|error| error.in_file(path))?;
    let id = vault.file().vault_id();
    let unknown = format!(
        "{}: no version of it that verifies was found, in git or with --against",
        Shown::path(path)
    );
    if !context.ui.can_ask() {
        return Err(Failure::new(
            Kind::NoTerminal,
            format!(
                "{unknown}; its whole content must be confirmed, and there is no terminal for the confirmation"
            ),
        )
        .with_help("Name a version that verifies: --against FILE"));
    }
    let claimed = edit.claimed_vault().filter(|claimed| *claimed != id);
    let id = claimed.map_or(format!("{id}"), |claimed| {
        format!("{id}, with new keys: the file names {claimed}, which is not verified")
    });
    let mut review = Review::new(
        Row::default()
            .long(Shown::path(path).to_string())
            .and(": no version of it that verifies was found, in git or with --against."),
        "",
    );
    review.headline(Row::fixed(format!("It would be signed as it is, as vault {id}.")));
    change_report::fill_content(&mut review, &HandEdit::parse(b"\n".to_vec())?.changes_to(edit));
    review.access(Row::fixed("Its values can be read by:").into_caption());
    review.members(tables::rows(vault.file().access(), None));
    if !context.ui.ask(&review.question("Sign all of this?"))? {
        return Err(Failure::new(Kind::Usage, "not signed; nothing was changed"));
    }
    Ok(vault)
}

fn write(
    path: &Path,
    edit: &HandEdit,
    vault: Vault<CanWrite>,
    above: u64,
    changes: &Changes,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    let written = save(vault, above, path, context, |text| {
        let lock = FileLock::acquire(path)?;
        if HandEdit::read(path)? != *edit {
            return Err(Failure::new(
                Kind::Conflict,
                "the file was changed during the prompt; nothing was written",
            )
            .with_help("To review it again: bootseal sign"));
        }
        Ok(lock.write(text)?)
    });
    let file = written.map_err(|failure| failure.in_file(path))?;
    context.ui.note(format_args!(
        "{}: signed as generation {}",
        Shown::path(path),
        file.generation()
    ));
    report(path, file.vault_id(), file.generation(), changes, context)
}

fn report(
    path: &Path,
    vault: VaultId,
    generation: u64,
    changes: &Changes,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if context.ui.style.json {
        context.ui.document(&json!({
            "file": path.to_string_lossy(), "vault": vault.to_string(), "generation": generation, "signed": true,
            "changes": change_report::document(changes),
        }))?;
    }
    Ok(())
}
