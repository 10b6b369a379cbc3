//! `bootseal access list`: lists the members with their roles and recipients.

use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::locate::{self, OpenedFile};
use crate::ui::failure::{Exit, Result};
use crate::ui::tables;
use bootseal_core::{Access, Shown, some_names};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let found = locate::find_all(context)?;
    if found.len() > 1 && !context.ui.style.json {
        return over_many(found, context);
    }
    each_file::each(found, context, |found, _| {
        Ok(Answer {
            document: document(found.file.access()),
            text: tables::access(found.file.access()),
        })
    })
}

/// Lists the members of several files: each member once, with its role in each file.
fn over_many(
    found: Vec<(PathBuf, Result<OpenedFile>)>,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    let mut rows: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    let done = each_file::gather(found, context, |found, _| {
        let file = Shown::path(&found.path).to_string();
        for access in found.file.access() {
            let what = format!("{} of {file}", access.role);
            rows.entry((access.name.clone(), access.recipient.to_string())).or_default().push(what);
        }
        Ok(Answer { document: Value::Null, text: String::new() })
    });
    let width = rows.keys().map(|(name, _)| name.len()).max().unwrap_or_default();
    for ((name, recipient), files) in rows {
        context.ui.line(format_args!("{name:width$}  {recipient}  {}", some_names(files)))?;
    }
    done
}

pub(crate) fn document(access: &[Access]) -> Value {
    let rows = access.iter().map(|access| {
        json!({ "name": access.name, "role": access.role.to_string(), "recipient": access.recipient.to_string(), "passphrase": access.passphrase.is_some() })
    });
    json!({ "access": rows.collect::<Vec<_>>() })
}
