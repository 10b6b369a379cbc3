//! A local proxy that puts a token on the calls of applications in any language, by configuration only.

#![forbid(unsafe_code)]
#![allow(dead_code)]

mod headers;
mod links;
mod mask;
mod problem;
pub mod strict;
mod target;
