//! What the patterns of `--only` and `--plain` match; a pattern that has no effect is an error.

use crate::commands::seal::wanted::Wanted;
use crate::formats::Input;
use crate::trust::rules::{Name, Pattern};
use crate::ui::failure::{Failure, Result};
use bootseal_core::{Kind, PropertyPath, shell_word};

/// What the patterns matched so far.
pub(super) struct Uses<'a> {
    wanted: &'a Wanted,
    only: Vec<bool>,
    plain: Vec<bool>,
    /// For each pattern of `--plain`, a name that it matches inside an array, and the array.
    plain_inside: Vec<Option<(String, PropertyPath)>>,
}

impl<'a> Uses<'a> {
    pub(super) fn of(wanted: &'a Wanted) -> Uses<'a> {
        Uses {
            wanted,
            only: vec![false; wanted.only.len()],
            plain: vec![false; wanted.plain.len()],
            plain_inside: vec![None; wanted.plain.len()],
        }
    }

    /// Whether `--plain` names the property.
    pub(super) fn plain(&mut self, name: &Name) -> bool {
        let mut found = false;
        for (pattern, used) in self.wanted.plain.iter().zip(&mut self.plain) {
            if pattern.matches(name) {
                (found, *used) = (true, true);
            }
        }
        found
    }

    /// The first pattern of `--only` that matches the property.
    pub(super) fn only(&mut self, name: &Name) -> Option<&'a Pattern> {
        let mut first = None;
        for (pattern, used) in self.wanted.only.iter().zip(&mut self.only) {
            if pattern.matches(name) {
                first = first.or(Some(pattern));
                *used = true;
            }
        }
        first
    }

    /// The first name inside an array that `--only` matches, and `--plain` does not.
    pub(super) fn inside(
        &mut self,
        input: &Input,
        (at, path): (usize, &PropertyPath),
        name: &Name,
    ) -> Option<String> {
        if self.wanted.only.is_empty() && self.wanted.plain.is_empty() {
            return None;
        }
        let mut first = None;
        input.visit_array(at, path, &mut |element| {
            let inner = name.element(&element);
            let plain = self.wanted.plain.iter().position(|pattern| pattern.matches(&inner));
            for (pattern, used) in self.wanted.only.iter().zip(&mut self.only) {
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

    /// Refuses patterns that matched nothing.
    ///
    /// # Errors
    /// [`Kind::NotFound`] if a pattern matches no property; [`Kind::Conflict`] if a pattern of
    /// `--plain` only matches inside an array.
    pub(super) fn refuse_unused(&self) -> Result<()> {
        let only = self.wanted.only.iter().zip(&self.only).map(|pair| (pair, &None));
        let plain = self.wanted.plain.iter().zip(&self.plain).zip(&self.plain_inside);
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
