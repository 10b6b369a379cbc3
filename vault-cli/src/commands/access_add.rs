//! `bootseal access add`: lets someone in.

use super::access_list::{document, table};
use super::{Target, write_private};
use crate::cli::{AccessAdd, Everywhere};
use crate::exit::{Done, Failure, Result};
use crate::keys::one_on_stdin;
use crate::output::Style;
use crate::world::World;
use bootseal_core::{Access, Cost, Identity, Kind, Pin, Recipient, Role, Shown};
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
    one_on_stdin(everywhere)?;
    let recipient = options.recipient.as_deref().map(str::parse::<Recipient>).transpose()?;
    // Where someone is to open by passphrase, the descriptor gives theirs; one's own is then asked for.
    let (fd, theirs) = (everywhere.passphrase_fd, options.passphrase);
    let own = Everywhere { passphrase_fd: fd.filter(|_| !theirs), ..everywhere.clone() };
    let (target, file) = Target::find(&own, style, world)?;
    let (vault, seen) = (file.vault(), file.access().to_vec());
    target.check_writer(file)?;
    let (access, identity) = match recipient {
        Some(recipient) => (Access::new(&options.name, role, recipient)?, None),
        None if theirs => (by_passphrase(options, role, &seen, fd, style, world)?, None),
        None => {
            let identity = Identity::generate()?;
            (Access::new(&options.name, role, identity.recipient())?, Some(identity))
        }
    };
    if let Some(other) = seen.iter().find(|other| other.name == access.name || other.recipient == access.recipient) {
        let text = format!("{} ({}) is in access already, with {}", other.name, other.role, other.recipient);
        return Err(Failure::new(Kind::Exists, text).into());
    }
    let resulting: Vec<Access> = seen.iter().cloned().chain([access.clone()]).collect();
    confirm(&resulting, &access, everywhere, world)?;

    let key_file = options.new_key.as_deref().filter(|path| *path != Path::new("-"));
    let key_text = identity.map(|identity| identity.to_file_text(Some(&Pin::from(vault)))).transpose()?;
    if let (Some(path), Some(text)) = (key_file, &key_text) {
        write_private(path, text)?;
    }
    let saved = target.change(|vault| {
        if vault.file().access() != seen {
            return Err(Failure::new(
                Kind::Conflict,
                "the access list was changed while you were asked; nothing was changed",
            )
            .with_help("Look again: bootseal access list"));
        }
        Ok(vault.add_access(access.clone())?)
    });
    if saved.is_err()
        && let Some(path) = key_file
    {
        // A key that opens nothing would only mislead.
        let _ = std::fs::remove_file(path);
    }
    saved?;
    match (key_file, key_text) {
        (Some(path), _) => world.note(
            style,
            format_args!(
                "made {}: it goes to {} and nowhere else; the vault's pin is in it",
                Shown(&path.to_string_lossy()),
                access.name
            ),
        ),
        // After the file is saved, so that no key is given out that opens nothing.
        (None, Some(text)) => return Ok(text.expose(|bytes| world.stdout.write_all(bytes))?),
        (None, None) => {}
    }
    world.note(
        style,
        format_args!("{} can open every value that this file holds now, and what is sealed from now on", access.name),
    );
    if style.json {
        world.document(&document(&resulting))?;
    }
    Ok(())
}

/// In characters. A passphrase that is shorter is warned of: who has the file can try as many as they can pay for.
const SHORT: usize = 12;

fn by_passphrase(
    options: &AccessAdd,
    role: Role,
    seen: &[Access],
    descriptor: Option<u32>,
    style: Style,
    world: &mut World<'_>,
) -> Result<Access> {
    // Nobody types a passphrase twice to hear that the name will not do.
    if let Some(other) = seen.first() {
        Access::new(&options.name, role, other.recipient.clone())?;
    }
    if let Some(other) = seen.iter().find(|other| other.name == options.name) {
        return Err(Failure::new(Kind::Exists, format!("{} ({}) is in access already", other.name, other.role)));
    }
    let passphrase = match descriptor {
        Some(descriptor) => world.passphrase_from(descriptor)?,
        None if world.can_ask_passphrase() => world.ask_secret(&format!("Passphrase of {}", options.name))?,
        None => {
            return Err(Failure::new(Kind::NoTerminal, "there is no terminal to ask for the passphrase at")
                .with_help("Give it on a descriptor: --passphrase-fd 3 3< FILE, or --passphrase-fd 0 for stdin"));
        }
    };
    let cost = if options.small { Cost::Small } else { Cost::Full };
    let access = Access::by_passphrase(&options.name, role, cost, &passphrase)?;
    if passphrase.expose_str(|text| text.trim_end_matches('\n').chars().count() < SHORT).unwrap_or(true) {
        let text = "the passphrase has fewer than 12 characters: whoever has the file, in git's history for good, can try out many";
        world.warn(style, format_args!("{text}. Six words drawn by chance are a good one"));
    }
    Ok(access)
}

fn confirm(resulting: &[Access], added: &Access, everywhere: &Everywhere, world: &mut World<'_>) -> Result<()> {
    if everywhere.yes {
        return Ok(());
    }
    if !world.can_ask() {
        return Err(Failure::new(
            Kind::NoTerminal,
            format!("adding {} to access is asked for, and there is no terminal to ask at", added.name),
        )
        .with_help("Add --yes."));
    }
    let question = format!("Access will be:\n{}\nAdd {} as a {}?", table(resulting), added.name, added.role);
    if world.ask(&question)? { Ok(()) } else { Err(Failure::new(Kind::Usage, "not added; nothing was changed")) }
}
