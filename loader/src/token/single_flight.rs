//! Who waits for the login that is under way? All of them are given its one result; async callers and blocking ones.

use crate::error::Result;
use crate::token::Token;
use crate::token::sync::{Condvar, Mutex, MutexGuard};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// One login, and all who wait for it.
#[derive(Default)]
pub(crate) struct Flight {
    air: Mutex<Air>,
    landed: Condvar,
}

#[derive(Default)]
struct Air {
    result: Option<Result<Token>>,
    /// One for each async caller, under its own number; who goes away takes its waker along.
    wakers: BTreeMap<u64, Waker>,
    last: u64,
}

impl Flight {
    fn air(&self) -> MutexGuard<'_, Air> {
        // What runs under the lock leaves nothing half done.
        self.air.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn result(&self) -> Option<Result<Token>> {
        self.air().result.clone()
    }

    /// The first result stands: a login that panics after it has landed changes nothing.
    pub(crate) fn land(&self, result: Result<Token>) {
        let mut air = self.air();
        air.result.get_or_insert(result);
        let wakers = std::mem::take(&mut air.wakers);
        drop(air);
        self.landed.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    pub(crate) async fn wait(self: &Arc<Flight>) -> Result<Token> {
        let mut caller = Caller { flight: self.clone(), number: 0 };
        std::future::poll_fn(move |cx| caller.poll(cx)).await
    }

    pub(crate) fn wait_blocking(&self) -> Result<Token> {
        let mut air = self.air();
        loop {
            if let Some(result) = &air.result {
                return result.clone();
            }
            air = self.landed.wait(air).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Caller {
    flight: Arc<Flight>,
    /// 0: has not asked yet.
    number: u64,
}

impl Caller {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Token>> {
        let mut air = self.flight.air();
        if let Some(result) = &air.result {
            return Poll::Ready(result.clone());
        }
        if self.number == 0 {
            air.last += 1;
            self.number = air.last;
        }
        air.wakers.insert(self.number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let waker = self.flight.air().wakers.remove(&self.number);
        // Outside of the lock: a waker may run what it likes when it is dropped.
        drop(waker);
    }
}
