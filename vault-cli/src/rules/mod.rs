//! Rules for which properties are sealed: patterns of names.

mod pattern;

pub(crate) use pattern::{Name, Pattern};
