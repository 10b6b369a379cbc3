//! The content of the sealed file: its readable text and its values, which are checked before and
//! after they are sealed.

use crate::formats::{Comment, Input, InputProperty};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{CanWrite, Kind, MAX_FILE, PropertyPath, Secret, ValueKind, Vault};
use std::collections::{HashMap, HashSet};

/// The text of the new file before its values are sealed, with an empty string for each sealed
/// value.
pub(super) fn readable_text(
    input: &Input,
    sealed: &HashSet<PropertyPath>,
    keep_comments: bool,
) -> Result<String> {
    if let Some(document) = &input.document {
        return Ok(document.emptied(sealed, keep_comments));
    }
    let comments = if keep_comments { input.comments.as_slice() } else { &[] };
    let (about, end) = placed(comments, input);
    let mut tables: Vec<(Vec<String>, String)> = vec![(Vec::new(), String::new())];
    let mut at: HashMap<Vec<String>, usize> = [(Vec::new(), 0)].into();
    for property in input.properties(|_| true) {
        let property = property?;
        let Some((key, table)) = property.path.segments().split_last() else { continue };
        let value = match sealed.contains(&property.path) {
            true => "\"\"".to_owned(),
            false => property.readable(),
        };
        let above = about.get(property.path.segments()).map_or("", String::as_str);
        let line = format!("{above}{} = {value}\n", PropertyPath::new(vec![key.clone()])?);
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
    let gap = if text.is_empty() || end.is_empty() { "" } else { "\n" };
    Ok(text + gap + &end)
}

/// The lines of comments above each property, and those below the last one.
fn placed(comments: &[Comment], input: &Input) -> (HashMap<Vec<String>, String>, String) {
    let (mut about, mut end) = (HashMap::<Vec<String>, String>::new(), String::new());
    if comments.is_empty() {
        return (about, end);
    }
    let known: HashSet<Vec<String>> =
        input.names().map(|(path, _)| path.segments().to_vec()).collect();
    for comment in comments {
        let line = format!("# {}", comment.text);
        let line = format!("{}\n", line.trim_end());
        // With --flat, a name is not split at its dots.
        let names = comment.about.iter().flat_map(|path| [path.clone(), vec![path.join(".")]]);
        match names.into_iter().find(|path| known.contains(path)) {
            Some(path) => about.entry(path).or_default().push_str(&line),
            None => end.push_str(&line),
        }
    }
    (about, end)
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
