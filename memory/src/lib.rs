//! Guarded memory for secrets while they are in use.
//!
//! # Flow
//! [`SecretBuf`] is written in place (a file is read into it, or a value is decrypted in it), and
//! then frozen into a [`Secret`]: a cheap, shared, read-only handle. When the last handle is
//! dropped, the bytes are overwritten before the memory is reused.
//!
//! ```
//! use bootseal_memory::SecretBuf;
//!
//! let mut buffer = SecretBuf::with_capacity(64)?;
//! buffer.push(b"hunter2")?;
//! let password = buffer.freeze();
//! assert_eq!(password.expose(|bytes| bytes.len()), 7);
//! assert_eq!(format!("{password:?}"), "Secret(…)");
//! # Ok::<(), bootseal_memory::MemoryError>(())
//! ```
//!
//! # What is promised
//! | | Linux ≥ 5.14: [`Level::MemfdSecret`] | elsewhere: [`Level::Locked`] |
//! |---|---|---|
//! | not written to swap | yes | yes |
//! | not in a core dump | yes, not even in `gcore -a` | Linux: absent from dumps by the kernel and by `gcore`; macOS, Windows: no promise |
//! | not readable through `/proc/PID/mem`, `process_vm_readv`, ptrace peeks | yes, root included | no |
//! | guard pages on both sides of each region | yes | yes |
//! | wiped when dropped | yes | yes |
//! | not seen by a forked child | yes: a child that touches it gets SIGSEGV | Linux only: reads as zeros |
//!
//! [`report`] returns the level that this process reached and, if it is not the best one, the
//! reason.
//!
//! # What this crate does not do
//! It does not protect against code running in the process, or against the kernel or hypervisor. It
//! does not track copies: a closure given to [`Secret::expose`] that copies bytes out is
//! responsible for them. It never falls back to ordinary memory: if memory cannot be guarded, the
//! result is a [`MemoryError`].

mod audit;

mod secret;

mod level;
mod slab;

mod arena;
mod pages;

mod erase;

mod process;

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests;

pub use arena::Arena;
pub use audit::{Audit, AuditError, audit};
pub use erase::allocator::WipingAllocator;
pub use erase::freed_blocks::{ErasedFrees, Erasure, with_erased_frees};
pub use erase::scrub::{scrub_registers, scrub_stack};
pub use level::{LevelError, require};
pub use pages::{Level, MemoryError, Report, report};
pub use process::cgroup::{Room, room};
pub use process::close_on_exec::keep_from_programs;
pub use process::harden::{Hardened, Setting, harden};
pub use process::malloc::{one_heap, return_freed_memory};
#[cfg(feature = "serde")]
pub use secret::SECRET_NAME;
pub use secret::{Exposed, Secret, SecretBuf};
