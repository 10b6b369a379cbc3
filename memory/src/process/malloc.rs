//! One malloc arena: glibc otherwise makes one for each thread, and none gives back what another
//! could use.

/// Makes all threads share one heap from now on if the system's allocator would create more;
/// `false` if the allocator has no such setting.
///
/// For a program that works on one thread: memory that others freed, as during a login, is then
/// used again. With many working threads they would wait for each other.
///
/// ```
/// assert_eq!(bootseal_memory::one_heap(), cfg!(all(target_os = "linux", target_env = "gnu", not(miri))));
/// ```
pub fn one_heap() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    // SAFETY: a setting of the allocator, which takes no pointer and locks by itself; heaps that
    // are there already stay.
    let set = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) } == 1;
    #[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
    let set = false;
    set
}
