//! `bootseal-gateway`: the process around the library. Everything it does stands in `bootseal_gateway`.

#![forbid(unsafe_code)]

use bootseal::WipingAllocator;
use std::process::ExitCode;

/// What a library frees is overwritten.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::new();

fn main() -> ExitCode {
    ExitCode::from(bootseal_gateway::run(std::env::args_os()))
}
