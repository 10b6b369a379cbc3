//! The comments of an input: dropped, or kept with a check that they contain no sealed value.

use crate::formats::{Input, InputProperty};
use crate::trust::rules::{is_secret_name, is_secret_shape};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, shell_word, some_names};
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

/// The minimum length of a value that is searched for in comments; a shorter value may appear there
/// by chance.
const TELLING: usize = 6;

/// The report on the comments of an input, made before the input is freed.
pub(super) struct Report {
    count: usize,
    kept: bool,
    /// Why `--keep-comments` has no effect.
    why_not: Option<&'static str>,
    /// The lines of kept comments that may contain a secret.
    suspicious: Vec<usize>,
}

impl Report {
    pub(super) fn of(input: &Input, wanted: bool, is_added: bool) -> Report {
        let kept = wanted && !is_added;
        let suspicious = each(input).filter(|(_, text)| kept && may_hold_a_secret(text));
        Report {
            count: each(input).count(),
            kept,
            why_not: (wanted && is_added).then_some("an existing file keeps only its own comments"),
            suspicious: suspicious.map(|(line, _)| line).collect(),
        }
    }

    /// The number of comments that the sealed file will not contain.
    pub(super) fn left_out(&self) -> usize {
        if self.kept { 0 } else { self.count }
    }

    /// The note, and the warning if a kept comment may contain a secret.
    pub(super) fn texts(&self) -> (Option<String>, Option<String>) {
        let count = self.count;
        let comments = if count == 1 { "comment" } else { "comments" };
        let note = match (self.kept, self.why_not) {
            _ if count == 0 => None,
            (true, _) => Some(format!("kept {count} {comments} of the input")),
            (false, Some(why)) => Some(format!("left out {count} {comments} of the input: {why}")),
            (false, None) => Some(format!(
                "left out {count} {comments} of the input, which may contain old values; --keep-comments keeps them"
            )),
        };
        let lines = some_names(&self.suspicious);
        let warning = (!self.suspicious.is_empty()).then(|| {
            format!("a kept comment may contain a secret, in the clear: line {lines} of the input")
        });
        (note, warning)
    }
}

/// All comments, each with its line.
fn each(input: &Input) -> impl Iterator<Item = (usize, &str)> {
    let list = input.comments.iter().map(|comment| (comment.line, comment.text.as_str()));
    let document = input.document.iter().flat_map(|document| document.comments());
    list.chain(document)
}

/// Whether a comment looks as if it contained a secret: `# password = …`, `# was: …`, a token.
fn may_hold_a_secret(comment: &str) -> bool {
    let words = || comment.trim_start_matches('#').split_whitespace();
    let value =
        |word: &str| word.trim_matches(['"', '\'', ',', ';', ':', '.', '`', '(', ')']).to_owned();
    if words().any(|word| is_secret_shape(&value(word))) || is_secret_shape(comment) {
        return true;
    }
    // `password: x`, `password=x`, `password is x`, `the old one was x`.
    let all: Vec<&str> = words().collect();
    let says = |at: usize| {
        let word = all[at];
        let (name, rest) = word.split_once(['=', ':']).unwrap_or((word, ""));
        let is_name = is_secret_name(&value(name));
        let next = all.get(at + 1).copied().unwrap_or_default();
        let follows = word.ends_with([':', '=']) || matches!(next, "=" | ":" | "is" | "was");
        let after = if word.ends_with([':', '=']) { at + 1 } else { at + 2 };
        let is_old = matches!(value(word).to_lowercase().as_str(), "was" | "old" | "previously");
        is_name && !rest.is_empty()
            || is_name && follows && all.len() > after
            || is_old && all.len() == at + 2
    };
    (0..all.len()).any(says)
}

/// Refuses a comment that contains a value to be sealed: it would be committed to git in the clear.
pub(super) fn check(input: &Input, sealed: &HashSet<PropertyPath>) -> Result<()> {
    if each(input).next().is_none() {
        return Ok(());
    }
    // Values are indexed by a keyed hash of their first bytes, so that each comment is scanned
    // once, however many values there are.
    let hasher = RandomState::new();
    let mut by_beginning: HashMap<u64, Vec<InputProperty>> = HashMap::new();
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
    for (line, comment) in each(input) {
        let Some(InputProperty { path, .. }) = value_in(comment.as_bytes()) else { continue };
        let text = format!(
            "the comment in line {line} contains the value of {path} in the clear; nothing was written"
        );
        return Err(Failure::new(Kind::Conflict, text).with_help(format!(
            "Remove the value from the comment, or leave --keep-comments out. If the value is not a secret, add --plain {}",
            shell_word(path)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_that_may_hold_a_secret_are_told_from_others() {
        for text in [
            "# password = hunter2",
            "password=hunter2",
            "#db.password: hunter2",
            "# the password is hunter2",
            "# the old one was hunter2",
            "# was: hunter2",
            "# postgres://app:pw12@db/shop",
            "# API_KEY=x",
            "# try 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b",
        ] {
            assert!(may_hold_a_secret(text), "{text}");
        }
        for text in [
            "# the password of the shop",
            "# see https://docs.example/settings#password",
            "# port: 8080",
            "#",
            "# was moved to another table last year",
            "# in seconds",
        ] {
            assert!(!may_hold_a_secret(text), "{text}");
        }
    }
}
