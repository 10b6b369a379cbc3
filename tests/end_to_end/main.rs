//! Files that the command line writes and the loader opens: keys, attacks, removals, and what a
//! host remembers.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // tests

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod passphrase;
#[cfg(unix)]
mod recipients;
mod remembered;
mod removal;
mod startup;
