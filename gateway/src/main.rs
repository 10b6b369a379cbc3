//! The program `bootseal-gateway`: an allocator that wipes what it frees, and the library's `run`.

#![forbid(unsafe_code)]

use bootseal::WipingAllocator;
use std::process::ExitCode;

/// Overwrites what any library frees, so that no copy of a secret stays on the heap.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::new();

fn main() -> ExitCode {
    ExitCode::from(bootseal_gateway::run(std::env::args_os()))
}
