//! Reads TOML in memory that is bounded: the events of a text, its index, and single values.

pub(super) mod value_builder;

mod builder;
pub(super) mod index;
pub(super) mod limits;
pub(super) mod scalar;
pub(super) mod tree;

pub(super) mod stream;
pub(super) mod toml_1_1;

#[cfg(test)]
mod tests;
