//! A single malloc arena: otherwise glibc makes one for each thread, and one arena cannot reuse the
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
