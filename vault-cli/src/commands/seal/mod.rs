//! `bootseal seal`: turns a plain-text settings file into a sealed file.

mod choose;
mod comments;
mod content;
mod foreign;
mod left_out;
mod list;
mod suggest;
mod uses;
mod wanted;
mod warnings;

use crate::cli::Seal;
use crate::commands::init::{
    access_list, exists, refuse_existing, refuse_lists, refuse_twice, report_created,
};
use crate::commands::seal::choose::Choice;
pub(crate) use crate::commands::seal::choose::{by_rules, left_readable, like_secrets};
use crate::commands::seal::content::{check, readable_text, refuse_too_large, values};
use crate::commands::seal::wanted::{Rest, Wanted};
use crate::commands::seal::warnings::{profile_warnings, unexpanded};
use crate::commands::shred::Shred;
use crate::context::Context;
use crate::formats::{Findings, Input, Reading, read};
use crate::trust::rules::{Pattern, Rules};
use crate::trust::save::save;
use crate::trust::special_tables::SpecialTables;
use crate::trust::target::Target;
use crate::trust::{locate, pins};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    FileLock, Kind, MOST_NAMES, PropertyPath, Shown, ValueKind, Vault, VerifiedFile, sealing_names,
    some_names,
};
use serde_json::json;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

pub(crate) fn run(options: &Seal, context: &mut Context<'_>) -> Result<(), Exit> {
    if options.input == Path::new("-") && context.passphrase_fd == Some(0) {
        return Err(
            Failure::new(Kind::Usage, "stdin cannot be both a passphrase and the input").into()
        );
    }
    let shred = match options.shred && options.input != Path::new("-") {
        true => Some(Shred::of(&options.input)?),
        false => None,
    };
    let input = input_of(options, context)?;
    let special = special_tables(&input);
    let literal = "the value contains `${` or `$(`, which is taken literally; nothing is expanded";
    let unexpanded = unexpanded(&input, &special)?;
    context.ui.warn_each(unexpanded.iter().map(|path| format!("{path}: {literal}")));
    let (only, plain) = (Pattern::all(&options.only)?, Pattern::all(&options.plain)?);
    let mut rules = rules_of(&input)?;
    let (named_file, existing) = existing(options, context)?;
    if let Some((_, file)) = &existing {
        rules = rules.and(Rules::of_file(file)?);
    }
    let rest = rest(options, &input, &special, context)?;
    let wanted = Wanted { only, plain, rules, allow_plain: options.allow_plain, rest };
    let Choice { sealed, inside, missed } = Choice::of(&input, &special, &wanted)?;
    // Collected now, because the text of the input is freed later.
    let told = told(&input, &sealed);
    let inlined = inlined(&input, &sealed);
    let warnings = profile_warnings(&input, &special, &sealed)?;
    let comments = comments::Report::of(&input, options.keep_comments, existing.is_some());
    let empty = if existing.is_some() { input.empty_tables() } else { Vec::new() };
    context
        .ui
        .warn_each(empty.iter().map(|path| format!("{path} is an empty table and was left out")));
    if shred.is_some() {
        left_out::confirm(options, comments.left_out(), &input, (&empty, &inlined), context)?;
    }
    drop(special);
    bootseal_memory::return_freed_memory();
    let path = match (named_file, existing) {
        (Some(path), Some(existing)) => {
            add(&path, &input, &sealed, existing, context)?;
            path
        }
        (named, _) => {
            let path = named.or_else(|| options.output.clone());
            let path = path.map_or_else(|| beside(&options.input), Ok)?;
            let lists = (&*options.writer, &*options.reader);
            create(&path, input, sealed, lists, options.keep_comments, context)?;
            path
        }
    };
    let input_stays = options.input != Path::new("-") && !options.shred;
    if let Some(shred) = shred {
        shred.carry_out(context)?;
    }
    context.ui.note_each(inlined.iter().map(|(path, has_comments)| {
        let what = match *has_comments && options.keep_comments {
            true => "; the comments in them were left out",
            false => "",
        };
        format!("{path}: the blocks [[{path}]] became one array{what}")
    }));
    report(&path, told, &inside, context)?;
    context.ui.warn_each(warnings);
    if let Some(text) = like_secrets(missed) {
        context.ui.warn(format_args!("{text}. If they are no secrets, name them: --plain NAME"));
    }
    let (note, warning) = comments.texts();
    note.into_iter().for_each(|note| context.ui.note(note));
    warning.into_iter().for_each(|warning| context.ui.warn(warning));
    if input_stays {
        context.ui.warn(format_args!(
            "{} still contains the values in the clear; --shred removes the file",
            Shown::path(&options.input)
        ));
    }
    Ok(())
}

/// Reads the input, and reports what is remarkable in it.
fn input_of(options: &Seal, context: &mut Context<'_>) -> Result<Input> {
    let reading = Reading {
        format: options.format,
        nulls: options.null.into(),
        documents: options.document.into(),
        flat: options.flat,
        dialect: options.dialect,
        encoding: options.encoding,
    };
    let input = read(&options.input, reading, context)?;
    context.ui.warn_each(&input.remarks);
    let findings = Findings::of(&input)?;
    foreign::refuse(&findings, &options.input, options.keep_ciphertext)?;
    for warning in foreign::warnings(&findings).chain(findings.warnings()) {
        context.ui.warn(warning);
    }
    Ok(input)
}

/// The file that -f names, and, if it exists, what is needed to change it.
#[expect(clippy::type_complexity)] // a pair of optional parts
fn existing(
    options: &Seal,
    context: &mut Context<'_>,
) -> Result<(Option<PathBuf>, Option<(Target, VerifiedFile)>)> {
    if context.options.file.is_empty() {
        return Ok((None, None));
    }
    let named = locate::named_file(context)?;
    if !named.as_ref().is_some_and(|path| path.exists()) {
        return Ok((named, None));
    }
    refuse_lists(&options.writer, &options.reader)?;
    let (target, file) = Target::find(context)?;
    Ok((named, Some((target.may_be_plain(options.allow_plain), file))))
}

/// What the options, or the answer at the terminal, say about the rest of the properties.
fn rest(
    options: &Seal,
    input: &Input,
    special: &SpecialTables,
    context: &mut Context<'_>,
) -> Result<Rest> {
    let is_chosen = !options.only.is_empty() || !options.plain.is_empty();
    let has_marks = || input.names().any(|(_, marked)| marked);
    match (options.all, options.suggested) {
        (true, _) => Ok(Rest::All),
        (_, true) => Ok(Rest::Suggested),
        _ if is_chosen || context.ui.yes || context.ui.style.json => Ok(Rest::Usual),
        _ if !context.ui.can_ask() || has_marks() => Ok(Rest::Usual),
        _ => suggest::ask(&options.input, input, special, context),
    }
}

/// The rules in the table `[seal]` of the input.
fn rules_of(input: &Input) -> Result<Rules> {
    let names: Vec<_> =
        input.names().map(|(path, _)| path).filter(|path| path.is_in_seal_table()).collect();
    let find = input.finder();
    Rules::of(sealing_names(names.iter().map(|path| &**path), |path| find(path).map(Cow::Owned)))
}

/// The names of the properties that are sealed, and of those that stay readable.
pub(crate) fn told(input: &Input, sealed: &HashSet<PropertyPath>) -> (Vec<String>, Vec<String>) {
    let named = |wanted: bool| -> Vec<String> {
        let paths = input.names().map(|(path, _)| path);
        paths
            .filter(|path| sealed.contains(&**path) == wanted)
            .map(|path| path.to_string())
            .collect()
    };
    (named(true), named(false))
}

/// The sealed arrays that the input writes as `[[blocks]]`, and whether there are comments in them.
fn inlined(input: &Input, sealed: &HashSet<PropertyPath>) -> Vec<(PropertyPath, bool)> {
    let Some(document) = &input.document else { return Vec::new() };
    let blocks = input.names().map(|(path, _)| path.into_owned());
    let blocks = blocks.filter(|path| sealed.contains(path) && document.has_blocks(path));
    blocks.map(|path| (path.clone(), document.has_comments_in_blocks(&path))).collect()
}

/// Reports which properties are sealed, and which stay readable.
fn report(
    path: &Path,
    (names, readable): (Vec<String>, Vec<String>),
    inside: &HashMap<PropertyPath, String>,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if context.ui.style.json {
        context.ui.document(
            &json!({ "file": path.to_string_lossy(), "sealed": names, "readable": readable }),
        )?;
    } else {
        let inside: HashMap<String, &String> =
            inside.iter().map(|(path, name)| (path.to_string(), name)).collect();
        let row = |name: String| match inside.get(&name) {
            Some(matched) => format!("{name} (matched {matched})"),
            None => name,
        };
        let names: Vec<String> = names.into_iter().map(row).collect();
        context.ui.line(format_args!("sealed in {}: {}", Shown::path(path), listed(&names)))?;
        context.ui.line(format_args!("readable: {}", listed(&readable)))?;
    }
    Ok(())
}

/// Some names, and how to see all of them.
pub(crate) fn listed(names: &[String]) -> String {
    match names.len() {
        0 => "nothing".to_owned(),
        count if count > MOST_NAMES => format!("{}: bootseal list", some_names(names)),
        _ => some_names(names),
    }
}

/// Returns the sealed file's path: `app.properties` → `app.sealed.toml`, `.env.prod` →
/// `env.prod.sealed.toml`, in the same folder.
pub(crate) fn beside(input: &Path) -> Result<PathBuf> {
    let name = input.file_name().and_then(|name| name.to_str()).filter(|_| input != Path::new("-"));
    let stem = match name.and_then(|name| name.strip_prefix('.')) {
        // A hidden file is easily overlooked, and many .gitignore files list `.env*`.
        Some(name) if name == "env" || name.starts_with("env.") => Some(name),
        _ => input.file_stem().and_then(|stem| stem.to_str()).filter(|_| name.is_some()),
    };
    match stem {
        Some(stem) => Ok(input.with_file_name(format!("{stem}.sealed.toml"))),
        None => Err(Failure::new(Kind::Usage, "the new file has no name")
            .with_help("Name it with -o FILE.")),
    }
}

/// The settings tables of an input, which stay readable.
pub(crate) fn special_tables(input: &Input) -> SpecialTables {
    let names = input.names().map(|(path, _)| path);
    let settings: Vec<_> = names.filter(|path| path.may_be_setting()).collect();
    let find = input.finder();
    SpecialTables::of(settings.iter().map(|path| &**path), |path| find(path).map(Cow::Owned))
}

/// Creates a sealed file from an input.
pub(crate) fn create(
    path: &Path,
    input: Input,
    sealed: HashSet<PropertyPath>,
    (writers, readers): (&[String], &[String]),
    keep_comments: bool,
    context: &mut Context<'_>,
) -> Result<()> {
    pins::refuse(context)?;
    refuse_existing(path)?;
    refuse_too_large(&input, &sealed)?;
    if keep_comments {
        comments::check(&input, &sealed)?;
    }
    let text = readable_text(&input, &sealed, keep_comments)?;
    let access = access_list(writers, readers, context)?;
    refuse_twice(&access)?;
    let lock = FileLock::acquire(path)?;
    let mut vault = Vault::create(access, text)?;
    vault.set_all(values(&input, &sealed), context.now())?;
    check(&vault, &input, &sealed)?;
    Rules::refuse_meant(vault.file())?;
    // The input is as large as the file, and is not needed while the file is signed.
    drop((input, sealed));
    bootseal_memory::return_freed_memory();
    let file = save(vault, 0, path, context, |text| Ok(lock.create(text).map_err(exists)?))?;
    report_created(path, &file, context);
    Ok(())
}

/// Seals the input's values into an existing file.
pub(crate) fn add(
    path: &Path,
    input: &Input,
    sealed: &HashSet<PropertyPath>,
    (target, file): (Target, VerifiedFile),
    context: &mut Context<'_>,
) -> Result<()> {
    for (name, _) in input.names().filter(|(name, _)| !sealed.contains(&**name)) {
        if file.is_sealed(&name) == Some(true) {
            let text =
                format!("{name} is sealed in {}, and would become readable", Shown::path(path));
            return Err(Failure::new(Kind::Conflict, text).with_help(
                "Remove it from the input, or use --force: bootseal set PATH --plain VALUE --force",
            ));
        }
    }
    let there = input.names().filter(|(path, _)| file.is_sealed(path).is_some());
    let there: Vec<String> = there.map(|(path, _)| path.to_string()).collect();
    target.check_writer(file)?;
    let now = context.now();
    target.change(context, |vault| {
        vault.set_all(values(input, sealed), now)?;
        for property in input.properties(|path| !sealed.contains(path)) {
            let property = property?;
            match property.kind {
                ValueKind::Text => {
                    let text = property.value.expose_str(str::to_owned).unwrap_or_default();
                    vault.set_readable(&property.path, &toml::Value::String(text))?;
                }
                _ => {
                    let text =
                        property.value.expose_str(|text| format!("v = {text}")).unwrap_or_default();
                    let parsed: toml::Table = toml::from_str(&text).map_err(|_| {
                        Failure::new(
                            Kind::Malformed,
                            format!("{}: not a TOML value", property.path),
                        )
                    })?;
                    if let Some(value) = parsed.get("v") {
                        vault.set_readable(&property.path, value)?;
                    }
                }
            }
        }
        check(vault, input, sealed)
    })?;
    if !there.is_empty() {
        context.ui.note(format_args!("replaced: {}", some_names(there)));
    }
    Ok(())
}
