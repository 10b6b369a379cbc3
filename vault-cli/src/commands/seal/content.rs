//! The content of the sealed file: its readable text and its values, which are checked before and
//! after they are sealed.

use crate::formats::{Input, InputProperty};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{CanWrite, Kind, MAX_FILE, PropertyPath, Secret, ValueKind, Vault, shell_word};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// The minimum length of a value that is searched for in comments; a shorter value may appear there
/// by chance.
const TELLING: usize = 6;

/// The text of the new file before its values are sealed, with an empty string for each sealed
/// value.
pub(super) fn readable_text(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<String> {
    if let Some(document) = &input.document {
        return Ok(document.emptied(sealed));
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
pub(super) fn check_comments(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
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
pub(super) fn refuse_too_large(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
    let mut total = input.document.as_ref().map_or(0, |document| document.length_without(sealed));
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
pub(super) fn values(
    input: &Input,
    sealed: &HashSet<PropertyPath>,
) -> impl Iterator<Item = Result<(PropertyPath, ValueKind, Secret), bootseal_core::Error>> {
    input.properties(|path| sealed.contains(path)).map(|property| {
        let InputProperty { path, kind, value, .. } = property?.into_owned();
        Ok((path, kind, value))
    })
}

/// Checks that opening the sealed values returns the values of the input, before the input may be
/// removed.
pub(super) fn check(
    vault: &Vault<CanWrite>,
    input: &Input,
    sealed: &HashSet<PropertyPath>,
) -> Result<()> {
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
