//! Single flight: one login for all callers that need a token. All of them get its result.

use crate::error::Result;
use crate::sync::{Condvar, Mutex, MutexGuard};
use crate::token::token::Token;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

/// One login, and the async and blocking callers that wait for it.
#[derive(Default)]
pub(crate) struct SingleFlight {
    inner: Mutex<Inner>,
    finished: Condvar,
}

#[derive(Default)]
struct Inner {
    result: Option<Result<Token>>,
    /// The waker of each async caller, by the number of the caller; a cancelled caller removes its
    /// waker.
    wakers: BTreeMap<u64, Waker>,
    last_caller: u64,
}

/// Two flights are equal if they are the same login.
impl PartialEq for SingleFlight {
    fn eq(&self, other: &SingleFlight) -> bool {
        std::ptr::eq(self, other)
    }
}

impl std::fmt::Debug for SingleFlight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SingleFlight")
    }
}

impl SingleFlight {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // No code under the lock leaves the state inconsistent.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn result(&self) -> Option<Result<Token>> {
        self.lock().result.clone()
    }

    /// Delivers `result` to all waiting callers. Only the first result counts, so a login that
    /// panics after it has finished changes nothing.
    pub(crate) fn finish(&self, result: Result<Token>) {
        let mut inner = self.lock();
        inner.result.get_or_insert(result);
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        self.finished.notify_all();
        wakers.into_values().for_each(Waker::wake);
    }

    pub(crate) async fn wait(self: &Arc<SingleFlight>) -> Result<Token> {
        let mut caller = Caller { flight: self.clone(), number: 0 };
        std::future::poll_fn(move |cx| caller.poll(cx)).await
    }

    pub(crate) fn wait_blocking(&self) -> Result<Token> {
        let mut inner = self.lock();
        loop {
            if let Some(result) = &inner.result {
                return result.clone();
            }
            inner = self.finished.wait(inner).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

struct Caller {
    flight: Arc<SingleFlight>,
    /// 0 until the first poll.
    number: u64,
}

impl Caller {
    fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Token>> {
        let mut inner = self.flight.lock();
        if let Some(result) = &inner.result {
            return Poll::Ready(result.clone());
        }
        if self.number == 0 {
            inner.last_caller += 1;
            self.number = inner.last_caller;
        }
        inner.wakers.insert(self.number, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let waker = self.flight.lock().wakers.remove(&self.number);
        // The wakers are dropped after the lock has been released, because dropping a waker may run
        // any code.
        drop(waker);
    }
}
