//! TODO
mod support;
