//! Settings of malloc that save memory: the return of freed memory to the system, and a single
//! arena. Otherwise, glibc makes several arenas for many threads, and one arena cannot reuse the
//! free memory of another.

/// Makes all threads share one heap from now on if the system's allocator would create more;
/// `false` if the allocator has no such setting.
///
/// This suits a program that does its work on one thread: memory freed by other threads, as during
/// a login, is then reused. Many working threads would wait for each other.
///
/// ```
/// assert_eq!(bootseal_memory::one_heap(), cfg!(all(target_os = "linux", target_env = "gnu", not(miri))));
/// ```
pub fn one_heap() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: mallopt takes no pointer and does its own locking; existing heaps stay.
    let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
    let set = false;
    set
}

/// Returns freed memory of the heap to the system, also between blocks that are in use; `false` if
/// there was none, or if the system's allocator does not support it.
///
/// This suits a program that has just freed very many small blocks, before it takes large ones.
///
/// ```
/// bootseal_memory::return_freed_memory();
/// ```
pub fn return_freed_memory() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: malloc_trim takes no pointer and does its own locking; blocks in use stay.
    let returned = unsafe { libc::malloc_trim(0) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
    let returned = false;
    returned
}
