//! The choice of the properties that are sealed: by marks, patterns, rules and suggestions, or all.

use crate::commands::seal::suggest::suggestion;
use crate::commands::seal::uses::Uses;
use crate::commands::seal::wanted::{Rest, Wanted};
use crate::formats::Input;
use crate::trust::rules::{Name, Pattern, Rules, is_reference};
use crate::trust::special_tables::SpecialTables;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, shell_word, some_names};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

/// The properties that are sealed.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) sealed: HashSet<PropertyPath>,
    /// The first name inside each array that is sealed because of that name.
    pub(crate) inside: HashMap<PropertyPath, String>,
    /// The properties that look like secrets, and stay readable because nothing names them.
    pub(crate) missed: Vec<String>,
}

/// Why a property is sealed.
enum Why {
    /// By its own name, or together with all others.
    Itself,
    /// Because of this name inside it.
    Inside(String),
}

impl Choice {
    /// Chooses the properties.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a pattern matches nothing; [`Kind::Conflict`] if it matches something
    /// that cannot be sealed, or that cannot be sealed apart, or if `--plain` contradicts a rule;
    /// [`Kind::Usage`] if a value is both marked and named by `--plain`.
    pub(super) fn of(input: &Input, special: &SpecialTables, wanted: &Wanted) -> Result<Choice> {
        let marks = input.names().any(|(_, marked)| marked);
        let all = match wanted.rest {
            Rest::Usual => wanted.only.is_empty() && !marks,
            Rest::All => true,
            Rest::Suggested | Rest::These(_) => false,
        };
        let mut uses = Uses::of(wanted);
        let mut choice = Choice::default();
        let find = input.finder();
        for (at, (path, marked)) in input.names().enumerate() {
            let name = Name::of(&path);
            let is_plain = uses.plain(&name);
            let stays = special.keep_readable(&path);
            refuse_marked(&path, marked && is_plain, marked && stays)?;
            let by_name = uses.only(&name);
            let inside = uses.inside(input, (at, &path), &name);
            let rule = by_rule(input, (at, &path), &name, &wanted.rules);
            if stays {
                let by_rule = rule.filter(|_| special.is_sent(&path));
                let by_rule = by_rule.filter(|_| !(is_plain && wanted.allow_plain));
                let by_rule = by_rule.map(|(_, pattern)| pattern);
                if let Some(pattern) = by_name.filter(|_| !is_plain).or(by_rule)
                    && !is_reference(find(&path).as_ref())
                {
                    return Err(cannot_be_sealed(pattern, &path));
                }
                continue;
            }
            let why = match rule {
                Some((_, pattern)) if is_plain && !wanted.allow_plain => {
                    return Err(against_rule(pattern, &path));
                }
                _ if is_plain => None,
                _ if marked || all || by_name.is_some() => Some(Why::Itself),
                Some((why, _)) => Some(why),
                None => match (&wanted.rest, inside) {
                    (_, Some(inside)) => Some(Why::Inside(inside)),
                    (Rest::Suggested, None) => {
                        suggestion(input, (at, &path), &name)?.map(Why::from)
                    }
                    (Rest::These(these), None) => these.get(&*path).cloned().map(Why::from),
                    (Rest::Usual | Rest::All, None) => {
                        choice.missed.extend(missed(input, (at, &path), &name)?);
                        None
                    }
                },
            };
            choice.add(path, why);
        }
        uses.refuse_unused()?;
        Ok(choice)
    }

    fn add(&mut self, path: Cow<'_, PropertyPath>, why: Option<Why>) {
        match why {
            None => {}
            Some(Why::Itself) => drop(self.sealed.insert(path.into_owned())),
            Some(Why::Inside(name)) => {
                self.inside.insert(path.clone().into_owned(), name);
                self.sealed.insert(path.into_owned());
            }
        }
    }
}

/// The properties that look like secrets, and that an importer leaves readable.
pub(crate) fn left_readable(
    input: &Input,
    sealed: &HashSet<PropertyPath>,
    special: &SpecialTables,
) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for (at, (path, _)) in input.names().enumerate() {
        if !sealed.contains(&*path) && !special.keep_readable(&path) {
            all.extend(missed(input, (at, &path), &Name::of(&path))?);
        }
    }
    Ok(all)
}

/// The warning of properties that look like secrets and stay readable.
pub(crate) fn like_secrets(names: Vec<String>) -> Option<String> {
    (!names.is_empty()).then(|| {
        format!(
            "readable, and like a secret by name or by shape: {}. To seal one of them: bootseal set NAME",
            some_names(names)
        )
    })
}

/// A property that looks like a secret, for a warning.
fn missed(
    input: &Input,
    (at, path): (usize, &PropertyPath),
    name: &Name,
) -> Result<Option<String>> {
    let found = suggestion(input, (at, path), name)?;
    Ok(found.map(|inside| match inside {
        Some(inside) => format!("{path} (because of {inside})"),
        None => path.to_string(),
    }))
}

impl From<Option<String>> for Why {
    fn from(inside: Option<String>) -> Why {
        inside.map_or(Why::Itself, Why::Inside)
    }
}

/// The rule that says that a property must be sealed.
fn by_rule<'a>(
    input: &Input,
    (at, path): (usize, &PropertyPath),
    name: &Name,
    rules: &'a Rules,
) -> Option<(Why, &'a Pattern)> {
    if rules.is_empty() {
        return None;
    }
    if let Some(pattern) = rules.matching(name) {
        return Some((Why::Itself, pattern));
    }
    let mut found = None;
    input.visit_array(at, path, &mut |element| {
        if found.is_none() {
            let inner = name.element(&element);
            let matching = rules.matching(&inner);
            found = matching.map(|pattern| (Why::Inside(inner.shown().to_owned()), pattern));
        }
    });
    found
}

/// The properties of an input that the rules of a file say must be sealed, for an importer that has
/// chosen the others.
pub(crate) fn by_rules(input: &Input, rules: &Rules) -> Vec<PropertyPath> {
    let named = input
        .names()
        .enumerate()
        .filter(|(at, (path, _))| by_rule(input, (*at, path), &Name::of(path), rules).is_some());
    named.map(|(_, (path, _))| path.into_owned()).collect()
}

/// Refuses a mark that another option, or the table of the property, contradicts.
fn refuse_marked(path: &PropertyPath, is_plain: bool, stays_readable: bool) -> Result<()> {
    if is_plain {
        let text = format!("{path} is marked secret: in the input, but named by --plain");
        return Err(Failure::new(Kind::Usage, text)
            .with_help("Remove secret: from the input, or the pattern from --plain."));
    }
    if stays_readable {
        let text = format!(
            "{path} is marked secret:, and belongs to a login profile or another settings table, which stays readable"
        );
        return Err(Failure::new(Kind::Conflict, text)
            .with_help("Make it a value of the table above, and use it as ${name}."));
    }
    Ok(())
}

fn cannot_be_sealed(pattern: &Pattern, path: &PropertyPath) -> Failure {
    let text = format!(
        "{pattern} matches {path}, which cannot be sealed: it belongs to a login profile or another settings table, which stays readable"
    );
    Failure::new(Kind::Conflict, text).with_help(format!(
        "If it is a secret, make it a value of the table above, and use it as ${{name}}. Otherwise leave it out: --plain {}",
        shell_word(path)
    ))
}

fn against_rule(pattern: &Pattern, path: &PropertyPath) -> Failure {
    let text = format!(
        "{path} is named by --plain, and matches {pattern}, a rule in seal.names: its value must be sealed"
    );
    Failure::new(Kind::Conflict, text).with_help(
        "Remove the pattern from --plain. If everyone who has the file may read the value, add --allow-plain.",
    )
}
