//! What time is it? Time comes in as an argument, so that the rules of a token's life are tested without waiting.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// Time, and the chance by which many processes do not act in step.
///
/// The default is [`SystemClock`]; tests bring their own, which stands still until it is told to move.
pub trait Clock: Send + Sync + 'static {
    /// Time since some fixed instant, which goes on while the machine is suspended.
    fn boot(&self) -> Duration;

    /// Time since 1970-01-01 UTC; someone may set it.
    fn wall(&self) -> Duration;

    /// Ends after `time`. Polled on the thread of a login only, inside its runtime.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;

    /// A number from 0 to 1, drawn at random.
    fn draw(&self) -> f64;
}

/// The clocks of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn boot(&self) -> Duration {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    fn boot(&self) -> Duration {
        // May stand still while the machine is suspended; the wall clock, which the age of a token looks at too, does not.
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    fn wall(&self) -> Duration {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(time))
    }

    fn draw(&self) -> f64 {
        let mut bytes = [0; 4];
        // Chance only spreads load here; without it everything still works.
        let _ = getrandom::fill(&mut bytes);
        f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
    }
}
