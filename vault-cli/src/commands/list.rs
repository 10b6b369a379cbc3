//! `bootseal list`: names, sealed or readable, and when each value was given.

use crate::cli::{Everywhere, List};
use crate::exit::{Done, Result};
use crate::output::{Style, timestamp};
use crate::vaults::Found;
use crate::world::World;
use bootseal_core::{Property, PropertyPath};
use serde_json::json;

pub(crate) fn run(options: &List, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let prefix = options.prefix.as_deref().map(str::parse::<PropertyPath>).transpose()?;
    let Found { mut keys, file, .. } = world.find(everywhere, style)?;
    let wanted = |path: &PropertyPath| prefix.as_ref().is_none_or(|prefix| path.starts_with(prefix.segments()));
    let names: Vec<(PropertyPath, bool)> = file
        .properties()
        .filter(|(path, _)| wanted(path))
        .map(|(path, property)| (path.clone(), matches!(property, Property::Sealed(_))))
        .collect();
    if let (Some(prefix), true) = (&prefix, names.is_empty()) {
        return Err(file.not_found(prefix).into());
    }
    // The dates are sealed with the values, so they take an identity; a passphrase only that of one named on purpose.
    if keys.named {
        world.unlock(&mut keys, &file, everywhere)?;
    }
    let vault = if file.role_of(&keys.identities).is_some() { Ok(file.open(&keys.identities)?) } else { Err(file) };
    let mut rows = Vec::with_capacity(names.len());
    for (path, sealed) in names {
        let set_at = match &vault {
            Ok(vault) if sealed => Some(vault.open(&path)?.set_at),
            _ => None,
        };
        let known_to = match &vault {
            Ok(vault) => Some(
                set_at
                    .map(|at| vault.file().known_to(at).into_iter().map(str::to_owned).collect::<Vec<_>>())
                    .unwrap_or_default(),
            ),
            Err(_) => None,
        };
        rows.push((path.to_string(), sealed, set_at, known_to));
    }
    if style.json {
        let rows: Vec<_> = rows
            .into_iter()
            .map(|(name, sealed, set_at, known_to)| json!({ "name": name, "sealed": sealed, "set_at": set_at.map(timestamp), "known_to": known_to }))
            .collect();
        return Ok(world.document(&json!({ "properties": rows }))?);
    }
    let width = rows.iter().map(|row| row.0.chars().count()).max().unwrap_or_default();
    for (name, sealed, set_at, known_to) in rows {
        let kind = if sealed { "sealed" } else { "readable" };
        let known = known_to
            .filter(|names| !names.is_empty())
            .map_or(String::new(), |names| format!("  known to {}", names.join(", ")));
        let date = set_at.map_or(String::new(), timestamp);
        world.line(format!("{name:width$}  {kind:8}  {date}{known}").trim_end())?;
    }
    Ok(())
}
