//! Review: changes between versions, merges, and hand edits.

pub(crate) mod lineage;
pub(crate) mod merge;

pub(crate) mod adopt;
pub(crate) mod take_edit;
pub(crate) mod without_basis;

pub(crate) mod clear_text;
pub(crate) mod draft;
pub(crate) mod hand_edit;

pub(crate) mod changes;

pub(crate) mod lookalike;
