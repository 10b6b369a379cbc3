//! `bootseal unset`: removes a property, or a table with all properties in it.

use crate::cli::Unset;
use crate::commands::set::having;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::{Target, files};
use crate::trust::value_name::{ValueName, whole_property};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, PropertyPath, Shown, VerifiedFile};
use serde_json::json;

pub(crate) fn run(options: &Unset, context: &mut Context<'_>) -> Result<(), Exit> {
    let name: ValueName = options.path.parse()?;
    let found = Target::find_all(context)?;
    let path = whole_property(&name, files(&found))?;
    if let [(_, Ok((_, file)))] = &found[..] {
        agree(&path, &inside(&path, file), context)?;
    }
    let targets = having(&path, found, context)?;
    each_file::each(targets, context, |(target, file), context| {
        let agreed = inside(&path, &file);
        target.change_and_tell(context, |vault| {
            let now = inside(&path, vault.file());
            if now != agreed {
                let text = format!("{path} was changed by someone else meanwhile");
                return Err(Failure::new(Kind::Conflict, text));
            }
            let gone = if now.is_empty() { std::slice::from_ref(&path) } else { &now };
            Ok(gone.iter().try_for_each(|path| vault.unset(path))?)
        })?;
        context.ui.detail(format_args!("{}: {path} was removed", Shown::path(target.path())));
        Ok(Answer { document: json!({ "name": path.to_string() }), text: String::new() })
    })
}

/// The properties in the table `path`; none if it is not a table.
fn inside(path: &PropertyPath, file: &VerifiedFile) -> Vec<PropertyPath> {
    let names = file.names().map(|(name, _)| name);
    names.filter(|name| name != path && name.starts_with(path.segments())).collect()
}

/// Asks before a whole table is removed.
fn agree(table: &PropertyPath, names: &[PropertyPath], context: &mut Context<'_>) -> Result<()> {
    if names.is_empty() || context.options.yes {
        return Ok(());
    }
    let count = match names.len() {
        1 => "1 property".to_owned(),
        count => format!("{count} properties"),
    };
    let text = format!("{table} is a table with {count}");
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::NoTerminal, format!("{text}; nothing was changed"))
            .with_help("To remove all of them, add --yes."));
    }
    match context.ui.ask(&format!("{text}. Remove all of them?"))? {
        true => Ok(()),
        false => Err(Failure::new(Kind::Usage, "not removed; nothing was changed")),
    }
}
