//! Names of sealed properties in plain settings files, in every format.

use crate::commands::seal::beside;
use crate::formats::{Input, parse_named};
use crate::trust::rules::{Name, Rules, is_secret_name};
use crate::trust::variable;
use crate::ui::failure::{Failure, Result};
use bootseal_core::{
    Kind, PlainDocument, PropertyPath, Shown, VerifiedFile, shell_path, shell_word,
};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// The names that are sealed in the repository.
#[derive(Default)]
pub(super) struct SealedNames {
    /// The sealed files, by their names in lower case.
    files: BTreeMap<String, SealedFileNames>,
    /// The variables of properties that look like secrets, each with its property and its file.
    secrets: HashMap<String, (String, String)>,
    /// The last words of these properties, in lower case.
    words: HashSet<String>,
}

#[derive(Default)]
struct SealedFileNames {
    /// The versions that were added.
    versions: HashSet<[u8; 32]>,
    sealed: HashSet<PropertyPath>,
    variables: HashSet<String>,
    rules: Rules,
}

impl SealedNames {
    pub(super) fn add(&mut self, name: &str, file: &VerifiedFile) -> Result<()> {
        self.add_names(name, file);
        let rules = Rules::of_file(file)?;
        if let Some(known) = self.files.get_mut(&name.to_lowercase()) {
            known.rules = rules;
        }
        Ok(())
    }

    /// Whether this version of the file was added.
    pub(super) fn has(&self, name: &str, file: &VerifiedFile) -> bool {
        let known = self.files.get(&name.to_lowercase());
        known.is_some_and(|known| known.versions.contains(&file.digest()))
    }

    /// Adds the sealed names of a file whose rules do not count.
    pub(super) fn add_names(&mut self, name: &str, file: &VerifiedFile) {
        let sealed: HashSet<PropertyPath> =
            file.names().filter(|(_, sealed)| *sealed).map(|(path, _)| path).collect();
        for path in &sealed {
            let plain = path.segments().join(".");
            if is_secret_name(&plain) {
                let last = plain.rsplit(['.', '_', '-']).next().unwrap_or_default();
                self.words.insert(last.to_lowercase());
                let owner = (path.to_string(), name.to_owned());
                self.secrets.entry(variable::name_of(path)).or_insert(owner);
            }
        }
        let known = self.files.entry(name.to_lowercase()).or_default();
        known.versions.insert(file.digest());
        known.variables.extend(sealed.iter().map(variable::name_of));
        known.sealed.extend(sealed);
    }

    /// The reason why a plain settings file must not be committed.
    pub(super) fn find(&self, name: &str, text: &str) -> Option<Failure> {
        let path = Path::new(name);
        if let Some(failure) = marked(path, text) {
            return Some(failure);
        }
        let original = beside(path).ok()?;
        let own = self.files.get(&original.to_str()?.to_lowercase());
        let folder = path.parent().map(|folder| folder.to_string_lossy().to_lowercase());
        let mut near = self.files.iter().filter(|(name, file)| {
            let parent = Path::new(name).parent().map(|folder| folder.to_string_lossy());
            !file.rules.is_empty() && parent.as_deref() == folder.as_deref()
        });
        let near = if own.is_none() { near.next() } else { None };
        let lower = text.to_lowercase();
        if own.is_none() && near.is_none() && !self.words.iter().any(|word| lower.contains(word)) {
            return None;
        }
        let shown = Shown::path(&original).to_string();
        let input = match parse_named(text, path)? {
            Ok(input) => input,
            Err(_) => {
                own?;
                let text = format!("may be the unsealed original of {shown}; it cannot be parsed");
                return Some(remove(path, text));
            }
        };
        let rules = match (own, near) {
            (Some(file), _) => Some((&file.rules, shown.clone())),
            (None, Some((name, file))) => Some((&file.rules, Shown(name).to_string())),
            (None, None) => None,
        };
        self.in_input(path, &input, own.map(|file| (file, shown.as_str())), rules)
    }

    fn in_input(
        &self,
        path: &Path,
        input: &Input,
        own: Option<(&SealedFileNames, &str)>,
        rules: Option<(&Rules, String)>,
    ) -> Option<Failure> {
        for (at, (property, _)) in input.names().enumerate() {
            let variable = variable::name_of(&property);
            if let Some((file, shown)) = own
                && (file.sealed.contains(&*property) || file.variables.contains(&variable))
            {
                let text = format!("contains {property} in the clear, which is sealed in {shown}");
                return Some(remove_value(path, text));
            }
            if let Some((name, known)) = self.secret(input, at, &property, &variable) {
                let (sealed, file) = known;
                let known = match *sealed == property.to_string() {
                    true => format!("is sealed in {}", Shown(file)),
                    false => format!("is sealed as {sealed} in {}", Shown(file)),
                };
                let text = format!("contains {name} in the clear, which {known}");
                return Some(remove_value(path, text));
            }
            if let Some((rules, file)) = &rules
                && let Some((name, pattern)) = by_rule(input, at, &property, rules)
            {
                let text = format!(
                    "contains {name} in the clear, which matches {pattern}, a rule in seal.names of {file}"
                );
                let help = format!(
                    "Seal it: bootseal seal {} -f {}. Then remove the value from this file.",
                    shell_path(path),
                    shell_word(file)
                );
                return Some(Failure::new(Kind::Conflict, text).with_help(help));
            }
        }
        None
    }

    /// The secret whose name a property has, alone or as an environment variable in any table.
    fn secret(
        &self,
        input: &Input,
        at: usize,
        property: &PropertyPath,
        variable: &str,
    ) -> Option<(String, &(String, String))> {
        let last = property.segments().last().map_or("", String::as_str);
        let as_variable = |name: &str| {
            let is_variable = name.contains('_') && name == name.to_uppercase();
            self.secrets.get(name).filter(|_| is_variable)
        };
        if let Some(known) = self.secrets.get(variable).or_else(|| as_variable(last))
            && is_literal(input, at, property)
        {
            return Some((property.to_string(), known));
        }
        // `environment: [DB_PASSWORD=x]` of Docker Compose.
        let mut found = None;
        input.visit_array(at, property, &mut |element| {
            let pair = element.text.and_then(|text| text.split_once('='));
            if let Some((name, value)) = pair
                && found.is_none()
                && is_literal_text(value)
                && let Some(known) = as_variable(name)
            {
                found = Some((name.to_owned(), known));
            }
        });
        found
    }
}

/// The name that a rule matches, if its value is written in the file.
fn by_rule(
    input: &Input,
    at: usize,
    property: &PropertyPath,
    rules: &Rules,
) -> Option<(String, String)> {
    let name = Name::of(property);
    if let Some(pattern) = rules.matching(&name).filter(|_| is_literal(input, at, property)) {
        return Some((property.to_string(), pattern.to_string()));
    }
    let mut found = None;
    input.visit_array(at, property, &mut |element| {
        let inner = name.element(&element);
        let pattern = rules.matching(&inner);
        let is_literal = element.text.is_none_or(is_literal_text);
        if let Some(pattern) = pattern.filter(|_| found.is_none() && is_literal) {
            found = Some((inner.shown().to_owned(), pattern.to_string()));
        }
    });
    found
}

/// Whether a property has a value of its own, and not a reference to one.
fn is_literal(input: &Input, at: usize, property: &PropertyPath) -> bool {
    let Ok(property) = input.value(at, property, false) else { return true };
    property.value.expose_str(is_literal_text).unwrap_or(true)
}

/// Whether a text is a value, and not a reference to one, a placeholder or a switch.
fn is_literal_text(text: &str) -> bool {
    let is_reference = ["${", "{{", "$(", "<", "bootseal:", "op://", "vault:"];
    let lower = text.to_lowercase();
    let is_placeholder = matches!(lower.as_str(), "changeme" | "change-me" | "change_me" | "todo")
        || lower.chars().all(|next| matches!(next, 'x' | '*' | '.' | '…'));
    !is_placeholder
        && !matches!(text, "true" | "false")
        && !is_reference.iter().any(|start| text.starts_with(start))
}

/// Values that are written `"secret:…"`, and were not sealed.
fn marked(path: &Path, text: &str) -> Option<Failure> {
    // The prefix may be written with escapes.
    let may_be_marked = text.contains("secret:") || text.contains("\\u") || text.contains("\\x");
    if path.extension().is_none_or(|extension| extension != "toml") || !may_be_marked {
        return None;
    }
    let marked = PlainDocument::parse(text.to_owned());
    if marked.is_err() && text.contains("\"secret:") {
        let text = "contains \"secret:…\" in the clear, and is not TOML that can be sealed";
        return Some(remove(path, text.into()));
    }
    let mut names = marked.iter().flat_map(PlainDocument::names);
    let (property, _) = names.find(|(_, marked)| *marked)?;
    let text = format!("{property} is in the clear, as \"secret:…\"");
    let help = format!("Seal it: bootseal seal {}", shell_path(path));
    Some(Failure::new(Kind::Conflict, text).with_help(help))
}

/// A finding about a file that does not belong in the repository at all.
fn remove(path: &Path, text: String) -> Failure {
    Failure::new(Kind::Conflict, text).with_help(format!(
        "Remove it from the commit: git rm --cached {}, and add it to .gitignore. If it was ever pushed, change the secret at the vendor.",
        shell_path(path)
    ))
}

/// A finding about a value whose place is the sealed file.
fn remove_value(path: &Path, text: String) -> Failure {
    Failure::new(Kind::Conflict, text).with_help(format!(
        "Remove the value from this file, or the file from the commit: git rm --cached {}. If it was ever pushed, change the secret at the vendor.",
        shell_path(path)
    ))
}
