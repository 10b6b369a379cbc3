//! The rules of a file: the names in `[seal]` whose values must be sealed.

use crate::trust::rules::pattern::{Name, Pattern};
use crate::trust::special_tables::SpecialTables;
use crate::ui::failure::{Failure, Result};
use crate::value_writer::readable_text;
use bootseal_core::{
    Element, Error, Kind, Property, PropertyPath, Shown, VerifiedFile, elements, shell_word,
    some_names,
};
use std::collections::HashSet;

/// The keys of a table `[seal]` that are probably meant as rules.
const WORDS: [&str; 6] = ["name", "names", "pattern", "patterns", "rule", "rules"];
/// The command that makes or replaces rules.
const MAKE: &str = "bootseal set seal.names --plain '[\"*password*\"]' --type toml";

/// The patterns of the table `[seal]`; none if the file has no such table.
#[derive(Clone, Default)]
pub(crate) struct Rules(Vec<Pattern>);

/// A readable property that a rule says must be sealed.
pub(crate) struct Match {
    pub(crate) path: PropertyPath,
    /// The name that the rule matches: of the property, or of an element inside it.
    name: String,
    pattern: Pattern,
    is_setting: bool,
}

impl Rules {
    /// Reads the patterns of `seal.names`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if one of them is not a pattern.
    pub(crate) fn of(names: Option<Vec<String>>) -> Result<Rules> {
        let compile = |text: &String| {
            Pattern::of(text).map_err(|failure| {
                Failure::new(Kind::Conflict, format!("seal.names: {}", failure.text())).with_help(
                    "A rule is a pattern as for --only, such as \"*password*\" or \"acme.*\".",
                )
            })
        };
        names.unwrap_or_default().iter().map(compile).collect::<Result<_>>().map(Rules)
    }

    pub(crate) fn of_file(file: &VerifiedFile) -> Result<Rules> {
        Rules::of(file.sealing_names())
    }

    /// Refuses a change after which the table `[seal]` still has properties, but no rules any more.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if there are such properties.
    pub(crate) fn refuse_end(after: &VerifiedFile) -> Result<(), Error> {
        let other = after.names().map(|(path, _)| path).find(PropertyPath::is_in_seal_table);
        match other.filter(|_| !after.has_rules()) {
            None => Ok(()),
            Some(path) => Err(ends_rules(&path)),
        }
    }

    /// The property of a table `[seal]` that looks like a rule but is not one: all keys of the
    /// table are words for rules, and it has `names` or a value with a `*`.
    pub(crate) fn meant(file: &VerifiedFile) -> Option<PropertyPath> {
        if file.has_rules() {
            return None;
        }
        let mut found = None;
        for (path, sealed) in file.names().filter(|(path, _)| path.is_in_seal_table()) {
            let key = path.segments().get(1).map(|key| key.to_ascii_lowercase())?;
            if !WORDS.contains(&key.as_str()) {
                return None;
            }
            if key == "names" || !sealed && readable_text(file, &path).contains(&b'*') {
                found.get_or_insert(path);
            }
        }
        found
    }

    /// Refuses a change after which a property looks like a rule but is not one.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if there is such a property.
    pub(crate) fn refuse_meant(after: &VerifiedFile) -> Result<(), Error> {
        Rules::meant(after).map_or(Ok(()), |path| Err(no_rule(&path)))
    }

    /// A note of rules that a change has added or replaced.
    pub(crate) fn changed(before: Option<&[String]>, after: &VerifiedFile) -> Option<String> {
        let now = after.sealing_names().filter(|now| before != Some(now))?;
        let now: Vec<String> = now.iter().map(|name| format!("`{}`", Shown(name))).collect();
        let now = if now.is_empty() { "none".to_owned() } else { some_names(now) };
        Some(format!("the rules in seal.names are now: {now}"))
    }

    /// Refuses a readable value with this name, even if the file already has one.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if a rule matches the name.
    pub(crate) fn refuse_plain(
        &self,
        path: &PropertyPath,
        text: &str,
        file: &VerifiedFile,
    ) -> Result<(), Error> {
        let special = SpecialTables::of_file(file);
        let is_setting = special.keep_readable(path);
        let is_exempt = is_setting && (!special.is_sent(path) || text.contains("${"));
        let found = self.matching(&Name::of(path)).filter(|_| !is_exempt);
        let found = found.map(|pattern| Match {
            path: path.clone(),
            name: path.to_string(),
            pattern: pattern.clone(),
            is_setting,
        });
        found.map_or(Ok(()), |found| Err(found.refusal()))
    }

    /// A warning of rules that a change has removed.
    pub(crate) fn gone(before: Option<Vec<String>>, after: &VerifiedFile) -> Option<String> {
        let now = after.sealing_names().unwrap_or_default();
        let gone = before.unwrap_or_default().into_iter().filter(|name| !now.contains(name));
        let gone: Vec<String> = gone.map(|name| format!("`{}`", Shown(&name))).collect();
        let text = "no longer in the rules of seal.names, so such values may be readable";
        (!gone.is_empty()).then(|| format!("{text}: {}", some_names(gone)))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These rules and the `other` ones.
    pub(crate) fn and(self, other: Rules) -> Rules {
        Rules([self.0, other.0].concat())
    }

    /// The first rule that matches the name, in upper or lower case.
    pub(crate) fn matching(&self, name: &Name) -> Option<&Pattern> {
        self.0.iter().find(|pattern| pattern.matches_in_any_case(name))
    }

    /// Refuses a property that is readable in `after` although these rules of `after` say to seal
    /// it, and that was not readable in `before`, unless `allowed`. If the rules are new, returns a
    /// remark on the readable properties that they match.
    ///
    /// # Errors
    /// [`Kind::Conflict`] with the name of the property.
    pub(crate) fn keep(
        &self,
        after: &VerifiedFile,
        before: Option<&VerifiedFile>,
        allowed: bool,
    ) -> Result<Option<String>> {
        if !allowed && let Some(found) = self.newly_readable(after, before).next() {
            return Err(found.refusal().into());
        }
        let is_new = before.is_some_and(|it| it.sealing_names() != after.sealing_names());
        Ok(if is_new { self.remark(after) } else { None })
    }

    /// The readable properties that a rule says must be sealed, and that were not readable in
    /// `before` already. For an array, this is decided separately for each name inside it.
    fn newly_readable<'a>(
        &'a self,
        after: &'a VerifiedFile,
        before: Option<&'a VerifiedFile>,
    ) -> impl Iterator<Item = Match> + 'a {
        self.each(after, move |path: &PropertyPath| match before {
            Some(before) if before.has_same(path, after) => None,
            Some(before) => Some(names_inside(before, path)),
            None => Some(HashSet::new()),
        })
    }

    /// Warnings that name the values that are readable against the rules: those that became readable
    /// since `before`, as the writer allowed who signed `after`, and the others.
    pub(crate) fn remarks_since(
        &self,
        after: &VerifiedFile,
        before: Option<&VerifiedFile>,
    ) -> impl Iterator<Item = String> {
        let new: Vec<Match> = self.newly_readable(after, before).collect();
        let names = some_names(new.iter().map(Match::shown));
        let help = new.first().map(|first| shell_word(&first.path));
        let is_new = |found: &Match| new.iter().any(|new| new.path == found.path);
        let others = self.readable(after).filter(|found| !is_new(found));
        let others = remark(some_names(others.map(|found| found.shown())));
        let new = help.map(|path| format!(
            "readable against the rules in seal.names, because a writer allowed it (--allow-plain): {names}. If it must be sealed, before it is pushed: bootseal set {path}"
        ));
        new.into_iter().chain(others)
    }

    /// The readable properties that a rule says must be sealed.
    pub(crate) fn readable<'a>(
        &'a self,
        file: &'a VerifiedFile,
    ) -> impl Iterator<Item = Match> + 'a {
        self.each(file, |_| Some(HashSet::new()))
    }

    /// A warning that names the values that are readable against new rules. They were readable
    /// before, so they are in git's history.
    pub(crate) fn remark(&self, after: &VerifiedFile) -> Option<String> {
        remark(some_names(self.readable(after).map(|found| found.shown())))
    }

    /// The readable properties with a name that a rule matches. For a property, `known` returns the
    /// names to ignore, or `None` to ignore all of them.
    fn each<'a>(
        &'a self,
        file: &'a VerifiedFile,
        known: impl Fn(&PropertyPath) -> Option<HashSet<String>> + 'a,
    ) -> impl Iterator<Item = Match> + 'a {
        let special = SpecialTables::of_file(file);
        let readable = file.names().filter(|(_, sealed)| !self.is_empty() && !sealed);
        readable.filter_map(move |(path, _)| {
            let is_setting = special.keep_readable(&path);
            if is_setting && !special.is_sent(&path) {
                return None;
            }
            if is_setting && is_reference(file.property(&path).as_ref()) {
                return None;
            }
            let (mut found, mut names) = (None, None);
            visit(&path, file, &mut |name| {
                if found.is_none()
                    && let Some(pattern) = self.matching(name)
                    && let Some(names) = names.get_or_insert_with(|| known(&path))
                    && !names.contains(name.shown())
                {
                    found = Some((name.shown().to_owned(), pattern.clone()));
                }
            });
            let (name, pattern) = found?;
            Some(Match { path, name, pattern, is_setting })
        })
    }
}

/// A warning that names values; `None` if there are none.
fn remark(names: String) -> Option<String> {
    let text = "the rules in seal.names match values that are readable already. Seal them, with new values";
    (!names.is_empty()).then(|| format!("{text}: {names}"))
}

/// The error of a property that looks like a rule but is not one.
pub(crate) fn no_rule(path: &PropertyPath) -> Error {
    let what = "looks like a rule for what is sealed, but would not be one: the table [seal] has rules only if its one key is `names`, a readable array of strings";
    Error::new(Kind::Conflict, what)
        .at(path)
        .with_help(format!("To make rules: {MAKE}. For other values, use another table."))
}

/// The error of a change that would end the rules of the table `[seal]`.
pub(crate) fn ends_rules(path: &PropertyPath) -> Error {
    let what = "is in the table [seal], which has rules only while its one key is `names`, an array of strings";
    Error::new(Kind::Conflict, what).at(path).with_help(
        format!("To change the rules: {MAKE}. To end them: bootseal unset seal.names. For other values, use another table."),
    )
}

/// Whether a setting takes its value from other properties, as `${password}` does.
pub(crate) fn is_reference(setting: Option<&Property>) -> bool {
    matches!(setting, Some(Property::Readable(toml::Value::String(text))) if text.contains("${"))
}

/// Visits the name of a readable property, and the names inside it if it is an array.
fn visit(path: &PropertyPath, file: &VerifiedFile, visit: &mut dyn FnMut(&Name)) {
    let name = Name::of(path);
    visit(&name);
    if !file.is_text(path) {
        let value = readable_text(file, path);
        let array = std::str::from_utf8(&value).ok().filter(|text| text.starts_with('['));
        elements(array.unwrap_or_default(), &mut |element: Element<'_>| {
            visit(&name.element(&element));
        });
    }
}

/// The names of a property that is readable in `file`.
fn names_inside(file: &VerifiedFile, path: &PropertyPath) -> HashSet<String> {
    let mut names = HashSet::new();
    if file.is_sealed(path) == Some(false) {
        visit(path, file, &mut |name| {
            names.insert(name.shown().to_owned());
        });
    }
    names
}

impl Match {
    /// The property, with the name inside it that the rule matches.
    pub(crate) fn shown(&self) -> String {
        match self.path.to_string() {
            path if path == self.name => path,
            path => format!("{path} (matched {})", self.name),
        }
    }

    /// The error of a verb that would make the property readable, or leave it readable.
    pub(crate) fn refusal(&self) -> Error {
        let inside = match self.path.to_string() == self.name {
            true => String::new(),
            false => format!(" contains {}, which", self.name),
        };
        let what = format!(
            "{} matches {}, a rule in seal.names, and would be readable",
            inside, self.pattern
        );
        let path = shell_word(&self.path);
        let help = match (self.is_setting, inside.is_empty()) {
            (true, _) => "Make it a value of the table above, and use it as ${name}.".to_owned(),
            (false, true) => format!("Seal it: bootseal set {path}."),
            (false, false) => {
                "Seal the whole array: write it to a file of its own, and add it with bootseal seal FILE -f SEALED."
                    .to_owned()
            }
        };
        Error::new(Kind::Conflict, what.trim_start()).at(&self.path).with_help(format!(
            "{help} If everyone who has the file may read it: bootseal set {path} --plain VALUE --allow-plain, or bootseal edit --allow-plain."
        ))
    }
}
