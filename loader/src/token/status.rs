//! How does a token source stand? For a status page, a health check, a log line.

use crate::error::Error;
use crate::token::source::{Counts, TokenSource};
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

/// A token source as it is now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// How long the present token was given for, and how much of it is left; `None` where there is none that a call would get.
    pub lifetime: Option<(Duration, Duration)>,
    /// The next one is being fetched.
    pub logging_in: bool,
    /// How long no login is made, after one that failed.
    pub held_for: Option<Duration>,
    /// The last login, of this process.
    pub last_login: Option<LastLogin>,
    /// What calls are told that find no token.
    pub error: Option<Error>,
    /// What was counted since the start.
    pub counts: Counts,
}

/// How a login ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LastLogin {
    /// By the wall clock.
    pub at: SystemTime,
    /// The vendor's status with a token, or why there was none.
    pub said: Result<u16, Error>,
}

impl TokenSource {
    /// How it stands. Nothing is fetched for it.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// let acme = vault.token_source("acme")?;
    /// assert!(acme.status().lifetime.is_none()); // nobody has asked for a token yet
    /// acme.token_blocking()?;
    /// let status = acme.status();
    /// let (lifetime, left) = status.lifetime.unwrap();
    /// assert!(left <= lifetime);
    /// assert_eq!(status.last_login.unwrap().said.unwrap(), 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> Status {
        let core = &self.0;
        let state = core.lock();
        let present = core.cell.load_full().filter(|entry| entry.number > core.revoked.load(Ordering::Acquire));
        let lifetime = present.and_then(|entry| {
            let left = entry.lifetime.checked_sub(entry.age(&*core.clock))?;
            Some((entry.lifetime, left))
        });
        let last_login = state
            .last_login
            .as_ref()
            .map(|(unix_time, said)| LastLogin { at: SystemTime::UNIX_EPOCH + *unix_time, said: said.clone() });
        Status {
            lifetime,
            logging_in: state.flight.is_some(),
            held_for: state.gate.wait(core.clock.monotonic()),
            last_login,
            error: state.error.clone(),
            counts: self.counts(),
        }
    }
}
