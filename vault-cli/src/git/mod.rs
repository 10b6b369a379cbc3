//! A sealed file in git: its repository, its versions, and the sides of a merge.

pub(crate) mod command;
pub(crate) mod history;
pub(crate) mod repository;
pub(crate) mod sides;
pub(crate) mod versions;
