//! `bootseal export`: prints all values in the clear to a pipe.

use crate::cli::{Export, ExportFormat};
use crate::context::Context;
use crate::export::{self, Clear};
use crate::trust::locate::{self, OpenedFile};
use crate::trust::special_tables::SpecialTables;
use crate::trust::value_name::{Scope, ValueName, readable_in};
use crate::trust::variable;
use crate::trust::vouch::vouch_for_use;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    CanRead, Error, Kind, OpenedValue, Property, PropertyPath, ValueKind, Vault, VerifiedFile,
    shell_word,
};
use toml::Value;
use zeroize::Zeroizing;

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
        wanted.retain(|(path, _)| {
            let left_out = variable::is_left_out(path);
            if left_out {
                context.ui.warn(variable::left_out(path));
            }
            !left_out
        });
    }
    let vault = file.open(&keys.identities)?;
    let elements = elements(&scope, format, &vault, context)?;
    let mut values: Vec<Clear> = Vec::with_capacity(wanted.len());
    for (path, readable) in wanted {
        let value = match readable {
            Some(value) => Some(value),
            None => clear(&path, &vault.open(&path)?)?,
        };
        match value {
            Some(value) => values.push((path, value)),
            None => context.ui.warn(format_args!(
                "{path} contains bytes, which a text format cannot represent, and is left out; to write the bytes to a file: bootseal get {} --out FILE",
                shell_word(&path)
            )),
        }
    }
    values.extend(elements);
    let text = match format {
        ExportFormat::Toml => export::toml(&values),
        ExportFormat::Properties => export::properties(&values),
        ExportFormat::Env => export::env(&values),
        ExportFormat::Sh => export::sh(&values),
        ExportFormat::Json => export::json(&values),
        ExportFormat::Yaml => export::yaml(&values),
    };
    let text = text?;
    match context.ui.stdout.write_all(text.as_bytes()) {
        // The reader, `head` for example, may close the pipe early.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Returns the value in the clear; `None` for bytes.
fn clear(path: &PropertyPath, opened: &OpenedValue) -> Result<Option<Value>> {
    let malformed = |what| Error::new(Kind::Malformed, what).at(path);
    match opened.kind {
        ValueKind::Text => {
            let text =
                opened.secret.expose_str(str::to_owned).map_err(|_| malformed("is not text"))?;
            Ok(Some(Value::String(text)))
        }
        ValueKind::Toml => {
            let text = opened.secret.expose_str(|text| Zeroizing::new(format!("v = {text}")));
            let text = text.map_err(|_| malformed("is not text"))?;
            let mut table: toml::Table =
                toml::from_str(&text).map_err(|_| malformed("is not TOML"))?;
            Ok(table.remove("v"))
        }
        _ => Ok(None),
    }
}

/// The values inside arrays that --only names, in a name that the format can have.
fn elements(
    scope: &Scope,
    format: ExportFormat,
    vault: &Vault<CanRead>,
    context: &mut Context<'_>,
) -> Result<Vec<Clear>> {
    let mut values = Vec::with_capacity(scope.elements.len());
    let special = SpecialTables::of_file(vault.file());
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
        let name = ValueName::Element(element.clone());
        let value = match readable_in(&name, vault.file())? {
            Some(value) => value,
            None => name.of(vault.open(name.property())?)?,
        };
        values.extend(clear(&path, &value)?.map(|value| (path, value)));
    }
    Ok(values)
}

/// Returns the properties to print, with the values of readable properties.
fn wanted(file: &VerifiedFile, scope: &Scope) -> Vec<(PropertyPath, Option<Value>)> {
    let special = SpecialTables::of_file(file);
    let meant = |path: &PropertyPath| !special.hold(path) && scope.holds(path);
    let each =
        file.properties().filter(|(path, _)| meant(path)).map(|(path, property)| match property {
            Property::Readable(value) => (path.clone(), Some(value.clone())),
            Property::Sealed(_) => (path.clone(), None),
        });
    each.collect()
}
