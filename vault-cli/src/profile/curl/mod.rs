//! Reads a curl command as the shell and curl would; nothing in it is run, expanded or opened.

mod body;
mod copy_damage;
mod line;
mod names;
mod refusal;
mod request;
mod roles;
mod words;

pub(crate) use line::Line;
pub(crate) use request::{Login, recognise};
pub(crate) use roles::{Field, Wanted};
pub(crate) use words::split;
