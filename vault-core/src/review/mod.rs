//! Review: what changed between versions, what one merges, and what a hand edit did.

pub(crate) mod changes;
pub(crate) mod clear_text;
pub(crate) mod hand_edit;
pub(crate) mod merge;
