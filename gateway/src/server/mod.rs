//! Listeners and the routes in force.

pub(crate) mod listener;
pub(crate) mod reload;
pub(crate) mod table;
