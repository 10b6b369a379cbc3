//! What the user wants to be sealed.

use crate::trust::rules::{Pattern, Rules};
use bootseal_core::PropertyPath;
use std::collections::HashMap;

/// What the user wants to be sealed.
pub(crate) struct Wanted {
    pub(super) only: Vec<Pattern>,
    pub(super) plain: Vec<Pattern>,
    /// The rules of the input, and those of the sealed file to which the input is added.
    pub(super) rules: Rules,
    /// Whether `--plain` may leave values readable that the rules would seal.
    pub(super) allow_plain: bool,
    pub(super) rest: Rest,
}

/// The properties to seal. For an array that is sealed because of a name inside it, the value is
/// this name.
pub(super) type Suggested = HashMap<PropertyPath, Option<String>>;

/// What happens to properties that no mark, pattern or rule names.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Rest {
    /// They are sealed, unless the input has marks or `only` has a pattern.
    Usual,
    All,
    /// Those that look like secrets are sealed.
    Suggested,
    /// Only these are sealed.
    These(Suggested),
}
