//! Guarded pages: regions that are excluded from dumps, between two guard pages.
//!
//! They use `memfd_secret(2)` if the kernel has it, otherwise locked pages. See the table in the
//! crate's docs.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::OnceLock;

/// The level at which the pages of this process are guarded; a greater level is better.
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
    /// Pages from `memfd_secret`, which the kernel does not even map for itself.
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

/// The level of guarded memory that this process has.
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
    /// The reason why no better level was reached, for an operator; `None` at the best level.
    pub reason: Option<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "secrets are stored in {}", self.level)?;
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
    /// The number of bytes that the process had locked at the time of the error.
    locked: Option<u64>,
    source: io::Error,
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no guarded memory for {} more bytes of secrets: {}", self.wanted, self.source)?;
        match memlock_limit() {
            Some(limit) => write!(
                f,
                "; the limit on locked memory (RLIMIT_MEMLOCK) is {limit} bytes, of which {} are in use; {} are needed. \
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
    // A real mapping and a real write: if RLIMIT_MEMLOCK is 0, the system call succeeds and only
    // the mapping fails.
    let region = Region::new(1)?;
    // SAFETY: the region is at least one byte long, mapped read-write, and not shared.
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
// SAFETY: a shared Region exposes only its address and length; the slab controls reads and writes.
unsafe impl Sync for Region {}

impl Region {
    /// Maps at least `len` bytes, rounded up to whole pages.
    pub(crate) fn new(len: usize) -> Result<Region, MemoryError> {
        let page = sys::page_size();
        let rounded = len.max(1).checked_next_multiple_of(page);
        rounded
            .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
            .and_then(|rounded| {
                sys::map(rounded, page).map(|(start, level)| Region { start, len: rounded, level })
            })
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
    let kib =
        status.lines().find_map(|line| line.strip_prefix("VmLck:"))?.trim().strip_suffix("kB")?;
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
#[path = "unix.rs"]
mod sys;

#[cfg(all(windows, not(miri)))]
#[path = "windows.rs"]
mod sys;

#[cfg(miri)]
#[path = "miri.rs"]
mod sys;

#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_region_has_a_guard_page_on_both_sides() {
        let region = Region::new(10_000).unwrap();
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let (start, end) =
            (region.start().as_ptr() as usize, region.start().as_ptr() as usize + region.len());
        let spans: Vec<(usize, usize, &str)> = maps
            .lines()
            .map(|line| {
                let (span, rest) = line.split_once(' ').unwrap();
                let (from, to) = span.split_once('-').unwrap();
                (
                    usize::from_str_radix(from, 16).unwrap(),
                    usize::from_str_radix(to, 16).unwrap(),
                    &rest[..4],
                )
            })
            .collect();
        let rights = |address: usize| {
            spans.iter().find(|s| s.0 <= address && address < s.1).map(|s| &s.2[..3])
        };
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
