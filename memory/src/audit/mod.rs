//! The audit: the process reads its own memory and counts the copies of its live secrets.
//!
//! Every 8-byte window of every secret is entered into a table by a keyed hash, and every eighth
//! offset of memory is looked up. Any 16 bytes of a copy contain such a window. The table stores
//! only the bucket of a window, so it contains nothing that the search could find.

#[cfg_attr(not(all(target_os = "linux", not(miri))), path = "no_own_memory.rs")]
mod own_memory;

use crate::audit::own_memory::{OwnMemory, written_ranges};
use crate::erase::scrub::{scrub_registers, scrub_stack};
use crate::pages::{MemoryError, page_size};
use crate::slab::{Key, Live, Slot};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

const WINDOW: usize = 8;
/// The shortest copy that counts as a fragment, in bytes.
const FRAGMENT: usize = 16;
/// The number of bytes read at once. While these are searched, about 50 µs, other threads wait for
/// the slab.
const PIECE: usize = 64 * 1024;
/// The maximum number of entries for one bucket: enough to find a secret that repeats the same
/// window.
const CHAIN: usize = 64;

/// The result of [`audit`]: counts only, no part of any secret.
///
/// ```
/// match bootseal_memory::audit() {
///     Ok(audit) if audit.is_clean() => {}
///     Ok(audit) => eprintln!("{audit}"),
///     Err(error) => eprintln!("no audit: {error}"),
/// }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Audit {
    /// Live secrets that were searched for.
    pub secrets: usize,
    /// Live secrets that were not searched for because they would be found everywhere: shorter than
    /// 8 bytes, or made of only one or two different bytes.
    pub not_searched: usize,
    /// Whole copies outside the secret pages.
    pub full: usize,
    /// Parts of 16 bytes and more outside the secret pages.
    pub fragments: usize,
    /// Bytes read.
    pub bytes: usize,
    /// Bytes that are mapped as readable but could not be read.
    pub unread: usize,
    /// The duration of the audit.
    pub took: Duration,
}

impl Audit {
    /// Whether nothing was found.
    ///
    /// ```
    /// # #[cfg(target_os = "linux")]
    /// println!("clean: {}", bootseal_memory::audit()?.is_clean());
    /// # Ok::<(), bootseal_memory::AuditError>(())
    /// ```
    pub fn is_clean(&self) -> bool {
        self.full == 0 && self.fragments == 0
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mib, took) =
            (self.bytes as f64 / f64::from(1 << 20), self.took.as_secs_f64() * 1000.0);
        write!(
            f,
            "{} full copies and {} fragments of {} secrets outside their pages; {mib:.1} MiB read in {took:.1} ms",
            self.full, self.fragments, self.secrets
        )?;
        if self.not_searched > 0 {
            write!(
                f,
                "; {} secrets are too short or too uniform to be searched for",
                self.not_searched
            )?;
        }
        if self.unread > 0 {
            write!(f, "; {} bytes could not be read", self.unread)?;
        }
        Ok(())
    }
}

/// The process could not read its own memory.
///
/// ```
/// match bootseal_memory::audit() {
///     Ok(audit) => println!("{audit}"),
///     Err(error) => eprintln!("not audited: {error}"),
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum AuditError {
    /// Neither `/proc/self/mem` nor `process_vm_readv` is allowed, or this system has neither.
    NotReadable(io::Error),
    /// No secret page is available to read into.
    Memory(MemoryError),
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::NotReadable(error) => write!(
                f,
                "this process is not allowed to read its own memory: {error}. An audit needs /proc/self/maps, and /proc/self/mem or \
                 process_vm_readv(2): Linux, /proc mounted, and no seccomp filter against both"
            ),
            AuditError::Memory(error) => {
                write!(f, "an audit needs 64 KiB of secret pages to read into: {error}")
            }
        }
    }
}

impl std::error::Error for AuditError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            AuditError::NotReadable(error) => Some(error),
            AuditError::Memory(error) => Some(error),
        }
    }
}

impl From<MemoryError> for AuditError {
    fn from(error: MemoryError) -> AuditError {
        AuditError::Memory(error)
    }
}

/// Reads all memory that this process has written, and counts full copies and fragments of every
/// live [`Secret`](crate::Secret).
///
/// An audit takes about 10 ms for 17 MiB, and several times as long if a secret is shorter than 15
/// bytes, because more offsets must be looked up. It is meant for tests and for an occasional
/// health probe. Other threads continue to run; a thread that creates or drops a secret waits 50 µs
/// at most.
///
/// It does not search registers, the kernel's buffers, the contents of the program file, or a
/// [`SecretBuf`](crate::SecretBuf) that is still being written, and it does not search for other
/// encodings of a secret. A short secret that is a common word is found wherever that word occurs.
///
/// # Errors
/// [`AuditError::NotReadable`] if the process may not read its own memory, [`AuditError::Memory`]
/// if no page is available to read into.
///
/// ```ignore-windows,ignore-macos
/// let password = bootseal_memory::Secret::copy_of(&std::fs::read("/proc/sys/kernel/random/uuid").unwrap())?;
/// let careless = password.expose(|bytes| bytes.to_vec());
/// assert!(bootseal_memory::audit()?.full >= 1);
/// # drop(careless);
/// # Ok::<(), bootseal_memory::AuditError>(())
/// ```
pub fn audit() -> Result<Audit, AuditError> {
    let began = Instant::now();
    let memory = OwnMemory::open().map_err(AuditError::NotReadable)?;
    let table = Table::of_live_secrets();
    let mut search = Search {
        memory,
        piece: Slot::new(PIECE)?,
        aside: Slot::new(4096)?,
        next: 0,
        found: Audit {
            secrets: table.secrets.len(),
            not_searched: table.not_searched,
            full: 0,
            fragments: 0,
            bytes: 0,
            unread: 0,
            took: Duration::ZERO,
        },
        table,
    };
    for range in written_ranges().map_err(AuditError::NotReadable)? {
        search.range(range.start, range.end);
    }
    let mut found = search.found;
    drop(search);
    scrub_registers();
    scrub_stack();
    found.took = began.elapsed();
    Ok(found)
}

/// Index from the keyed hash of an 8-byte window to its secret and offset.
struct Table {
    secrets: Vec<Key>,
    not_searched: usize,
    places: Vec<Place>,
    /// The first entry of each bucket, plus one; 0 means empty.
    buckets: Vec<u32>,
    /// A filter with one bit for many hash values. It fits into the L1 cache and rules out most of
    /// memory.
    seen: Vec<u64>,
    mix: u64,
    bucket_bits: u32,
    seen_bits: u32,
    /// The step in bytes between two lookups, so that the shortest secret cannot be missed.
    stride: usize,
}

struct Place {
    secret: u32,
    offset: u32,
    next: u32,
}

impl Table {
    fn of_live_secrets() -> Table {
        let live = Live::look();
        let mut windows = 0_usize;
        live.each(|_, bytes| windows += bytes.len());
        let bits = |count: usize| count.max(1).next_power_of_two().trailing_zeros();
        let (bucket_bits, seen_bits) =
            (bits(windows).clamp(8, 26), bits(windows.saturating_mul(64)).clamp(16, 29));
        let mut table = Table {
            secrets: Vec::new(),
            not_searched: 0,
            places: Vec::with_capacity(windows),
            buckets: vec![0; 1 << bucket_bits],
            seen: vec![0; 1 << (seen_bits - 6)],
            mix: RandomState::new().hash_one(0) | 1,
            bucket_bits,
            seen_bits,
            stride: WINDOW,
        };
        live.each(|key, bytes| table.add(key, bytes));
        table
    }

    fn add(&mut self, key: Key, bytes: &[u8]) {
        let Ok(secret) = u32::try_from(self.secrets.len()) else { return };
        let before = self.places.len();
        for (offset, window) in
            bytes.windows(WINDOW).enumerate().filter(|(_, window)| varied(window))
        {
            let hash = self.hash(word(window));
            let bucket = (hash >> (64 - self.bucket_bits)) as usize;
            let (Ok(offset), Ok(number)) =
                (u32::try_from(offset), u32::try_from(self.places.len() + 1))
            else {
                break;
            };
            if self.chain(bucket).take(CHAIN).count() < CHAIN {
                self.places.push(Place { secret, offset, next: self.buckets[bucket] });
                self.buckets[bucket] = number;
                let bit = hash >> (64 - self.seen_bits);
                self.seen[(bit / 64) as usize] |= 1 << (bit % 64);
            }
        }
        if self.places.len() == before {
            self.not_searched += 1;
        } else {
            self.secrets.push(key);
            self.stride = match bytes.len() - WINDOW + 1 {
                room @ 1..=3 => self.stride.min(if room == 3 { 2 } else { room }),
                4..=7 => self.stride.min(4),
                _ => self.stride,
            };
        }
    }

    #[inline]
    fn hash(&self, word: u64) -> u64 {
        (word ^ word >> 32).wrapping_mul(self.mix)
    }

    fn chain(&self, bucket: usize) -> impl Iterator<Item = &Place> {
        let at = |number: u32| self.places.get((number as usize).wrapping_sub(1));
        std::iter::successors(at(self.buckets[bucket]), move |place| at(place.next))
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.buckets.fill(0);
        self.seen.fill(0);
        std::hint::black_box((&mut self.buckets, &mut self.seen));
    }
}

/// Whether a window has at least three different bytes: zeros, blanks and ruler lines occur
/// everywhere.
fn varied(window: &[u8]) -> bool {
    let first = window[0];
    let second = window.iter().find(|byte| **byte != first);
    second.is_some_and(|second| window.iter().any(|byte| *byte != first && byte != second))
}

#[inline]
fn word(window: &[u8]) -> u64 {
    let mut bytes = [0; WINDOW];
    bytes.copy_from_slice(window);
    u64::from_ne_bytes(bytes)
}

struct Search {
    memory: OwnMemory,
    table: Table,
    piece: Slot,
    /// Context before and after the piece, for a copy that crosses its ends.
    aside: Slot,
    /// The address at which the search continues, after the last copy counted.
    next: usize,
    found: Audit,
}

/// A range of memory that equals a range of a secret.
#[derive(Clone, Copy)]
struct Match {
    len: usize,
    end: usize,
    full: bool,
}

impl Search {
    fn range(&mut self, start: usize, end: usize) {
        let (mut address, mut refused) = (start, 0);
        self.next = start;
        while address < end {
            let wanted = PIECE.min(end - address);
            let got = self.memory.read(address, &mut self.piece.bytes_mut()[..wanted]);
            if got == 0 {
                // A page that was unmapped or guarded meanwhile, or a device that cannot be read.
                refused += 1;
                let skipped =
                    if refused < 16 { page_size() - address % page_size() } else { end - address };
                self.found.unread += skipped.min(end - address);
                address += skipped;
                continue;
            }
            self.found.bytes += got;
            self.piece(address, got);
            // Pieces overlap by one window, so that no window is split.
            let step = if got == wanted && address + got < end { got - WINDOW } else { got };
            self.found.bytes -= got - step;
            address += step;
        }
    }

    fn piece(&mut self, base: usize, len: usize) {
        let live = Live::look();
        let stride = self.table.stride;
        let mut at = self.next.max(base).next_multiple_of(stride) - base;
        while at + WINDOW <= len {
            let word = word(&self.piece.bytes()[at..at + WINDOW]);
            let hash = self.table.hash(word);
            let bit = hash >> (64 - self.table.seen_bits);
            if self.table.seen[(bit / 64) as usize] >> (bit % 64) & 1 == 0 {
                at += stride;
                continue;
            }
            match self.longest(&live, hash, base, at, len) {
                Some(copy) if !live.owns(base + at) => {
                    self.found.full += usize::from(copy.full);
                    self.found.fragments += usize::from(!copy.full);
                    at = copy.end.next_multiple_of(stride) - base;
                }
                _ => at += stride,
            }
        }
        self.next = base + at;
    }

    /// The longest match around `base + at` that is long enough to count; a full copy is preferred.
    fn longest(
        &mut self,
        live: &Live,
        hash: u64,
        base: usize,
        at: usize,
        len: usize,
    ) -> Option<Match> {
        let bucket = (hash >> (64 - self.table.bucket_bits)) as usize;
        let places = self
            .table
            .chain(bucket)
            .map(|place| (self.table.secrets[place.secret as usize], place.offset as usize));
        let mut best: Option<Match> = None;
        for (key, offset) in places.collect::<Vec<_>>() {
            let Some(secret) = live.get(key) else { continue };
            if secret[offset..offset + WINDOW] != self.piece.bytes()[at..at + WINDOW] {
                continue;
            }
            let before = self.before(&secret[..offset], base, at);
            let after = self.after(&secret[offset..], base, at, len);
            let copy = Match {
                len: before + after,
                end: base + at + after,
                full: before + after == secret.len(),
            };
            if (copy.full || copy.len >= FRAGMENT)
                && best.is_none_or(|best| (copy.full, copy.len) > (best.full, best.len))
            {
                best = Some(copy);
            }
        }
        best
    }

    /// The number of bytes before `base + at` that match the end of `secret`.
    fn before(&mut self, secret: &[u8], base: usize, at: usize) -> usize {
        let same = |one: &[u8], other: &[u8]| {
            one.iter().rev().zip(other.iter().rev()).take_while(|(a, b)| a == b).count()
        };
        let mut matched = same(secret, &self.piece.bytes()[..at]);
        while matched >= at && matched < secret.len() {
            let wanted = (secret.len() - matched).min(self.aside.bytes().len());
            let aside = &mut self.aside.bytes_mut()[..wanted];
            if self.memory.read((base + at).saturating_sub(matched + wanted), aside) < wanted {
                break;
            }
            let more = same(&secret[..secret.len() - matched], aside);
            matched += more;
            if more < wanted {
                break;
            }
        }
        matched
    }

    /// The number of bytes from `base + at` on that match the beginning of `secret`.
    fn after(&mut self, secret: &[u8], base: usize, at: usize, len: usize) -> usize {
        let same =
            |one: &[u8], other: &[u8]| one.iter().zip(other).take_while(|(a, b)| a == b).count();
        let mut matched = same(secret, &self.piece.bytes()[at..len]);
        while at + matched >= len && matched < secret.len() {
            let wanted = (secret.len() - matched).min(self.aside.bytes().len());
            let aside = &mut self.aside.bytes_mut()[..wanted];
            let got = self.memory.read(base + at + matched, aside);
            let more = same(&secret[matched..], &aside[..got]);
            matched += more;
            if more == 0 || more < wanted {
                break;
            }
        }
        matched
    }
}
