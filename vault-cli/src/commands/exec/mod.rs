//! `bootseal exec`: runs a program with values in its environment, or as files in memory.

pub(crate) mod memory_folder;
pub(crate) mod on_change;

use crate::cli::{Exec, Format, OnChange};
use crate::commands::exec::memory_folder::{MemoryFolder, without_keys};
use crate::context::Context;
use crate::formats;
use crate::trust::keyring::Keys;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::special_tables::SpecialTables;
use crate::trust::vouch::vouch;
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::{Error, Kind, Property, PropertyPath, Secret, Shown, Trust, VerifiedFile};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// As `env` has it: another code is the program's own.
pub(crate) const OWN_FAILURE: u8 = 125;
const NOT_EXECUTABLE: u8 = 126;
const NOT_FOUND: u8 = 127;

/// What stands before a property's path in a .env file.
const REFERENCE: &str = "bootseal:";

pub(crate) fn run(options: &Exec, context: &mut Context<'_>) -> Result<(), Exit> {
    let (code, failure) = match start(options, context) {
        Ok(0) => return Ok(()),
        Ok(code) => return Err(Exit::Reported(code)),
        Err(NotStarted(code, failure)) => (code, failure),
    };
    context.ui.failure(&failure);
    Err(Exit::Reported(code))
}

/// Why the program does not run, and the code that says so.
pub(crate) struct NotStarted(u8, Failure);

impl<E: Into<Failure>> From<E> for NotStarted {
    fn from(error: E) -> NotStarted {
        NotStarted(OWN_FAILURE, error.into())
    }
}

fn start(options: &Exec, context: &mut Context<'_>) -> Result<u8, NotStarted> {
    if options.on_change == Some(OnChange::Signal) && options.files.is_none() {
        let what = "--on-change signal needs --files: the environment of a program that runs cannot be changed";
        return Err(Failure::new(Kind::Usage, what).with_help("--on-change restart starts it anew.").into());
    }
    let wishes = Selection::of(options, context)?;
    let OpenedFile { path, mut keys, memory, mut file, .. } = locate::find(context)?;
    // Whoever chooses the variables of a program has it in hand.
    if file.trust() == Trust::Unverified {
        vouch(&mut file, &memory, &path, context)?;
    }
    let wanted = wishes.wanted(&file)?;
    if wanted.iter().any(|(_, source)| matches!(source, Source::Property(path) if is_sealed(&file, path))) {
        keys.unlock(&file, context)?;
    }
    let seen = (file.vault_id(), file.generation());
    let values = values(wanted, file, &keys)?;
    let folder = match &options.files {
        None => None,
        Some(None) => Some(MemoryFolder::create(context)?),
        Some(Some(named)) => Some(MemoryFolder::create_at(named)?),
    };
    let program = Program { command: &options.command, no_stdin: context.ui.stdin_taken, folder };
    program.put(&values, &[])?;
    let _ = context.ui.stdout.flush();
    match options.on_change {
        None => program.become_it(&values),
        Some(how) => {
            let again = crate::commands::exec::on_change::Reopen { path, keys, seen, wishes };
            crate::commands::exec::on_change::look_after(&program, how, values, again, context)
        }
    }
}

fn is_sealed(file: &VerifiedFile, path: &PropertyPath) -> bool {
    matches!(file.property(path), Some(Property::Sealed(_)))
}

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Slot {
    Variable(String),
    File(PathBuf),
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Slot::Variable(name) => write!(f, "the variable {}", Shown(name)),
            Slot::File(path) => write!(f, "the file {}", Shown(&path.to_string_lossy())),
        }
    }
}

/// Where it comes from.
enum Source {
    Property(PropertyPath),
    /// What a .env file holds itself.
    Literal(Secret),
}

pub(crate) type Values = Vec<(Slot, Secret)>;

/// What the command line asks for, before any file was looked at.
pub(crate) struct Selection {
    only: Vec<PropertyPath>,
    named: Vec<(String, Source)>,
    /// All that --only names, or simply all, is wanted as well.
    general: bool,
    files: bool,
    flat: bool,
}

impl Selection {
    fn of(options: &Exec, context: &mut Context<'_>) -> Result<Selection> {
        let only = options.only.iter().map(|prefix| prefix.parse()).collect::<Result<Vec<PropertyPath>, Error>>()?;
        let mut named = Vec::new();
        if let Some(path) = &options.env_file {
            let input = formats::read(path, Some(Format::Env), context)?;
            for remark in &input.remarks {
                context.ui.warn(remark);
            }
            for property in input.properties {
                let name = property.path.segments().concat();
                let reference =
                    property.value.expose_str(|text| text.strip_prefix(REFERENCE).map(str::parse::<PropertyPath>));
                let source = match reference.ok().flatten() {
                    None => Source::Literal(property.value),
                    Some(Ok(target)) => Source::Property(target),
                    Some(Err(_)) => {
                        let what = format!("{}: what follows `{REFERENCE}` is not a property's path", Shown(&name));
                        return Err(Error::new(Kind::Malformed, what)
                            .in_file(path)
                            .with_help("As in: DB_PASSWORD=bootseal:db.password")
                            .into());
                    }
                };
                named.push((name, source));
            }
        }
        for pair in &options.env {
            let parsed = pair.split_once('=').and_then(|(name, path)| Some((name.to_owned(), path.parse().ok()?)));
            let Some((name, path)) = parsed.filter(|(name, _)| !name.is_empty()) else {
                let what = "--env takes NAME=PATH, a variable's name and a property's path";
                return Err(Failure::new(Kind::Usage, what).with_help("As in: --env PGPASSWORD=db.password"));
            };
            named.push((name, Source::Property(path)));
        }
        let files = options.files.is_some();
        let general = files || !only.is_empty() || options.env.is_empty() && options.env_file.is_none();
        Ok(Selection { only, named, general, files, flat: options.flat })
    }

    /// Each value's place and source, by what this file has.
    fn wanted(&self, file: &VerifiedFile) -> Result<Vec<(Slot, Source)>> {
        let special = SpecialTables::of_file(file);
        let mut wanted: Vec<(Slot, Source)> = Vec::new();
        for (name, source) in &self.named {
            let source = match source {
                Source::Literal(value) => Source::Literal(value.clone()),
                Source::Property(path) if file.property(path).is_some() => Source::Property(path.clone()),
                Source::Property(path) => return Err(file.not_found(path).into()),
            };
            wanted.push((Slot::Variable(name.clone()), source));
        }
        if let Some(nothing) =
            self.only.iter().find(|only| !file.properties().any(|(path, _)| path.starts_with(only.segments())))
        {
            return Err(file.not_found(nothing).into());
        }
        let meant = |path: &PropertyPath| {
            let under = self.only.is_empty() || self.only.iter().any(|only| path.starts_with(only.segments()));
            self.general && under && !special.hold(path)
        };
        for (path, _) in file.properties().filter(|(path, _)| meant(path)) {
            let slot = match (self.files, self.flat) {
                (false, _) => Slot::Variable(variable(path)?),
                (true, true) => Slot::File(joined(path, |next| next).into()),
                (true, false) => Slot::File(tree(path)?),
            };
            wanted.push((slot, Source::Property(path.clone())));
        }
        apart(wanted)
    }
}

/// A property's variable: its path in capitals, everything but letters and digits as `_`.
fn variable(path: &PropertyPath) -> Result<String> {
    let name = joined(path, |next| next.to_ascii_uppercase());
    let steers = matches!(name.as_str(), "PATH" | "IFS" | "BASH_ENV")
        || ["LD_", "DYLD_", "BOOTSEAL_"].iter().any(|start| name.starts_with(start));
    if steers {
        let what = format!("would be the variable {name}, which decides what is run");
        return Err(Error::new(Kind::Conflict, what)
            .at(path)
            .with_help(format!(
                "If that is what you want: --env {name}={path}. Else leave it out, with --only, or rename it."
            ))
            .into());
    }
    Ok(name)
}

fn joined(path: &PropertyPath, change: impl Fn(char) -> char) -> String {
    let plain = |next: char| if next.is_ascii_alphanumeric() { change(next) } else { '_' };
    path.segments().join("_").chars().map(plain).collect()
}

/// A property's file: its tables are folders.
fn tree(path: &PropertyPath) -> Result<PathBuf> {
    let plain = |segment: &String| {
        let mut parts = Path::new(segment).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == segment.as_str())
            && !segment.contains('\0')
            && segment != ".new"
    };
    match path.segments().iter().all(plain) {
        true => Ok(path.segments().iter().collect()),
        false => Err(Error::new(Kind::Conflict, "has a name that no file can have")
            .at(path)
            .with_help("With --flat it gets one; or leave it out, with --only.")
            .into()),
    }
}

/// Two that meet in one place are an error; the same property asked for twice is not.
fn apart(wanted: Vec<(Slot, Source)>) -> Result<Vec<(Slot, Source)>> {
    let mut seen: HashMap<Slot, Option<PropertyPath>> = HashMap::new();
    let mut kept = Vec::new();
    for (slot, source) in wanted {
        let path = match &source {
            Source::Property(path) => Some(path.clone()),
            Source::Literal(_) => None,
        };
        match seen.get(&slot) {
            None => {
                seen.insert(slot.clone(), path);
                kept.push((slot, source));
            }
            Some(other) if *other == path && path.is_some() => {}
            Some(other) => {
                let name = |path: &Option<PropertyPath>| {
                    path.as_ref().map_or("a line of the .env file".into(), ToString::to_string)
                };
                let what = format!("{} and {} would both be {slot}", name(other), name(&path));
                return Err(Failure::new(Kind::Conflict, what)
                    .with_help("Take what you need, with --only or --env NAME=PATH, or rename one: bootseal rename"));
            }
        }
    }
    Ok(kept)
}

/// The values themselves; the file is opened only where a sealed one is wanted.
fn values(wanted: Vec<(Slot, Source)>, file: VerifiedFile, keys: &Keys) -> Result<Values> {
    let mut values: Values = Vec::with_capacity(wanted.len());
    let mut sealed = Vec::new();
    for (slot, source) in wanted {
        let value = match source {
            Source::Literal(value) => value,
            Source::Property(path) => match file.property(&path) {
                Some(Property::Readable(toml::Value::String(text))) => Secret::copy_of(text.as_bytes())?,
                Some(Property::Readable(other)) => Secret::copy_of(other.to_string().as_bytes())?,
                _ => {
                    sealed.push((slot, path));
                    continue;
                }
            },
        };
        values.push((slot, value));
    }
    if !sealed.is_empty() {
        let vault = file.open(&keys.identities)?;
        for (slot, path) in sealed {
            let value = vault.open(&path)?.secret;
            values.push((slot, value));
        }
    }
    for (slot, value) in &values {
        if matches!(slot, Slot::Variable(_)) && value.expose(|bytes| bytes.contains(&0)) {
            let what = format!("what would be {slot} holds a NUL byte, which no variable can hold");
            return Err(
                Failure::new(Kind::Conflict, what).with_help("Pass it as a file, with --files, or leave it out.")
            );
        }
    }
    Ok(values)
}

impl Selection {
    /// The values of a file that has changed.
    pub(crate) fn values_of(&self, file: VerifiedFile, keys: &Keys) -> Result<Values> {
        values(self.wanted(&file)?, file, keys)
    }
}

/// What is run, and where its files are.
pub(crate) struct Program<'a> {
    command: &'a [OsString],
    /// A key was read from there.
    no_stdin: bool,
    folder: Option<MemoryFolder>,
}

impl Program<'_> {
    /// Writes the files of `values`, and takes away those of `before` that are no more.
    pub(crate) fn put(&self, values: &Values, before: &[(Slot, Secret)]) -> Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        for (slot, value) in values {
            let Slot::File(name) = slot else { continue };
            if let Some(table) = name.parent() {
                folder.make_table(table)?;
            }
            folder.write(name, |out| value.expose(|bytes| Ok(out.write_all(bytes)?)))?;
        }
        for (slot, _) in before.iter().filter(|(slot, _)| !values.iter().any(|(other, _)| other == slot)) {
            if let Slot::File(name) = slot {
                folder.remove(name);
            }
        }
        Ok(())
    }

    pub(crate) fn command(&self, values: &Values) -> Command {
        let mut command = Command::new(self.command.first().map_or_else(Default::default, OsString::clone));
        command.args(self.command.iter().skip(1));
        without_keys(&mut command);
        if let Some(folder) = &self.folder {
            command.env("BOOTSEAL_FILES", folder.path());
        }
        for (slot, value) in values {
            if let Slot::Variable(name) = slot {
                value.expose(|bytes| command.env(name, os_string(bytes)));
            }
        }
        if self.no_stdin {
            command.stdin(Stdio::null());
        }
        command
    }

    pub(crate) fn not_started(&self, error: &std::io::Error) -> NotStarted {
        let name = self.command.first().map(|name| Shown(&name.to_string_lossy()).to_string()).unwrap_or_default();
        let (code, kind, what, help) = match error.kind() {
            std::io::ErrorKind::NotFound => (
                NOT_FOUND,
                Kind::NotFound,
                "is not found",
                "Is it in PATH, and if it is a script, what its first line names?",
            ),
            std::io::ErrorKind::ArgumentListTooLong => (
                OWN_FAILURE,
                Kind::Conflict,
                "cannot be given so much in its environment",
                "Pass files, with --files, or less, with --only.",
            ),
            _ => (NOT_EXECUTABLE, Kind::Io, "cannot be run", "Is it a program, and may you run it?"),
        };
        NotStarted(code, Failure::new(kind, format!("{name} {what}: {error}")).with_help(help))
    }

    /// The program takes this process's place: signals, terminal, job control and exit code are its own, and nothing of us is left.
    #[cfg(unix)]
    fn become_it(&self, values: &Values) -> Result<u8, NotStarted> {
        let error = std::os::unix::process::CommandExt::exec(&mut self.command(values));
        Err(self.not_started(&error))
    }

    #[cfg(not(unix))]
    fn become_it(&self, values: &Values) -> Result<u8, NotStarted> {
        match self.command(values).status() {
            Ok(status) => Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)),
            Err(error) => Err(self.not_started(&error)),
        }
    }
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}
