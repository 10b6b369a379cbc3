//! `bootseal seal`: turns a plain-text settings file into a sealed file.

mod content;
mod foreign;
mod warnings;

use crate::cli::{Encoding, Null, Seal};
use crate::commands::init::{access_list, exists, refuse_existing, refuse_twice, report_created};
use crate::commands::seal::content::{
    check, check_comments, readable_text, refuse_too_large, values,
};
use crate::commands::seal::warnings::{profile_warnings, unexpanded};
use crate::commands::shred::Shred;
use crate::context::Context;
use crate::formats::{Documents, Findings, Input, Nulls, Reading, read};
use crate::trust::save::save;
use crate::trust::special_tables::SpecialTables;
use crate::trust::target::Target;
use crate::trust::{locate, pins};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{FileLock, Kind, Property, PropertyPath, Shown, ValueKind, Vault};
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashSet;
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
    let reading = reading(options.null, options.document, options.flat, options.encoding);
    let reading = Reading { dialect: options.dialect, ..reading };
    let input = read(&options.input, options.format, reading, context)?;
    for remark in &input.remarks {
        context.ui.warn(remark);
    }
    let findings = Findings::of(&input)?;
    foreign::refuse(&findings, &options.input, options.keep_ciphertext)?;
    for warning in foreign::warnings(&findings).chain(findings.warnings()) {
        context.ui.warn(warning);
    }
    drop(findings);
    let special = special_tables(&input);
    for path in unexpanded(&input, &special)? {
        let text = "the value contains `${` or `$(`, which is taken literally; nothing is expanded";
        context.ui.warn(format_args!("{path}: {text}"));
    }
    let sealed = choose(&input, &special, options)?;
    let named_file = match context.options.file.is_empty() {
        true => None,
        false => locate::named_file(context)?,
    };
    let added = named_file.as_ref().is_some_and(|path| path.exists());
    // Collected now, because the text of the input is freed later.
    let told = told(&input, &sealed);
    let warnings = profile_warnings(&input, &special, &sealed)?;
    let has_comments =
        input.document.as_ref().is_some_and(|document| document.comments().next().is_some());
    let left_out_comments = input.left_out_comments || added && has_comments;
    drop(special);
    bootseal_memory::return_freed_memory();
    let path = match &named_file {
        Some(path) if added => {
            refuse_access_list(options)?;
            add(path, &input, &sealed, context)?
        }
        named => {
            let path = named
                .clone()
                .or_else(|| options.output.clone())
                .map_or_else(|| beside(&options.input), Ok)?;
            create(&path, input, sealed, (&options.writer, &options.reader), context)?;
            path
        }
    };
    let input_stays = options.input != Path::new("-") && !options.shred;
    if let Some(shred) = shred {
        shred.carry_out(context)?;
    }
    report(&path, told, context)?;
    for warning in warnings {
        context.ui.warn(warning);
    }
    if left_out_comments {
        context.ui.note("comments of the input were left out: they may contain old values");
    }
    if input_stays {
        context.ui.warn(format_args!(
            "{} still contains the values in the clear; --shred removes the file",
            Shown::path(&options.input)
        ));
    }
    Ok(())
}

/// The user's choices for reading an input.
pub(crate) fn reading(
    null: Option<Null>,
    document: Option<usize>,
    flat: bool,
    encoding: Option<Encoding>,
) -> Reading {
    let nulls = match null {
        None => Nulls::Refuse,
        Some(Null::Skip) => Nulls::Skip,
        Some(Null::Empty) => Nulls::Empty,
    };
    let documents = document.map_or(Documents::One, Documents::Number);
    Reading { nulls, documents, flat, encoding, ..Reading::default() }
}

/// Refuses to add to a file with options that would set its access list.
fn refuse_access_list(options: &Seal) -> Result<()> {
    if options.writer.is_empty() && options.reader.is_empty() {
        return Ok(());
    }
    let text = "--writer and --reader set the access list of a new file, but this file exists";
    Err(Failure::new(Kind::Usage, text).with_help("bootseal access add NAME RECIPIENT"))
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

/// Reports which properties are sealed, and which stay readable.
fn report(
    path: &Path,
    (names, readable): (Vec<String>, Vec<String>),
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    if context.ui.style.json {
        context.ui.document(
            &json!({ "file": path.to_string_lossy(), "sealed": names, "readable": readable }),
        )?;
    } else {
        context.ui.line(format_args!(
            "sealed in {}: {}",
            Shown::path(path),
            if names.is_empty() { "nothing".into() } else { names.join(", ") }
        ))?;
        context.ui.line(format_args!(
            "readable: {}",
            if readable.is_empty() { "nothing".into() } else { readable.join(", ") }
        ))?;
    }
    Ok(())
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

fn special_tables(input: &Input) -> SpecialTables {
    let names = input.names().map(|(path, _)| path);
    let settings: Vec<_> = names.filter(|path| path.settings_table().is_some()).collect();
    let find = input.finder();
    SpecialTables::of(settings.iter().map(|path| &**path), |path| find(path).map(Cow::Owned))
}

/// Chooses the properties that are sealed.
fn choose(input: &Input, special: &SpecialTables, options: &Seal) -> Result<HashSet<PropertyPath>> {
    let globs = |patterns: &[String]| {
        let compile = |pattern: &String| {
            glob::Pattern::new(pattern).map_err(|error| {
                Failure::new(Kind::Usage, format!("`{}` is not a pattern: {error}", Shown(pattern)))
            })
        };
        patterns.iter().map(compile).collect::<Result<Vec<_>>>()
    };
    let (only, plain) = (globs(&options.only)?, globs(&options.plain)?);
    for (pattern, text) in only.iter().zip(&options.only).chain(plain.iter().zip(&options.plain)) {
        if !input.names().any(|(path, _)| pattern.matches(&path.to_string())) {
            return Err(Failure::new(
                Kind::NotFound,
                format!("`{}` matches no property of the input", Shown(text)),
            )
            .with_help("Patterns must match whole names: '*.url', 'acme.*'"));
        }
    }
    let marks = input.names().any(|(_, marked)| marked);
    let wanted = |path: &PropertyPath, marked: bool| {
        let name = path.to_string();
        let named = only.iter().any(|pattern| pattern.matches(&name)) || only.is_empty() && !marks;
        marked
            || named
                && !special.keep_readable(path)
                && !plain.iter().any(|pattern| pattern.matches(&name))
    };
    let mut marked = input.names().filter(|(_, marked)| *marked).map(|(path, _)| path);
    let is_plain =
        |path: &PropertyPath| plain.iter().any(|pattern| pattern.matches(&path.to_string()));
    if let Some(path) = marked.find(|path| is_plain(path)) {
        let text = format!("{path} is marked secret: in the input, but named by --plain");
        return Err(Failure::new(Kind::Usage, text)
            .with_help("Remove secret: from the input, or the pattern from --plain."));
    }
    let mut marked = input.names().filter(|(_, marked)| *marked).map(|(path, _)| path);
    if let Some(path) = marked.find(|path| special.keep_readable(path)) {
        let text = format!(
            "{path} is marked secret:, and belongs to a login profile or another settings table, which stays readable"
        );
        return Err(Failure::new(Kind::Conflict, text)
            .with_help("Make it a value of the table above, and use it as ${name}."));
    }
    let wanted = input.names().filter(|(path, marked)| wanted(path, *marked));
    Ok(wanted.map(|(path, _)| path.into_owned()).collect())
}

/// Creates a sealed file from an input.
pub(crate) fn create(
    path: &Path,
    input: Input,
    sealed: HashSet<PropertyPath>,
    (writers, readers): (&[String], &[String]),
    context: &mut Context<'_>,
) -> Result<()> {
    pins::refuse(context)?;
    refuse_existing(path)?;
    if let Some(document) = &input.document {
        document.require_sealable(&sealed)?;
    }
    refuse_too_large(&input, &sealed)?;
    check_comments(&input, &sealed)?;
    let text = readable_text(&input, &sealed)?;
    let access = access_list(writers, readers, context)?;
    refuse_twice(&access)?;
    let lock = FileLock::acquire(path)?;
    let mut vault = Vault::create(access, text)?;
    vault.set_all(values(&input, &sealed), context.now())?;
    check(&vault, &input, &sealed)?;
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
    context: &mut Context<'_>,
) -> Result<PathBuf> {
    let (target, file) = Target::find(context)?;
    for (name, _) in input.names().filter(|(name, _)| !sealed.contains(&**name)) {
        if matches!(file.property(&name), Some(Property::Sealed(_))) {
            let text =
                format!("{name} is sealed in {}, and would become readable", Shown::path(path));
            return Err(Failure::new(Kind::Conflict, text).with_help(
                "Remove it from the input, or use --force: bootseal set PATH --plain VALUE --force",
            ));
        }
    }
    let there = input.names().filter(|(path, _)| file.property(path).is_some());
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
        context.ui.note(format_args!("replaced: {}", there.join(", ")));
    }
    Ok(path.to_path_buf())
}
