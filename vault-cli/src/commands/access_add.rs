//! `bootseal access add`: lets someone in.

use super::access_list::{document, table};
use super::access_remove::{report, same_list};
use super::write_private;
use crate::cli::{AccessAdd, Everywhere};
use crate::exit::{Done, Failure, Result};
use crate::many::{self, Answer};
use crate::output::Style;
use crate::target::Target;
use crate::world::World;
use bootseal_core::{Access, Identity, Kind, Pin, Recipient, Role, Shown, VerifiedFile};
use std::path::Path;

pub(crate) fn run(
    options: &AccessAdd,
    everywhere: &Everywhere,
    style: Style,
    world: &mut World<'_>,
) -> Result<(), Done> {
    if style.json && options.new_key.as_deref() == Some(Path::new("-")) {
        let text = "--new-key - puts the key file on stdout, where --json puts a document";
        return Err(Failure::new(Kind::Usage, text).with_help("Name a file for the key.").into());
    }
    let role = if options.writer { Role::Writer } else { Role::Reader };
    let (recipient, identity) = match &options.recipient {
        Some(text) => (text.parse::<Recipient>()?, None),
        None => {
            let identity = Identity::generate()?;
            (identity.recipient(), Some(identity))
        }
    };
    let access = Access::new(&options.name, role, recipient)?;
    let mut targets = Vec::new();
    for (path, found) in Target::find_all(everywhere, style, world)? {
        targets.push((path, found.and_then(|(target, file)| Plan::of(target, file, &access, options.replace))));
    }
    let several = targets.len() > 1;
    targets.iter_mut().filter_map(|(_, plan)| plan.as_mut().ok()).for_each(|plan| plan.several = several);
    let plans: Vec<&Plan> = targets.iter().filter_map(|(_, plan)| plan.as_ref().ok()).collect();
    if plans.is_empty() {
        return many::each(targets, style, world, |plan, world| add(plan, &access, style, world));
    }
    confirm(&plans, &access, everywhere, world)?;

    let key_file = options.new_key.as_deref().filter(|path| *path != Path::new("-"));
    let pins: Vec<Pin> = plans.iter().map(|plan| Pin::from(plan.target.vault())).collect();
    let key_text = identity.map(|identity| identity.to_file_text(&pins)).transpose()?;
    if let (Some(path), Some(text)) = (key_file, &key_text) {
        write_private(path, text)?;
    }
    let mut added = 0;
    let done = many::each(targets, style, world, |plan, world| {
        let answer = add(plan, &access, style, world)?;
        added += 1;
        Ok(answer)
    });
    match (key_file, key_text) {
        // A key that opens nothing would only mislead.
        (Some(path), _) if added == 0 => drop(std::fs::remove_file(path)),
        (Some(path), _) => {
            let shown = Shown(&path.to_string_lossy()).to_string();
            let text = format!("it goes to {} and nowhere else; the vault's pin is in it", access.name);
            world.note(style, format_args!("made {shown}: {text}"));
        }
        // After the file is saved, so that no key is given out that opens nothing.
        (None, Some(text)) if added > 0 => text.expose(|bytes| world.stdout.write_all(bytes))?,
        (None, _) => {}
    }
    done
}

/// What is about to happen to one file.
struct Plan {
    target: Target,
    seen: Vec<Access>,
    resulting: Vec<Access>,
    /// The entry of the same name that goes.
    replaced: Option<Access>,
    /// One of several files: messages say which.
    several: bool,
}

impl Plan {
    fn of(target: Target, file: VerifiedFile, access: &Access, replace: bool) -> Result<Plan> {
        let seen = file.access().to_vec();
        target.check_writer(file)?;
        let taken = |other: &&Access| other.name == access.name || other.recipient == access.recipient;
        let mut resulting = seen.clone();
        let replaced = match seen.iter().position(|other| other.name == access.name) {
            Some(at) if replace => Some(std::mem::replace(&mut resulting[at], access.clone())),
            _ => {
                resulting.push(access.clone());
                None
            }
        };
        if let Some(other) = seen.iter().filter(|other| replaced.as_ref() != Some(other)).find(taken) {
            let text = format!("{} ({}) is in access already, with {}", other.name, other.role, other.recipient);
            let failure = Failure::new(Kind::Exists, text);
            return Err(match other.name == access.name {
                true => failure.with_help(
                    "To give that name another role or recipient, which is a removal and an addition: --replace",
                ),
                false => failure,
            });
        }
        Ok(Plan { target, seen, resulting, replaced, several: false })
    }
}

fn add(plan: Plan, access: &Access, style: Style, world: &mut World<'_>) -> Result<Answer> {
    let target = plan.target;
    let now = (world.now)();
    let (exposed, vault) = target.change(style, world, |vault| {
        same_list(vault.file().access(), &plan.seen)?;
        let exposed = match &plan.replaced {
            Some(_) => vault.replace_access(access.clone(), now).map_err(|error| error.in_file(target.path()))?,
            None => vault.add_access(access.clone()).map(|()| Vec::new())?,
        };
        Ok((exposed, vault.file().vault()))
    })?;
    let text = "can open every value that this file holds now, and what is sealed from now on";
    let place = if plan.several { format!("{}: ", Shown(&target.path().to_string_lossy())) } else { String::new() };
    world.note(style, format_args!("{place}{} {text}", access.name));
    let mut answer = document(&plan.resulting);
    if plan.replaced.is_some() {
        answer["exposed"] = exposed.iter().map(ToString::to_string).collect();
    }
    let former = format!("who had the former key of {}", access.name);
    Ok(Answer { document: answer, text: report(&former, &target, vault, &exposed, style, world) })
}

fn confirm(plans: &[&Plan], added: &Access, everywhere: &Everywhere, world: &mut World<'_>) -> Result<()> {
    if everywhere.yes {
        return Ok(());
    }
    if !world.can_ask() {
        let text = format!("adding {} to access is asked for, and there is no terminal to ask at", added.name);
        return Err(Failure::new(Kind::NoTerminal, text).with_help("Add --yes."));
    }
    let mut question = String::new();
    for plan in plans {
        if plans.len() > 1 {
            question.push_str(&format!("{}: ", Shown(&plan.target.path().to_string_lossy())));
        }
        question.push_str(&format!("Access will be:\n{}\n", table(&plan.resulting)));
        if let Some(before) = &plan.replaced {
            question.push_str(&format!("{} was a {} with {}\n", before.name, before.role, before.recipient));
        }
    }
    question.push_str(&format!("Add {} as a {}?", added.name, added.role));
    if world.ask(&question)? { Ok(()) } else { Err(Failure::new(Kind::Usage, "not added; nothing was changed")) }
}
