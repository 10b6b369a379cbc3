//! `bootseal import`: decrypts another tool's file, and seals its values.

use crate::cli::{Import, Tool};
use crate::commands::init::refuse_lists;
use crate::commands::seal::{
    add, beside, by_rules, create, left_readable, like_secrets, listed, special_tables, told,
};
use crate::context::Context;
use crate::formats::{Ciphertext, Findings, Input, Reading, text_of};
use crate::import::{Imported, KeySource, Weak, ansible_vault, dotenvx, jasypt, sops, spring};
use crate::trust::locate;
use crate::trust::rules::{Name, Rules, is_secret_name};
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Kind, MOST_NAMES, PropertyPath, Shown, ValueKind, and_more, some_names};
use serde_json::json;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

const ADVICE: &str = "change these credentials at the vendor: anyone who has ever had the old file can guess passwords offline, at full speed";

pub(crate) fn run(options: &Import, context: &mut Context<'_>) -> Result<(), Exit> {
    if options.key_fd.is_some() && options.key_fd == context.passphrase_fd {
        return Err(Failure::new(
            Kind::Usage,
            "one descriptor cannot be both a passphrase and a key",
        )
        .into());
    }
    if options.input == Path::new("-") {
        if options.key_fd == Some(0) || context.passphrase_fd == Some(0) {
            let text = "stdin cannot be both a key or passphrase and the input";
            return Err(Failure::new(Kind::Usage, text).into());
        }
        context.ui.stdin_taken = true;
    }
    let prefix = options.below.as_deref().map(str::parse::<PropertyPath>).transpose()?;
    let out = out(options, context)?;
    if out.1 {
        refuse_lists(&options.writer, &options.reader)?;
    }
    let chosen = Reading {
        format: options.format,
        nulls: options.null.into(),
        documents: options.document.into(),
        flat: options.flat,
        encoding: options.encoding,
        ..Reading::default()
    };
    let (text, reading) = text_of(&options.input, chosen, &mut context.ui.stdin)?;
    let imported = opened(&text, reading, options, context)?;
    let Imported { properties, mut sealed, weak, left_out, remarks } = match &prefix {
        Some(prefix) => imported.below(prefix)?,
        None => imported,
    };
    context.ui.warn_each(&remarks);
    let input = Input::of(properties);
    let findings = Findings::of(&input)?;
    context.ui.warn_each(taken_literally(&input)?);
    for warning in findings.warnings() {
        context.ui.warn(warning);
    }
    let existing = match out.1 {
        true => Some(Target::find(context)?),
        false => None,
    };
    if let Some((_, file)) = &existing {
        sealed.extend(by_rules(&input, &Rules::of_file(file)?));
    }
    context.ui.warn_each(numbers(&input, &sealed)?);
    let missed = left_readable(&input, &sealed, &special_tables(&input))?;
    let (names, readable) = told(&input, &sealed);
    let table = Table { sealed: names, readable, weak, left_out, not_opened: findings.ciphertext };
    table.refuse_unopened(options, context)?;
    match (&out.0, existing) {
        (path, Some(existing)) => add(path, &input, &sealed, existing, context)?,
        (path, None) => {
            let lists = (&*options.writer, &*options.reader);
            create(path, input, sealed, lists, false, context)?;
        }
    }
    if let Some(text) = like_secrets(missed) {
        context.ui.warn(text);
    }
    context.ui.answer(&table.json(&out.0), table.text(&Shown::path(&out.0).to_string()))?;
    Ok(())
}

/// The warnings of values that another program would expand.
fn taken_literally(input: &Input) -> Result<Vec<String>> {
    let mut literal = Vec::new();
    for property in input.properties(|_| true) {
        let property = property?;
        let holds = |text: &str| ["$(", "${", "{{"].iter().any(|what| text.contains(what));
        if property.value.expose_str(holds).unwrap_or(false) {
            let text = "the value contains `$(`, `${` or `{{`, which is taken literally; nothing is run or expanded";
            literal.push(format!("{}: {text}", property.path));
        }
    }
    Ok(literal)
}

/// The warning of sealed values with names of secrets that are no texts: a tool that reads `0123` as
/// a number has lost the zero.
fn numbers(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<Option<String>> {
    let mut names = Vec::new();
    for (at, (path, _)) in input.names().enumerate() {
        let is_secret = sealed.contains(&*path) && is_secret_name(Name::of(&path).plain());
        if is_secret && !input.is_array(at, &path) {
            let kind = input.value(at, &path, false)?.kind;
            names.extend((kind == ValueKind::Toml).then(|| path.to_string()));
        }
    }
    Ok((!names.is_empty()).then(|| {
        format!(
            "{}: encrypted as a number, or as true or false, and imported as such: without zeros at the beginning, for example. If it is a text, set it again: bootseal set NAME --type text",
            some_names(names)
        )
    }))
}

/// Returns the file to write, and whether it exists, so that the values are added to it.
fn out(options: &Import, context: &Context<'_>) -> Result<(PathBuf, bool)> {
    if let Some(out) = &options.output {
        crate::commands::init::refuse_existing(out)?;
        return Ok((out.clone(), false));
    }
    match context.options.file.is_empty() {
        true => {
            let out = beside(&options.input)?;
            crate::commands::init::refuse_existing(&out)?;
            Ok((out, false))
        }
        false => {
            let path = locate::named_file(context)?.unwrap_or_default();
            let there = path.exists();
            Ok((path, there))
        }
    }
}

fn opened(
    text: &str,
    reading: Reading,
    options: &Import,
    context: &mut Context<'_>,
) -> Result<Imported> {
    let path = options.input.as_path();
    let keys = KeySource { files: &options.key_file, descriptor: options.key_fd };
    let only =
        |tools: &[Tool], given: bool, option: &str| match given && !tools.contains(&options.from) {
            true => Err(Failure::new(Kind::Usage, format!("{option} does not apply to this tool"))),
            false => Ok(()),
        };
    only(&[Tool::Jasypt], options.algorithm.is_some(), "--algorithm")?;
    only(&[Tool::Jasypt], options.iv_generator.is_some(), "--iv-generator")?;
    only(&[Tool::Jasypt], options.iterations.is_some(), "--iterations")?;
    only(&[Tool::Jasypt, Tool::Spring], options.salt.is_some(), "--salt")?;
    let structured = [Tool::AnsibleVault, Tool::Jasypt, Tool::Spring];
    only(&structured, options.document.is_some(), "--document")?;
    only(&structured, options.null.is_some(), "--null")?;
    only(&[Tool::Jasypt, Tool::Spring], options.flat, "--flat")?;
    match options.from {
        Tool::Sops => sops::import(text, path, reading, &keys, context),
        Tool::AnsibleVault => ansible_vault::import(text, path, reading, &keys, context),
        Tool::Jasypt => {
            let settings = jasypt::Settings {
                algorithm: options.algorithm.as_deref(),
                iv_generator: options.iv_generator.as_deref(),
                iterations: options.iterations.unwrap_or(1000),
                salt: options.salt.as_deref(),
                reading,
            };
            jasypt::import(text, path, &settings, &keys, context)
        }
        Tool::Dotenvx => dotenvx::import(text, path, &keys, context),
        Tool::Spring => {
            spring::import(text, path, options.salt.as_deref(), reading, &keys, context)
        }
    }
}

/// The outcome for all properties of the other file.
struct Table {
    sealed: Vec<String>,
    readable: Vec<String>,
    weak: Vec<Weak>,
    left_out: Vec<(String, String)>,
    /// The properties whose values contain ciphertext that the importer does not open in place.
    not_opened: Vec<(PropertyPath, Ciphertext)>,
}

impl Table {
    /// Reports ciphertext that was not opened in place, and fails unless it is to be kept.
    fn refuse_unopened(&self, options: &Import, context: &mut Context<'_>) -> Result<(), Exit> {
        if self.not_opened.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.not_opened.iter().map(|(path, _)| path.to_string()).collect();
        let names = some_names(&names);
        if options.keep_ciphertext {
            let text = "contains ciphertext that was not opened, and is imported as it is";
            context.ui.warn(format_args!("{names}: {text}"));
            return Ok(());
        }
        if !context.ui.style.json {
            context.ui.line(self.text("none: nothing was written"))?;
        }
        let text = format!(
            "{}: ciphertext in {names} cannot be opened in place; nothing was written",
            Shown::path(&options.input)
        );
        let help = "Put the whole value into ENC(…), {cipher}… or after !vault, or decrypt it with the other tool. To import the ciphertext as it is, add --keep-ciphertext";
        Err(Failure::new(Kind::Conflict, text).with_help(help).in_file(&options.input).into())
    }

    fn json(&self, out: &Path) -> serde_json::Value {
        let weak =
            |weak: &Weak| json!({ "scheme": weak.scheme, "why": weak.why, "advice": ADVICE });
        let left_out = |(name, why): &(String, String)| json!({ "name": name, "why": why });
        json!({
            "file": out.to_string_lossy(),
            "sealed": self.sealed,
            "readable": self.readable,
            "weak": self.weak.iter().map(weak).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(left_out).collect::<Vec<_>>(),
        })
    }

    fn text(&self, file: &str) -> String {
        let names = |names: &[String]| {
            if names.is_empty() { "nothing".to_owned() } else { listed(names) }
        };
        let rows = |mut rows: Vec<String>| {
            let more = and_more(rows.len().saturating_sub(MOST_NAMES));
            rows.truncate(MOST_NAMES);
            rows.extend(more.map(|more| format!("{more}: --json prints all")));
            if rows.is_empty() { "nothing".to_owned() } else { rows.join("\n           ") }
        };
        let weak = self
            .weak
            .iter()
            .map(|Weak { scheme, why }| format!("{}: {why};\n           {ADVICE}", Shown(scheme)));
        let left_out = self.left_out.iter().map(|(name, why)| format!("{name}: {why}"));
        let mut text = format!(
            "file       {file}\nsealed     {}\nreadable   {}\nweak       {}\nleft out   {}",
            names(&self.sealed),
            names(&self.readable),
            rows(weak.collect()),
            rows(left_out.collect())
        );
        if !self.not_opened.is_empty() {
            let found =
                self.not_opened.iter().map(|(path, found)| format!("{path}: {}", found.shown()));
            text.push_str(&format!("\nnot opened {}", rows(found.collect())));
        }
        text
    }
}
