//! The binary `bootseal`: it passes the streams, the terminal and the environment of the process to
//! `bootseal_cli`.

#![forbid(unsafe_code)]

use bootseal_cli::{Console, World, is_doctor, run};
use bootseal_memory::{WipingAllocator, harden};
use std::io::{IsTerminal, stderr, stdin, stdout};
use std::process::ExitCode;

/// Overwrites the memory that libraries free.
#[global_allocator]
static ALLOCATOR: WipingAllocator = WipingAllocator::new();

fn main() -> ExitCode {
    // Disables core files for this process and for an editor that it starts. `doctor` does so only
    // after it has read the original settings.
    if !is_doctor(std::env::args_os()) {
        harden();
    }
    let mut console = Console;
    let mut world = World {
        stdin: &mut stdin(),
        stdout: &mut stdout().lock(),
        stderr: &mut stderr(),
        stdin_is_terminal: stdin().is_terminal(),
        stdout_is_terminal: stdout().is_terminal(),
        stdout_is_file: stdout_is_file(),
        stderr_is_terminal: stderr().is_terminal(),
        terminal: Some(&mut console),
        env: &|name| std::env::var_os(name),
        now: &bootseal_cli::system_time,
    };
    ExitCode::from(run(std::env::args_os(), &mut world))
}

#[cfg(unix)]
fn stdout_is_file() -> bool {
    use std::os::fd::AsFd;
    let own = stdout().as_fd().try_clone_to_owned().map(std::fs::File::from);
    own.and_then(|file| file.metadata()).is_ok_and(|meta| meta.is_file())
}

#[cfg(windows)]
fn stdout_is_file() -> bool {
    use std::os::windows::io::AsHandle;
    let own = stdout().as_handle().try_clone_to_owned().map(std::fs::File::from);
    own.and_then(|file| file.metadata()).is_ok_and(|meta| meta.is_file())
}
