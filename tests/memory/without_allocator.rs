//! The same application without that line.

#![allow(clippy::panic)] // its exit status and stderr are for a test

mod app;
mod ours;
mod source;

fn main() {
    ours::main();
}
