//! `bootseal diff`: shows the changes between two versions of a file.

use crate::cli::Diff;
use crate::context::Context;
use crate::git::named_version::{Named, bytes_at, bytes_of, bytes_of_file, named_version};
use crate::trust::keyring::Keys;
use crate::trust::locate;
use crate::ui::change_report::{self, Document, Revealed, touches_sealed};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::shown_value;
use bootseal_core::{
    Change, Changes, HandEdit, Kind, MOST_NAMES, OpenedValue, PropertyPath, Secret, ValueKind,
    VerifiedFile, and_more,
};
use serde_json::json;
use std::collections::HashMap;
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
            let (verified, edit) = HandEdit::parse_version(bytes);
            if let Err(error) = &verified {
                context.ui.warn(format_args!(
                    "{name} does not verify, and is shown unverified: {}",
                    error.what()
                ));
            }
            let edit = edit.map_err(|error| error.in_file(Path::new(&name)))?;
            let verified = verified.ok();
            let values = match &verified {
                Some(file) => values(file, &mut keys, context)?,
                None => None,
            };
            Ok(Version { name, edit, verified, values })
        };
    let (old, new) = (version(old, context)?, version(new, context)?);
    let most = if options.all { usize::MAX } else { MOST_NAMES };
    if options.names {
        return names(&old, &new, most, context);
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
    let revealed = if options.reveal { Some(reveal(&old, &new)?) } else { None };
    if context.ui.style.json {
        let document = Document {
            versions: Some((&old.name, &new.name)),
            revealed: revealed.as_ref().map(|revealed| revealed as _),
            ..change_report::document(&changes)
        };
        return Ok(context.ui.document(&document)?);
    }
    change_report::print(&changes, options.all, &mut context.ui)?;
    match revealed {
        Some(revealed) => Ok(print_revealed(&changes, revealed, most, context)?),
        None => Ok(()),
    }
}

/// Prints the old and the new value of the sealed properties that changed.
fn print_revealed(
    changes: &Changes,
    revealed: impl Fn(&Change) -> Revealed,
    most: usize,
    context: &mut Context<'_>,
) -> Result<()> {
    let mut sealed = changes.properties().filter(touches_sealed);
    for change in sealed.by_ref().take(most) {
        let (before, after) = revealed(&change);
        for (sign, value) in [("-", before), ("+", after)] {
            if let Some(value) = value {
                let value = shown_value(&value);
                context.ui.line(format_args!("{sign} {} = {value}", change.path))?;
            }
        }
    }
    if let Some(more) = and_more(sealed.count()) {
        context.ui.line(format_args!("{more} values: bootseal diff --reveal --all"))?;
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
    Ok(file.clone().open(&keys.identities).and_then(|vault| vault.open_all()).ok())
}

fn names(old: &Version, new: &Version, most: usize, context: &mut Context<'_>) -> Result<(), Exit> {
    let missing = |one: &HandEdit, other: &HandEdit| -> Vec<String> {
        let only = one.names().filter(|name| !other.contains(name));
        only.map(|name| name.to_string()).collect()
    };
    let (gone, came) = (missing(&old.edit, &new.edit), missing(&new.edit, &old.edit));
    if context.ui.style.json {
        context.ui.document(
            &json!({ "old": old.name, "new": new.name, "only_old": gone, "only_new": came }),
        )?;
    } else {
        for (file, list) in [(&old.name, &gone), (&new.name, &came)] {
            for name in list.iter().take(most) {
                context.ui.line(format_args!("only in {file}: {name}"))?;
            }
            if let Some(more) = and_more(list.len().saturating_sub(most)) {
                context
                    .ui
                    .line(format_args!("only in {file}: {more}: bootseal diff --names --all"))?;
            }
        }
    }
    if gone.is_empty() && came.is_empty() { Ok(()) } else { Err(Exit::Reported(1)) }
}

/// Returns a function that opens the sealed values of a change, for `--reveal`.
fn reveal<'a>(old: &'a Version, new: &'a Version) -> Result<impl Fn(&Change) -> Revealed + 'a> {
    let (Some(before), Some(after)) = (&old.values, &new.values) else {
        return Err(Failure::new(
            Kind::NoIdentity,
            "--reveal needs an identity that opens both versions",
        )
        .with_help("Name it with -i FILE."));
    };
    type Values<'a> = HashMap<&'a PropertyPath, &'a OpenedValue>;
    let by_name = |values: &'a [(PropertyPath, OpenedValue)]| -> Values<'a> {
        values.iter().map(|(path, value)| (path, value)).collect()
    };
    let (before, after) = (by_name(before), by_name(after));
    let find = |values: &Values<'a>, path: &PropertyPath| {
        values.get(path).map(|value| clear(&value.secret, value.kind))
    };
    Ok(move |change: &Change| (find(&before, &change.path), find(&after, &change.path)))
}

fn clear(secret: &Secret, kind: ValueKind) -> String {
    match (kind, secret.expose_str(str::to_owned)) {
        (ValueKind::Text | ValueKind::Toml, Ok(text)) => text,
        _ => format!("({} bytes)", secret.len()),
    }
}
