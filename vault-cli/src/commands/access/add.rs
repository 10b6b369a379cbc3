//! `bootseal access add`: gives someone access.

use crate::cli::AccessAdd;
use crate::commands::access::list::document;
use crate::commands::access::new_key::NewKey;
use crate::commands::access::remove::{report, same_list};
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::keyring::{one_on_stdin, passphrase_from};
use crate::trust::plugins;
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::prompt::Consent;
use crate::ui::review::Review;
use crate::ui::review_row::Row;
use crate::ui::tables;
use bootseal_core::{
    Access, Cost, Identity, Kind, Pin, Recipient, Role, Shown, VaultId, VerifiedFile,
    passphrase_length,
};
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &AccessAdd, context: &mut Context<'_>) -> Result<(), Exit> {
    if context.ui.style.json && options.new_key.as_deref() == Some(Path::new("-")) {
        let text = "--new-key - and --json both write to stdout";
        return Err(Failure::new(Kind::Usage, text).with_help("Name a file for the key.").into());
    }
    let role = if options.writer { Role::Writer } else { Role::Reader };
    one_on_stdin(context)?;
    let recipient = options.recipient.as_deref().map(str::parse::<Recipient>).transpose()?;
    let plugins = plugins::at_hand(context)?;
    let recipient = recipient.map(|recipient| recipient.with_plugins(&plugins));
    // If the new member uses a passphrase, the descriptor contains the member's passphrase, and the
    // user is prompted for their own.
    let theirs = options.passphrase;
    let fd = if theirs { context.passphrase_fd.take() } else { None };
    let found = targets(options, context)?;
    let seen: Vec<Access> = found
        .iter()
        .filter_map(|(_, found)| found.as_ref().ok())
        .flat_map(|(_, list)| list.clone())
        .collect();
    let none_left = found.iter().all(|(_, target)| target.is_err());
    let (access, identity) = match recipient {
        // A recipient that is derived from a passphrase may be in one of several files only.
        Some(recipient) => {
            let access = Access::new(&options.name, role, recipient)?;
            let kept = seen.iter().try_fold(access, Access::in_place_of)?;
            (kept, None)
        }
        None if theirs && !none_left => (by_passphrase(options, role, &seen, fd, context)?, None),
        None => {
            let identity = Identity::generate()?;
            (Access::new(&options.name, role, identity.recipient())?, Some(identity))
        }
    };
    if let Some(plugin) = access.recipient.plugin() {
        let text = "it wraps the keys at each change of access";
        context.ui.warn(format_args!("from now on every writer needs age-plugin-{plugin}: {text}"));
    }
    let planned = |(path, target): (PathBuf, Result<(Target, Vec<Access>)>)| {
        (path, target.and_then(|(target, seen)| Plan::of(target, seen, &access, options.replace)))
    };
    let mut targets: Vec<(PathBuf, Result<Plan>)> = found.into_iter().map(planned).collect();
    let several = targets.len() > 1;
    targets
        .iter_mut()
        .filter_map(|(_, plan)| plan.as_mut().ok())
        .for_each(|plan| plan.several = several);
    let plans: Vec<&Plan> = targets.iter().filter_map(|(_, plan)| plan.as_ref().ok()).collect();
    if plans.is_empty() {
        return each_file::each(targets, context, |plan, context| {
            Ok(add(plan, &access, context)?.0)
        });
    }
    let consent = Consent {
        shown: described(&plans, &access),
        question: &format!("Add {} as a {}?", access.name, access.role),
        what: &format!("adding {} to access", access.name),
        declined: "not added",
        always: false,
    };
    context.ui.agree(consent)?;

    let new_ids = plans
        .iter()
        .any(|plan| plan.replaced.as_ref().is_some_and(|before| before.role == Role::Writer));
    let pins: Vec<Pin> = plans.iter().map(|plan| Pin::from(plan.target.vault_id())).collect();
    let key = match (options.new_key.as_deref(), identity) {
        (Some(path), Some(identity)) => {
            Some(NewKey::issue(path, &identity, pins, new_ids, context)?)
        }
        _ => None,
    };
    let mut added: Vec<Pin> = Vec::new();
    let done = each_file::each(targets, context, |plan, context| {
        let (answer, vault) = add(plan, &access, context)?;
        added.push(vault.into());
        Ok(answer)
    });
    if let Some(key) = key {
        key.complete(&added, &access, context)?;
    }
    done
}

/// How to see an access list that is longer than a screen.
pub(crate) const SEE_ALL: &str = "To see all: bootseal access list.";

/// The files to change, each with its access list.
type Checked = Vec<(PathBuf, Result<(Target, Vec<Access>)>)>;

/// Finds the files to change, each with its access list. All checks precede the prompt for a
/// passphrase.
fn targets(options: &AccessAdd, context: &mut Context<'_>) -> Result<Checked> {
    let check = |(target, file): (Target, VerifiedFile)| {
        let list = file.access().to_vec();
        target.check_writer(file)?;
        refuse_taken(&options.name, &list, options.replace)?;
        Ok((target, list))
    };
    let found = Target::find_all(context)?;
    Ok(found.into_iter().map(|(path, target)| (path, target.and_then(check))).collect())
}

/// The planned change of one file.
struct Plan {
    target: Target,
    seen: Vec<Access>,
    resulting: Vec<Access>,
    /// The entry of the same name that is replaced.
    replaced: Option<Access>,
    /// Whether there are several files, so that messages name the file.
    several: bool,
}

impl Plan {
    fn of(target: Target, seen: Vec<Access>, access: &Access, replace: bool) -> Result<Plan> {
        let mut resulting = seen.clone();
        let replaced = match seen.iter().position(|other| other.name == access.name) {
            Some(at) if replace => Some(std::mem::replace(&mut resulting[at], access.clone())),
            _ => {
                resulting.push(access.clone());
                None
            }
        };
        let others = seen.iter().filter(|other| replaced.as_ref() != Some(other));
        if let Some(other) = others.into_iter().find(|other| other.recipient == access.recipient) {
            let text = format!(
                "{} ({}) is in access already, with {}",
                other.name, other.role, other.recipient
            );
            return Err(Failure::new(Kind::Exists, text));
        }
        Ok(Plan { target, seen, resulting, replaced, several: false })
    }
}

fn refuse_taken(name: &str, list: &[Access], replace: bool) -> Result<()> {
    match list.iter().find(|other| other.name == name) {
        Some(other) if !replace => {
            let text = format!(
                "{} ({}) is in access already, with {}",
                other.name, other.role, other.recipient
            );
            Err(Failure::new(Kind::Exists, text).with_help(
                "To give this member another role or recipient (a removal and an addition), add --replace.",
            ))
        }
        _ => Ok(()),
    }
}

/// Changes one file, and returns its vault id after the change.
fn add(plan: Plan, access: &Access, context: &mut Context<'_>) -> Result<(Answer, VaultId)> {
    let target = plan.target;
    let now = context.now();
    let mut was_removed = false;
    let (exposed, vault) = target.change(context, |vault| {
        same_list(vault.file().access(), &plan.seen)?;
        let former = vault.file().known_to(0);
        was_removed = plan.replaced.is_none() && former.contains(&access.name.as_str());
        let exposed = match &plan.replaced {
            Some(_) => vault
                .replace_access(access.clone(), now)
                .map_err(|error| error.in_file(target.path()))?,
            None => vault.add_access(access.clone()).map(|()| Vec::new())?,
        };
        Ok((exposed, vault.file().vault_id()))
    })?;
    let text = match access.role {
        Role::Reader => "can open every value that this file contains, now and in future",
        Role::Writer => {
            "can open every value that this file contains, now and in future, and change the file"
        }
    };
    let place =
        if plan.several { format!("{}: ", Shown::path(target.path())) } else { String::new() };
    context.ui.note(format_args!("{place}{} {text}", access.name));
    if was_removed {
        note_former(&access.name, context);
    }
    let mut answer = document(&plan.resulting);
    if plan.replaced.is_some() {
        answer["exposed"] = exposed.iter().map(ToString::to_string).collect();
    }
    let former = format!("anyone with the former key of {}", access.name);
    Ok((
        Answer { document: answer, text: report(&former, &target, vault, &exposed, context) },
        vault,
    ))
}

/// Notes that the name is that of a removed member, whose values stay marked.
pub(crate) fn note_former(name: &str, context: &mut Context<'_>) {
    context.ui.note(format_args!(
        "a member called {name} was removed before: what that member knew stays marked, as known to {name} (former access), because the former key may be in other hands. For another person, use another name"
    ));
}

/// The length in characters below which a writer's passphrase is refused, and any other causes a
/// warning: anyone who has the file can guess a passphrase offline.
pub(crate) const SHORT: usize = 12;

fn by_passphrase(
    options: &AccessAdd,
    role: Role,
    seen: &[Access],
    descriptor: Option<u32>,
    context: &mut Context<'_>,
) -> Result<Access> {
    // Check the name before the passphrase is prompted for.
    if let Some(other) = seen.first() {
        Access::new(&options.name, role, other.recipient.clone())?;
    }
    let passphrase = match descriptor {
        Some(descriptor) => passphrase_from(descriptor, &mut context.ui)?,
        None if context.ui.can_ask_passphrase() => {
            context.ui.ask_secret(&format!("Passphrase of {}", options.name))?
        }
        None => return Err(no_passphrase()),
    };
    let short = passphrase_length(&passphrase)? < SHORT;
    let text = "the passphrase has fewer than 12 characters: anyone who has the file, even from git's history, can guess it offline";
    if short && role == Role::Writer {
        return Err(Failure::new(Kind::Usage, format!("{text}, and then sign"))
            .with_help("Six random words make a good passphrase."));
    }
    let cost = if options.small { Cost::Small } else { Cost::Full };
    let access = Access::by_passphrase(&options.name, role, cost, &passphrase)?;
    if short {
        context.ui.warn(format_args!("{text}. Six random words make a good passphrase"));
    }
    Ok(access)
}

pub(crate) fn no_passphrase() -> Failure {
    Failure::new(Kind::NoTerminal, "there is no terminal to ask for the passphrase").with_help(
        "Pass the passphrase on a file descriptor: --passphrase-fd 3 3< FILE, or --passphrase-fd 0 for stdin",
    )
}

fn described(plans: &[&Plan], access: &Access) -> Review {
    let place = |plan: &Plan| match plan.several {
        true => Row::default().long(Shown::path(plan.target.path()).to_string()).and(": "),
        false => Row::default(),
    };
    let caption = "Access will be:";
    let (mut review, mut rest) = match plans {
        [only] => (Review::new(place(only).and(caption), SEE_ALL), Vec::new()),
        _ => (Review::default(), Vec::new()),
    };
    for plan in plans {
        if plans.len() > 1 {
            rest.push(place(plan).and(caption).into_caption());
        }
        rest.extend(tables::rows(&plan.resulting, Some(&access.name)));
        if let Some(before) = &plan.replaced {
            let row = Row::fixed(format!("{} was a {} with ", before.name, before.role));
            rest.push(row.long(before.recipient.to_string()).ranked(0));
        }
    }
    review.members(rest);
    review
}
