//! Pages under Miri, which does not support this kind of mmap: they come from the allocator, so
//! that all code above can run.

use super::Level;
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::io;
use std::ptr::NonNull;

pub(super) fn page_size() -> usize {
    4096
}

pub(super) fn why_not_secret() -> Option<String> {
    Some("Miri does not support guarded pages".into())
}

pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
    let layout = Layout::from_size_align(len, page).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // SAFETY: `len` is not zero.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
    Ok((start, Level::Locked))
}

/// # Safety
/// `start` and `len` must come from one call of `map` with this `page`, and be unmapped once.
pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize, page: usize) {
    // SAFETY: the same layout as in `map`, which accepted it.
    unsafe { dealloc(start.as_ptr(), Layout::from_size_align_unchecked(len, page)) }
}
