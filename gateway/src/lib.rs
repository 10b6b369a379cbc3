//! A local proxy that puts a token on the calls of applications in any language, by configuration only.

#![forbid(unsafe_code)]

pub mod strict;
