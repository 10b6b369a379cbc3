//! Erasure of freed blocks by glibc during a login, for a program without the wiping allocator.

use std::io;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Whether [`ErasedFrees`] works on this system.
///
/// ```
/// use bootseal_memory::{ErasedFrees, Erasure};
///
/// if ErasedFrees::begin().erasure() == Erasure::NotGlibc {
///     eprintln!("set WipingAllocator as the global allocator: this C library does not overwrite what is freed");
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Erasure {
    /// glibc overwrites freed blocks for as long as a guard exists.
    On,
    /// The user configured glibc's overwriting for the whole process
    /// (`GLIBC_TUNABLES=glibc.malloc.perturb=…`, `MALLOC_PERTURB_`); that setting stays.
    SetByUser,
    /// The C library is not glibc: nothing is overwritten.
    NotGlibc,
}

/// While one of these guards exists, glibc's `free` overwrites each block (`mallopt(M_PERTURB)`).
/// When the last one is dropped, the old behaviour returns.
///
/// Each thread has a cache of up to 7 blocks of each small size (up to 1032 bytes), which glibc
/// does not overwrite until the thread ends. Therefore the work must run on a separate thread, and
/// the guard must be held until that thread is joined; [`with_erased_frees`] does both. The last 8
/// bytes of a block are never overwritten.
///
/// Use it for the duration of a login only: meanwhile, all new allocations of the process above
/// 1032 bytes are filled too, which costs about as much as clearing them. The guard has no effect
/// if the application does not use the system's allocator.
///
/// ```
/// use bootseal_memory::ErasedFrees;
///
/// let guard = ErasedFrees::begin();
/// let login = std::thread::spawn(|| String::from("what a library freed"));
/// let _ = login.join(); // now the thread's cache is overwritten too
/// drop(guard);
/// ```
#[derive(Debug)]
#[must_use = "freed blocks are overwritten only while this guard exists"]
pub struct ErasedFrees(Erasure);

impl ErasedFrees {
    /// Switches erasure on, or counts another guard if it is already on.
    ///
    /// ```
    /// let outer = bootseal_memory::ErasedFrees::begin();
    /// let inner = bootseal_memory::ErasedFrees::begin();
    /// drop(outer); // still on
    /// drop(inner);
    /// ```
    pub fn begin() -> ErasedFrees {
        let erasure = possible();
        if erasure == Erasure::On {
            count(|living| {
                if *living == 0 {
                    perturb(ONES);
                }
                *living += 1;
            });
        }
        ErasedFrees(erasure)
    }

    /// Whether freed blocks are overwritten at all.
    pub fn erasure(&self) -> Erasure {
        self.0
    }
}

impl Drop for ErasedFrees {
    fn drop(&mut self) {
        if self.0 == Erasure::On {
            count(|living| {
                *living -= 1;
                if *living == 0 {
                    perturb(0);
                }
            });
        }
    }
}

/// Runs `work` on a separate thread under an [`ErasedFrees`] guard. When this function returns, the
/// blocks that the work freed have been overwritten, including those in the thread's cache.
///
/// The function blocks until the work is done. A panic in the work is propagated to the caller.
///
/// # Errors
/// If no thread can be started, in which case the work did not start.
///
/// ```
/// let answer = bootseal_memory::with_erased_frees(|| format!("what a {} freed", "library").len())?;
/// assert_eq!(answer, 20);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn with_erased_frees<R: Send>(work: impl FnOnce() -> R + Send) -> io::Result<R> {
    let guard = ErasedFrees::begin();
    let done = std::thread::scope(|scope| {
        // join() waits until the thread and its cache are gone; the end of the scope alone does
        // not.
        std::thread::Builder::new().spawn_scoped(scope, work).map(|thread| thread.join())
    })?;
    drop(guard);
    done.or_else(|panic| std::panic::resume_unwind(panic))
}

/// The only sound value. glibc fills freed blocks with this byte and new ones with its complement,
/// here zero. With any other value, `calloc` on a second thread can return blocks that are not
/// zero: it fills the block before the switch to "off" and checks after it whether it must clear
/// the block. The test below saw that in 80 of 608 calls.
const ONES: i32 = 0xFF;

fn count(change: impl FnOnce(&mut usize)) {
    static LIVING: Mutex<usize> = Mutex::new(0);
    change(&mut LIVING.lock().unwrap_or_else(PoisonError::into_inner));
}

#[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
fn perturb(byte: i32) {
    // SAFETY: mallopt may be called at any time from any thread; see ONES for the value.
    unsafe { libc::mallopt(libc::M_PERTURB, byte) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu", not(miri))))]
fn perturb(_byte: i32) {}

fn possible() -> Erasure {
    static POSSIBLE: OnceLock<Erasure> = OnceLock::new();
    *POSSIBLE.get_or_init(|| {
        if !cfg!(all(target_os = "linux", target_env = "gnu", not(miri))) {
            return Erasure::NotGlibc;
        }
        // glibc cannot be queried for the value. It reads these two variables once, when the
        // process starts.
        let variable = |name| std::env::var(name).unwrap_or_default();
        if is_set(&variable("GLIBC_TUNABLES"), &variable("MALLOC_PERTURB_")) {
            Erasure::SetByUser
        } else {
            Erasure::On
        }
    })
}

fn is_set(tunables: &str, older: &str) -> bool {
    let of_malloc =
        tunables.split(':').filter_map(|tunable| tunable.strip_prefix("glibc.malloc.perturb="));
    // 0 means "off" in any notation; glibc ignores values that it cannot parse.
    of_malloc.chain([older]).any(|value| {
        value.bytes().any(|byte| matches!(byte, b'1'..=b'9' | b'a'..=b'f' | b'A'..=b'F'))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn settings_of_the_user_are_recognised() {
        assert!(is_set("glibc.malloc.perturb=90", ""));
        assert!(is_set("glibc.malloc.check=3:glibc.malloc.perturb=0x5a", ""));
        assert!(is_set("", "165"));
        for (tunables, older) in [
            ("", ""),
            ("glibc.malloc.perturb=0", ""),
            ("", "0x00"),
            ("glibc.malloc.arena_max=1", ""),
        ] {
            assert!(!is_set(tunables, older), "{tunables} {older}");
        }
    }

    #[test]
    fn the_result_and_a_panic_of_the_work_reach_the_caller() {
        assert_eq!(with_erased_frees(|| 7).unwrap(), 7);
        let panic = std::panic::catch_unwind(|| {
            with_erased_frees(|| std::panic::resume_unwind(Box::new("stop")))
        });
        assert_eq!(panic.map(|_: io::Result<()>| ()).unwrap_err().downcast_ref(), Some(&"stop"));
    }

    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    mod glibc {
        use super::*;
        use crate::tests::degraded::{again, is};
        use std::os::unix::fs::FileExt;

        const SIZES: [usize; 8] = [24, 200, 1000, 1032, 2000, 5000, 70_000, 100_000];

        /// Takes blocks from malloc, fills and frees them, and returns their addresses and sizes.
        fn fill_and_free() -> Vec<(usize, usize)> {
            let mut places = Vec::with_capacity(SIZES.len());
            // SAFETY: blocks are written within their size and freed once. The small blocks in
            // between prevent merging.
            unsafe {
                let mut between = Vec::with_capacity(SIZES.len());
                for size in SIZES {
                    let block = libc::malloc(size);
                    between.push(libc::malloc(40));
                    block.cast::<u8>().write_bytes(0xA7, size);
                    places.push((block as usize, size));
                }
                for (block, _) in &places {
                    libc::free(*block as *mut libc::c_void);
                }
                between.into_iter().for_each(|block| libc::free(block));
            }
            places
        }

        /// The number of bytes that are left of each block.
        fn left(places: Vec<(usize, usize)>) -> Vec<usize> {
            let memory = std::fs::File::open("/proc/self/mem").unwrap();
            // The buffer is on the stack: a heap buffer could reuse the memory of the blocks.
            let mut bytes = [0; 100_000];
            let left = places.into_iter().map(|(block, size)| {
                let got = memory.read_at(&mut bytes[..size], block as u64).unwrap_or(0);
                bytes[..got].iter().filter(|byte| **byte == 0xA7).count()
            });
            left.collect()
        }

        #[test]
        fn blocks_freed_by_a_thread_are_overwritten_when_it_has_ended() {
            const NAME: &str = "erase::freed_blocks::tests::glibc::blocks_freed_by_a_thread_are_overwritten_when_it_has_ended";
            if !is("frees") {
                again(NAME, "frees");
                return;
            }
            let plain = left(std::thread::spawn(fill_and_free).join().unwrap());
            assert!(plain.iter().filter(|left| **left >= 16).count() >= 4, "{plain:?}");
            let outer = ErasedFrees::begin();
            assert_eq!(outer.erasure(), Erasure::On);
            let erased = left(with_erased_frees(fill_and_free).unwrap());
            assert!(erased.iter().all(|left| *left <= 8), "{erased:?}");
            // The inner guard is gone, but the outer one keeps erasure on.
            let erased = left(std::thread::spawn(fill_and_free).join().unwrap());
            assert!(erased.iter().all(|left| *left <= 8), "{erased:?}");
            // A live thread keeps its cache, so blocks up to 1032 bytes are not overwritten.
            let parked = left(fill_and_free());
            assert!(parked[1..4].iter().all(|left| *left >= 16), "{parked:?}");
            assert!(parked[4..].iter().all(|left| *left <= 8), "{parked:?}");
            drop(outer);
            let plain = left(std::thread::spawn(fill_and_free).join().unwrap());
            assert!(plain.iter().filter(|left| **left >= 16).count() >= 4, "{plain:?}");
        }

        /// With 0x5A instead of ONES, this fails within a second.
        #[test]
        fn switching_off_does_not_spoil_zeroed_blocks_of_another_thread() {
            const NAME: &str = "erase::freed_blocks::tests::glibc::switching_off_does_not_spoil_zeroed_blocks_of_another_thread";
            if !is("calloc") {
                again(NAME, "calloc");
                return;
            }
            // SAFETY: a setting of malloc. Each large block gets a separate mapping, which takes
            // the longest time between the two checks.
            unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024) };
            let taker = std::thread::spawn(|| {
                let spoilt = |_: &usize| vec![0_u8; 4 << 20].chunks(512).any(|chunk| chunk[0] != 0);
                (0..150_usize).filter(spoilt).count()
            });
            while !taker.is_finished() {
                drop(ErasedFrees::begin());
                std::thread::yield_now();
            }
            assert_eq!(taker.join().unwrap(), 0);
        }

        #[test]
        fn a_setting_of_the_user_is_not_changed() {
            const NAME: &str =
                "erase::freed_blocks::tests::glibc::a_setting_of_the_user_is_not_changed";
            if !is("tunable") {
                crate::tests::degraded::again_with(
                    NAME,
                    "tunable",
                    "GLIBC_TUNABLES",
                    "glibc.malloc.perturb=90",
                );
                return;
            }
            let guard = ErasedFrees::begin();
            assert_eq!(guard.erasure(), Erasure::SetByUser);
            drop(guard);
            let erased = left(std::thread::spawn(fill_and_free).join().unwrap());
            assert!(erased.iter().all(|left| *left <= 8), "{erased:?}");
        }
    }
}
