//! `bootseal profile`: writes how to log in at a vendor.

mod from_curl;

use super::unreadable;
use crate::cli;
use crate::context::Context;
use crate::profile::login_table::LoginTable;
use crate::profile::presets::{Asked, PRESETS, Preset, Where, is_here};
use crate::trust::keyring::Keys;
use crate::trust::locate;
use crate::trust::target::Target;
use crate::trust::vouch::vouch;
use crate::ui::failure::{Exit, Failure, Result};
use crate::ui::prompt::no_answer;
use bootseal_core::{Kind, Profile, Property, PropertyPath, Secret, Shown, ValueKind, VerifiedFile};
use serde_json::json;
use std::path::Path;

pub(crate) fn run(options: &cli::Profile, context: &mut Context<'_>) -> Result<(), Exit> {
    if options.list {
        return list(context);
    }
    let table: PropertyPath = options.name.as_deref().unwrap_or_default().parse()?;
    match (&options.preset, &options.from, &options.from_curl) {
        (Some(preset), None, None) => {
            let preset = Preset::named(preset)?;
            let (target, file) = begin(options, &table, context)?;
            let mut draft = from_preset(preset, options.url.as_deref(), &table, &file, context)?;
            trust(&mut draft.login, options)?;
            write(&target, draft, options, context)
        }
        (None, Some(from), None) => {
            let (target, file) = begin(options, &table, context)?;
            let mut draft = from_file(from, options.url.as_deref(), &table, &file, context)?;
            trust(&mut draft.login, options)?;
            write(&target, draft, options, context)
        }
        (None, None, Some(_)) => from_curl::run(options, &table, context),
        _ => Err(Failure::new(Kind::Usage, "it is not said what the profile is made from")
            .with_help("--preset KIND (bootseal profile --list shows them), --from FILE, or --from-curl - for a curl line on stdin")
            .into()),
    }
}

/// `--ca`: inline, and so signed.
pub(super) fn trust(login: &mut LoginTable, options: &cli::Profile) -> Result<()> {
    if let Some(path) = &options.ca {
        let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error).in_file(path))?;
        login.insert("ca", text.into());
    }
    Ok(())
}

fn list(context: &mut Context<'_>) -> Result<(), Exit> {
    if context.ui.style.json {
        let each =
            PRESETS.iter().map(|preset| json!({ "name": preset.name, "about": preset.about, "sealed": preset.sealed }));
        return Ok(context.ui.document(&json!({ "presets": each.collect::<Vec<_>>() }))?);
    }
    let width = PRESETS.iter().map(|preset| preset.name.len()).max().unwrap_or_default();
    for preset in PRESETS {
        context.ui.line(format_args!("{:width$}  {}", preset.name, preset.about))?;
    }
    Ok(())
}

/// A profile, and the values of its table that the file does not have yet.
pub(super) struct Draft {
    pub(super) table: PropertyPath,
    pub(super) login: LoginTable,
    pub(super) readable: Vec<(String, toml::Value)>,
    pub(super) sealed: Vec<(String, Secret)>,
}

/// The file that is to get the profile, before anybody is asked for anything.
pub(super) fn begin(
    options: &cli::Profile,
    table: &PropertyPath,
    context: &mut Context<'_>,
) -> Result<(Target, VerifiedFile)> {
    let (target, file) = Target::find(context)?;
    let login = table.child("login")?;
    if !options.force && file.properties().any(|(path, _)| path.starts_with(login.segments())) {
        let error = bootseal_core::Error::new(Kind::Exists, "there is such a profile already").at(&login);
        return Err(error.in_file(target.path()).with_help("To put the new one in its place: --force").into());
    }
    let file = target.check_writer(file)?;
    Ok((target, file))
}

fn from_preset(
    preset: &Preset,
    url: Option<&str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Draft> {
    let url = match url {
        Some(url) => url.to_owned(),
        None => ask_line("Where is the vendor (https://…)?", "the vendor's address", "--url URL", context)?,
    };
    let (mut words, mut readable) = (Vec::new(), Vec::new());
    // What cannot be is told before anybody is asked.
    preset.login(&url, &[])?;
    for asked in preset.asked {
        if matches!(asked.place, Where::Value) && file.property(&table.child(asked.name)?).is_some() {
            continue;
        }
        let text = ask_setting(asked, table, context)?;
        match asked.place {
            Where::Word(word) => words.push((word, text)),
            Where::Value => readable.push((asked.name.to_owned(), toml::Value::String(text))),
        }
    }
    let words: Vec<(&str, &str)> = words.iter().map(|(word, text)| (*word, text.as_str())).collect();
    let login = LoginTable::new(preset.login(&url, &words)?);
    let sealed = ask_missing(preset.sealed.iter().copied(), table, file, context)?;
    Ok(Draft { table: table.clone(), login, readable, sealed })
}

/// The profile of the same name, or the only one, of another vault: its secrets stay where they are.
fn from_file(
    from: &Path,
    url: Option<&str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Draft> {
    let keys = Keys::find(context)?;
    let pins = keys.pins.clone();
    let mut found = locate::find_at(from, keys, pins, context)?;
    // It says where a password goes: only a file that someone vouches for may say it.
    vouch(&mut found.file, &found.memory, from, context)?;
    let there = found.file.profiles();
    let theirs = match there.iter().next() {
        Some(only) if there.len() == 1 && !there.contains(table) => {
            context.ui.note(format_args!("taking its only profile, {only}"));
            only.clone()
        }
        _ => table.clone(),
    };
    let profile = Profile::read(&found.file, &theirs)?;
    let mut login = LoginTable::of(&profile)?;
    if let Some(url) = url {
        login.move_to(url)?;
    }
    let (mut readable, mut missing) = (Vec::new(), Vec::new());
    for name in profile.value_names() {
        if file.property(&table.child(name)?).is_some() {
            continue;
        }
        match found.file.property(&theirs.child(name)?) {
            Some(Property::Readable(value)) => readable.push((name.to_owned(), value.clone())),
            _ => missing.push(name),
        }
    }
    let sealed = ask_missing(missing.into_iter(), table, file, context)?;
    Ok(Draft { table: table.clone(), login, readable, sealed })
}

fn ask_setting(asked: &Asked, table: &PropertyPath, context: &mut Context<'_>) -> Result<String> {
    match (asked.default, context.ui.can_ask()) {
        (Some(default), false) => Ok(default.to_owned()),
        (Some(default), true) => {
            let typed = context.ui.terminal()?.line(&format!("{} [{default}]: ", asked.what)).map_err(no_answer)?;
            Ok(if typed.is_empty() { default.to_owned() } else { typed })
        }
        (None, _) => {
            let first = format!("bootseal set {} --plain NAME, first", table.child(asked.name)?);
            ask_line(&format!("{}:", asked.what), asked.what, &first, context)
        }
    }
}

fn ask_line(question: &str, what: &str, instead: &str, context: &mut Context<'_>) -> Result<String> {
    if !context.ui.can_ask() {
        let text = format!("{what} is asked for, and there is no terminal to ask at");
        return Err(Failure::new(Kind::NoTerminal, text).with_help(format!("Say it: {instead}")));
    }
    let typed = context.ui.terminal()?.line(&format!("{question} ")).map_err(no_answer)?;
    match typed.is_empty() {
        true => Err(Failure::new(Kind::Usage, format!("{what} is missing; nothing was changed"))),
        false => Ok(typed),
    }
}

/// The values that the file does not have yet, each typed without echo, twice.
pub(super) fn ask_missing<'a>(
    names: impl Iterator<Item = &'a str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Vec<(String, Secret)>> {
    let mut missing = Vec::new();
    for name in names {
        let path = table.child(name)?;
        if file.property(&path).is_none() {
            missing.push((name, path));
        }
    }
    if let (Some(_), false) = (missing.first(), context.ui.can_ask()) {
        let commands: Vec<String> = missing.iter().map(|(_, path)| format!("bootseal set {path}")).collect();
        let names: Vec<String> = missing.iter().map(|(_, path)| path.to_string()).collect();
        let text = format!("there is no terminal to ask for {} at", names.join(", "));
        return Err(Failure::new(Kind::NoTerminal, text)
            .with_help(format!("Seal it first, from a pipe: {}", commands.join("; "))));
    }
    let ask = |(name, path): (&str, PropertyPath)| {
        let secret = context.ui.ask_secret(&path.to_string())?;
        if secret.is_empty() {
            return Err(Failure::new(Kind::Usage, format!("{path} is empty; nothing was changed")));
        }
        Ok((name.to_owned(), secret))
    };
    missing.into_iter().map(ask).collect()
}

/// Writes all of it at once; a profile that cannot work is not written.
pub(super) fn write(
    target: &Target,
    draft: Draft,
    options: &cli::Profile,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    let Draft { table, login, readable, sealed } = draft;
    let login_path = table.child("login")?;
    let now = context.now();
    let mut values = Vec::new();
    for (name, secret) in &sealed {
        let kind = if secret.expose_str(|_| ()).is_ok() { ValueKind::Text } else { ValueKind::Bytes };
        values.push((table.child(name)?, kind, secret.clone()));
    }
    let profile = target.change(context, |vault| {
        if options.force {
            let old = vault.file().properties().map(|(path, _)| path.clone());
            let old: Vec<_> = old.filter(|path| path.starts_with(login_path.segments())).collect();
            old.iter().try_for_each(|path| vault.unset(path))?;
        }
        vault.set_all(&values, now)?;
        for (name, value) in &readable {
            vault.set_readable(&table.child(name)?, value)?;
        }
        login.add_to(vault, &login_path)?;
        Ok(Profile::read(vault.file(), &table)?)
    })?;
    let url = profile.login.url.base();
    let sealed: Vec<&str> = sealed.iter().map(|(name, _)| name.as_str()).collect();
    if context.ui.style.json {
        let document = json!({ "profile": table.to_string(), "url": url.as_str(), "sealed": sealed });
        return Ok(context.ui.document(&document)?);
    }
    context.ui.note(format_args!("{}: [{login_path}] logs in at {url}", Shown(&target.path().to_string_lossy())));
    let vendor = if is_here(url) { "there, in another terminal" } else { "of one's own, without credentials" };
    context.ui.note(format_args!("try it: bootseal login {table}; a vendor {vendor}: bootseal vendor {table}"));
    Ok(())
}
