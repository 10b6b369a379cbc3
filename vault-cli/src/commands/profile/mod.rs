//! `bootseal profile`: writes a login profile.

mod draft;
mod from_curl;
mod from_file;
mod preset;

use crate::cli;
use crate::commands::profile::draft::{begin, trust, write};
use crate::context::Context;
use crate::profile::presets::{PRESETS, Preset};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, PropertyPath};
use serde_json::json;

pub(crate) fn run(options: &cli::Profile, context: &mut Context<'_>) -> Result<(), Exit> {
    if options.list {
        return list(context);
    }
    let table: PropertyPath = options.name.as_deref().unwrap_or_default().parse()?;
    match (&options.preset, &options.from, &options.from_curl) {
        (Some(preset), None, None) => {
            let known = Preset::named(preset)?;
            let (target, file) = begin(options, &table, context)?;
            let mut draft = preset::draft(known, options.url.as_deref(), &table, &file, context)?;
            trust(&mut draft.login, options)?;
            write(&target, draft, context)
        }
        (None, Some(from), None) => {
            let (target, file) = begin(options, &table, context)?;
            let mut draft = from_file::draft(from, options.url.as_deref(), &table, &file, context)?;
            trust(&mut draft.login, options)?;
            write(&target, draft, context)
        }
        (None, None, Some(_)) => from_curl::run(options, &table, context),
        _ => Err(Failure::new(Kind::Usage, "the source of the profile is missing")
            .with_help("Add --preset KIND (bootseal profile --list shows all kinds), --from FILE, or --from-curl - with a curl command on stdin")
            .into()),
    }
}

fn list(context: &mut Context<'_>) -> Result<(), Exit> {
    if context.ui.style.json {
        let each = PRESETS.iter().map(
            |preset| json!({ "name": preset.name, "about": preset.about, "sealed": preset.sealed }),
        );
        return Ok(context.ui.document(&json!({ "presets": each.collect::<Vec<_>>() }))?);
    }
    let width = PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or_default();
    for preset in PRESETS {
        context.ui.line(format_args!("{:width$}  {}", preset.name, preset.about))?;
    }
    Ok(())
}
