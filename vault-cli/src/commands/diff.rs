//! `bootseal diff`: shows the changes between two versions of a file.

use crate::cli::Diff;
use crate::context::Context;
use crate::git::named_version::{Named, bytes_at, bytes_of, bytes_of_file, named_version};
use crate::trust::keyring::Keys;
use crate::trust::locate;
use crate::ui::change_report;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::shown_value;
use bootseal_core::{
    Changes, HandEdit, Kind, OpenedValue, Property, PropertyPath, SealedFile, Secret, ValueKind,
    VerifiedFile,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Diff, context: &mut Context<'_>) -> Result<(), Exit> {
    let done = compare(options, context);
    match done {
        // As with diff(1), exit code 1 means that the names differ, so an error has exit code 2.
        Err(Exit::Failed(failure)) if options.names => {
            context.ui.failure(&failure);
            Err(Exit::Reported(2))
        }
        other => other,
    }
}

/// One of the two versions.
struct Version {
    name: String,
    edit: HandEdit,
    /// The verified file, if its signature is valid; no pin is checked.
    verified: Option<VerifiedFile>,
    values: Option<Vec<(PropertyPath, OpenedValue)>>,
}

fn compare(options: &Diff, context: &mut Context<'_>) -> Result<(), Exit> {
    let (old, new) = match options.versions.as_slice() {
        [] => (None, None),
        // A single argument is the newer file if such a file exists, else the older revision.
        [one] => match named_version(one, Path::new("."))? {
            Named::File => (None, Some(one)),
            Named::Revision => (Some(one), None),
        },
        [old, new] => (Some(old), Some(new)),
        _ => {
            return Err(Failure::new(Kind::Usage, "diff takes an older and a newer version").into());
        }
    };
    let path = match new {
        Some(new) => {
            named_version(new, Path::new("."))?;
            PathBuf::from(new)
        }
        None => locate::sealed_file(context)?,
    };
    let mut keys = Keys::find(context)?;
    let new = bytes_of_file(&path)?;
    let old = match old {
        Some(old) => bytes_of(old, &path)?,
        None => bytes_at("HEAD", &path)?,
    };
    let mut version =
        |(name, bytes): (String, Vec<u8>), context: &mut Context<'_>| -> Result<Version> {
            let verified = SealedFile::parse(bytes.clone()).and_then(|file| file.verify(&[]));
            if let Err(error) = &verified {
                context.ui.warn(format_args!(
                    "{name} does not verify, and is shown unverified: {}",
                    error.what()
                ));
            }
            let edit = HandEdit::parse(bytes).map_err(|error| error.in_file(Path::new(&name)))?;
            let verified = verified.ok();
            let values = match &verified {
                Some(file) => values(file, &mut keys, context)?,
                None => None,
            };
            Ok(Version { name, edit, verified, values })
        };
    let (old, new) = (version(old, context)?, version(new, context)?);
    if options.names {
        return names(&old, &new, context);
    }
    let changes = match (&old, &new) {
        (
            Version { verified: Some(one), values: Some(before), .. },
            Version { verified: Some(other), values: Some(after), .. },
        ) => Changes::between_opened((one, before), (other, after)),
        (Version { verified: Some(one), .. }, Version { verified: Some(other), .. }) => {
            Changes::between(one, other)
        }
        _ => old.edit.changes_to(&new.edit),
    };
    let mut document = change_report::document(&changes);
    document["old"] = json!(old.name);
    document["new"] = json!(new.name);
    let mut text = change_report::review(&changes).whole();
    if options.reveal {
        reveal(&changes, &old, &new, &mut document, &mut text)?;
    }
    if context.ui.style.json {
        context.ui.document(&document)?;
    } else if !text.is_empty() {
        context.ui.line(text)?;
    }
    Ok(())
}

/// Opens the sealed values, if an available identity can: they show which values really changed,
/// and when.
fn values(
    file: &VerifiedFile,
    keys: &mut Keys,
    context: &mut Context<'_>,
) -> Result<Option<Vec<(PropertyPath, OpenedValue)>>> {
    keys.unlock_unasked(file, context)?;
    if file.role_of(&keys.identities).is_none() {
        return Ok(None);
    }
    let again = SealedFile::parse(file.text().into_bytes())?.verify(&[])?;
    Ok(again.open(&keys.identities).and_then(|vault| vault.open_all()).ok())
}

fn names(old: &Version, new: &Version, context: &mut Context<'_>) -> Result<(), Exit> {
    let all = |version: &Version| -> Vec<String> {
        version.edit.names().map(ToString::to_string).collect()
    };
    let (before, after) = (all(old), all(new));
    let missing = |one: &[String], other: &[String]| -> Vec<String> {
        let there: HashSet<&String> = other.iter().collect();
        one.iter().filter(|name| !there.contains(name)).cloned().collect()
    };
    let (gone, came) = (missing(&before, &after), missing(&after, &before));
    if context.ui.style.json {
        context.ui.document(
            &json!({ "old": old.name, "new": new.name, "only_old": gone, "only_new": came }),
        )?;
    } else {
        for (file, list) in [(&old.name, &gone), (&new.name, &came)] {
            for name in list {
                context.ui.line(format_args!("only in {file}: {name}"))?;
            }
        }
    }
    if gone.is_empty() && came.is_empty() { Ok(()) } else { Err(Exit::Reported(1)) }
}

/// Adds the changed sealed values in the clear, for `--reveal`.
fn reveal(
    changes: &Changes,
    old: &Version,
    new: &Version,
    document: &mut Value,
    text: &mut String,
) -> Result<()> {
    let (Some(before), Some(after)) = (&old.values, &new.values) else {
        return Err(Failure::new(
            Kind::NoIdentity,
            "--reveal needs an identity that opens both versions",
        )
        .with_help("Name it with -i FILE."));
    };
    let find = |values: &[(PropertyPath, OpenedValue)], path: &PropertyPath| {
        let found = values.iter().find(|(other, _)| other == path);
        found.map(|(_, value)| clear(&value.secret, value.kind))
    };
    let sealed = |property: &Option<Property>| matches!(property, Some(Property::Sealed(_)));
    for (index, change) in changes.properties.iter().enumerate() {
        if !sealed(&change.before) && !sealed(&change.after) {
            continue;
        }
        let (one, other) = (find(before, &change.path), find(after, &change.path));
        for (sign, value) in [("-", &one), ("+", &other)] {
            if let Some(value) = value {
                text.push_str(&format!("\n{sign} {} = {}", change.path, shown_value(value)));
            }
        }
        document["properties"][index]["revealed_before"] = json!(one);
        document["properties"][index]["revealed_after"] = json!(other);
    }
    Ok(())
}

fn clear(secret: &Secret, kind: ValueKind) -> String {
    match (kind, secret.expose_str(str::to_owned)) {
        (ValueKind::Text | ValueKind::Toml, Ok(text)) => text,
        _ => format!("({} bytes)", secret.len()),
    }
}
