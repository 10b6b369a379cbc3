//! `bootseal set`: seals one value.

use super::Target;
use super::value::Source;
use crate::cli::{Everywhere, Set};
use crate::exit::{Done, Result};
use crate::output::Style;
use crate::world::World;
use bootseal_core::{Kind, Property, PropertyPath, Shown, VerifiedFile};
use serde_json::json;

pub(crate) fn run(options: &Set, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let source = Source {
        stdin: options.stdin.as_deref(),
        from_file: options.from_file.as_deref(),
        generate: options.generate,
        empty: options.empty,
    };
    source.refuse_typed("set", &options.path)?;
    let path: PropertyPath = options.path.parse()?;
    let (target, file) = Target::find(everywhere, style, world)?;
    let before = file.property(&path).cloned();
    if let Some(text) = &options.plain {
        if matches!(before, Some(Property::Sealed(_))) && !options.force {
            let error = bootseal_core::Error::new(
                Kind::Conflict,
                "is sealed; --plain would make it readable for everyone who has the file",
            );
            return Err(error
                .at(&path)
                .in_file(target.path())
                .with_help("If that is what you want, add --force.")
                .into());
        }
        let value = toml::Value::String(text.clone());
        target.change(|vault| Ok(vault.set_readable(&path, &value)?))?;
        return said(&target, &path, "readable", style, world);
    }
    if in_profile(&file, &path) {
        let what = "belongs to a login profile, which stays readable, so that a review sees where a password goes";
        let error = bootseal_core::Error::new(Kind::Conflict, what).at(&path).in_file(target.path());
        return Err(error.with_help(format!("bootseal set {path} --plain VALUE")).into());
    }
    target.check_writer(file)?;
    let (kind, value) = source.read(&path, style, world)?;
    let now = (world.now)();
    target.change(|vault| Ok(vault.set(&path, kind, &value, now)?))?;
    if matches!(before, Some(Property::Readable(_))) {
        world.note(
            style,
            format_args!("{path} was readable until now: what it was stands in git's history, so give a new value"),
        );
    }
    said(&target, &path, "sealed", style, world)
}

fn said(target: &Target, path: &PropertyPath, what: &str, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    world.detail(style, format_args!("{}: {path} is {what}", Shown(&target.path().to_string_lossy())));
    if style.json {
        world.document(&json!({ "name": path.to_string(), "sealed": what == "sealed" }))?;
    }
    Ok(())
}

/// Whether `path` lies in a login profile: sealing it would break the profile.
fn in_profile(file: &VerifiedFile, path: &PropertyPath) -> bool {
    file.profiles().iter().any(|table| table.child("login").is_ok_and(|login| path.starts_with(login.segments())))
}
