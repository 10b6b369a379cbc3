//! A local proxy that puts a token on the calls of applications in any language, by configuration only.

#![forbid(unsafe_code)]
#![allow(dead_code)]

mod body;
mod callers;
mod exchange;
mod headers;
mod history;
mod links;
mod live;
mod mask;
mod problem;
mod serve;
mod sockets;
pub mod strict;
mod target;
