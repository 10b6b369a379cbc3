//! `bootseal verify`: signature, pin, shape; with an identity also every value.

use crate::cli::{Everywhere, Verify};
use crate::exit::{Done, Failure, Result};
use crate::keys::Keys;
use crate::output::Style;
use crate::world::World;
use bootseal_core::{Identity, Kind, Pin, Profile, Property, Role, SealedFile, Shown, Trust};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Verify, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let files: Vec<PathBuf> =
        if options.files.is_empty() { vec![world.sealed_file(everywhere)?] } else { options.files.clone() };
    let mut keys = world.keys(everywhere)?;
    let pins = world.pins(everywhere, &keys)?;
    if let [path] = files.as_slice() {
        let found = check(path, &mut keys, &pins, everywhere, style, world)?;
        return Ok(report(path, &found, style, world)?);
    }
    let (mut documents, mut worst) = (Vec::new(), 0);
    for path in &files {
        match check(path, &mut keys, &pins, everywhere, style, world) {
            Ok(found) if style.json => documents.push(found),
            Ok(found) => report(path, &found, style, world)?,
            Err(failure) => {
                worst = worse(worst, failure.kind().exit_code());
                match style.json {
                    true => documents.push(json!({ "file": path.to_string_lossy(), "error": failure.json() })),
                    false => world.failure(style, &failure),
                }
            }
        }
    }
    if style.json {
        world.document(&json!({ "files": documents }))?;
    }
    if worst == 0 { Ok(()) } else { Err(Done::Quietly(worst)) }
}

/// Not authentic is the worst that a file can be.
fn worse(one: u8, other: u8) -> u8 {
    if one == 3 || other == 3 { 3 } else { one.max(other) }
}

fn report(path: &Path, found: &Value, style: Style, world: &mut World<'_>) -> Result<()> {
    if style.json {
        return world.document(found);
    }
    let opened = match found["role"].as_str() {
        Some(role) => format!("every value opens ({role})"),
        None => "values not opened: no identity at hand is in access".into(),
    };
    let (properties, sealed) = (&found["properties"], &found["sealed"]);
    let trust = found["trust"].as_str().unwrap_or_default();
    world.line(format_args!(
        "{}: good, {trust}. {}, generation {}, {properties} properties, {sealed} sealed; {opened}",
        Shown(&path.to_string_lossy()),
        found["vault"].as_str().unwrap_or_default(),
        found["generation"]
    ))
}

fn check(
    path: &Path,
    keys: &mut Keys,
    pins: &[Pin],
    everywhere: &Everywhere,
    style: Style,
    world: &mut World<'_>,
) -> Result<Value> {
    let file = world.verified(SealedFile::read(path)?, path, pins, style)?;
    // It needs no identity, so a passphrase is asked for only where a key was named on purpose.
    if keys.named {
        world.unlock(keys, &file, everywhere)?;
    }
    let mut role = file.role_of(&keys.identities);
    let properties = file.properties().count();
    let sealed = file.properties().filter(|(_, property)| matches!(property, Property::Sealed(_))).count();
    let (vault, generation) = (file.vault(), file.generation());
    let trust = match file.trust() {
        Trust::Pinned => "pinned",
        Trust::Nothing => "not pinned",
        _ => "remembered",
    };
    if file.trust() == Trust::Nothing {
        let text = "the signature holds, but nothing says which vault this must be: anyone may have made it";
        world.warn(style, format_args!("{}: {text}. Insist on one: --pin {vault}", Shown(&path.to_string_lossy())));
    }
    for table in file.profiles() {
        // A profile may wait for a value that is set later; what makes a file bad is not known from it.
        if let Err(error) = Profile::read(&file, &table) {
            world.warn(style, error);
        }
    }
    match role {
        Some(Role::Writer) if !keys.identities.iter().any(Identity::is_plugin) => {
            let writer = file.open_for_writing(&keys.identities)?;
            writer.check_key_blocks(&keys.identities)?;
            writer.open_all()?;
        }
        Some(Role::Writer) => {
            let reader = file.open(&keys.identities)?;
            reader.open_all()?;
            match reader.into_file().open_for_writing(&keys.identities) {
                Ok(writer) => writer.check_key_blocks(&keys.identities)?,
                // A plugin's identity may have been that of a reader, with a writer of the same plugin beside it.
                Err(error) if error.kind() == Kind::NoIdentity => role = Some(Role::Reader),
                Err(error) => return Err(error.into()),
            }
        }
        Some(Role::Reader) => drop(file.open(&keys.identities)?.open_all()?),
        // Named on purpose, it is meant to open; one's own identity that happens to be there is not.
        None if keys.named => {
            return Err(file
                .open(&keys.identities)
                .map(drop)
                .err()
                .map_or_else(|| Failure::new(Kind::NoIdentity, "not in access"), Failure::from));
        }
        None => {}
    }
    Ok(json!({
        "file": path.to_string_lossy(), "vault": vault.to_string(), "generation": generation, "signed": true,
        "role": role.map(|role| role.to_string()), "properties": properties, "sealed": sealed, "trust": trust,
    }))
}
