//! `bootseal access add`: lets someone in.

use super::access_list::{document, table};
use super::{Target, write_private};
use crate::cli::{AccessAdd, Everywhere};
use crate::exit::{Done, Failure, Result};
use crate::output::Style;
use crate::world::World;
use bootseal_core::{Access, Identity, Kind, Pin, Recipient, Role, Shown};
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
    let (target, file) = Target::find(everywhere, style, world)?;
    let (recipient, identity) = match &options.recipient {
        Some(text) => (Some(text.parse::<Recipient>()?.with_plugins(&world.plugins()?)), None),
        None => {
            let identity = Identity::generate()?;
            (identity.recipient(), Some(identity))
        }
    };
    if let Some(plugin) = recipient.as_ref().and_then(Recipient::plugin) {
        let text = format_args!(
            "from now on every writer needs age-plugin-{plugin}: who may is wrapped anew with it at each change of access"
        );
        world.warn(style, text);
    }
    let access = Access::new(&options.name, role, recipient)?;
    let (vault, seen) = (file.vault(), file.access().to_vec());
    target.check_writer(file)?;
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
