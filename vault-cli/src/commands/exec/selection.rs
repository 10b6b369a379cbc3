//! The values that `exec` passes on, and the variable or file that each becomes.

use crate::cli::{Exec, Format};
use crate::context::Context;
use crate::formats::{self, Findings, Reading};
use crate::trust::keyring::Keys;
use crate::trust::special_tables::SpecialTables;
use crate::trust::value_name::{Scope, ValueName, readable_in};
use crate::trust::variable;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Error, Kind, PropertyPath, Secret, Shown, VerifiedFile};
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

const HELP: &str = "If you want this: --env NAME=PATH. Otherwise exclude it by naming others with --only, or rename it.";
/// Marks a property's path in a .env file.
const REFERENCE: &str = "bootseal:";

/// The destination of a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    Variable(String),
    File(PathBuf),
}

impl std::fmt::Display for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Slot::Variable(name) => write!(f, "the variable {}", Shown(name)),
            Slot::File(path) => write!(f, "the file {}", Shown::path(path)),
        }
    }
}

/// The origin of a value.
pub(super) enum Source {
    Property(ValueName),
    /// A value from the .env file itself.
    Literal(Secret),
}

pub(super) type Values = Vec<(Slot, Secret)>;

/// The values that the command line selects.
pub(super) struct Selection {
    only: Vec<ValueName>,
    named: Vec<(String, Source)>,
    /// Whether all properties, or those that --only names, are wanted in addition to `named`.
    general: bool,
    files: bool,
    flat: bool,
}

impl Selection {
    pub(super) fn of(options: &Exec, context: &mut Context<'_>) -> Result<Selection> {
        let only = options
            .only
            .iter()
            .map(|prefix| prefix.parse())
            .collect::<Result<Vec<ValueName>, Error>>()?;
        let mut named = match &options.env_file {
            Some(path) => of_env_file(path, options, context)?,
            None => Vec::new(),
        };
        for pair in &options.env {
            let parsed = pair
                .split_once('=')
                .and_then(|(name, path)| Some((name.to_owned(), path.parse().ok()?)));
            let Some((name, path)) = parsed.filter(|(name, _)| !name.is_empty()) else {
                let what = "--env takes NAME=PATH, a variable's name and a property's path";
                return Err(Failure::new(Kind::Usage, what)
                    .with_help("For example: --env PGPASSWORD=db.password"));
            };
            named.push((name, Source::Property(path)));
        }
        let files = options.files.is_some();
        let general =
            files || !only.is_empty() || options.env.is_empty() && options.env_file.is_none();
        Ok(Selection { only, named, general, files, flat: options.flat })
    }

    /// The destination and origin of each wanted value of this file, without the properties of
    /// [`Selection::left_out`].
    pub(super) fn wanted(&self, file: &VerifiedFile) -> Result<Vec<(Slot, Source)>> {
        let mut wanted: Vec<(Slot, Source)> = Vec::new();
        for (name, source) in &self.named {
            let source = match source {
                Source::Literal(value) => Source::Literal(value.clone()),
                Source::Property(name) => Source::Property(name.in_file(file)?),
            };
            wanted.push((Slot::Variable(name.clone()), source));
        }
        let scope = Scope::of(&self.only, file)?;
        for path in self.general(&scope, file).filter(|path| !self.shell_runs(path)) {
            wanted.push((self.slot(&path)?, Source::Property(ValueName::Property(path))));
        }
        let special = SpecialTables::of_file(file);
        for element in scope.elements {
            let path = element.dotted()?;
            if !self.shell_runs(&path) && !special.hold(&path) {
                wanted.push((self.slot(&path)?, Source::Property(ValueName::Element(element))));
            }
        }
        apart(wanted)
    }

    fn slot(&self, path: &PropertyPath) -> Result<Slot> {
        Ok(match (self.files, self.flat) {
            (false, _) => Slot::Variable(variable::of(path, HELP)?),
            (true, true) => Slot::File(variable::joined(path).into()),
            (true, false) => Slot::File(tree(path)?),
        })
    }

    /// The properties that are left out, because shells run or expand the variables that they would
    /// become.
    pub(super) fn left_out(&self, file: &VerifiedFile) -> Vec<PropertyPath> {
        let scope = Scope::of(&self.only, file).unwrap_or_default();
        let elements = scope.elements.iter().filter_map(|element| element.dotted().ok());
        let elements = elements.filter(|path| self.shell_runs(path));
        let general = self.general(&scope, file).filter(|path| self.shell_runs(path));
        general.chain(elements).collect()
    }

    /// The properties that are wanted without being named one by one.
    fn general<'a>(
        &'a self,
        scope: &'a Scope,
        file: &'a VerifiedFile,
    ) -> impl Iterator<Item = PropertyPath> + 'a {
        let special = SpecialTables::of_file(file);
        let meant =
            move |path: &PropertyPath| self.general && scope.holds(path) && !special.hold(path);
        file.names().map(|(path, _)| path).filter(meant)
    }

    fn shell_runs(&self, path: &PropertyPath) -> bool {
        let named =
            |source: &Source| matches!(source, Source::Property(other) if other.property() == path);
        !self.files
            && variable::is_left_out(path)
            && !self.named.iter().any(|(_, source)| named(source))
    }
}

/// The lines of a .env file. Its author must not choose what is run, so a variable that is a
/// program needs an option `--env` of the user.
fn of_env_file(
    path: &Path,
    options: &Exec,
    context: &mut Context<'_>,
) -> Result<Vec<(String, Source)>> {
    let reading =
        Reading { format: Some(Format::Env), dialect: options.dialect, ..Reading::default() };
    let by_user = &options.env;
    let input = formats::read(path, reading, context)?;
    context.ui.warn_each(&input.remarks);
    context.ui.warn_each(Findings::of(&input)?.ciphertext.iter().map(|(property, found)| {
        let (shown, help) = (found.shown(), found.help(path));
        format!("{property}: the program gets {shown}; the value itself: {help}")
    }));
    let (mut named, mut left_out) = (Vec::new(), Vec::new());
    for property in input.properties(|_| true) {
        let property = property?.into_owned();
        let name = property.path.segments().concat();
        let is_named = |pair: &String| pair.split_once('=').is_some_and(|(by, _)| by == name);
        if !by_user.iter().any(is_named) && !variable::may_be_set(&name, path)? {
            left_out.push(variable::line_left_out(&name, path));
            continue;
        }
        let reference = property
            .value
            .expose_str(|text| text.strip_prefix(REFERENCE).map(str::parse::<ValueName>));
        let source = match reference.ok().flatten() {
            None => Source::Literal(property.value),
            Some(Ok(target)) => Source::Property(target),
            Some(Err(_)) => {
                let what = format!(
                    "{}: the text after `{REFERENCE}` is not a property path",
                    Shown(&name)
                );
                return Err(Error::new(Kind::Malformed, what)
                    .in_file(path)
                    .with_help("For example: DB_PASSWORD=bootseal:db.password")
                    .into());
            }
        };
        named.push((name, source));
    }
    context.ui.warn_each(left_out);
    Ok(named)
}

/// The file of a property: its tables are folders.
fn tree(path: &PropertyPath) -> Result<PathBuf> {
    let plain = |segment: &String| {
        let mut parts = Path::new(segment).components();
        matches!((parts.next(), parts.next()), (Some(Component::Normal(name)), None) if name == segment.as_str())
            && !segment.contains('\0')
            && segment != ".new"
    };
    match path.segments().iter().all(plain) {
        true => Ok(path.segments().iter().collect()),
        false => Err(Error::new(Kind::Conflict, "has a name that is not a valid file name")
            .at(path)
            .with_help(
                "Use --flat, which changes the name, or exclude it by naming others with --only.",
            )
            .into()),
    }
}

/// Refuses two values with one destination; a property that is named twice is passed once.
fn apart(wanted: Vec<(Slot, Source)>) -> Result<Vec<(Slot, Source)>> {
    let mut seen: HashMap<Slot, Option<ValueName>> = HashMap::new();
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
                let name = |path: &Option<ValueName>| {
                    path.as_ref().map_or("a line of the .env file".into(), ToString::to_string)
                };
                let what = format!("{} and {} would both become {slot}", name(other), name(&path));
                return Err(Failure::new(Kind::Conflict, what).with_help(
                    "Select one with --only or --env NAME=PATH, or rename one: bootseal rename",
                ));
            }
        }
    }
    Ok(kept)
}

/// Reads the values; opens the vault only if a sealed value is wanted.
pub(super) fn values(
    wanted: Vec<(Slot, Source)>,
    file: VerifiedFile,
    keys: &Keys,
) -> Result<Values> {
    let mut values: Values = Vec::with_capacity(wanted.len());
    let mut sealed = Vec::new();
    for (slot, source) in wanted {
        let value = match source {
            Source::Literal(value) => value,
            Source::Property(name) => match readable_in(&name, &file)? {
                Some(value) => value.secret,
                None => {
                    sealed.push((slot, name));
                    continue;
                }
            },
        };
        values.push((slot, value));
    }
    if !sealed.is_empty() {
        let vault = file.open(&keys.identities)?;
        for (slot, name) in sealed {
            let value = name.of(vault.open(name.property())?)?.secret;
            values.push((slot, value));
        }
    }
    Ok(values)
}

/// Whether any of the values is sealed, so that a key is needed.
pub(super) fn needs_key(wanted: &[(Slot, Source)], file: &VerifiedFile) -> bool {
    let sealed = |name: &ValueName| file.is_sealed(name.property()) == Some(true);
    wanted.iter().any(|(_, source)| matches!(source, Source::Property(name) if sealed(name)))
}

impl Selection {
    /// Leaves out the values that a variable cannot contain, and returns their destinations too.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the user named such a value.
    pub(super) fn fitting(&self, values: Values) -> Result<(Values, Vec<Slot>)> {
        let unfit = |slot: &Slot, value: &Secret| {
            matches!(slot, Slot::Variable(_)) && value.expose(|bytes| bytes.contains(&0))
        };
        let (unfit, values): (Values, Values) =
            values.into_iter().partition(|(slot, value)| unfit(slot, value));
        let left_out: Vec<Slot> = unfit.into_iter().map(|(slot, _)| slot).collect();
        let named = |slot: &&Slot| matches!(slot, Slot::Variable(name) if self.named.iter().any(|(other, _)| other == name));
        match left_out.iter().find(named) {
            None => Ok((values, left_out)),
            Some(slot) => Err(Failure::new(
                Kind::Conflict,
                format!(
                    "the value for {slot} contains a NUL byte, which a variable cannot contain"
                ),
            )
            .with_help("Pass it as a file, with --files, or leave it out.")),
        }
    }

    /// The values of a file that has changed.
    pub(super) fn values_of(&self, file: VerifiedFile, keys: &Keys) -> Result<Values> {
        Ok(self.fitting(values(self.wanted(&file)?, file, keys)?)?.0)
    }
}
