//! A manual clock for tests, which stands still until the test advances it.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A clock that stands still until a test advances it. All clones share the same time.
///
/// ```
/// use bootseal::Clock as _;
/// use std::time::Duration;
///
/// let clock = bootseal::testing::Clock::new();
/// let before = clock.monotonic();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.monotonic() - before, Duration::from_secs(60));
/// ```
#[derive(Clone, Default)]
pub struct Clock(Arc<(Mutex<State>, Condvar)>);

struct State {
    monotonic: Duration,
    unix_time: Duration,
    jitter: f64,
    /// The running sleeps by their number, each with its end time and the task to wake.
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    last_sleep: u64,
}

impl Default for State {
    fn default() -> State {
        // 2026-01-01T00:00:00Z, on a machine that has been up for a day.
        State {
            monotonic: Duration::from_secs(86_400),
            unix_time: Duration::from_secs(1_767_225_600),
            jitter: 0.5,
            sleepers: BTreeMap::new(),
            last_sleep: 0,
        }
    }
}

impl Clock {
    /// A clock at 2026-01-01T00:00:00Z, on a machine that has been up for a day.
    pub fn new() -> Clock {
        Clock::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Advances both clocks, and wakes the sleeps that end by then.
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.monotonic += time;
        state.unix_time += time;
        let now = state.monotonic;
        let due: Vec<Waker> = state
            .sleepers
            .values()
            .filter(|(until, _)| *until <= now)
            .map(|(_, waker)| waker.clone())
            .collect();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets only Unix time, as an operator or a time server does.
    pub fn set_unix_time(&self, since_1970: Duration) {
        self.state().unix_time = since_1970;
    }

    /// Sets the value of [`crate::Clock::jitter`], from 0 to 1. The default is 0.5.
    pub fn set_jitter(&self, jitter: f64) {
        self.state().jitter = jitter;
    }

    /// Blocks until at least `count` sleeps are running, so that a test can advance past them.
    ///
    /// ```
    /// use bootseal::Clock as _;
    /// use std::time::Duration;
    ///
    /// let clock = bootseal::testing::Clock::new();
    /// let sleep = clock.sleep(Duration::from_secs(60));
    /// let thread = std::thread::spawn(|| tokio::runtime::Runtime::new().unwrap().block_on(sleep));
    /// clock.wait_for_sleepers(1);
    /// clock.advance(Duration::from_secs(60));
    /// thread.join().unwrap();
    /// ```
    pub fn wait_for_sleepers(&self, count: usize) {
        let mut state = self.state();
        while state.sleepers.len() < count {
            state = self.0.1.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl crate::login::clock::Clock for Clock {
    fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    fn unix_time(&self) -> Duration {
        self.state().unix_time
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.state();
        state.last_sleep += 1;
        Box::pin(Sleep {
            clock: self.clone(),
            number: state.last_sleep,
            until: state.monotonic + time,
        })
    }

    fn jitter(&self) -> f64 {
        self.state().jitter
    }
}

/// One sleep. Dropping it removes it from the clock.
struct Sleep {
    clock: Clock,
    number: u64,
    until: Duration,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.state();
        if state.monotonic >= self.until {
            return Poll::Ready(());
        }
        state.sleepers.insert(self.number, (self.until, cx.waker().clone()));
        self.clock.0.1.notify_all();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.clock.state().sleepers.remove(&self.number);
    }
}
