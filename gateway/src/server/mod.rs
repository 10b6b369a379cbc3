//! The served addresses: which routes are in force on each, and how a newer file replaces them.

pub(crate) mod reload;
pub(crate) mod table;

pub(crate) mod addresses;
pub(crate) mod listener;
pub(crate) mod places;
