//! `bootseal set`: seals one value.

use crate::cli::Set;
use crate::commands::value::Source;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::rules::{Rules, ends_rules};
use crate::trust::target::{Target, Targets, files};
use crate::trust::value_name::{ValueName, whole_property};
use crate::ui::failure::{Exit, Result};
use bootseal_core::{Kind, PropertyPath, Shown, VerifiedFile, shell_word};
use serde_json::json;

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
                Ok((check(options, &path, &target, file)?, target))
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
        match (&options.plain, &value) {
            (Some(text), _) => {
                let text = toml::Value::String(text.clone());
                target.change_and_tell(context, |vault| Ok(vault.set_readable(&path, &text)?))?;
            }
            (None, Some((kind, value))) => {
                target
                    .change_and_tell(context, |vault| Ok(vault.set(&path, *kind, value, now)?))?;
                if before == Some(false) {
                    let text = "was readable until now: its old value is in git's history, so use a new one";
                    context.ui.note(format_args!("{path} {text}"));
                }
            }
            (None, None) => {}
        }
        let sealed = value.is_some();
        let what = if sealed { "sealed" } else { "readable" };
        context.ui.detail(format_args!("{}: {path} is {what}", Shown::path(target.path())));
        Ok(Answer {
            document: json!({ "name": path.to_string(), "sealed": sealed }),
            text: String::new(),
        })
    })
}

/// If there are several files, keeps those that contain the property; a single file is always kept.
pub(crate) fn having(
    path: &PropertyPath,
    targets: Targets,
    context: &mut Context<'_>,
) -> Result<Targets> {
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
    for (file, _) in without {
        context
            .ui
            .note(format_args!("{} has no {path}, so nothing changes there", Shown::path(&file)));
    }
    Ok(with)
}

/// Returns whether the current property is sealed, after checking that the options may replace it.
fn check(
    options: &Set,
    path: &PropertyPath,
    target: &Target,
    file: VerifiedFile,
) -> Result<Option<bool>> {
    let before = file.is_sealed(path);
    let refuse =
        |kind, what: &str| bootseal_core::Error::new(kind, what).at(path).in_file(target.path());
    if path.is_in_seal_table() && file.has_rules() {
        return Err(ends_rules(path).in_file(target.path()).into());
    }
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

/// Whether `path` is in a login profile, which sealing the property would break.
fn in_profile(file: &VerifiedFile, path: &PropertyPath) -> bool {
    file.profiles()
        .iter()
        .any(|table| table.child("login").is_ok_and(|login| path.starts_with(login.segments())))
}
