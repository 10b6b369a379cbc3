//! The application without the line that wipes what its libraries free.

#![allow(clippy::panic)] // its exit status and stderr are for a test

mod app;
mod ours;
mod source;

fn main() {
    ours::main();
}
