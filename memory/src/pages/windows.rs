//! Guarded pages on Windows: committed and locked with `VirtualLock`.

use super::Level;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use windows_sys::Win32::System::Memory::{
    MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree,
    VirtualLock,
};
use windows_sys::Win32::System::SystemInformation::{GetSystemInfo, SYSTEM_INFO};

pub(super) fn page_size() -> usize {
    static SIZE: OnceLock<usize> = OnceLock::new();
    *SIZE.get_or_init(|| {
        // SAFETY: SYSTEM_INFO is plain data, for which zeros are valid; GetSystemInfo fills it.
        let info = unsafe {
            let mut info: SYSTEM_INFO = std::mem::zeroed();
            GetSystemInfo(&mut info);
            info
        };
        info.dwPageSize as usize
    })
}

pub(super) fn why_not_secret() -> Option<String> {
    Some("Windows has no memory that is excluded from dumps".into())
}

pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
    let total = len.checked_add(2 * page).ok_or(io::ErrorKind::OutOfMemory)?;
    // SAFETY: reserves new address space of the system's choice.
    let base = unsafe { VirtualAlloc(ptr::null(), total, MEM_RESERVE, PAGE_NOACCESS) };
    if base.is_null() {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the address is inside the new reservation.
    let inner = unsafe { base.cast::<u8>().add(page) };
    // SAFETY: commits and locks pages of this reservation; on failure the whole reservation is
    // released.
    unsafe {
        if VirtualAlloc(inner.cast(), len, MEM_COMMIT, PAGE_READWRITE).is_null()
            || VirtualLock(inner.cast(), len) == 0
        {
            let error = io::Error::last_os_error();
            VirtualFree(base, 0, MEM_RELEASE);
            return Err(error);
        }
    }
    NonNull::new(inner)
        .map(|start| (start, Level::Locked))
        .ok_or_else(|| io::ErrorKind::OutOfMemory.into())
}

/// # Safety
/// `start` must come from one call of `map` with this `page`, and be unmapped once.
pub(super) unsafe fn unmap(start: NonNull<u8>, _len: usize, page: usize) {
    // SAFETY: the reservation began one page before `start`; releasing it unlocks too.
    unsafe { VirtualFree(start.as_ptr().sub(page).cast(), 0, MEM_RELEASE) };
}
