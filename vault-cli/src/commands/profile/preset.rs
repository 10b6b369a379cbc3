//! `bootseal profile --preset`: creates a profile for a known kind of vendor, and prompts for its
//! settings.

use crate::commands::profile::draft::{Draft, ask_missing};
use crate::context::Context;
use crate::profile::login_table::LoginTable;
use crate::profile::presets::{Asked, Preset, Where};
use crate::ui::failure::{Failure, Result};
use crate::ui::prompt::no_answer;
use bootseal_core::{Kind, PropertyPath, VerifiedFile, shell_word};

pub(super) fn draft(
    preset: &Preset,
    url: Option<&str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Draft> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => ask_line(
            "What is the vendor's address (https://…)?",
            "the vendor's address",
            "--url URL",
            context,
        )?,
    };
    let (mut words, mut readable) = (Vec::new(), Vec::new());
    // An invalid address is refused before any further prompt.
    preset.login(&url, &[])?;
    for asked in preset.asked {
        if matches!(asked.place, Where::Value)
            && file.is_sealed(&table.child(asked.name)?).is_some()
        {
            continue;
        }
        let text = ask_setting(asked, table, context)?;
        match asked.place {
            Where::Word(word) => words.push((word, text)),
            Where::Value => readable.push((asked.name.to_owned(), toml::Value::String(text))),
        }
    }
    let words: Vec<(&str, &str)> =
        words.iter().map(|(word, text)| (*word, text.as_str())).collect();
    let login = LoginTable::new(preset.login(&url, &words)?);
    let sealed = ask_missing(preset.sealed.iter().copied(), table, file, context)?;
    Ok(Draft { table: table.clone(), login, readable, sealed })
}

fn ask_setting(asked: &Asked, table: &PropertyPath, context: &mut Context<'_>) -> Result<String> {
    match (asked.default, context.ui.can_ask()) {
        (Some(default), false) => Ok(default.to_owned()),
        (Some(default), true) => {
            let typed = context
                .ui
                .terminal()?
                .line(&format!("{} [{default}]: ", asked.what))
                .map_err(no_answer)?;
            Ok(if typed.is_empty() { default.to_owned() } else { typed })
        }
        (None, _) => {
            let path = shell_word(table.child(asked.name)?);
            let first = format!("bootseal set {path} --plain NAME, first");
            ask_line(&format!("{}:", asked.what), asked.what, &first, context)
        }
    }
}

fn ask_line(
    question: &str,
    what: &str,
    instead: &str,
    context: &mut Context<'_>,
) -> Result<String> {
    if !context.ui.can_ask() {
        let text = format!("{what} is missing, and there is no terminal to ask for it");
        return Err(Failure::new(Kind::NoTerminal, text).with_help(format!("Name it: {instead}")));
    }
    let typed = context.ui.terminal()?.line(&format!("{question} ")).map_err(no_answer)?;
    match typed.is_empty() {
        true => Err(Failure::new(Kind::Usage, format!("{what} is missing; nothing was changed"))),
        false => Ok(typed),
    }
}
