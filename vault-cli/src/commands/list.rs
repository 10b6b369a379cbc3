//! `bootseal list`: lists the names, whether they are sealed or readable, and when each value was
//! set.

use crate::cli::List;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::locate::{self, OpenedFile};
use crate::trust::vouch::{or_read_anyway, warn_if_unknown};
use crate::ui::failure::{Exit, Result};
use crate::ui::output::timestamp;
use bootseal_core::{Property, PropertyPath, Shown};
use serde_json::json;

pub(crate) fn run(options: &List, context: &mut Context<'_>) -> Result<(), Exit> {
    let prefix = options.prefix.as_deref().map(str::parse::<PropertyPath>).transpose()?;
    let found = locate::find_all(context)?.into_iter();
    let found = found.map(|(path, found)| {
        let found = found.map_err(|failure| or_read_anyway(failure, &path));
        (path, found)
    });
    let found: Vec<_> = found.collect();
    let several = found.len() > 1;
    each_file::each(found, context, |mut found, context| {
        warn_if_unknown(&found.file, &found.path, context);
        found.keys.unlock_unasked(&found.file, context)?;
        let heading =
            if several { format!("{}:\n", Shown::path(&found.path)) } else { String::new() };
        let rows = rows(found, prefix.as_ref())?;
        let text = format!("{heading}{}", table(&rows));
        let rows: Vec<_> = rows.into_iter().map(document).collect();
        Ok(Answer { document: json!({ "properties": rows }), text })
    })
}

struct Row {
    name: String,
    sealed: bool,
    set_at: Option<u64>,
    /// The removed members who know the value; `None` without an identity.
    known_to: Option<Vec<String>>,
}

fn rows(found: OpenedFile, prefix: Option<&PropertyPath>) -> Result<Vec<Row>> {
    let OpenedFile { keys, file, .. } = found;
    let wanted =
        |path: &PropertyPath| prefix.is_none_or(|prefix| path.starts_with(prefix.segments()));
    let names: Vec<(PropertyPath, bool)> = file
        .properties()
        .filter(|(path, _)| wanted(path))
        .map(|(path, property)| (path.clone(), matches!(property, Property::Sealed(_))))
        .collect();
    if let (Some(prefix), true) = (prefix, names.is_empty()) {
        return Err(file.not_found(prefix).into());
    }
    // The dates are encrypted with the values, so that reading them needs an identity.
    let vault = if file.role_of(&keys.identities).is_some() {
        Some(file.open(&keys.identities)?)
    } else {
        None
    };
    let row = |(path, sealed): (PropertyPath, bool)| {
        let set_at = match &vault {
            Some(vault) if sealed => Some(vault.open(&path)?.set_at),
            _ => None,
        };
        let known_to = vault.as_ref().map(|vault| {
            let names = set_at.map(|at| vault.file().known_to(at)).unwrap_or_default();
            names.into_iter().map(str::to_owned).collect()
        });
        Ok(Row { name: path.to_string(), sealed, set_at, known_to })
    };
    names.into_iter().map(row).collect()
}

fn document(row: Row) -> serde_json::Value {
    json!({ "name": row.name, "sealed": row.sealed, "set_at": row.set_at.map(timestamp), "known_to": row.known_to })
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or_default();
    let line = |row: &Row| {
        let kind = if row.sealed { "sealed" } else { "readable" };
        let known = row.known_to.as_ref().filter(|names| !names.is_empty());
        let known = known.map_or(String::new(), |names| format!("  known to {}", names.join(", ")));
        let date = row.set_at.map_or(String::new(), timestamp);
        format!("{:width$}  {kind:8}  {date}{known}", row.name).trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
