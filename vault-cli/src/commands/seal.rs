//! `bootseal seal`: turns a plain-text settings file into a sealed file.

use crate::cli::Seal;
use crate::commands::init::{access_list, exists, refuse_existing, refuse_twice, report_created};
use crate::commands::shred::Shred;
use crate::context::Context;
use crate::formats::{Input, InputProperty, read};
use crate::trust::save::save;
use crate::trust::special_tables::SpecialTables;
use crate::trust::target::Target;
use crate::trust::{locate, pins};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{
    CanWrite, FileLock, Kind, MAX_FILE, Profile, Property, PropertyPath, Secret, Shown, ValueKind,
    Vault, shell_word,
};
use serde_json::json;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

/// The minimum length of a value that is searched for in comments; a shorter value may appear there
/// by chance.
const TELLING: usize = 6;

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
    let input = read(&options.input, options.format, context)?;
    for remark in &input.remarks {
        context.ui.warn(remark);
    }
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
            create(&path, &input, &sealed, (&options.writer, &options.reader), context)?;
            path
        }
    };
    let input_stays = options.input != Path::new("-") && !options.shred;
    if let Some(shred) = shred {
        shred.carry_out(context)?;
    }
    report(&path, &input, &sealed, context)?;
    warn_of_profiles(&input, &special, &sealed, context)?;
    let into_another = named_file.is_some()
        && input.document.as_ref().is_some_and(|document| document.comments().next().is_some());
    if input.left_out_comments || into_another && added {
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

/// Refuses to add to a file with options that would set its access list.
fn refuse_access_list(options: &Seal) -> Result<()> {
    if options.writer.is_empty() && options.reader.is_empty() {
        return Ok(());
    }
    let text = "--writer and --reader set the access list of a new file, but this file exists";
    Err(Failure::new(Kind::Usage, text).with_help("bootseal access add NAME RECIPIENT"))
}

/// Reports which properties are sealed, and which stay readable.
fn report(
    path: &Path,
    input: &Input,
    sealed: &HashSet<PropertyPath>,
    context: &mut Context<'_>,
) -> Result<(), Exit> {
    let named = |wanted: bool| -> Vec<String> {
        let paths = input.names().map(|(path, _)| path);
        paths
            .filter(|path| sealed.contains(&**path) == wanted)
            .map(|path| path.to_string())
            .collect()
    };
    let (names, readable) = (named(true), named(false));
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

/// Warns of credentials that stay readable in a login profile, and of sealed properties that would
/// not work there.
fn warn_of_profiles(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
    context: &mut Context<'_>,
) -> Result<()> {
    for property in literal_credentials(input, special, sealed)? {
        let text =
            "looks like a credential, and stays readable, because it is part of a login profile";
        context.ui.warn(format_args!(
            "{property} {text}. Make it a value of the table above, and use it as ${{name}}"
        ));
    }
    for (path, near) in unknown_to_profiles(input, special, sealed) {
        let meant = near.map_or(String::new(), |near| format!(" Did you mean `{near}`?"));
        let text = "is sealed, and is not a key of a login profile: nothing in a profile may be sealed, so it will not work";
        context.ui.warn(format_args!("{path} {text}.{meant}"));
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

/// Finds properties with placeholders that another tool would expand, except `${name}` in a
/// profile, which the login expands.
fn unexpanded(input: &Input, special: &SpecialTables) -> Result<Vec<PropertyPath>> {
    let looks = |property: &InputProperty| {
        let holds =
            |what: &str| property.value.expose_str(|text| text.contains(what)).unwrap_or(false);
        holds("$(") || holds("${") && !special.hold(&property.path)
    };
    match input.document {
        Some(_) => Ok(Vec::new()),
        None => paths(input, |_| true, looks),
    }
}

/// The paths of those among the properties `of` which `is` accepts.
fn paths(
    input: &Input,
    of: impl Fn(&PropertyPath) -> bool,
    is: impl Fn(&InputProperty) -> bool,
) -> Result<Vec<PropertyPath>> {
    let mut paths = Vec::new();
    for property in input.properties(of) {
        let property = property?;
        if is(&property) {
            paths.push(property.path.clone());
        }
    }
    Ok(paths)
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
            "{path} is marked secret:, and belongs to a login profile, which stays readable"
        );
        return Err(Failure::new(Kind::Conflict, text)
            .with_help("Make it a value of the table above, and use it as ${name}."));
    }
    let wanted = input.names().filter(|(path, marked)| wanted(path, *marked));
    Ok(wanted.map(|(path, _)| path.into_owned()).collect())
}

/// Finds sealed properties that are unknown keys of a profile and would not work, each with a
/// similar known key.
fn unknown_to_profiles(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
) -> Vec<(PropertyPath, Option<&'static str>)> {
    let sealed = input.names().map(|(path, _)| path).filter(|path| sealed.contains(&**path));
    let unknown = |path: Cow<'_, PropertyPath>| {
        let place =
            special.place(&path).filter(|place| place.kind == "login" && !place.is_known())?;
        let near = Profile::near_key(place.key);
        Some((path.into_owned(), near))
    };
    sealed.filter_map(unknown).collect()
}

/// Finds strings in a profile whose names suggest credentials, and which do not contain `${name}`.
fn literal_credentials(
    input: &Input,
    special: &SpecialTables,
    sealed: &HashSet<PropertyPath>,
) -> Result<Vec<PropertyPath>> {
    let tells = |name: &str| {
        ["pass", "pwd", "secret", "token", "key", "credential"]
            .iter()
            .any(|word| name.to_lowercase().contains(word))
    };
    let carried = |path: &PropertyPath| {
        let sent = special.place(path).is_some_and(|place| {
            place.kind == "login" && matches!(place.key, "json" | "form" | "headers")
        });
        sent && !sealed.contains(path) && path.segments().last().is_some_and(|name| tells(name))
    };
    let literal = |property: &InputProperty| {
        property.kind == ValueKind::Text
            && property.value.expose_str(|text| !text.contains("${")).unwrap_or(false)
    };
    paths(input, carried, literal)
}

/// The text of the new file before its values are sealed, with an empty string for each sealed
/// value.
fn readable_text(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<String> {
    if let Some(document) = &input.document {
        let text = document.emptied(sealed)?;
        return Ok(text);
    }
    let mut tables: Vec<(Vec<String>, String)> = vec![(Vec::new(), String::new())];
    let mut at: HashMap<Vec<String>, usize> = [(Vec::new(), 0)].into();
    for property in input.properties(|_| true) {
        let property = property?;
        let Some((key, table)) = property.path.segments().split_last() else { continue };
        let value = match sealed.contains(&property.path) {
            true => "\"\"".to_owned(),
            false => property.readable(),
        };
        let line = format!("{} = {value}\n", PropertyPath::new(vec![key.clone()])?);
        match at.get(table) {
            Some(index) => tables[*index].1.push_str(&line),
            None => {
                at.insert(table.to_vec(), tables.len());
                tables.push((table.to_vec(), line));
            }
        }
    }
    let mut text = String::new();
    for (table, lines) in tables.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        let gap = if text.is_empty() { "" } else { "\n" };
        match table.is_empty() {
            true => text.push_str(&lines),
            false => text.push_str(&format!("{gap}[{}]\n{lines}", PropertyPath::new(table)?)),
        }
    }
    Ok(text)
}

/// Refuses a comment that contains a value to be sealed: the comment would be committed to git in
/// the clear.
fn check_comments(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
    let Some(document) = &input.document else { return Ok(()) };
    // Values are indexed by a keyed hash of their first bytes, so that each comment is scanned
    // once, however many values there are.
    let hasher = RandomState::new();
    let mut by_beginning: HashMap<u64, Vec<InputProperty>> = HashMap::new();
    if document.comments().next().is_none() {
        return Ok(());
    }
    for property in input.properties(|path| sealed.contains(path)) {
        let property = property?;
        if property.value.len() >= TELLING {
            let beginning = property.value.expose(|value| hasher.hash_one(&value[..TELLING]));
            by_beginning.entry(beginning).or_default().push(property.into_owned());
        }
    }
    let value_in = |comment: &[u8]| {
        comment.windows(TELLING).enumerate().find_map(|(at, beginning)| {
            let alike = by_beginning.get(&hasher.hash_one(beginning))?;
            alike
                .iter()
                .find(|property| property.value.expose(|value| comment[at..].starts_with(value)))
        })
    };
    for (line, comment) in document.comments() {
        let Some(InputProperty { path, .. }) = value_in(comment.as_bytes()) else { continue };
        let text = format!(
            "the comment in line {line} contains the value of {path} in the clear; nothing was written"
        );
        return Err(Failure::new(Kind::Conflict, text).with_help(format!(
            "Remove the value from the comment. If the value is not a secret, add --plain {}",
            shell_word(path)
        )));
    }
    Ok(())
}

/// Refuses values that are too large for a file together, before any of them is sealed.
fn refuse_too_large(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
    let mut total = 0;
    for value in values(input, sealed) {
        total += ValueKind::sealed_length(value?.2.len());
        if total > MAX_FILE {
            let text = "the file would be larger than 16 MiB, the limit of a sealed file";
            return Err(Failure::new(Kind::Malformed, text));
        }
    }
    Ok(())
}

/// The values to be sealed.
fn values(
    input: &Input,
    sealed: &HashSet<PropertyPath>,
) -> impl Iterator<Item = Result<(PropertyPath, ValueKind, Secret), bootseal_core::Error>> {
    input.properties(|path| sealed.contains(path)).map(|property| {
        let InputProperty { path, kind, value, .. } = property?.into_owned();
        Ok((path, kind, value))
    })
}

/// Creates a sealed file from an input.
pub(crate) fn create(
    path: &Path,
    input: &Input,
    sealed: &HashSet<PropertyPath>,
    (writers, readers): (&[String], &[String]),
    context: &mut Context<'_>,
) -> Result<()> {
    pins::refuse(context)?;
    refuse_existing(path)?;
    let text = readable_text(input, sealed)?;
    refuse_too_large(input, sealed)?;
    check_comments(input, sealed)?;
    let access = access_list(writers, readers, context)?;
    refuse_twice(&access)?;
    let lock = FileLock::acquire(path)?;
    let mut vault = Vault::create(access, text)?;
    vault.set_all(values(input, sealed), context.now())?;
    check(&vault, input, sealed)?;
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

/// Checks that opening the sealed values returns the values of the input, before the input may be
/// removed.
fn check(vault: &Vault<CanWrite>, input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
    for value in values(input, sealed) {
        let (path, kind, value) = value?;
        let opened = vault.open(&path)?;
        let same = opened.kind == kind && opened.secret.same_as(&value);
        if !same {
            return Err(Failure::new(
                Kind::Malformed,
                format!("{path} does not open to the value that was sealed; nothing was written"),
            ));
        }
    }
    Ok(())
}
