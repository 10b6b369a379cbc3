//! `bootseal verify`: checks the signature, the pin and the structure and, with an identity, every
//! value.

mod as_loader;
mod base;
mod changed;
pub(crate) mod since;

use crate::cli::{SinceFormat, Verify};
use crate::commands::verify::since::Since;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::locate::{self, OpenedFile, expand};
use crate::trust::vouch::{how_to_pin, trusted, warn_of_handover};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::counted;
use bootseal_core::{Gateway, Identity, Kind, Profile, Role, Shown, Trust};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Verify, context: &mut Context<'_>) -> Result<(), Exit> {
    if options.as_loader {
        return crate::commands::verify::as_loader::run(&options.files, context);
    }
    let mut named = context.options.file.clone();
    named.extend(options.files.iter().cloned());
    let since = match &options.since {
        Some(revision) => {
            Some(Since::of(revision, named.first().map_or(Path::new("."), PathBuf::as_path))?)
        }
        None => None,
    };
    let files = match &since {
        _ if !named.is_empty() => expand(&named)?,
        Some(since) => {
            let files = since.files()?;
            let gone = files.gone.iter().map(|path| Shown::path(path));
            context.ui.warn_each(gone.map(|path| format!("{path} no longer exists")));
            let unexamined = files.unexamined.iter().filter(|_| !files.gone.is_empty());
            let what = "is a new link or submodule, and was not examined: it may contain an old copy of the file that no longer exists";
            context.ui.warn_each(unexamined.map(|path| format!("{} {what}", Shown::path(path))));
            files.there
        }
        None => vec![locate::sealed_file(context)?],
    };
    let found = locate::find_each(files, context)?;
    each_file::each(found, context, |found, context| {
        let path = found.path.clone();
        if let Some(least) = options.min_generation.filter(|least| found.file.generation() < *least)
        {
            let what = format!(
                "this is generation {} of the file, but {least} or later is required",
                found.file.generation()
            );
            return Err(bootseal_core::Error::new(bootseal_core::Kind::OldGeneration, what)
                .in_file(&path)
                .into());
        }
        let became =
            since.as_ref().map(|since| since.check(&found.path, &found.file)).transpose()?;
        let mut document = check(found, context)?;
        let mut text = report(&path, &document);
        if let Some(became) = became {
            document["since"] = became.document();
            text = match options.format {
                Some(SinceFormat::Markdown) => became.markdown(&path.to_string_lossy()),
                _ => format!("{text}\n{}", became.text()),
            };
        }
        Ok(Answer { text, document })
    })
}

fn report(path: &Path, found: &Value) -> String {
    let opened = match found["role"].as_str() {
        Some(role) => format!("every value opens ({role})"),
        None => "values not opened: no available identity is in access".into(),
    };
    let (properties, sealed) = (&found["properties"], &found["sealed"]);
    let trust = found["trust"].as_str().unwrap_or_default();
    format!(
        "{}: good, {trust}. {}, generation {}, {}, {sealed} sealed; {opened}",
        Shown::path(path),
        found["vault"].as_str().unwrap_or_default(),
        found["generation"],
        counted(properties.as_u64().unwrap_or_default() as usize, "property", "properties"),
    )
}

fn check(found: OpenedFile, context: &mut Context<'_>) -> Result<Value> {
    let OpenedFile { path, mut keys, memory, file, .. } = found;
    warn_of_handover(&file, &memory, context);
    if let Some(older) = memory.older(&file) {
        context.ui.warn(format_args!("{} is {older}", Shown::path(&path)));
    }
    keys.unlock_unasked(&file, context)?;
    let mut role = file.role_of(&keys.identities);
    let (properties, sealed) = file.counts();
    let (vault, generation) = (file.vault_id(), file.generation());
    let trust = trusted(&file);
    if file.trust() == Trust::Unverified {
        let text =
            "the signature is valid, but this vault is not pinned: anyone could have made the file";
        context.ui.warn(format_args!("{}: {text}. {}", Shown::path(&path), how_to_pin(&file)));
    }
    // This is only a warning: a profile may need a value that is set later.
    // Each is printed at once, because a file can have very many.
    let mut is_broken = false;
    let profiles = file.profiles();
    let broken = profiles.iter().filter_map(|table| Profile::read(&file, table).err());
    context.ui.warn_each(broken.inspect(|_| is_broken = true));
    // A route depends on its profile.
    if !is_broken && let Err(error) = Gateway::read(&file) {
        context.ui.warn(error);
    }
    let working = match keys.identities.iter().any(Identity::is_plugin) {
        // A plugin may prompt the user.
        true => None,
        false => Some(context.ui.working("opening every value")),
    };
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
                // The plugin identity may belong to a reader, while a writer of this file uses the
                // same plugin.
                Err(error) if error.kind() == Kind::NoIdentity => role = Some(Role::Reader),
                Err(error) => return Err(error.into()),
            }
        }
        Some(Role::Reader) => drop(file.open(&keys.identities)?.open_all()?),
        // A named identity is expected to open the file; the user's own identity is not.
        None if keys.named => {
            return Err(file
                .open(&keys.identities)
                .map(drop)
                .err()
                .map_or_else(|| Failure::new(Kind::NoIdentity, "not in access"), Failure::from));
        }
        None => {}
    }
    drop(working);
    Ok(json!({
        "file": path.to_string_lossy(), "vault": vault.to_string(), "generation": generation, "signed": true,
        "role": role.map(|role| role.to_string()), "properties": properties, "sealed": sealed, "trust": trust,
    }))
}
