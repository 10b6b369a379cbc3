//! The choice of the properties that are sealed: by marks, by patterns, or all.

use crate::formats::Input;
use crate::rules::{Name, Pattern};
use crate::trust::special_tables::SpecialTables;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, Property, PropertyPath, shell_word};
use std::collections::{HashMap, HashSet};

/// The properties that are sealed.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) sealed: HashSet<PropertyPath>,
    /// The first name inside each array that is sealed because of that name.
    pub(crate) inside: HashMap<PropertyPath, String>,
}

/// The patterns of the command line.
pub(super) struct Wanted {
    pub(super) only: Vec<Pattern>,
    pub(super) plain: Vec<Pattern>,
}

/// What the patterns matched so far.
struct Uses {
    only: Vec<bool>,
    plain: Vec<bool>,
    /// A name inside an array that only matters to `plain`.
    plain_inside: Vec<Option<(String, PropertyPath)>>,
}

impl Choice {
    /// Chooses the properties.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a pattern matches nothing; [`Kind::Conflict`] if it matches something
    /// that cannot be sealed, or that cannot be sealed apart; [`Kind::Usage`] if a value is both
    /// marked and named by `--plain`.
    pub(super) fn of(input: &Input, special: &SpecialTables, wanted: &Wanted) -> Result<Choice> {
        let marks = input.names().any(|(_, marked)| marked);
        let all = wanted.only.is_empty() && !marks;
        let mut uses = Uses {
            only: vec![false; wanted.only.len()],
            plain: vec![false; wanted.plain.len()],
            plain_inside: vec![None; wanted.plain.len()],
        };
        let mut choice = Choice::default();
        let find = input.finder();
        for (at, (path, marked)) in input.names().enumerate() {
            let name = Name::of(&path);
            let is_plain = uses.plain(wanted, &name);
            refuse_marked(&path, marked && is_plain, marked && special.keep_readable(&path))?;
            let by_name = uses.only(wanted, &name);
            let inside = uses.inside(wanted, input, (at, &path), &name);
            if special.keep_readable(&path) {
                if let Some(pattern) = by_name.filter(|_| !is_plain)
                    && !is_reference(find(&path))
                {
                    return Err(cannot_be_sealed(pattern, &path));
                }
                continue;
            }
            if is_plain {
                continue;
            }
            if marked || all || by_name.is_some() {
                choice.sealed.insert(path.into_owned());
            } else if let Some(inside) = inside {
                choice.inside.insert(path.clone().into_owned(), inside);
                choice.sealed.insert(path.into_owned());
            }
        }
        uses.refuse_unused(wanted)?;
        Ok(choice)
    }
}

impl Uses {
    /// Whether `--plain` names the property.
    fn plain(&mut self, wanted: &Wanted, name: &Name) -> bool {
        let mut found = false;
        for (pattern, used) in wanted.plain.iter().zip(&mut self.plain) {
            if pattern.matches(name) {
                (found, *used) = (true, true);
            }
        }
        found
    }

    /// The first pattern of `--only` that matches the property.
    fn only<'a>(&mut self, wanted: &'a Wanted, name: &Name) -> Option<&'a Pattern> {
        let mut first = None;
        for (pattern, used) in wanted.only.iter().zip(&mut self.only) {
            if pattern.matches(name) {
                first = first.or(Some(pattern));
                *used = true;
            }
        }
        first
    }

    /// The first name inside an array that `--only` matches, and `--plain` does not.
    fn inside(
        &mut self,
        wanted: &Wanted,
        input: &Input,
        (at, path): (usize, &PropertyPath),
        name: &Name,
    ) -> Option<String> {
        if wanted.only.is_empty() && wanted.plain.is_empty() {
            return None;
        }
        let mut first = None;
        input.visit_array(at, path, &mut |element| {
            let inner = name.element(&element);
            let plain = wanted.plain.iter().position(|pattern| pattern.matches(&inner));
            for (pattern, used) in wanted.only.iter().zip(&mut self.only) {
                if pattern.matches(&inner) {
                    *used = true;
                    match plain {
                        // The pattern of --plain takes this name out of the choice.
                        Some(plain) => self.plain[plain] = true,
                        None => first = first.take().or_else(|| Some(inner.shown().to_owned())),
                    }
                }
            }
            if let Some(plain) = plain {
                self.plain_inside[plain]
                    .get_or_insert_with(|| (inner.shown().to_owned(), path.clone()));
            }
        });
        first
    }

    fn refuse_unused(&self, wanted: &Wanted) -> Result<()> {
        let only = wanted.only.iter().zip(&self.only).map(|pair| (pair, &None));
        let plain = wanted.plain.iter().zip(&self.plain).zip(&self.plain_inside);
        for ((pattern, used), inside) in only.chain(plain) {
            match inside {
                _ if *used => {}
                Some((name, array)) => {
                    let text = format!(
                        "{pattern} matches {name}, which is a part of the array {array}: an array is sealed or readable as a whole"
                    );
                    return Err(Failure::new(Kind::Conflict, text).with_help(format!(
                        "To leave the whole array readable: --plain {}",
                        shell_word(array)
                    )));
                }
                None => {
                    let text = format!("{pattern} matches no property of the input");
                    return Err(Failure::new(Kind::NotFound, text)
                        .with_help("Patterns must match whole names: '*.url', 'acme.*'"));
                }
            }
        }
        Ok(())
    }
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

/// Whether a setting takes its value from other properties, as `${password}` does.
fn is_reference(setting: Option<Property>) -> bool {
    matches!(setting, Some(Property::Readable(toml::Value::String(text))) if text.contains("${"))
}
