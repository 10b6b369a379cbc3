//! The clock: a trait for time and jitter.
//!
//! Tests use a manual clock, so that no test has to wait.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// The time, and the jitter that prevents many processes from acting at the same moment.
///
/// The default is [`SystemClock`]. Tests use a clock that stands still until they advance it.
///
/// ```
/// # let (vendor, vault) = bootseal_fixtures::vendor();
/// use std::{sync::Arc, time::Duration};
/// let clock = bootseal::testing::Clock::new(); // stands still
/// let acme = vault.token_source_with("acme", Arc::new(clock.clone()), Arc::new(bootseal::HttpTransport))?;
/// acme.token_blocking()?;
/// clock.advance(Duration::from_secs(60));
/// acme.token_blocking()?; // still valid
/// assert_eq!(vendor.logins(), 1);
/// # Ok::<(), bootseal::Error>(())
/// ```
pub trait Clock: Send + Sync + 'static {
    /// The time since a fixed instant. It also advances while the machine is suspended.
    fn monotonic(&self) -> Duration;

    /// The time since 1970-01-01 UTC. An administrator may change it.
    fn unix_time(&self) -> Duration;

    /// A counter that is cheap to read. The counter changes every few milliseconds, after the
    /// machine was suspended, and when the wall clock is set. While the counter is unchanged,
    /// [`Clock::monotonic`] and [`Clock::unix_time`] need not be read again. If this is `None`, the
    /// default, the clocks are read each time.
    fn tick(&self) -> Option<u64> {
        None
    }

    /// Completes after `time`. The future is polled only on threads of this crate, inside a tokio
    /// runtime.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// A random number from 0 to 1.
    fn jitter(&self) -> f64;
}

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) monotonic: Duration,
    pub(crate) unix_time: Duration,
}

impl Moment {
    pub(crate) fn now(clock: &dyn Clock) -> Moment {
        Moment { monotonic: clock.monotonic(), unix_time: clock.unix_time() }
    }

    /// The time since this moment, according to the clock that has advanced more. This covers a
    /// suspended machine, a paused virtual machine, and a wall clock that was set forward or back.
    pub(crate) fn age(self, clock: &dyn Clock) -> Duration {
        clock
            .monotonic()
            .saturating_sub(self.monotonic)
            .max(clock.unix_time().saturating_sub(self.unix_time))
    }
}

/// The clocks of the operating system. [`Secrets::token_source`](crate::Secrets::token_source) uses
/// them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn monotonic(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(
            u64::try_from(time.tv_sec).unwrap_or(0),
            u32::try_from(time.tv_nsec).unwrap_or(0),
        )
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn monotonic(&self) -> Duration {
        // This clock may stop while the machine is suspended; the age of a token also uses the wall
        // clock, which does not stop.
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    fn unix_time(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn tick(&self) -> Option<u64> {
        // The tick of the wall clock, which continues while the machine is suspended.
        let time = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        u64::try_from(time.tv_sec)
            .ok()?
            .checked_mul(1_000_000_000)?
            .checked_add(u64::try_from(time.tv_nsec).ok()?)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }

    fn jitter(&self) -> f64 {
        let mut bytes = [0; 4];
        // The jitter only spreads load, so a failure here is ignored.
        let _ = getrandom::fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}
