//! A sealed file in git: its repository, its versions, and the sides of a merge.

pub(crate) mod named_version;
pub(crate) mod sides;
pub(crate) mod versions;

pub(crate) mod history;
pub(crate) mod version;

pub(crate) mod batch;
mod blobs;
mod budget;
pub(crate) mod objects;

pub(crate) mod command;
pub(crate) mod repository;
mod revisions;
