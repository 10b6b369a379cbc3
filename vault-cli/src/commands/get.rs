//! `bootseal get`: prints one value.

use crate::cli::Get;
use crate::context::Context;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::value_name::{ValueName, readable_in};
use crate::trust::vouch::{or_read_anyway, warn_if_doubtful};
use crate::ui::Ui;
use crate::ui::clipboard::{Clipboard, clear_later};
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::output::{shown_value, to_json, unless_closed, write_json};
use crate::value_writer::write_parts;
use bootseal_core::{Kind, OpenedValue, PrivateFile, ValueKind, value_parts};
use serde_json::json;
use std::io::Write;

pub(crate) fn run(options: &Get, context: &mut Context<'_>) -> Result<(), Exit> {
    let property: ValueName = options.path.parse()?;
    let path = locate::sealed_file(context)?;
    let found = locate::find(context).map_err(|failure| or_read_anyway(failure, &path))?;
    let OpenedFile { mut keys, memory, file, .. } = found;
    warn_if_doubtful(&file, &memory, &path, context);
    let property = property.in_file(&file)?;
    let value = match readable_in(&property, &file)? {
        Some(value) => value,
        None => {
            keys.unlock(&file, context)?;
            let whole = file.open(&keys.identities)?.open(property.property())?;
            property.of(whole)?
        }
    };
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
        return Ok(print_document(&property, &value, &mut context.ui)?);
    }
    let printed = if context.ui.stdout_is_terminal {
        let text = value.secret.expose(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let shown = shown_value(&text);
        if shown != text || value.kind == ValueKind::Bytes {
            context
                .ui
                .warn("invisible characters are escaped; for the exact bytes, use a pipe or --out");
        }
        writeln!(context.ui.stdout, "{shown}")
    } else {
        value.secret.expose(|bytes| context.ui.stdout.write_all(bytes))
    };
    match printed {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Prints the document of `--json`, without a copy of the value in memory.
fn print_document(property: &ValueName, value: &OpenedValue, ui: &mut Ui<'_>) -> Result<()> {
    #[derive(serde::Serialize)]
    struct Text<'a> {
        name: &'a str,
        value: &'a str,
    }
    let name = property.to_string();
    let malformed = |what| Failure::new(Kind::Malformed, what);
    if value.kind == ValueKind::Bytes {
        use base64::Engine;
        let text = value.secret.expose(|bytes| base64::prelude::BASE64_STANDARD.encode(bytes));
        return ui.document(&json!({ "name": name, "base64": text }));
    }
    let printed = value.secret.expose_str(|text| match value.kind {
        ValueKind::Text => ui.document(&Text { name: &name, value: text }),
        _ if !value_parts(text, &mut |_| {}) => Err(malformed("the value is not TOML")),
        _ => {
            ui.text("{\"name\":")?;
            ui.json(&name)?;
            ui.text(",\"value\":")?;
            let value = |value: &toml::Value, out: &mut dyn Write| {
                write_json(out, &to_json(value)).map_err(Into::into)
            };
            unless_closed(write_parts(&mut ui.stdout, ",", value, |each| {
                value_parts(text, each);
            }))?;
            ui.text("}\n")
        }
    });
    printed.map_err(|_| malformed("the value is not text"))?
}
