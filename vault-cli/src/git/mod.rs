//! What git has of a sealed file.

pub(crate) mod repository;
pub(crate) mod sides;
pub(crate) mod versions;
