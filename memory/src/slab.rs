//! The slab: small secrets share guarded pages, in size classes of powers of two.
//!
//! Getting a page takes about 75 µs and getting a slot about 50 ns, so each secret gets a slot, not
//! a page.

use crate::erase::allocator::wipe;
use crate::pages::{MemoryError, Region};
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

const SMALLEST: usize = 64;
const LARGEST: usize = 32 * 1024;
const FIRST_CHUNK: usize = 16 * 1024;
const LAST_CHUNK: usize = 256 * 1024;

/// Owned memory for `capacity` bytes. It is all zero when the slab hands it out, and wiped when it
/// is returned.
pub(crate) struct Slot {
    start: NonNull<u8>,
    capacity: usize,
}

// SAFETY: a Slot owns its bytes exclusively; no other slot overlaps them until it is dropped.
unsafe impl Send for Slot {}
// SAFETY: `&Slot` only allows reading the bytes.
unsafe impl Sync for Slot {}

impl Slot {
    /// A slot for at least `len` bytes, all zero.
    pub(crate) fn new(len: usize) -> Result<Slot, MemoryError> {
        slab().take(len)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `capacity` bytes at `start` are mapped, initialised (zero pages or wiped) and
        // owned by this slot; they are written only through `&mut`.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.capacity) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `&mut self` makes this access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.capacity) }
    }

    /// Consumes the slot and makes it read-only; [`Live`] lists `range` as a secret.
    pub(crate) fn freeze(self, range: Range<usize>) -> Frozen {
        let range = range.start.min(self.capacity)..range.end.min(self.capacity);
        slab().show(self.start, Some(range.clone()));
        Frozen { slot: self, range }
    }

    /// Like [`Slot::freeze`], for public bytes, which [`Live`] does not list.
    pub(crate) fn freeze_unshown(self, len: usize) -> Frozen {
        let range = 0..len.min(self.capacity);
        Frozen { slot: self, range }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        slab().give_back(self.start, self.capacity);
    }
}

/// A read-only slot, of which `range` is the secret.
pub(crate) struct Frozen {
    slot: Slot,
    range: Range<usize>,
}

impl Frozen {
    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `freeze` limited the range to the slot.
        unsafe { self.slot.bytes().get_unchecked(self.range.clone()) }
    }
}

/// Access to every frozen secret of the process. It holds the slab's lock, so no secret can be
/// freed meanwhile.
pub(crate) struct Live(MutexGuard<'static, Slab>);

/// The key of one frozen secret; the number distinguishes it from a later secret at the same
/// address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    start: usize,
    number: u64,
}

impl Live {
    pub(crate) fn look() -> Live {
        Live(slab())
    }

    pub(crate) fn each(&self, mut see: impl FnMut(Key, &[u8])) {
        for (address, chunk) in &self.0.chunks {
            for (index, shown) in chunk.shown.iter().enumerate() {
                if let Some(shown) = shown {
                    let start = address + index * chunk.slot_size;
                    see(Key { start, number: shown.number }, chunk.bytes(index, shown));
                }
            }
        }
    }

    /// The secret's bytes, if it still exists.
    pub(crate) fn get(&self, key: Key) -> Option<&[u8]> {
        let (address, chunk) = self.0.chunks.range(..=key.start).next_back()?;
        let index = (key.start - address) / chunk.slot_size;
        let shown = chunk.shown.get(index)?.as_ref().filter(|shown| shown.number == key.number)?;
        Some(chunk.bytes(index, shown))
    }

    /// Whether an address is on a page of the slab.
    pub(crate) fn owns(&self, address: usize) -> bool {
        let below = self.0.chunks.range(..=address).next_back();
        below.is_some_and(|(start, chunk)| address - start < chunk.region.len())
    }
}

struct Chunk {
    region: Region,
    slot_size: usize,
    free: Vec<NonNull<u8>>,
    used: usize,
    /// For each slot, the range of it that is a frozen secret.
    shown: Vec<Option<Shown>>,
}

struct Shown {
    number: u64,
    range: Range<usize>,
}

impl Chunk {
    fn bytes(&self, index: usize, shown: &Shown) -> &[u8] {
        // SAFETY: the range is inside the slot, and the slot inside the region. A frozen slot is
        // not written until it is returned, which needs the lock that `&self` holds.
        unsafe {
            let start = self.region.start().add(index * self.slot_size + shown.range.start);
            std::slice::from_raw_parts(start.as_ptr(), shown.range.len())
        }
    }
}

struct Slab {
    chunks: BTreeMap<usize, Chunk>,
    /// Start addresses of chunks that have a free slot, by slot size.
    open: BTreeMap<usize, Vec<usize>>,
    /// The number of secrets frozen so far.
    frozen: u64,
}

// SAFETY: the pointers in the free lists point into regions that the same Slab owns.
unsafe impl Send for Slab {}

fn slab() -> MutexGuard<'static, Slab> {
    static SLAB: Mutex<Slab> =
        Mutex::new(Slab { chunks: BTreeMap::new(), open: BTreeMap::new(), frozen: 0 });
    // No code under the lock can leave the lists half changed, so poisoning can be ignored.
    SLAB.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slab {
    fn take(&mut self, len: usize) -> Result<Slot, MemoryError> {
        let capacity = if len > LARGEST { len } else { len.next_power_of_two().max(SMALLEST) };
        loop {
            if let Some(start) = self.pop(capacity) {
                return Ok(Slot { start, capacity });
            }
            self.add_chunk(capacity)?;
        }
    }

    fn pop(&mut self, slot_size: usize) -> Option<NonNull<u8>> {
        let open = self.open.get_mut(&slot_size)?;
        let chunk = self.chunks.get_mut(open.last()?)?;
        let start = chunk.free.pop()?;
        chunk.used += 1;
        if chunk.free.is_empty() {
            open.pop();
        }
        Some(start)
    }

    fn add_chunk(&mut self, slot_size: usize) -> Result<(), MemoryError> {
        let count = self.chunks.values().filter(|chunk| chunk.slot_size == slot_size).count();
        let wanted = if slot_size > LARGEST {
            slot_size
        } else {
            (FIRST_CHUNK << count.min(4)).clamp(slot_size, LAST_CHUNK)
        };
        // Near the limit on locked memory a small chunk may still fit when a large one does not.
        let region = Region::new(wanted).or_else(|_| Region::new(slot_size))?;
        let slots = (region.len() / slot_size).max(1);
        // SAFETY: `index * slot_size` stays inside the region.
        let free = (0..slots)
            .rev()
            .map(|index| unsafe { region.start().add(index * slot_size) })
            .collect();
        let address = region.start().as_ptr() as usize;
        let shown = (0..slots).map(|_| None).collect();
        self.chunks.insert(address, Chunk { region, slot_size, free, used: 0, shown });
        self.open.entry(slot_size).or_default().push(address);
        Ok(())
    }

    fn show(&mut self, start: NonNull<u8>, range: Option<Range<usize>>) {
        self.frozen += 1;
        let number = self.frozen;
        let Some((address, chunk)) = self.chunks.range_mut(..=start.as_ptr() as usize).next_back()
        else {
            return;
        };
        if let Some(shown) =
            chunk.shown.get_mut((start.as_ptr() as usize - address) / chunk.slot_size)
        {
            *shown = range.map(|range| Shown { number, range });
        }
    }

    fn give_back(&mut self, start: NonNull<u8>, slot_size: usize) {
        self.show(start, None);
        // SAFETY: the slot's owner is gone, and the lock prevents reads through `Live`.
        unsafe { wipe(start.as_ptr(), slot_size) };
        let Some((&address, chunk)) = self.chunks.range_mut(..=start.as_ptr() as usize).next_back()
        else {
            return;
        };
        debug_assert!((start.as_ptr() as usize) < address + chunk.region.len());
        chunk.free.push(start);
        chunk.used -= 1;
        let open = self.open.entry(slot_size).or_default();
        if chunk.free.len() == 1 {
            open.push(address);
        }
        // One empty chunk of each small class is kept, so that repeated short-lived secrets do not
        // map a page each time.
        if chunk.used == 0 && (slot_size > LARGEST || open.len() > 1) {
            open.retain(|other| *other != address);
            self.chunks.remove(&address);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn slots_are_zero_when_reused() {
        // The class of 4096 is used by no other test of this crate, so the slot comes back.
        let mut slot = Slot::new(4096).unwrap();
        let place = slot.start;
        slot.bytes_mut().fill(0xA5);
        drop(slot);
        let again = Slot::new(4096).unwrap();
        assert_eq!(again.start, place);
        assert!(again.bytes().iter().all(|byte| *byte == 0));
    }

    #[test]
    fn slots_do_not_overlap_and_empty_chunks_are_freed() {
        let mut slots: Vec<Slot> =
            (0..(if cfg!(miri) { 30 } else { 3000 })).map(|_| Slot::new(2048).unwrap()).collect();
        for (index, slot) in slots.iter_mut().enumerate() {
            slot.bytes_mut().fill(index as u8);
        }
        for (index, slot) in slots.iter().enumerate() {
            assert!(slot.bytes().iter().all(|byte| *byte == index as u8));
        }
        drop(slots);
        let left = slab().chunks.values().filter(|chunk| chunk.slot_size == 2048).count();
        assert_eq!(left, 1);
    }
}
