//! The application without the allocator line, which wipes memory that its libraries free.

#![allow(clippy::panic)] // a test reads its exit status and stderr

mod app;
mod ours;
mod source;

fn main() {
    ours::main();
}
