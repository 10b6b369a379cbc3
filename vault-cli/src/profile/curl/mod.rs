//! What does a curl line send? Read as the shell and curl would, but nothing in it is run, expanded or opened.

mod line;
mod request;
mod words;

pub(crate) use line::Line;
pub(crate) use request::{Field, Login, Wanted, recognise};
pub(crate) use words::split;
