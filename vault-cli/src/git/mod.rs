//! A sealed file in git: its repository and its signed versions.

pub(crate) mod named_version;

pub(crate) mod forks;
pub(crate) mod history;
pub(crate) mod version;

pub(crate) mod batch;
mod blobs;
pub(crate) mod budget;
pub(crate) mod objects;

pub(crate) mod command;
pub(crate) mod repository;
mod revisions;
mod sealed_form;
