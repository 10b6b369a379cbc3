//! How many heaps does a process have? glibc makes one for each thread, and none gives back what another could use.

/// Has all threads share one heap from here on, where the system's allocator would make more; `false` where there is nothing to choose.
///
/// For a program whose work is on one thread: what the others freed, as at a login, is then used again. Where many threads work, they would
/// wait for each other.
///
/// ```
/// assert_eq!(bootseal_memory::one_heap(), cfg!(all(target_os = "linux", target_env = "gnu", not(miri))));
/// ```
pub fn one_heap() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: a setting of the allocator, which takes no pointer and locks by itself; heaps that are there already stay.
    let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
    let set = false;
    set
}
