//! `bootseal access list`: who may.

use crate::cli::Everywhere;
use crate::context::World;
use crate::trust::each_file::{self, Answer};
use crate::ui::failure::{Exit, Result};
use crate::ui::output::Style;
use bootseal_core::{Access, Shown};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn run(everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Exit> {
    let found = world.find_all(everywhere, style)?;
    if found.len() > 1 && !style.json {
        return over_many(found, style, world);
    }
    each_file::each(found, style, world, |found, _| {
        Ok(Answer { document: document(found.file.access()), text: table(found.file.access()) })
    })
}

/// Who may what: by name, and which files.
fn over_many(
    found: Vec<(PathBuf, Result<crate::trust::locate::OpenedFile>)>,
    style: Style,
    world: &mut World<'_>,
) -> Result<(), Exit> {
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let done = each_file::each(found, style, world, |found, _| {
        let file = Shown(&found.path.to_string_lossy()).to_string();
        for access in found.file.access() {
            let what = format!("{} of {file}", access.role);
            rows.entry((access.name.clone(), access.recipient.to_string())).or_default().push(what);
        }
        Ok(Answer { document: Value::Null, text: String::new() })
    });
    let width = rows.keys().map(|(name, _)| name.len()).max().unwrap_or_default();
    for ((name, recipient), files) in rows {
        world.line(format_args!("{name:width$}  {recipient}  {}", files.join(", ")))?;
    }
    done
}

pub(crate) fn document(access: &[Access]) -> Value {
    let rows = access.iter().map(|access| {
        json!({ "name": access.name, "role": access.role.to_string(), "recipient": access.recipient.to_string(), "passphrase": access.passphrase.is_some() })
    });
    json!({ "access": rows.collect::<Vec<_>>() })
}

pub(crate) fn table(access: &[Access]) -> String {
    let width = access.iter().map(|access| access.name.len()).max().unwrap_or_default();
    let rows = access.iter().map(|access| {
        let passphrase = if access.passphrase.is_some() { "  by passphrase" } else { "" };
        format!("{:width$}  {}  {}{passphrase}", access.name, access.role, access.recipient)
    });
    rows.collect::<Vec<_>>().join("\n")
}
