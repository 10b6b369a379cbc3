//! `bootseal get`: prints one value, or several.

use crate::cli::Get;
use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::value_name::{ValueName, all_found, readable_in};
use crate::trust::vouch::{or_read_anyway, warn_if_doubtful};
use crate::ui::Ui;
use crate::ui::clipboard::{Clipboard, clear_later};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::{shown_value, to_json, unless_closed, write_json};
use crate::value_writer::write_parts;
use bootseal_core::{
    Kind, OpenedValue, PrivateFile, PropertyPath, ValueKind, VerifiedFile, some_names, value_parts,
};
use serde_json::json;
use std::io::Write;

pub(crate) fn run(options: &Get, context: &mut Context<'_>) -> Result<(), Exit> {
    let names: Vec<ValueName> =
        options.paths.iter().map(|path| path.parse()).collect::<Result<_, _>>()?;
    let several = names.len() > 1;
    if several && (options.out.is_some() || options.clip) {
        let option = if options.clip { "--clip" } else { "--out" };
        let failure = Failure::new(Kind::Usage, format!("{option} takes one property"));
        return Err(failure.with_help("For several values: --json, without this option").into());
    }
    let path = locate::sealed_file(context)?;
    let found = locate::find(context).map_err(|failure| or_read_anyway(failure, &path))?;
    let OpenedFile { mut keys, memory, file, .. } = found;
    warn_if_doubtful(&file, &memory, &path, context);
    let names = in_file(&names, &file)?;
    let values = open(&names, file, &mut keys, context)?;
    match (&names[..], &values[..]) {
        ([name], [value]) if !several => one(name, value, options, context),
        _ if context.ui.style.json => Ok(print_object(&names, &values, &mut context.ui)?),
        _ => Ok(print_lines(&names, &values, &mut context.ui)?),
    }
}

/// The names in this file; if some are missing, the error has all of them.
fn in_file(names: &[ValueName], file: &VerifiedFile) -> Result<Vec<ValueName>> {
    let found = names.iter().map(|name| name.in_file(file).map_err(|_| name.property()));
    let (found, missing): (Vec<_>, Vec<_>) = found.partition(Result::is_ok);
    let missing: Vec<&PropertyPath> = missing.into_iter().filter_map(Result::err).collect();
    all_found(&missing, file)?;
    Ok(found.into_iter().flatten().collect())
}

/// The values of these names. No key is needed if all of them are readable.
fn open(
    names: &[ValueName],
    file: VerifiedFile,
    keys: &mut Keys,
    context: &mut Context<'_>,
) -> Result<Vec<OpenedValue>> {
    let readable = names.iter().map(|name| readable_in(name, &file));
    let mut values = readable.collect::<Result<Vec<Option<OpenedValue>>, _>>()?;
    if values.iter().any(Option::is_none) {
        keys.unlock(&file, context)?;
        let vault = file.open(&keys.identities)?;
        for (name, value) in names.iter().zip(&mut values).filter(|(_, value)| value.is_none()) {
            *value = Some(name.of(vault.open(name.property())?)?);
        }
    }
    Ok(values.into_iter().flatten().collect())
}

/// Prints the value of the only name, or writes it elsewhere.
fn one(
    property: &ValueName,
    value: &OpenedValue,
    options: &Get,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if let Some(out) = &options.out {
        value.secret.expose(|bytes| PrivateFile::create(out, bytes))?;
        if context.ui.style.json {
            context.ui.document(
                &json!({ "name": property.to_string(), "file": out.to_string_lossy() }),
            )?;
        }
        return Ok(());
    }
    if options.clip {
        Clipboard::find(|name| context.var(name))?.fill(&value.secret)?;
        clear_later(&value.secret, options.clear_after)?;
        context
            .ui
            .note(format_args!("{property} is in the clipboard for {} s", options.clear_after));
        if context.ui.style.json {
            context
                .ui
                .document(&json!({ "name": property.to_string(), "cleared_after_seconds": options.clear_after }))?;
        }
        return Ok(());
    }
    if context.ui.style.json {
        return Ok(print_document(property, value, &mut context.ui)?);
    }
    match context.ui.stdout_is_terminal {
        true => Ok(show_lines(&[value], &mut context.ui)?),
        false => {
            Ok(unless_closed(value.secret.expose(|bytes| context.ui.stdout.write_all(bytes)))?)
        }
    }
}

/// Prints several values, one on each line, as a shell's `read` takes them apart.
///
/// # Errors
/// [`Kind::Conflict`] if a value contains a line break, and would be two values for a reader.
/// Nothing is printed then.
fn print_lines(names: &[ValueName], values: &[OpenedValue], ui: &mut Ui<'_>) -> Result<()> {
    let breaks = |value: &OpenedValue| {
        value.secret.expose(|bytes| bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r')))
    };
    let broken = names.iter().zip(values).filter(|(_, value)| breaks(value));
    let broken: Vec<String> = broken.map(|(name, _)| name.to_string()).collect();
    if !broken.is_empty() {
        let what = format!(
            "several values are printed one on each line, and these contain a line break: {}",
            some_names(&broken)
        );
        let help = "To print them anyway: --json, or get each of them by itself";
        return Err(Failure::new(Kind::Conflict, what).with_help(help));
    }
    if ui.stdout_is_terminal {
        return show_lines(&values.iter().collect::<Vec<_>>(), ui);
    }
    for value in values {
        unless_closed(value.secret.expose(|bytes| ui.stdout.write_all(bytes)))?;
        ui.text("\n")?;
    }
    Ok(())
}

/// Prints the values at a terminal, with invisible characters escaped.
fn show_lines(values: &[&OpenedValue], ui: &mut Ui<'_>) -> Result<()> {
    let shown = |value: &&OpenedValue| {
        let text = value.secret.expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let shown = shown_value(&text);
        let differs = shown != text || value.kind == ValueKind::Bytes;
        (shown, differs)
    };
    let lines: Vec<(String, bool)> = values.iter().map(shown).collect();
    if lines.iter().any(|(_, differs)| *differs) {
        ui.warn("invisible characters are escaped; for the exact bytes, use a pipe or --out");
    }
    lines.iter().try_for_each(|(line, _)| ui.line(line))
}

/// Prints the object of `--json` for several values, by name.
fn print_object(names: &[ValueName], values: &[OpenedValue], ui: &mut Ui<'_>) -> Result<()> {
    values.iter().try_for_each(check_json)?;
    let mut printed: Vec<&ValueName> = Vec::new();
    for (name, value) in names.iter().zip(values) {
        if printed.contains(&name) {
            continue;
        }
        ui.text(if printed.is_empty() { "{" } else { "," })?;
        printed.push(name);
        ui.json(&name.to_string())?;
        ui.text(":")?;
        match value.kind {
            // No property is a table, so this is not one.
            ValueKind::Bytes => ui.json(&json!({ "base64": base64(value) }))?,
            _ => print_json(value, ui)?,
        }
    }
    ui.text("}\n")
}

/// Prints the document of `--json` for one value.
fn print_document(property: &ValueName, value: &OpenedValue, ui: &mut Ui<'_>) -> Result<()> {
    let name = property.to_string();
    if value.kind == ValueKind::Bytes {
        return ui.document(&json!({ "name": name, "base64": base64(value) }));
    }
    check_json(value)?;
    ui.text("{\"name\":")?;
    ui.json(&name)?;
    ui.text(",\"value\":")?;
    print_json(value, ui)?;
    ui.text("}\n")
}

fn base64(value: &OpenedValue) -> String {
    use base64::Engine;
    value.secret.expose(|bytes| base64::prelude::BASE64_STANDARD.encode(bytes))
}

/// Makes sure that the value can be printed as JSON, before anything is printed.
fn check_json(value: &OpenedValue) -> Result<()> {
    let malformed = |what| Failure::new(Kind::Malformed, what);
    let is_read = value.secret.expose_str(|text| match value.kind {
        ValueKind::Text => true,
        _ => value_parts(text, &mut |_| {}),
    });
    match is_read {
        _ if value.kind == ValueKind::Bytes => Ok(()),
        Ok(true) => Ok(()),
        Ok(false) => Err(malformed("the value is not TOML")),
        Err(_) => Err(malformed("the value is not text")),
    }
}

/// Prints a text or another TOML value as JSON, without a copy of it in memory.
fn print_json(value: &OpenedValue, ui: &mut Ui<'_>) -> Result<()> {
    let printed = value.secret.expose_str(|text| {
        if value.kind == ValueKind::Text {
            return ui.json(&text);
        }
        let part = |value: &toml::Value, out: &mut dyn Write| {
            write_json(out, &to_json(value)).map_err(Into::into)
        };
        unless_closed(write_parts(&mut ui.stdout, ",", part, |each| {
            value_parts(text, each);
        }))
    });
    printed.map_err(|_| Failure::new(Kind::Malformed, "the value is not text"))?
}
