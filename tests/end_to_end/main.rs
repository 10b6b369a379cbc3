//! Files that the command line writes and the loader opens: keys, attacks, removals, and state that
//! a host keeps.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // tests

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod passphrase;
mod passphrase_writers;
mod read_only_removal;
#[cfg(unix)]
mod recipients;
mod remembered;
mod removal;
mod second_handover;
mod startup;
