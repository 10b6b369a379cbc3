//! The draft of a profile. A preset, another file or a curl command fills it in, and all drafts are
//! written in the same way.

use crate::cli;
use crate::context::Context;
use crate::profile::login_table::LoginTable;
use crate::profile::presets::is_here;
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result, unreadable};
use bootseal_core::{
    Kind, Profile, PropertyPath, Secret, Shown, ValueKind, VerifiedFile, open_source, shell_word,
    some_names,
};
use serde_json::json;

/// A profile that is not written yet, with the values that the file lacks.
pub(super) struct Draft {
    pub(super) table: PropertyPath,
    pub(super) login: LoginTable,
    pub(super) readable: Vec<(String, toml::Value)>,
    pub(super) sealed: Vec<(String, Secret)>,
}

/// Finds and checks the file for the profile, before any prompt.
pub(super) fn begin(
    options: &cli::Profile,
    table: &PropertyPath,
    context: &mut Context<'_>,
) -> Result<(Target, VerifiedFile)> {
    let (target, file) = Target::find(context)?;
    let login = table.child("login")?;
    if !options.force && file.properties().any(|(path, _)| path.starts_with(login.segments())) {
        let error =
            bootseal_core::Error::new(Kind::Exists, "there is already such a profile").at(&login);
        return Err(error.in_file(target.path()).with_help("To replace it: --force").into());
    }
    let file = target.check_writer(file)?;
    Ok((target, file))
}

/// Puts the certificates of `--ca` into the profile, where they are signed.
pub(super) fn trust(login: &mut LoginTable, options: &cli::Profile) -> Result<()> {
    if let Some(path) = &options.ca {
        let text = open_source(path)
            .and_then(std::io::read_to_string)
            .map_err(|error| unreadable(&error).in_file(path))?;
        login.insert("ca", text.into());
    }
    Ok(())
}

/// Asks for the values that the file lacks: secrets twice and without echo, user names with echo.
pub(super) fn ask_missing<'a>(
    names: impl Iterator<Item = &'a str>,
    table: &PropertyPath,
    file: &VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Vec<(String, Secret)>> {
    let mut missing = Vec::new();
    for name in names {
        let path = table.child(name)?;
        if file.is_sealed(&path).is_none() {
            missing.push((name, path));
        }
    }
    if let (Some(_), false) = (missing.first(), context.ui.can_ask()) {
        let commands: Vec<String> =
            missing.iter().map(|(_, path)| format!("bootseal set {}", shell_word(path))).collect();
        let names: Vec<String> = missing.iter().map(|(_, path)| path.to_string()).collect();
        let text = format!("there is no terminal to ask for {}", some_names(names));
        return Err(Failure::new(Kind::NoTerminal, text)
            .with_help(format!("Seal it first, from a pipe: {}", commands.join("; "))));
    }
    let ask = |(name, path): (&str, PropertyPath)| {
        let secret = context.ui.ask_value(&path)?;
        if secret.is_empty() {
            return Err(Failure::new(Kind::Usage, format!("{path} is empty; nothing was changed")));
        }
        Ok((name.to_owned(), secret))
    };
    missing.into_iter().map(ask).collect()
}

/// Writes the whole profile at once, unless it is invalid.
pub(super) fn write(target: &Target, draft: Draft, context: &mut Context<'_>) -> Result<(), Exit> {
    let Draft { table, login, readable, sealed } = draft;
    let login_path = table.child("login")?;
    let now = context.now();
    let mut values = Vec::new();
    for (name, secret) in &sealed {
        let kind =
            if secret.expose_str(|_| ()).is_ok() { ValueKind::Text } else { ValueKind::Bytes };
        values.push((table.child(name)?, kind, secret.clone()));
    }
    let profile = target.change(context, |vault| {
        vault.set_all(values.into_iter().map(Ok), now)?;
        for (name, value) in &readable {
            vault.set_readable(&table.child(name)?, value)?;
        }
        login.write_to(vault, &login_path)?;
        Ok(Profile::read(vault.file(), &table)?)
    })?;
    let url = profile.login.url.base();
    let sealed: Vec<&str> = sealed.iter().map(|(name, _)| name.as_str()).collect();
    if context.ui.style.json {
        let document =
            json!({ "profile": table.to_string(), "url": url.as_str(), "sealed": sealed });
        return Ok(context.ui.document(&document)?);
    }
    context
        .ui
        .note(format_args!("{}: [{login_path}] logs in to {url}", Shown::path(target.path())));
    let word = shell_word(table);
    let vendor = if is_here(url) {
        "to simulate the vendor in another terminal"
    } else {
        "to try it without credentials"
    };
    context.ui.note(format_args!(
        "to try the profile: bootseal login {word}; {vendor}: bootseal vendor {word}"
    ));
    Ok(())
}
