//! How the text of an input is read: the choices of the user, and those of an importer.

use crate::cli::{Encoding, EnvDialect};

/// The choices for one input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) nulls: Nulls,
    pub(crate) documents: Documents,
    /// Whether a name of a `.properties` file is one name, although it contains dots.
    pub(crate) flat: bool,
    /// Whose reading of a `.env` file is wanted; our own if none is named.
    pub(crate) dialect: Option<EnvDialect>,
    /// The encoding; UTF-8 if none is named.
    pub(crate) encoding: Option<Encoding>,
}

/// What happens to null, which TOML does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Nulls {
    #[default]
    Refuse,
    /// The property is left out.
    Skip,
    /// The value becomes an empty string.
    Empty,
    /// The importer of another tool handles it.
    Keep,
}

/// Which documents of a YAML file are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Documents {
    /// The only one; a second one is an error.
    #[default]
    One,
    /// One of several, counted from 1.
    Number(usize),
    All,
}
