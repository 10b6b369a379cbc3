//! Reads TOML in a bounded amount of memory: the events of a text, its index, and single values.

pub(super) mod value_builder;
pub(crate) mod value_parts;
pub(crate) mod value_text;

pub(crate) mod own_table;

mod builder;
pub(super) mod index;
pub(super) mod limits;
mod prefixes;
pub(super) mod scalar;
pub(super) mod tree;
mod walk;

pub(super) mod stream;

#[cfg(test)]
mod tests;
