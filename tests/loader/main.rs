//! The loader alone: token source, login, client and layers against a simulated vendor, without
//! files of the command line.

#![allow(clippy::panic, clippy::unwrap_used)] // tests

mod client;
mod http_edges;
#[cfg(all(feature = "blocking", feature = "tower", feature = "middleware"))]
mod layers;
mod login_steps;
#[path = "../support/ports.rs"]
mod ports;
mod token_source;
