//! `bootseal set`: seals one value.

use super::unreadable;
use crate::cli::{Everywhere, Set};
use crate::exit::{Done, Failure, Result};
use crate::many::{self, Answer};
use crate::output::Style;
use crate::target::Target;
use crate::world::World;
use bootseal_core::{Kind, Property, PropertyPath, Secret, Shown, ValueKind, VerifiedFile};
use bootseal_memory::SecretBuf;
use serde_json::json;
use std::io::Read;
use std::path::{Path, PathBuf};

const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const MAX_VALUE: usize = 12 << 20;

pub(crate) fn run(options: &Set, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    if options.generate.is_some() && options.stdin.is_some() {
        let text = "--generate takes its length with an equals sign, and nothing else stands beside it: --generate=40";
        return Err(Failure::new(Kind::Usage, text).into());
    }
    if options.stdin.as_deref().is_some_and(|word| word != "-") {
        let text =
            "a value never goes onto the command line: others on this machine can see it there, and the shell keeps it";
        return Err(Failure::new(Kind::Usage, text)
            .with_help(format!("Type it at the prompt (bootseal set {}), or pipe it in.", Shown(&options.path)))
            .into());
    }
    let path: PropertyPath = options.path.parse()?;
    // All that can be refused is refused before anybody is asked for the value.
    let mut targets = Vec::new();
    for (file, found) in having(&path, Target::find_all(everywhere, style, world)?, style, world)? {
        targets.push((file, found.and_then(|(target, file)| Ok((check(options, &path, &target, file)?, target)))));
    }
    let none_left = targets.iter().all(|(_, checked)| checked.is_err());
    let value = match &options.plain {
        Some(_) => None,
        None if none_left => None,
        None => Some(given(options, &path, style, world)?),
    };
    let now = (world.now)();
    many::each(targets, style, world, |(before, target), world| {
        match (&options.plain, &value) {
            (Some(text), _) => {
                let text = toml::Value::String(text.clone());
                target.change(style, world, |vault| Ok(vault.set_readable(&path, &text)?))?;
            }
            (None, Some((kind, value))) => {
                target.change(style, world, |vault| Ok(vault.set(&path, *kind, value, now)?))?;
                if matches!(before, Some(Property::Readable(_))) {
                    let text = "was readable until now: what it was stands in git's history, so give a new value";
                    world.note(style, format_args!("{path} {text}"));
                }
            }
            (None, None) => {}
        }
        let sealed = value.is_some();
        let what = if sealed { "sealed" } else { "readable" };
        world.detail(style, format_args!("{}: {path} is {what}", Shown(&target.path().to_string_lossy())));
        Ok(Answer { document: json!({ "name": path.to_string(), "sealed": sealed }), text: String::new() })
    })
}

type Targets = Vec<(PathBuf, Result<(Target, VerifiedFile)>)>;

/// Of several files those that have the property; a single one need not have it yet.
pub(crate) fn having(path: &PropertyPath, targets: Targets, style: Style, world: &mut World<'_>) -> Result<Targets> {
    if targets.len() < 2 {
        return Ok(targets);
    }
    let (with, without): (Targets, Targets) =
        targets.into_iter().partition(|(_, found)| !matches!(found, Ok((_, file)) if file.property(path).is_none()));
    if with.is_empty() {
        let error = bootseal_core::Error::new(Kind::NotFound, "none of these files has this property").at(path);
        return Err(error.with_help("A new property is added to one file at a time: -f FILE").into());
    }
    for (file, _) in without {
        world.note(style, format_args!("{} has no {path}, and stays as it is", Shown(&file.to_string_lossy())));
    }
    Ok(with)
}

/// What stands there now, where it may be replaced by what the options say.
fn check(options: &Set, path: &PropertyPath, target: &Target, file: VerifiedFile) -> Result<Option<Property>> {
    let before = file.property(path).cloned();
    let refuse = |kind, what: &str| bootseal_core::Error::new(kind, what).at(path).in_file(target.path());
    if options.plain.is_some() {
        if matches!(before, Some(Property::Sealed(_))) && !options.force {
            let what = "is sealed; --plain would make it readable for everyone who has the file";
            return Err(refuse(Kind::Conflict, what).with_help("If that is what you want, add --force.").into());
        }
        return Ok(before);
    }
    if in_profile(&file, path) {
        let what = "belongs to a login profile, which stays readable, so that a review sees where a password goes";
        return Err(refuse(Kind::Conflict, what).with_help(format!("bootseal set {path} --plain VALUE")).into());
    }
    target.check_writer(file)?;
    Ok(before)
}

/// The value, from wherever the options say; an empty one only where that is meant.
fn given(options: &Set, path: &PropertyPath, style: Style, world: &mut World<'_>) -> Result<(ValueKind, Secret)> {
    let (kind, value) = value(options, path, style, world)?;
    if value.is_empty() && !options.empty {
        return Err(Failure::new(Kind::Usage, "the value is empty; nothing was changed")
            .with_help("If that is what you want, add --empty."));
    }
    Ok((kind, value))
}

/// Whether `path` lies in a login profile: sealing it would break the profile.
fn in_profile(file: &VerifiedFile, path: &PropertyPath) -> bool {
    file.profiles().iter().any(|table| table.child("login").is_ok_and(|login| path.starts_with(login.segments())))
}

fn value(options: &Set, path: &PropertyPath, style: Style, world: &mut World<'_>) -> Result<(ValueKind, Secret)> {
    if let Some(length) = options.generate {
        return Ok((ValueKind::Text, generate(length)?));
    }
    let secret = if let Some(file) = &options.from_file {
        from_file(file)?
    } else if !world.stdin_is_terminal {
        // What `-i -` has left there must not look like an empty value.
        if world.stdin_taken {
            return Err(Failure::new(Kind::Usage, "stdin cannot be both a key and the value"));
        }
        without_newline(read(&mut world.stdin)?)
    } else if world.can_ask() {
        world.ask_secret(&path.to_string())?
    } else {
        return Err(Failure::new(Kind::NoTerminal, "there is no terminal to ask for the value at")
            .with_help("Pipe it in, or name a file with --from-file."));
    };
    let text = secret.expose_str(|text| {
        let mut remarks = Vec::new();
        if text.ends_with([' ', '\t']) || text.starts_with([' ', '\t']) {
            remarks.push("begins or ends in a blank");
        }
        if text.contains('\u{a0}') {
            remarks.push("holds a no-break space");
        }
        if text.ends_with(['\n', '\r']) {
            remarks.push("ends in a line break");
        }
        if text.chars().any(|character| bootseal_core::is_hidden(character) && !"\n\r\t".contains(character)) {
            remarks.push("holds an invisible character");
        }
        remarks
    });
    let kind = if text.is_ok() { ValueKind::Text } else { ValueKind::Bytes };
    for remark in text.unwrap_or_default() {
        world.warn(style, format_args!("{path}: the value {remark}"));
    }
    Ok((kind, secret))
}

fn read(source: &mut dyn Read) -> Result<SecretBuf> {
    let mut page = SecretBuf::with_capacity(4096)?;
    let mut source = source;
    match page.read_to_end(&mut source, MAX_VALUE) {
        Ok(true) => Ok(page),
        Ok(false) => Err(Failure::new(Kind::Usage, "the value is longer than 12 MiB; a sealed file may have 16")),
        Err(error) => Err(Failure::new(Kind::Io, format!("the value cannot be read: {error}"))),
    }
}

fn from_file(path: &Path) -> Result<Secret> {
    let failed = |error: std::io::Error| Failure::from(unreadable(&error).in_file(path));
    let mut file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(bootseal_core::Error::new(Kind::Io, "is a folder").in_file(path).into());
    }
    Ok(read(&mut file)?.freeze())
}

/// What a pipe gives ends in a newline that nobody typed: exactly one goes.
fn without_newline(mut page: SecretBuf) -> Secret {
    let cut = page.expose(|bytes| bytes.strip_suffix(b"\r\n").or(bytes.strip_suffix(b"\n")).map(<[u8]>::len));
    if let Some(length) = cut {
        page.truncate(length);
    }
    page.freeze()
}

fn generate(length: usize) -> Result<Secret> {
    if !(8..=4096).contains(&length) {
        return Err(Failure::new(Kind::Usage, "--generate takes a length from 8 to 4096"));
    }
    let mut page = SecretBuf::zeroed(length)?;
    page.expose_mut(|bytes| {
        for byte in bytes {
            // 248 is the greatest multiple of 62 below 256: what lies above would favour some characters.
            *byte = loop {
                let mut draw = [0];
                getrandom::fill(&mut draw)
                    .map_err(|error| Failure::new(Kind::Io, format!("no random numbers from the system: {error}")))?;
                if draw[0] < 248 {
                    break ALPHABET[usize::from(draw[0] % 62)];
                }
            };
        }
        Ok(())
    })
    .map(|()| page.freeze())
}
