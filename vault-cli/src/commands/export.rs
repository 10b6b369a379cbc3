//! `bootseal export`: prints all values in the clear to a pipe.

use crate::cli::{Export, ExportFormat};
use crate::context::Context;
use crate::export::{self, Values};
use crate::trust::locate::{self, OpenedFile};
use crate::trust::special_tables::SpecialTables;
use crate::trust::value_name::{Scope, ValueName};
use crate::trust::variable;
use crate::trust::vouch::vouch_for_use;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{ElementPath, Error, Kind, PropertyPath, VerifiedFile, shell_word, some_names};

pub(crate) fn run(options: &Export, context: &mut Context<'_>) -> Result<(), Exit> {
    let format = match (options.format, context.ui.style.json) {
        (Some(format), false) => format,
        (None, false) => ExportFormat::Toml,
        (None | Some(ExportFormat::Json), true) => ExportFormat::Json,
        (Some(_), true) => {
            return Err(Failure::new(
                Kind::Usage,
                "--json cannot be combined with another --format",
            )
            .into());
        }
    };
    if !options.force && (context.ui.stdout_is_terminal || context.ui.stdout_is_file) {
        let what = if context.ui.stdout_is_terminal {
            "a terminal, whose history keeps it"
        } else {
            "a file, in the clear"
        };
        return Err(Failure::new(Kind::Usage, format!("every value would go to {what}; nothing was printed"))
            .with_help(
                "To print to a pipe: bootseal export | PROGRAM. To print one value: bootseal get PATH. If that is what you want, add --force.",
            )
            .into());
    }
    let only =
        options.only.iter().map(|path| path.parse()).collect::<Result<Vec<ValueName>, Error>>()?;
    let OpenedFile { path, mut keys, memory, mut file, .. } = locate::find(context)?;
    vouch_for_use(&mut file, &memory, &path, context)?;
    keys.unlock(&file, context)?;
    let scope = Scope::of(&only, &file)?;
    let mut wanted = wanted(&file, &scope);
    if matches!(format, ExportFormat::Env | ExportFormat::Sh) {
        let left_out = wanted.iter().filter(|path| variable::is_left_out(path));
        context.ui.warn_each(left_out.map(variable::left_out));
        wanted.retain(|path| !variable::is_left_out(path));
    }
    let vault = file.open(&keys.identities)?;
    let elements = elements(&scope, format, vault.file(), context)?;
    let mut bytes = Vec::new();
    let values = Values::of(vault, wanted, elements, |path| bytes.push(path.clone()))?;
    context.ui.warn_each(bytes.iter().map(|path| {
        format!(
            "{path} contains bytes, which a text format cannot represent, and is left out; to write the bytes to a file: bootseal get {} --out FILE",
            shell_word(path)
        )
    }));
    if matches!(format, ExportFormat::Properties | ExportFormat::Env | ExportFormat::Sh) {
        let lists = values.lists()?;
        if let Some(first) = lists.first() {
            let text = "a list is written as TOML, which few programs read. For another form: --format json; for one element: --only";
            let element = shell_word(format_args!("{first}[0]"));
            context.ui.warn(format_args!("{}: {text} {element}", some_names(&lists)));
        }
    }
    Ok(export::write(format, &values, context.ui.stdout)?)
}

/// The values inside arrays that --only names, each with a name that the format can have.
fn elements(
    scope: &Scope,
    format: ExportFormat,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Vec<(PropertyPath, ElementPath)>> {
    let mut named = Vec::with_capacity(scope.elements.len());
    let special = SpecialTables::of_file(file);
    for element in scope.elements.iter().filter(|element| !special.hold(element.property())) {
        let is_variable = matches!(format, ExportFormat::Env | ExportFormat::Sh);
        let path = match element.literal_names().first() {
            Some(literal) if !is_variable => literal.clone(),
            _ => element.dotted()?,
        };
        if is_variable && variable::is_left_out(&path) {
            context.ui.warn(variable::left_out(&path));
            continue;
        }
        named.push((path, element.clone()));
    }
    Ok(named)
}

/// Returns the properties to print.
fn wanted(file: &VerifiedFile, scope: &Scope) -> Vec<PropertyPath> {
    let special = SpecialTables::of_file(file);
    let meant = |path: &PropertyPath| !special.hold(path) && scope.holds(path);
    file.names().map(|(path, _)| path).filter(meant).collect()
}
