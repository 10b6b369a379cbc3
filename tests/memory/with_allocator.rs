//! An application with the one line that wipes what its libraries free.

#![allow(clippy::panic)] // its exit status and stderr are for a test

mod app;
mod ours;
mod source;

#[global_allocator]
static ALLOCATOR: bootseal::WipingAllocator = bootseal::WipingAllocator::new();

fn main() {
    ours::main();
}
