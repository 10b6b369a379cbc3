//! `bootseal access remove`: replaces the keys for all other members, and lists the values that the
//! removed member knew.

use crate::cli::AccessRemove;
use crate::commands::access::list::document;
use crate::commands::rotate::say_new_id;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::{Target, Targets};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::tables;
use bootseal_core::{
    Access, Error, Kind, MOST_NAMES, PropertyPath, Role, Shown, Typed, VaultId, VerifiedFile,
    and_more, some_names,
};

pub(crate) fn run(options: &AccessRemove, context: &mut Context<'_>) -> Result<(), Exit> {
    let mut targets = Target::find_all(context)?;
    let several = targets.len() > 1;
    leave_out_absent(&options.names, &mut targets, context)?;
    let names = some_names(&options.names);
    let found: Vec<&(Target, VerifiedFile)> =
        targets.iter().filter_map(|(_, found)| found.as_ref().ok()).collect();
    if !found.is_empty() {
        let consent = Consent {
            shown: described(&options.names, &found),
            question: &format!("Remove {names}?"),
            what: &format!("removing {names} from access"),
            declined: "not removed",
            always: false,
        };
        context.ui.agree(consent)?;
        confirm_own(options, &found, context)?;
    }
    let now = context.now();
    each_file::each(targets, context, |(target, file), context| {
        let seen = file.access().to_vec();
        let (exposed, vault, access) = target.change(context, |vault| {
            same_list(vault.file().access(), &seen)?;
            let members = vault.file().access().to_vec();
            let there = |name: &&str| !several || members.iter().any(|access| access.name == *name);
            let names: Vec<&str> = options.names.iter().map(String::as_str).filter(there).collect();
            let exposed = vault
                .remove_all_access(&names, now)
                .map_err(|error| error.in_file(target.path()))?;
            Ok((exposed, vault.file().vault_id(), vault.file().access().to_vec()))
        })?;
        let mut answer = document(&access);
        answer["exposed"] = exposed.iter().map(ToString::to_string).collect();
        let text = report(&names, &target, vault, &exposed, context);
        Ok(Answer { document: answer, text })
    })
}

/// Leaves out the files that have none of these members, and reports them. A name that no file
/// has is an error: otherwise a mistyped name would look like a success.
pub(crate) fn leave_out_absent(
    names: &[String],
    targets: &mut Targets,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    let has =
        |file: &VerifiedFile, name: &str| file.access().iter().any(|access| access.name == name);
    for name in names {
        if targets.iter().all(|(_, found)| matches!(found, Ok((_, file)) if !has(file, name))) {
            if let [(path, Ok((_, file)))] = &targets[..] {
                let text = format!("nobody in access is called {}", Typed(name));
                let error = Error::new(Kind::NotFound, text).in_file(path);
                return Err(error.with_help(format!("Members: {}", file.who())).into());
            }
            let text = format!("no member of these files is called {}", Typed(name));
            return Err(Failure::new(Kind::NotFound, text)
                .with_help("bootseal access list shows who has access."));
        }
        for (path, found) in &*targets {
            if matches!(found, Ok((_, file)) if !has(file, name)) {
                let shown = Shown::path(path).to_string();
                let rest = if names.len() > 1 { "" } else { ", so nothing changes there" };
                context.ui.note(format_args!("{shown}: {name} is not in access{rest}"));
            }
        }
    }
    targets.retain(
        |(_, found)| !matches!(found, Ok((_, file)) if names.iter().all(|name| !has(file, name))),
    );
    Ok(())
}

/// Makes sure that users remove themselves only on purpose, because only another writer can give
/// them access again. The name must be typed, or given with `--myself`; `--yes` is not enough.
fn confirm_own(
    options: &AccessRemove,
    found: &[&(Target, VerifiedFile)],
    context: &mut Context<'_>,
) -> Result<()> {
    let own = found.iter().find_map(|(target, file)| {
        let is_own = |name: &&String| removes_own(name, &options.names, target, file);
        Some((target, options.names.iter().find(is_own)?.as_str()))
    });
    let Some((target, name)) = own else { return Ok(()) };
    let place = Shown::path(target.path());
    let what = format!("{place}: {name} is you: afterwards, your key opens nothing new in it");
    match &options.myself {
        Some(myself) if myself == name => return Ok(()),
        Some(_) => {
            let text = format!("{what}; --myself names someone else");
            return Err(Failure::new(Kind::Usage, text));
        }
        None => {}
    }
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::NoTerminal, what)
            .with_help(format!("To confirm it without a terminal: --myself {name}")));
    }
    match context.ui.ask_text(&format!("{what}.\nType your name to remove yourself: "))? == name {
        true => Ok(()),
        false => Err(Failure::new(Kind::Usage, "not removed; nothing was changed")),
    }
}

/// Whether the entry of this name is opened by an available identity, and can be removed: the last
/// writer cannot.
fn removes_own(name: &str, names: &[String], target: &Target, file: &VerifiedFile) -> bool {
    let Some(entry) = file.access().iter().find(|access| access.name == name) else {
        return false;
    };
    let others = file.access().iter().filter(|access| access.name != name);
    let mut stay = others.clone().filter(|access| !names.contains(&access.name));
    let is_last = stay.all(|access| access.role != Role::Writer);
    if entry.role == Role::Writer && is_last {
        return false;
    }
    target.keys().identities.iter().any(|identity| match identity.recipient() {
        Some(own) => own == entry.recipient,
        // A plugin's identity does not tell which of the plugin's recipients is its own.
        None => {
            identity.may_open(&entry.recipient)
                && !others.clone().any(|access| identity.may_open(&access.recipient))
        }
    })
}

/// Checks that the access list is still the one that was shown.
pub(crate) fn same_list(now: &[Access], seen: &[Access]) -> Result<()> {
    if now == seen {
        return Ok(());
    }
    Err(Failure::new(
        Kind::Conflict,
        "the access list was changed during the prompt; nothing was written",
    )
    .with_help("To see the new list: bootseal access list"))
}

fn described(names: &[String], found: &[&(Target, VerifiedFile)]) -> Review {
    let mut review = Review::default();
    let mut rows = Vec::new();
    for (target, file) in found {
        let shown = Row::default().long(Shown::path(target.path()).to_string());
        rows.push(shown.and(": access will be:").into_caption());
        let rest: Vec<Access> =
            file.access().iter().filter(|access| !names.contains(&access.name)).cloned().collect();
        rows.extend(tables::rows(&rest, None));
    }
    review.members(rows);
    review
}

/// Reports the remaining steps: to change the values that the removed member knew, first at the
/// vendor, and to renew the pins if the vault has a new id. Returns the names of those values.
pub(crate) fn report(
    name: &str,
    target: &Target,
    vault: VaultId,
    exposed: &[PropertyPath],
    context: &mut Context<'_>,
) -> String {
    if vault != target.vault_id() {
        say_new_id(target, context);
    }
    if exposed.is_empty() {
        return String::new();
    }
    let knows = if name.contains(", ") { "know" } else { "knows" };
    context.ui.note(format_args!(
            "{name} {knows} the values below. Change each of them at the vendor, then here (bootseal set); `bootseal list` shows what is left"
        ));
    let mut lines: Vec<String> = exposed.iter().take(MOST_NAMES).map(ToString::to_string).collect();
    let more = and_more(exposed.len().saturating_sub(MOST_NAMES));
    lines.extend(more.map(|more| format!("{more}: bootseal list")));
    lines.join("\n")
}
