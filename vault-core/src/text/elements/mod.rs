//! Values inside an array: their names, and the path to one of them.

pub(crate) mod path;

pub(crate) mod names;
