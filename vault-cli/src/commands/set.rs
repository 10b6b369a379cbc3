//! `bootseal set`: seals one value.

use crate::cli::Set;
use crate::commands::value::Source;
use crate::commands::value_type::Required;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::rules::{Rules, ends_rules, no_rule};
use crate::trust::target::{Target, Targets, files};
use crate::trust::value_name::{ValueName, whole_property};
use crate::ui::failure::{Exit, Result};
use bootseal_core::{Kind, PropertyPath, Shown, VerifiedFile, near_names, shell_word};
use serde_json::json;

/// The length of a part of a name from which a similar one may be a misspelling.
const SHORTEST: usize = 4;
/// The number of letters that a misspelling adds or omits at most.
const MOST_LETTERS: usize = 2;

pub(crate) fn run(options: &Set, context: &mut Context<'_>) -> Result<(), Exit> {
    let source = Source {
        stdin: options.stdin.as_deref(),
        from_file: options.from_file.as_deref(),
        generate: options.generate,
        empty: options.empty,
    };
    source.refuse_typed("set", &options.path)?;
    let name: ValueName = options.path.parse()?;
    let found = Target::find_all(context)?;
    let path = whole_property(&name, files(&found))?;
    // All checks are made before the prompt for the value.
    let mut targets = Vec::new();
    for (file, found) in having(&path, found, context)? {
        targets.push((
            file,
            found.and_then(|(target, file)| {
                let target = target.may_be_plain(options.allow_plain);
                Ok((check(options, &path, &target, file, context)?, target))
            }),
        ));
    }
    let none_left = targets.iter().all(|(_, checked)| checked.is_err());
    let value = match &options.plain {
        Some(_) => None,
        None if none_left => None,
        None => Some(source.read(&path, context)?),
    };
    let now = context.now();
    each_file::each(targets, context, |(before, target), context| {
        target.change_and_tell(context, |vault| {
            let required = Required::of(options.sort, &path, vault);
            match (&options.plain, &value) {
                (Some(text), _) => {
                    let text = match required {
                        Some(required) => required.readable(&path, text)?,
                        None => toml::Value::String(text.clone()),
                    };
                    vault.set_readable(&path, &text)?;
                }
                (None, Some((kind, value))) => {
                    let (kind, value) = match required {
                        Some(required) => required.sealed(&path, value)?,
                        None => (*kind, value.clone()),
                    };
                    vault.set(&path, kind, &value, now).map_err(|error| {
                        match (error.kind(), required) {
                            // It looked like a value of this type, but is not TOML.
                            (Kind::Malformed, Some(required)) => required.refused(&path),
                            _ => error.into(),
                        }
                    })?;
                }
                (None, None) => {}
            }
            Ok(())
        })?;
        let sealed = value.is_some();
        if sealed && before == Some(false) {
            let text =
                "was readable until now: its old value is in git's history, so use a new one";
            context.ui.note(format_args!("{path} {text}"));
        }
        confirm(&path, sealed, before.is_none(), &target, context);
        Ok(Answer {
            document: json!({ "name": path.to_string(), "sealed": sealed }),
            text: String::new(),
        })
    })
}

/// Reports the change in one line: to a user at a terminal, and to everyone with `--verbose`.
fn confirm(
    path: &PropertyPath,
    sealed: bool,
    new: bool,
    target: &Target,
    context: &mut Context<'_>,
) {
    let what = if sealed { "sealed" } else { "readable" };
    let new = if new { ", and new" } else { "" };
    let text = format!("{}: {path} is {what}{new}", Shown::path(target.path()));
    match context.ui.stderr_is_terminal {
        true => context.ui.note(text),
        false => context.ui.detail(text),
    }
}

/// Reports a new name that may be a misspelling of a known one, before its value is typed.
fn note_near(path: &PropertyPath, file: &VerifiedFile, context: &mut Context<'_>) {
    let meant = file.names().find(|(known, _)| may_be_meant(path, known));
    if let Some((known, _)) = meant {
        context.ui.note(format_args!("{path} is new; there is {known}"));
    }
}

/// Whether a new name may be a misspelling of a known one: one part of it differs, and only a
/// little. Short parts, `n2` beside `n1`, and `password_next` beside `password` are names of their
/// own.
fn may_be_meant(new: &PropertyPath, known: &PropertyPath) -> bool {
    if new.segments().len() != known.segments().len() {
        return false;
    }
    let mut differing = new.segments().iter().zip(known.segments()).filter(|(a, b)| a != b);
    let (Some((one, other)), None) = (differing.next(), differing.next()) else { return false };
    let letters = |name: &str| name.replace(|next: char| next.is_ascii_digit(), "");
    let (short, long) = (one.len().min(other.len()), one.len().max(other.len()));
    letters(one) != letters(other)
        && short >= SHORTEST
        && long - short <= MOST_LETTERS
        && !near_names(one, [other]).is_empty()
}

/// If there are several files, keeps those that contain the property; a single file is always kept.
fn having(path: &PropertyPath, targets: Targets, context: &mut Context<'_>) -> Result<Targets> {
    if targets.len() < 2 {
        return Ok(targets);
    }
    let (with, without): (Targets, Targets) = targets
        .into_iter()
        .partition(|(_, found)| !matches!(found, Ok((_, file)) if file.is_sealed(path).is_none()));
    if with.is_empty() {
        let error =
            bootseal_core::Error::new(Kind::NotFound, "none of these files has this property")
                .at(path);
        return Err(error.with_help("Add a new property to one file at a time: -f FILE").into());
    }
    context.ui.note_each(
        without.iter().map(|(file, _)| {
            format!("{} has no {path}, so nothing changes there", Shown::path(file))
        }),
    );
    Ok(with)
}

/// Returns whether the current property is sealed, after checking that the options may replace it.
fn check(
    options: &Set,
    path: &PropertyPath,
    target: &Target,
    file: VerifiedFile,
    context: &mut Context<'_>,
) -> Result<Option<bool>> {
    let before = file.is_sealed(path);
    if before.is_none() {
        note_near(path, &file, context);
    }
    let refuse =
        |kind, what: &str| bootseal_core::Error::new(kind, what).at(path).in_file(target.path());
    refuse_no_rule(path, options.plain.as_deref(), &file)
        .map_err(|error| error.in_file(target.path()))?;
    if let Some(text) = &options.plain {
        if !options.allow_plain {
            let refused = Rules::of_file(&file)?.refuse_plain(path, text, &file);
            refused.map_err(|error| error.in_file(target.path()))?;
        }
        if before == Some(true) && !options.force {
            let what = "is sealed; --plain would make it readable for anyone who has the file";
            return Err(refuse(Kind::Conflict, what)
                .with_help("If that is what you want, add --force.")
                .into());
        }
        return Ok(before);
    }
    if in_profile(&file, path) {
        let what = "belongs to a login profile, which stays readable, so that a review shows where a password is sent";
        return Err(refuse(Kind::Conflict, what)
            .with_help(format!("bootseal set {} --plain VALUE", shell_word(path)))
            .into());
    }
    target.check_writer(file)?;
    Ok(before)
}

/// Refuses a value in the table `[seal]` that would end its rules, or that looks like a rule but
/// would not be one.
fn refuse_no_rule(
    path: &PropertyPath,
    plain: Option<&str>,
    file: &VerifiedFile,
) -> Result<(), bootseal_core::Error> {
    if !path.is_in_seal_table() {
        return Ok(());
    }
    let is_names = path.segments().len() == 2 && path.segments()[1] == "names";
    let is_list = plain.is_some_and(|text| match text.trim().parse() {
        Ok(toml::Value::Array(list)) => list.iter().all(toml::Value::is_str),
        _ => false,
    });
    if file.has_rules() {
        return if is_names && is_list { Ok(()) } else { Err(ends_rules(path)) };
    }
    // A table with other keys is the application's, and its own `names` stay as they are.
    let has_others = file.names().any(|(other, _)| other.is_in_seal_table() && other != *path);
    let is_meant = is_names && file.is_sealed(path).is_none() && has_others == is_list;
    if is_meant { Err(no_rule(path)) } else { Ok(()) }
}

/// Whether `path` is in a login profile, which sealing the property would break.
fn in_profile(file: &VerifiedFile, path: &PropertyPath) -> bool {
    file.profiles()
        .iter()
        .any(|table| table.child("login").is_ok_and(|login| path.starts_with(login.segments())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_another_name_and_a_longer_or_numbered_name_is_not() {
        let path = |text: &str| -> PropertyPath { text.parse().unwrap() };
        for (new, known) in [
            ("acme.pasword", "acme.password"),
            ("acme.Password", "acme.password"),
            ("acme.user_name", "acme.username"),
            ("acmee.password", "acme.password"),
            ("acme.passwrod", "acme.password"),
        ] {
            assert!(may_be_meant(&path(new), &path(known)), "{new} {known}");
        }
        for (new, known) in [
            ("a.n2", "a.n1"),
            ("a.name", "b.name"),
            ("web10.key", "web9.key"),
            ("acme.password_next", "acme.password"),
            ("acme.password", "acme.password-old"),
            ("acme.token", "acme.password"),
            ("acme.user.name", "acme.username"),
        ] {
            assert!(!may_be_meant(&path(new), &path(known)), "{new} {known}");
        }
    }
}
