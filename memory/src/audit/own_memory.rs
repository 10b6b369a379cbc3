//! The memory of this process as an attacker would read it: the ranges in /proc, read through the
//! kernel.

use crate::pages::page_size;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// The two ways to read. `/proc/self/mem` belongs to root once the process is not dumpable;
/// `process_vm_readv` on the process itself still works then.
pub(crate) enum OwnMemory {
    File(File),
    Call,
}

impl OwnMemory {
    pub(crate) fn open() -> io::Result<OwnMemory> {
        File::open("/proc/self/mem").map(OwnMemory::File).or_else(|error| {
            let (known, mut seen) = ([7_u8], [0_u8]);
            let read = OwnMemory::Call.read(known.as_ptr() as usize, &mut seen);
            if (read, seen) == (1, known) { Ok(OwnMemory::Call) } else { Err(error) }
        })
    }

    /// Reads up to the first unreadable byte and returns the number of bytes read.
    pub(crate) fn read(&self, address: usize, into: &mut [u8]) -> usize {
        match self {
            OwnMemory::File(file) => file.read_at(into, address as u64).unwrap_or(0),
            OwnMemory::Call => {
                let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
                let remote =
                    libc::iovec { iov_base: address as *mut libc::c_void, iov_len: into.len() };
                // SAFETY: the kernel writes only into `into`, and returns an error if the other
                // address is not mapped in this process.
                let got =
                    unsafe { libc::process_vm_readv(libc::getpid(), &local, 1, &remote, 1, 0) };
                usize::try_from(got).unwrap_or(0)
            }
        }
    }
}

/// The ranges that can contain data written by the process.
pub(crate) fn written_ranges() -> io::Result<Vec<Range<usize>>> {
    let mut maps = String::new();
    File::open("/proc/self/maps")?.read_to_string(&mut maps)?;
    let pages = File::open("/proc/self/pagemap").ok();
    let mut ranges = Vec::new();
    for mapping in maps.lines().filter_map(parse).filter(Mapping::may_hold_what_was_written) {
        match &pages {
            // Most of a thread's stack was never touched, and reading it would cost more than
            // everything else.
            Some(pages) if mapping.anonymous => touched(pages, mapping.range, &mut ranges),
            _ => ranges.push(mapping.range),
        }
    }
    Ok(ranges)
}

struct Mapping {
    range: Range<usize>,
    readable: bool,
    writable: bool,
    private: bool,
    anonymous: bool,
    /// Kernel mappings and `memfd_secret`: they cannot be read.
    never: bool,
}

impl Mapping {
    /// Whether the process may have written here. Code and constants of a program file are
    /// excluded, because they never depend on secrets.
    fn may_hold_what_was_written(&self) -> bool {
        self.readable && !self.never && (self.writable || self.anonymous || !self.private)
    }
}

/// `start-end rwxp offset device inode path`
fn parse(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?.as_bytes();
    let (inode, path) = (words.nth(2)?, words.next().unwrap_or_default());
    Some(Mapping {
        range: usize::from_str_radix(start, 16).ok()?..usize::from_str_radix(end, 16).ok()?,
        readable: rights.first() == Some(&b'r'),
        writable: rights.get(1) == Some(&b'w'),
        private: rights.get(3) == Some(&b'p'),
        anonymous: inode == "0",
        never: path.starts_with("[v") || path == "/secretmem",
    })
}

/// The pages of a mapping that are in memory or in swap, as ranges.
fn touched(pages: &File, mapping: Range<usize>, ranges: &mut Vec<Range<usize>>) {
    /// Documentation/admin-guide/mm/pagemap.rst: bit 63 is "present", bit 62 "in swap".
    const THERE: u64 = 3 << 62;
    let size = page_size();
    let mut entries = [0_u8; 4096];
    let mut open: Option<Range<usize>> = None;
    let mut address = mapping.start;
    while address < mapping.end {
        let wanted = ((mapping.end - address) / size * 8).min(entries.len());
        let got =
            pages.read_at(&mut entries[..wanted], (address / size * 8) as u64).unwrap_or(0) / 8 * 8;
        if got == 0 {
            // The state is unknown: the whole range is taken.
            ranges.extend(open.take());
            ranges.push(address..mapping.end);
            return;
        }
        for entry in entries[..got].chunks_exact(8) {
            let there = entry.iter().rev().fold(0_u64, |entry, byte| entry << 8 | u64::from(*byte))
                & THERE
                != 0;
            let there = if cfg!(target_endian = "big") { true } else { there };
            match &mut open {
                Some(range) if there => range.end += size,
                Some(_) => ranges.extend(open.take()),
                None if there => open = Some(address..address + size),
                None => {}
            }
            address += size;
        }
    }
    ranges.extend(open);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn both_readers_return_the_same_bytes_and_stop_at_unmapped_memory() {
        let held = vec![0xA5_u8; 10_000];
        for memory in [OwnMemory::open().unwrap(), OwnMemory::Call] {
            let mut seen = vec![0; 10_000];
            assert_eq!(memory.read(held.as_ptr() as usize, &mut seen), 10_000);
            assert_eq!(seen, held);
            assert_eq!(memory.read(0, &mut seen), 0);
        }
    }

    #[test]
    fn the_ranges_include_heap_and_statics_but_not_code_or_untouched_pages() {
        static WRITTEN: std::sync::Mutex<[u8; 3]> = std::sync::Mutex::new([1; 3]);
        WRITTEN.lock().unwrap()[0] = 2;
        let held = vec![0xA5_u8; 10_000];
        let reserved = Vec::<u8>::with_capacity(8 << 20);
        let ranges = written_ranges().unwrap();
        let listed = |address: usize| ranges.iter().any(|range| range.contains(&address));
        assert!(listed(held.as_ptr() as usize));
        assert!(listed(&raw const WRITTEN as usize));
        assert!(!listed(parse as *const () as usize));
        assert!(!listed(reserved.as_ptr() as usize + (4 << 20)));
    }
}
