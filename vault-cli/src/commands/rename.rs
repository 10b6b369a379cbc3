//! `bootseal rename`: gives a property another name; a sealed value keeps its date.

use crate::cli::{Everywhere, Rename};
use crate::exit::{Done, Failure, Result};
use crate::output::Style;
use crate::target::Target;
use crate::world::World;
use bootseal_core::{Kind, Profile, PropertyPath};
use serde_json::json;

pub(crate) fn run(options: &Rename, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let (old, new): (PropertyPath, PropertyPath) = (options.old.parse()?, options.new.parse()?);
    let (target, file) = Target::find(everywhere, style, world)?;
    let before = broken_profiles(&file);
    let after = target.change(style, world, |vault| {
        vault.rename(&old, &new, options.force).map_err(|error| match error.kind() {
            Kind::Exists => Failure::from(error.in_file(target.path()).with_help("To replace it, add --force.")),
            _ => error.in_file(target.path()).into(),
        })?;
        Ok(broken_profiles(vault.file()))
    })?;
    // A profile that names the old property does not follow by itself.
    for (_, error) in after.into_iter().filter(|(table, _)| !before.iter().any(|(other, _)| other == table)) {
        world.warn(style, error);
    }
    if style.json {
        world.document(&json!({ "name": new.to_string(), "was": old.to_string() }))?;
    }
    Ok(())
}

pub(super) fn broken_profiles(file: &bootseal_core::VerifiedFile) -> Vec<(PropertyPath, bootseal_core::Error)> {
    let read = |table: PropertyPath| Profile::read(file, &table).err().map(|error| (table, error));
    file.profiles().into_iter().filter_map(read).collect()
}
