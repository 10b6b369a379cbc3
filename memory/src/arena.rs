//! The arena: huge pages for a function that needs much memory (Argon2), excluded from dumps and
//! unmapped afterwards.
//!
//! Page faults are most of the cost of 64 MiB in small pages: with huge pages the same derivation
//! takes half the time. These pages are not locked: limits on locked memory are a few MiB, and
//! neither the passphrase nor the key is stored here.

use std::io;

/// `count` values of `T`, on pages that are unmapped when the arena is dropped. The kernel zeroes
/// the pages before another process gets them.
///
/// On Linux, the pages are huge pages if the kernel supports them, excluded from core dumps, and
/// unmapped in a forked child. Other systems use ordinary memory.
///
/// ```
/// use bootseal_memory::Arena;
///
/// let mut arena = Arena::filled(1024, 0_u64)?;
/// arena.as_mut()[1023] = 7;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Arena<T: Copy>(sys::Pages<T>);

impl<T: Copy> Arena<T> {
    /// Maps memory for `count` values and fills it with `value`.
    ///
    /// # Errors
    /// If the system has no memory left for this process.
    ///
    /// ```
    /// let error = bootseal_memory::Arena::filled(usize::MAX, 0_u64).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::OutOfMemory);
    /// ```
    pub fn filled(count: usize, value: T) -> io::Result<Arena<T>> {
        sys::Pages::filled(count, value).map(Arena)
    }
}

impl<T: Copy> AsMut<[T]> for Arena<T> {
    fn as_mut(&mut self) -> &mut [T] {
        self.0.values_mut()
    }
}

impl<T: Copy> std::fmt::Debug for Arena<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Arena(…)")
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
mod sys {
    use std::io;
    use std::ptr::{self, NonNull};

    const HUGE: usize = 2 << 20;

    /// A separate mapping: `count` values at `start`, inside `len` mapped bytes at `base`.
    pub(super) struct Pages<T: Copy> {
        base: *mut libc::c_void,
        len: usize,
        start: NonNull<T>,
        count: usize,
    }

    // SAFETY: the mapping belongs to this value alone and is tied to no thread.
    unsafe impl<T: Copy + Send> Send for Pages<T> {}
    // SAFETY: a shared reference gives no access to the values.
    unsafe impl<T: Copy + Sync> Sync for Pages<T> {}

    impl<T: Copy> Pages<T> {
        pub(super) fn filled(count: usize, value: T) -> io::Result<Pages<T>> {
            const { assert!(align_of::<T>() <= HUGE, "the start is aligned to 2 MiB") };
            let too_large = || io::Error::from(io::ErrorKind::OutOfMemory);
            let wanted =
                count.checked_mul(size_of::<T>()).filter(|bytes| *bytes <= isize::MAX as usize);
            let wanted = wanted
                .and_then(|bytes| bytes.max(1).checked_next_multiple_of(HUGE))
                .ok_or_else(too_large)?;
            // One extra huge page, so that the start can be aligned to a huge page.
            let len = wanted.checked_add(HUGE).ok_or_else(too_large)?;
            let (rights, flags) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANON);
            // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing
            // that exists.
            let base = unsafe { libc::mmap(ptr::null_mut(), len, rights, flags, -1, 0) };
            if base == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let offset = base.cast::<u8>().align_offset(HUGE);
            // SAFETY: `offset` is below HUGE, and `wanted` + HUGE bytes are mapped.
            let start = unsafe { base.cast::<u8>().add(offset) };
            // SAFETY: advice on pages of the new mapping. A kernel that ignores it uses small
            // pages, or dumps them.
            unsafe {
                libc::madvise(start.cast(), wanted, libc::MADV_HUGEPAGE);
                libc::madvise(base, len, libc::MADV_DONTDUMP);
                libc::madvise(base, len, libc::MADV_DONTFORK);
            }
            let Some(start) = NonNull::new(start.cast::<T>()) else {
                // SAFETY: exactly the mapping made above.
                unsafe { libc::munmap(base, len) };
                return Err(too_large());
            };
            for index in 0..count {
                // SAFETY: `count` values fit into the mapped bytes from `start` on, which is
                // aligned for them.
                unsafe { start.add(index).write(value) };
            }
            Ok(Pages { base, len, start, count })
        }

        pub(super) fn values_mut(&mut self) -> &mut [T] {
            // SAFETY: `filled` wrote `count` values at `start`, and `&mut self` makes this access
            // exclusive.
            unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.count) }
        }
    }

    impl<T: Copy> Drop for Pages<T> {
        fn drop(&mut self) {
            // SAFETY: unmaps what mmap returned, once, and no reference can exist any more; `T` is
            // Copy, so its values need no drop.
            unsafe { libc::munmap(self.base, self.len) };
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri))))]
mod sys {
    use std::io;

    /// Ordinary memory, overwritten with the first value when it is dropped.
    pub(super) struct Pages<T: Copy> {
        values: Vec<T>,
        value: T,
    }

    impl<T: Copy> Pages<T> {
        pub(super) fn filled(count: usize, value: T) -> io::Result<Pages<T>> {
            let mut values = Vec::new();
            values.try_reserve_exact(count).map_err(|_| io::ErrorKind::OutOfMemory)?;
            values.resize(count, value);
            Ok(Pages { values, value })
        }

        pub(super) fn values_mut(&mut self) -> &mut [T] {
            &mut self.values
        }
    }

    impl<T: Copy> Drop for Pages<T> {
        fn drop(&mut self) {
            self.values.fill(self.value);
            // Keeps the compiler from removing the overwrite as useless.
            std::hint::black_box(&mut self.values);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Miri is slow.
    const COUNT: usize = if cfg!(miri) { 300 } else { 300_000 };

    #[test]
    fn every_value_is_initialised_and_can_be_written() {
        let mut arena = Arena::filled(COUNT, 7_u64).unwrap();
        assert!(arena.as_mut().iter().all(|value| *value == 7));
        arena.as_mut().iter_mut().zip(0..).for_each(|(value, index)| *value = index);
        assert!(arena.as_mut().iter().zip(0..).all(|(value, index)| *value == index));
        assert_eq!(arena.as_mut().len(), COUNT);
        assert!(Arena::filled(0, 7_u64).unwrap().as_mut().is_empty());
        assert_eq!(format!("{arena:?}"), "Arena(…)");
    }

    #[test]
    #[cfg(all(target_os = "linux", not(miri)))]
    fn the_pages_of_an_arena_are_huge_not_dumped_not_inherited_and_unmapped_on_drop() {
        let flags = |address: usize| {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let mut inside = false;
            let found = maps.lines().find(|line| {
                let span = line.split_once(' ').and_then(|(span, _)| span.split_once('-'));
                if let Some((Ok(from), Ok(to))) = span.map(|(from, to)| {
                    (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16))
                }) {
                    inside = from <= address && address < to;
                }
                inside && line.starts_with("VmFlags:")
            });
            found.map(str::to_owned).unwrap_or_default()
        };
        let mut arena = Arena::filled(8 << 20, 1_u8).unwrap();
        let address = arena.as_mut().as_ptr() as usize;
        assert_eq!(address % (2 << 20), 0);
        let seen = flags(address);
        // hg: huge pages are wanted; dd: not dumped; dc: not copied into a child.
        assert!([" dd", " dc"].iter().all(|flag| seen.contains(flag)), "{seen}");
        if std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            assert!(seen.contains(" hg"), "{seen}");
        }
        drop(arena);
        assert!(!flags(address).contains(" hg"));
    }
}
