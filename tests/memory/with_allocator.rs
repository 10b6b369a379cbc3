//! An application with the allocator line, which wipes memory that its libraries free.

#![allow(clippy::panic)] // a test reads its exit status and stderr

mod app;
mod ours;
mod source;

#[global_allocator]
static ALLOCATOR: bootseal::WipingAllocator = bootseal::WipingAllocator::new();

fn main() {
    ours::main();
}
