//! Rules for which properties are sealed: patterns of names, the rules of a file, and what looks
//! like a secret.

mod pattern;
mod secret_name;
mod secret_shape;
mod secret_words;
mod table;

pub(crate) use pattern::{Name, Pattern};
pub(crate) use secret_name::is_secret_name;
pub(crate) use secret_shape::is_secret_shape;
pub(crate) use table::{Rules, ends_rules, is_reference, no_rule};
