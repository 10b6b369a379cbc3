//! What time is it in a test? What the test says.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A clock that stands still until it is told to move. Clones are the same clock.
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
    /// Sleeps under way, each by its number: until when, and whom to wake.
    sleepers: BTreeMap<u64, (Duration, Waker)>,
    last_sleep: u64,
}

impl Default for State {
    fn default() -> State {
        // 2026-01-01T00:00:00Z, on a machine that is up for a day.
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
    /// A clock at 2026-01-01T00:00:00Z, on a machine that is up for a day.
    ///
    /// ```
    /// use bootseal::Clock as _;
    /// let clock = bootseal::testing::Clock::new();
    /// assert_eq!(clock.unix_time().as_secs(), 1_767_225_600);
    /// ```
    pub fn new() -> Clock {
        Clock::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass, on both clocks, and wakes the sleeps that are over by then.
    ///
    /// ```
    /// use bootseal::Clock as _;
    /// use std::time::Duration;
    ///
    /// let clock = bootseal::testing::Clock::new();
    /// let before = clock.unix_time();
    /// clock.advance(Duration::from_secs(3600));
    /// assert_eq!(clock.unix_time() - before, Duration::from_secs(3600));
    /// ```
    pub fn advance(&self, time: Duration) {
        let mut state = self.state();
        state.monotonic += time;
        state.unix_time += time;
        let now = state.monotonic;
        let due: Vec<Waker> =
            state.sleepers.values().filter(|(until, _)| *until <= now).map(|(_, waker)| waker.clone()).collect();
        drop(state);
        due.into_iter().for_each(Waker::wake);
    }

    /// Sets the wall clock alone, as an operator or a time server does.
    ///
    /// ```
    /// use bootseal::Clock as _;
    /// use std::time::Duration;
    ///
    /// let clock = bootseal::testing::Clock::new();
    /// let before = clock.monotonic();
    /// clock.set_unix_time(Duration::from_secs(1_900_000_000));
    /// assert_eq!((clock.unix_time().as_secs(), clock.monotonic()), (1_900_000_000, before));
    /// ```
    pub fn set_unix_time(&self, since_1970: Duration) {
        self.state().unix_time = since_1970;
    }

    /// What [`crate::Clock::jitter`] gives from now on; from 0 to 1, 0.5 at first.
    ///
    /// ```
    /// use bootseal::Clock as _;
    /// let clock = bootseal::testing::Clock::new();
    /// clock.set_jitter(1.0);
    /// assert_eq!(clock.jitter(), 1.0);
    /// ```
    pub fn set_jitter(&self, jitter: f64) {
        self.state().jitter = jitter;
    }

    /// Blocks until at least `count` sleeps are under way, so that a test can advance past them.
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

impl crate::Clock for Clock {
    fn monotonic(&self) -> Duration {
        self.state().monotonic
    }

    fn unix_time(&self) -> Duration {
        self.state().unix_time
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut state = self.state();
        state.last_sleep += 1;
        Box::pin(Sleep { clock: self.clone(), number: state.last_sleep, until: state.monotonic + time })
    }

    fn jitter(&self) -> f64 {
        self.state().jitter
    }
}

/// One sleep; whoever drops it sleeps no more.
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
