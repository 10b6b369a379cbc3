//! Guarded pages on Unix: `memfd_secret(2)` on Linux, locked anonymous pages elsewhere.

use super::Level;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;

pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: sysconf has no preconditions.
        let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        usize::try_from(size).ok().filter(|size| size.is_power_of_two()).unwrap_or(4096)
    })
}

/// The reason why memfd_secret is not used: unset until it was tried, `None` if it works.
static NOT_SECRET: OnceLock<Option<String>> = OnceLock::new();

pub(super) fn why_not_secret() -> Option<String> {
    NOT_SECRET.get().cloned().flatten()
}

pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
    let total = len.checked_add(2 * page).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that
    // exists.
    let base = unsafe {
        libc::mmap(
            ptr::null_mut(),
            total,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANON,
            -1,
            0,
        )
    };
    if base == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `page` is inside the new mapping of `total` bytes.
    let inner = unsafe { base.cast::<u8>().add(page) };
    // SAFETY: `inner` .. `inner + len` is inside the reservation, which is not shared.
    match unsafe { fill(inner, len) } {
        Ok(level) => NonNull::new(inner)
            .map(|start| (start, level))
            .ok_or_else(|| io::ErrorKind::OutOfMemory.into()),
        Err(error) => {
            // SAFETY: exactly the reservation made above.
            unsafe { libc::munmap(base, total) };
            Err(error)
        }
    }
}

/// # Safety
/// `inner` .. `inner + len` must be whole pages of a mapping that the caller owns.
unsafe fn fill(inner: *mut u8, len: usize) -> io::Result<Level> {
    if NOT_SECRET.get().is_none_or(Option::is_none) {
        // SAFETY: as the caller promises.
        match unsafe { fill_secret(inner, len) } {
            Ok(()) => {
                let _ = NOT_SECRET.set(None);
                return Ok(Level::MemfdSecret);
            }
            // memfd_secret worked before, so the limit is reached; locked pages count against
            // the same limit.
            Err(error) if NOT_SECRET.get().is_some() => return Err(error),
            Err(error) => {
                // SAFETY: as the caller promises.
                unsafe { fill_locked(inner, len)? };
                let _ = NOT_SECRET.set(Some(format!("memfd_secret: {error}")));
                return Ok(Level::Locked);
            }
        }
    }
    // SAFETY: as the caller promises.
    unsafe { fill_locked(inner, len)? };
    Ok(Level::Locked)
}

#[cfg(target_os = "linux")]
/// # Safety
/// As for `fill`.
unsafe fn fill_secret(inner: *mut u8, len: usize) -> io::Result<()> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    let size = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::OutOfMemory)?;
    // SAFETY: memfd_secret takes only flags. (Its man page names FD_CLOEXEC; the kernel expects
    // O_CLOEXEC.)
    let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: a new descriptor from the kernel. It is closed when this function returns, because
    // another process could duplicate an open one with pidfd_getfd and map it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: this function owns the descriptor.
    if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: MAP_FIXED replaces exactly the caller's reserved pages. If it fails, they stay
    // inaccessible or unmapped, and the caller unmaps or refills them.
    let mapped = unsafe {
        libc::mmap(
            inner.cast(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_FIXED,
            fd.as_raw_fd(),
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: pages that were just mapped. (WIPEONFORK is refused on shared mappings, so a
    // child gets no mapping at all.)
    unsafe { libc::madvise(mapped, len, libc::MADV_DONTFORK) };
    Ok(())
}

#[cfg(not(target_os = "linux"))]
/// # Safety
/// No requirements; the signature matches the one on Linux.
unsafe fn fill_secret(_inner: *mut u8, _len: usize) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

/// # Safety
/// As for `fill`.
unsafe fn fill_locked(inner: *mut u8, len: usize) -> io::Result<()> {
    // SAFETY: MAP_FIXED replaces exactly the caller's pages.
    let mapped = unsafe {
        libc::mmap(
            inner.cast(),
            len,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANON | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    if mapped == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: pages that were just mapped.
    if unsafe { libc::mlock(mapped, len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    #[cfg(target_os = "linux")]
    // SAFETY: pages that were just mapped.
    unsafe {
        libc::madvise(mapped, len, libc::MADV_DONTDUMP);
        libc::madvise(mapped, len, libc::MADV_WIPEONFORK);
    }
    Ok(())
}

/// # Safety
/// `start` and `len` must come from one call of `map` with this `page`, and be unmapped once.
pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize, page: usize) {
    // SAFETY: the reservation began one page before `start` and ended one page after; munmap
    // unlocks too.
    unsafe { libc::munmap(start.as_ptr().sub(page).cast(), len + 2 * page) };
}
