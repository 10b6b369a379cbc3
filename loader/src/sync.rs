//! Locks, atomics, cells and threads that callers and a login share.
//!
//! Under `--cfg bootseal_model`, the types come from the model checker (shuttle), which decides at
//! each operation which thread runs next.

#[cfg(not(bootseal_model))]
pub(crate) use {
    arc_swap::{ArcSwap, ArcSwapOption},
    std::sync::atomic::{AtomicBool, AtomicU64, Ordering},
    std::sync::{Condvar, Mutex, MutexGuard},
    std::thread::Builder as Thread,
};

#[cfg(bootseal_model)]
pub(crate) use {
    modelled::{ArcSwap, ArcSwapOption},
    shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering},
    shuttle::sync::{Condvar, Mutex, MutexGuard},
    shuttle::thread::Builder as Thread,
};

/// Runs `work` on its own thread, waits until the thread ends, and overwrites the memory that
/// libraries freed on that thread. If no thread can be started, `work` is dropped.
#[cfg(not(bootseal_model))]
pub(crate) fn run_and_erase(work: impl FnOnce() + Send) {
    let work = || {
        work();
        bootseal_memory::scrub_registers();
        bootseal_memory::scrub_stack();
    };
    if let Err(error) = bootseal_memory::with_erased_frees(work) {
        tracing::warn!(target: "bootseal", %error, "cannot start a thread for a login");
    }
}

#[cfg(bootseal_model)]
pub(crate) fn run_and_erase(work: impl FnOnce() + Send) {
    work();
}

/// Runs one future at a time, on the calling thread.
pub(crate) struct Runtime(#[cfg(not(bootseal_model))] tokio::runtime::Runtime);

#[cfg(not(bootseal_model))]
impl Runtime {
    pub(crate) fn new() -> std::io::Result<Runtime> {
        tokio::runtime::Builder::new_current_thread().enable_all().build().map(Runtime)
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        self.0.block_on(work)
    }

    /// Shuts down without waiting for a name lookup that hangs on another thread.
    pub(crate) fn end(self) {
        self.0.shutdown_background();
    }
}

#[cfg(bootseal_model)]
impl Runtime {
    pub(crate) fn new() -> std::io::Result<Runtime> {
        Ok(Runtime())
    }

    pub(crate) fn block_on<T>(&self, work: impl Future<Output = T>) -> T {
        shuttle::future::block_on(work)
    }

    pub(crate) fn end(self) {}
}

/// The part of `arc_swap`'s cells that is used here, built from a lock that the checker controls.
#[cfg(bootseal_model)]
mod modelled {
    use shuttle::sync::Mutex;
    use std::sync::{Arc, PoisonError};

    pub(crate) struct Cell<T>(Mutex<T>);
    pub(crate) type ArcSwap<T> = Cell<Arc<T>>;
    pub(crate) type ArcSwapOption<T> = Cell<Option<Arc<T>>>;

    impl<T: Clone> Cell<T> {
        pub(crate) fn load(&self) -> T {
            self.load_full()
        }

        pub(crate) fn load_full(&self) -> T {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        pub(crate) fn store(&self, value: T) {
            let old = std::mem::replace(
                &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner),
                value,
            );
            drop(old);
        }
    }

    impl<T> Cell<Arc<T>> {
        pub(crate) fn from_pointee(value: T) -> Cell<Arc<T>> {
            Cell(Mutex::new(Arc::new(value)))
        }
    }

    impl<T> Cell<Option<Arc<T>>> {
        pub(crate) fn empty() -> Cell<Option<Arc<T>>> {
            Cell(Mutex::new(None))
        }
    }
}
