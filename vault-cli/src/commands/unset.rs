//! `bootseal unset`: removes properties, and tables with all properties in them, in one change.

use crate::cli::Unset;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::{Target, Targets, files};
use crate::trust::value_name::{ValueName, all_found, whole_property};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::counted;
use bootseal_core::{Error, Kind, PropertyPath, Shown, VerifiedFile, some_names};
use serde_json::json;
use std::collections::HashSet;
use std::path::PathBuf;

pub(crate) fn run(options: &Unset, context: &mut Context<'_>) -> Result<(), Exit> {
    let names: Vec<ValueName> =
        options.paths.iter().map(|path| path.parse()).collect::<Result<_, _>>()?;
    let found = Target::find_all(context)?;
    let mut paths: Vec<PropertyPath> = Vec::new();
    for name in &names {
        paths.push(whole_property(name, files(&found))?);
    }
    let mut seen = HashSet::new();
    paths.retain(|path| seen.insert(path.clone()));
    let targets = match found.len() {
        0 | 1 => in_one(&paths, found)?,
        _ => in_several(&paths, found, context)?,
    };
    if let [(_, Ok((_, removal)))] = &targets[..] {
        agree(removal, context)?;
    }
    each_file::each(targets, context, |(target, removal), context| {
        target.change_and_tell(context, |vault| {
            // The properties may have changed during the question.
            let now = Removal::of(removal.names.clone(), vault.file())?;
            if now.properties != removal.properties {
                let text = format!("{} was changed by someone else meanwhile", removal.shown());
                return Err(Failure::new(Kind::Conflict, text));
            }
            drop(now);
            Ok(vault.unset_all(&removal.properties)?)
        })?;
        let verb = if removal.names.len() == 1 { "was" } else { "were" };
        let shown = removal.shown();
        context.ui.detail(format_args!("{}: {shown} {verb} removed", Shown::path(target.path())));
        let names: Vec<String> = removal.names.iter().map(ToString::to_string).collect();
        // A script that removes one property reads its name.
        let document = match (&names[..], paths.len()) {
            ([name], 1) => json!({ "name": name }),
            _ => json!({ "names": names }),
        };
        Ok(Answer { document, text: String::new() })
    })
}

/// The files, each with what is removed from it. The content of the file is dropped: a change reads
/// it again, so this copy would only take memory.
type Removals = Vec<(PathBuf, Result<(Target, Removal)>)>;

/// What is removed from the only file; all names must be in it.
fn in_one(paths: &[PropertyPath], found: Targets) -> Result<Removals> {
    let removals = found.into_iter().map(|(path, found)| {
        let removal = found.and_then(|(target, file)| {
            let removal = Removal::of(paths.to_vec(), &file).map_err(|failure| match paths {
                [_] => failure,
                _ => failure.and_help("Nothing was changed."),
            })?;
            Ok((target, removal))
        });
        (path, removal)
    });
    Ok(removals.collect())
}

/// What is removed from each of several files: the properties that it has. Each property must be in
/// one of them, and a table is not removed from several files at once.
fn in_several(
    paths: &[PropertyPath],
    found: Targets,
    context: &mut Context<'_>,
) -> Result<Removals> {
    let missing = paths.iter().filter(|path| {
        let unknown = |(_, found): &(PathBuf, Result<(Target, VerifiedFile)>)| match found {
            Ok((_, file)) => file.is_sealed(path).is_none(),
            Err(_) => false,
        };
        found.iter().all(unknown)
    });
    let missing: Vec<String> = missing.map(ToString::to_string).collect();
    if !missing.is_empty() {
        let error = match (&missing[..], paths) {
            ([_], [path]) => {
                Error::new(Kind::NotFound, "none of these files has this property").at(path)
            }
            _ => Error::new(
                Kind::NotFound,
                format!("none of these files has these properties: {}", some_names(&missing)),
            ),
        };
        let help = "Nothing was changed. To remove a table, name one file: -f FILE";
        return Err(error.with_help(help).into());
    }
    let (mut removals, mut without) = (Removals::new(), Vec::new());
    for (path, found) in found {
        let (target, file) = match found {
            Ok(found) => found,
            Err(failure) => {
                removals.push((path, Err(failure)));
                continue;
            }
        };
        let own = paths.iter().filter(|path| file.is_sealed(path).is_some()).cloned();
        let own: Vec<PropertyPath> = own.collect();
        if own.is_empty() {
            let (file, names) = (Shown::path(&path), some_names(paths));
            without.push(format!("{file} has no {names}, so nothing changes there"));
            continue;
        }
        removals.push((path, Removal::of(own, &file).map(|removal| (target, removal))));
    }
    context.ui.note_each(without);
    Ok(removals)
}

/// What one file loses.
struct Removal {
    /// The properties and tables, as the user named them.
    names: Vec<PropertyPath>,
    /// The named tables, and the number of properties in each.
    tables: Vec<(PropertyPath, usize)>,
    /// All properties, each once.
    properties: Vec<PropertyPath>,
}

impl Removal {
    /// Finds the properties that the names stand for.
    ///
    /// # Errors
    /// [`Kind::NotFound`] with all names that are neither a property nor a table of the file.
    fn of(names: Vec<PropertyPath>, file: &VerifiedFile) -> Result<Removal> {
        let (mut tables, mut properties) = (Vec::new(), Vec::new());
        let (mut missing, mut seen) = (Vec::new(), HashSet::new());
        for name in &names {
            let inside = match file.is_sealed(name) {
                Some(_) => vec![name.clone()],
                None => inside(name, file),
            };
            match (inside.len(), file.is_sealed(name)) {
                (0, _) => missing.push(name),
                (count, None) => tables.push((name.clone(), count)),
                (_, Some(_)) => {}
            }
            properties.extend(inside.into_iter().filter(|path| seen.insert(path.clone())));
        }
        all_found(&missing, file)?;
        drop(seen);
        Ok(Removal { names, tables, properties })
    }

    /// The names, for a message.
    fn shown(&self) -> String {
        some_names(&self.names)
    }
}

/// The properties in the table `path`; none if it is not a table.
fn inside(path: &PropertyPath, file: &VerifiedFile) -> Vec<PropertyPath> {
    let names = file.names().map(|(name, _)| name);
    names.filter(|name| name != path && name.starts_with(path.segments())).collect()
}

/// Asks once before whole tables are removed.
fn agree(removal: &Removal, context: &mut Context<'_>) -> Result<()> {
    if removal.tables.is_empty() || context.options.yes {
        return Ok(());
    }
    let tables = removal.tables.iter();
    let tables = tables.map(|(table, inside)| {
        format!("{table} is a table with {}", counted(*inside, "property", "properties"))
    });
    let text = some_names(tables);
    if !context.ui.can_ask() {
        return Err(Failure::new(Kind::NoTerminal, format!("{text}; nothing was changed"))
            .with_help("To remove all of them, add --yes."));
    }
    let tables: HashSet<&PropertyPath> = removal.tables.iter().map(|(table, _)| table).collect();
    let others = removal.names.iter().filter(|name| !tables.contains(name));
    let others: Vec<String> = others.map(ToString::to_string).collect();
    let others = match others.is_empty() {
        true => String::new(),
        false => format!(", and {}", some_names(&others)),
    };
    match context.ui.ask(&format!("{text}. Remove all of them{others}?"))? {
        true => Ok(()),
        false => Err(Failure::new(Kind::Usage, "not removed; nothing was changed")),
    }
}
