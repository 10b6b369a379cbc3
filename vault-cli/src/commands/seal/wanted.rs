//! What the user wants to be sealed.

use crate::trust::rules::{Pattern, Rules};
use bootseal_core::PropertyPath;
use std::collections::HashMap;

/// What the user wants to be sealed.
pub(crate) struct Wanted {
    pub(super) only: Vec<Pattern>,
    pub(super) plain: Vec<Pattern>,
    /// The rules of the input and of the file that it is added to.
    pub(super) rules: Rules,
    /// Whether `--plain` may leave values readable against the rules.
    pub(super) allow_plain: bool,
    pub(super) rest: Rest,
}

/// Properties and, for an array, the name inside it that looks like a secret.
pub(super) type Suggested = HashMap<PropertyPath, Option<String>>;

/// What happens to properties that no mark, pattern or rule names.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are sealed, unless the input has marks or there is a pattern.
    Usual,
    All,
    /// What looks like a secret is sealed.
    Suggested,
    /// These are sealed.
    These(Suggested),
}
