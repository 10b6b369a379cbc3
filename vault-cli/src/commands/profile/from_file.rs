//! `bootseal profile --from`: copies a profile from another vault, without its secrets.

use crate::commands::profile::draft::{Draft, ask_missing};
use crate::context::Context;
use crate::profile::login_table::LoginTable;
use crate::trust::keyring::Keys;
use crate::trust::locate;
use crate::trust::vouch::vouch;
use crate::ui::failure::Result;
use bootseal_core::{Profile, Property, PropertyPath, VerifiedFile};
use std::path::Path;

/// Copies the profile of the same name, or else the only profile, from another vault, without its
/// secrets.
pub(super) fn draft(
    from: &Path,
    url: Option<&str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Draft> {
    let keys = Keys::find(context)?;
    let pins = keys.pins.clone();
    let mut found = locate::find_at(from, keys, pins, context)?;
    // A profile determines where a password is sent, so only a trusted file may provide one.
    vouch(&mut found.file, &found.memory, from, context)?;
    let there = found.file.profiles();
    let theirs = match there.iter().next() {
        Some(only) if there.len() == 1 && !there.contains(table) => {
            context.ui.note(format_args!("using its only profile, {only}"));
            only.clone()
        }
        _ => table.clone(),
    };
    let profile = Profile::read(&found.file, &theirs)?;
    let mut login = LoginTable::of(&profile)?;
    if let Some(url) = url {
        login.move_to(url)?;
    }
    let (mut readable, mut missing) = (Vec::new(), Vec::new());
    for name in profile.value_names() {
        if file.is_sealed(&table.child(name)?).is_some() {
            continue;
        }
        match found.file.property(&theirs.child(name)?) {
            Some(Property::Readable(value)) => readable.push((name.to_owned(), value.clone())),
            _ => missing.push(name),
        }
    }
    let sealed = ask_missing(missing.into_iter(), table, file, context)?;
    Ok(Draft { table: table.clone(), login, readable, sealed })
}
