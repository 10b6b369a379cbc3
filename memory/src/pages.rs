//! Guarded pages: regions that no dump shows, between two guard pages.
//!
//! Uses `memfd_secret(2)` if the kernel has it, else locked pages. See the table in the crate's
//! docs.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// How well the pages of this process are guarded; a greater level is a better one.
///
/// ```
/// use bootseal_memory::Level;
/// assert!(Level::MemfdSecret > Level::Locked);
/// assert_eq!(Level::MemfdSecret.to_string(), "memfd_secret");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Locked in memory, and kept out of core dumps if the platform supports that.
    Locked,
    /// `memfd_secret`: not mapped by the kernel itself either.
    MemfdSecret,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Locked => "locked pages",
            Level::MemfdSecret => "memfd_secret",
        })
    }
}

/// The guarded memory that this process got.
///
/// ```
/// let report = bootseal_memory::report()?;
/// if let Some(reason) = &report.reason {
///     eprintln!("only {}: {reason}", report.level);
/// }
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    /// The level that new secrets get.
    pub level: Level,
    /// Why a better level could not be reached, for an operator; `None` at the best level.
    pub reason: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secrets lie in {}", self.level)?;
        match &self.reason {
            Some(reason) => write!(f, " ({reason})"),
            None => Ok(()),
        }
    }
}

/// No guarded memory is available. The text names the limit and how to raise it.
///
/// ```
/// use bootseal_memory::{MemoryError, Secret};
///
/// fn keep(bytes: &[u8]) -> Result<Secret, MemoryError> {
///     Secret::copy_of(bytes).inspect_err(|error| eprintln!("{error}"))
/// }
/// # keep(b"hunter2")?;
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
#[derive(Debug)]
pub struct MemoryError {
    wanted: usize,
    /// How much the process had locked when it failed.
    locked: Option<u64>,
    source: io::Error,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no guarded memory for {} more bytes of secrets: {}", self.wanted, self.source)?;
        match memlock_limit() {
            Some(limit) => write!(
                f,
                "; the limit on locked memory (RLIMIT_MEMLOCK) is {limit} bytes, {} are locked already and {} are needed. \
                 Raise it: `ulimit -l` in a shell, LimitMEMLOCK= in a systemd unit, --ulimit memlock= for a container",
                self.locked.unwrap_or(0),
                self.locked.unwrap_or(0).saturating_add(whole_pages(self.wanted)),
            ),
            None => Ok(()),
        }
    }
}

impl std::error::Error for MemoryError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Returns the level that new secrets get in this process.
///
/// # Errors
/// [`MemoryError`] if not even one page can be locked.
///
/// ```
/// println!("{}", bootseal_memory::report()?);
/// # Ok::<(), bootseal_memory::MemoryError>(())
/// ```
pub fn report() -> Result<Report, MemoryError> {
    static REPORT: OnceLock<Report> = OnceLock::new();
    if let Some(known) = REPORT.get() {
        return Ok(known.clone());
    }
    // A real mapping and a real write: where RLIMIT_MEMLOCK is 0 the system call succeeds and only
    // the mapping fails.
    let region = Region::new(1)?;
    // SAFETY: the region is at least one byte long, mapped read-write, and nobody else knows of it.
    unsafe { region.start().as_ptr().write_volatile(0) };
    Ok(REPORT.get_or_init(|| Report { level: region.level, reason: sys::why_not_secret() }).clone())
}

pub(crate) fn page_size() -> usize {
    sys::page_size()
}

/// Whole pages, zeroed, with an inaccessible page before and after.
pub(crate) struct Region {
    start: NonNull<u8>,
    len: usize,
    level: Level,
}

// SAFETY: a Region owns its mapping; nothing about it is tied to a thread.
unsafe impl Send for Region {}
// SAFETY: a shared Region hands out only its address and length; who reads or writes there is the
// slab's business.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `len` bytes, rounded up to whole pages.
    pub(crate) fn new(len: usize) -> Result<Region, MemoryError> {
        let page = sys::page_size();
        let rounded = len.max(1).checked_next_multiple_of(page);
        rounded
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
            .and_then(|rounded| sys::map(rounded, page).map(|(start, level)| Region { start, len: rounded, level }))
            .map_err(|source| MemoryError { wanted: len, locked: locked(), source })
    }

    pub(crate) fn start(&self) -> NonNull<u8> {
        self.start
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: `start` and `len` are what `sys::map` returned, and this is the only owner.
        unsafe { sys::unmap(self.start, self.len, sys::page_size()) }
    }
}

fn whole_pages(len: usize) -> u64 {
    len.max(1).checked_next_multiple_of(page_size()).unwrap_or(len) as u64
}

/// Linux counts secret pages and locked ones together.
fn locked() -> Option<u64> {
    if !cfg!(all(target_os = "linux", not(miri))) {
        return None;
    }
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = status.lines().find_map(|line| line.strip_prefix("VmLck:"))?.trim().strip_suffix("kB")?;
    kib.trim().parse::<u64>().ok().map(|kib| kib * 1024)
}

#[cfg(all(unix, not(miri)))]
fn memlock_limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: getrlimit writes one rlimit through a valid pointer.
    let got = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) };
    #[allow(clippy::unnecessary_cast)] // u64 on Linux and macOS, i64 on some BSDs
    (got == 0 && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur as u64)
}

#[cfg(not(all(unix, not(miri))))]
fn memlock_limit() -> Option<u64> {
    None
}

#[cfg(all(unix, not(miri)))]
mod sys {
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

    /// Why memfd_secret is not used: empty until it was tried, `None` inside if it works.
    static NOT_SECRET: OnceLock<Option<String>> = OnceLock::new();

    pub(super) fn why_not_secret() -> Option<String> {
        NOT_SECRET.get().cloned().flatten()
    }

    pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
        let total = len.checked_add(2 * page).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that
        // exists.
        let base =
            unsafe { libc::mmap(ptr::null_mut(), total, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: `page` lies inside the mapping of `total` bytes just made.
        let inner = unsafe { base.cast::<u8>().add(page) };
        // SAFETY: `inner` .. `inner + len` lies inside the reservation, which nobody else knows of.
        match unsafe { fill(inner, len) } {
            Ok(level) => {
                NonNull::new(inner).map(|start| (start, level)).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
            }
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
        // SAFETY: memfd_secret takes flags only. (Its man page names FD_CLOEXEC; the kernel takes
        // O_CLOEXEC.)
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: a descriptor that the kernel just gave us. Closed when this function returns: an
        // open one could be taken over by pidfd_getfd and mapped elsewhere.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a descriptor we own.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), size) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: MAP_FIXED replaces exactly the caller's reserved pages. Where it fails they stay
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
    /// None needed here; the signature is that of Linux.
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
    /// `start` and `len` must come from one call of `map` with this `page`, and be given back once.
    pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize, page: usize) {
        // SAFETY: the reservation began one page before `start` and ended one page after; munmap
        // unlocks too.
        unsafe { libc::munmap(start.as_ptr().sub(page).cast(), len + 2 * page) };
    }
}

#[cfg(all(windows, not(miri)))]
mod sys {
    use super::Level;
    use std::io;
    use std::ptr::{self, NonNull};
    use std::sync::OnceLock;
    use windows_sys::Win32::System::Memory::{
        MEM_COMMIT, MEM_RELEASE, MEM_RESERVE, PAGE_NOACCESS, PAGE_READWRITE, VirtualAlloc, VirtualFree, VirtualLock,
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
        Some("Windows has no memory that a dump cannot reach".into())
    }

    pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
        let total = len.checked_add(2 * page).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: reserves new address space of the system's choice.
        let base = unsafe { VirtualAlloc(ptr::null(), total, MEM_RESERVE, PAGE_NOACCESS) };
        if base.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: inside the reservation just made.
        let inner = unsafe { base.cast::<u8>().add(page) };
        // SAFETY: commits and locks pages of our own reservation; on failure the whole of it is
        // given back.
        unsafe {
            if VirtualAlloc(inner.cast(), len, MEM_COMMIT, PAGE_READWRITE).is_null()
                || VirtualLock(inner.cast(), len) == 0
            {
                let error = io::Error::last_os_error();
                VirtualFree(base, 0, MEM_RELEASE);
                return Err(error);
            }
        }
        NonNull::new(inner).map(|start| (start, Level::Locked)).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    /// # Safety
    /// `start` must come from one call of `map` with this `page`, and be given back once.
    pub(super) unsafe fn unmap(start: NonNull<u8>, _len: usize, page: usize) {
        // SAFETY: the reservation began one page before `start`; releasing it unlocks too.
        unsafe { VirtualFree(start.as_ptr().sub(page).cast(), 0, MEM_RELEASE) };
    }
}

/// Miri does not support this kind of mmap: pages come from the allocator, so that all code above
/// can run under it.
#[cfg(miri)]
mod sys {
    use super::Level;
    use std::alloc::{Layout, alloc_zeroed, dealloc};
    use std::io;
    use std::ptr::NonNull;

    pub(super) fn page_size() -> usize {
        4096
    }

    pub(super) fn why_not_secret() -> Option<String> {
        Some("Miri has no pages of its own".into())
    }

    pub(super) fn map(len: usize, page: usize) -> io::Result<(NonNull<u8>, Level)> {
        let layout = Layout::from_size_align(len, page).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: `len` is not zero.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok((start, Level::Locked))
    }

    /// # Safety
    /// `start` and `len` must come from one call of `map` with this `page`, and be given back once.
    pub(super) unsafe fn unmap(start: NonNull<u8>, len: usize, page: usize) {
        // SAFETY: the same layout as in `map`, which accepted it.
        unsafe { dealloc(start.as_ptr(), Layout::from_size_align_unchecked(len, page)) }
    }
}

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn guards_stand_on_both_sides() {
        let region = Region::new(10_000).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let (start, end) = (region.start().as_ptr() as usize, region.start().as_ptr() as usize + region.len());
        let spans: Vec<(usize, usize, &str)> = maps
            .lines()
            .map(|line| {
                let (span, rest) = line.split_once(' ').unwrap();
                let (from, to) = span.split_once('-').unwrap();
                (usize::from_str_radix(from, 16).unwrap(), usize::from_str_radix(to, 16).unwrap(), &rest[..4])
            })
            .collect();
        let rights = |address: usize| spans.iter().find(|s| s.0 <= address && address < s.1).map(|s| &s.2[..3]);
        assert_eq!(rights(start), Some("rw-"));
        assert_eq!(rights(end - 1), Some("rw-"));
        assert_eq!(rights(start - 1), Some("---"));
        assert_eq!(rights(end), Some("---"));
    }

    #[test]
    fn an_impossible_size_is_an_error_that_names_the_size() {
        let error = Region::new(usize::MAX - 100).err().unwrap();
        assert!(error.to_string().contains(&(usize::MAX - 100).to_string()), "{error}");
    }
}
