//! The version that a hand edit or a merge continues from: the trusted versions of a file in git,
//! and the sides of a merge.

pub(crate) mod sides;
pub(crate) mod versions;
