//! How the text of an input is read: the choices of the user, and those of an importer.

use crate::cli::{Encoding, EnvDialect, Format, Null};
use crate::formats::detect::by_name;
use std::path::Path;

/// The choices for one input.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// The format that the user names.
    pub(crate) format: Option<Format>,
    pub(crate) nulls: Nulls,
    pub(crate) documents: Documents,
    /// Whether a name of a `.properties` file is one name, although it contains dots.
    pub(crate) flat: bool,
    /// Whose reading of a `.env` file is wanted; our own if none is named.
    pub(crate) dialect: Option<EnvDialect>,
    /// The encoding; UTF-8 if none is named.
    pub(crate) encoding: Option<Encoding>,
}

impl Reading {
    /// The format that the user or the name of the file indicates.
    pub(crate) fn named(&self, path: &Path) -> Option<Format> {
        self.format.or_else(|| by_name(path))
    }
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

impl From<Option<Null>> for Nulls {
    fn from(chosen: Option<Null>) -> Nulls {
        match chosen {
            None => Nulls::Refuse,
            Some(Null::Skip) => Nulls::Skip,
            Some(Null::Empty) => Nulls::Empty,
        }
    }
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

impl From<Option<usize>> for Documents {
    fn from(number: Option<usize>) -> Documents {
        number.map_or(Documents::One, Documents::Number)
    }
}
