//! The status of a token source, for a status page, a health check or a log line.

use crate::error::Error;
use crate::token::source::{Counts, TokenSource};
use std::time::{Duration, SystemTime};

/// The present state of a token source.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The lifetime of the present token, and how much of it is left; `None` if there is no token
    /// that a call would get.
    pub lifetime: Option<(Duration, Duration)>,
    /// Whether a login is under way.
    pub logging_in: bool,
    /// The time until the next login may be made, after a failed login.
    pub held_for: Option<Duration>,
    /// The last login of this process.
    pub last_login: Option<LastLogin>,
    /// The error that calls without a token get.
    pub error: Option<Error>,
    /// The counts since the start.
    pub counts: Counts,
}

/// The end of a login.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LastLogin {
    /// The time at which the login ended.
    pub at: SystemTime,
    /// The status of the response that contained a token, or the error.
    pub result: Result<u16, Error>,
}

impl TokenSource {
    /// The present state, without any request to the vendor.
    ///
    /// ```
    /// # let (_vendor, acme) = bootseal_fixtures::account();
    /// assert!(acme.status().lifetime.is_none()); // no token was requested yet
    /// acme.token_blocking()?;
    /// let status = acme.status();
    /// let (lifetime, left) = status.lifetime.unwrap();
    /// assert!(left <= lifetime);
    /// assert_eq!(status.last_login.unwrap().result.unwrap(), 200);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn status(&self) -> Status {
        let core = &self.0;
        let locked = core.lock();
        let present = core.latest().filter(|entry| entry.number > locked.state.revoked());
        let lifetime = present.and_then(|entry| {
            let left = entry.lifetime.checked_sub(entry.age(&*core.clock))?;
            Some((entry.lifetime, left))
        });
        let last_login = locked.state.last_login().map(|end| LastLogin {
            at: SystemTime::UNIX_EPOCH + end.unix_time,
            result: end.result.clone(),
        });
        Status {
            lifetime,
            logging_in: locked.state.login().is_some(),
            held_for: locked.state.backoff_remaining(core.clock.monotonic()),
            last_login,
            error: locked.state.last_error().cloned(),
            counts: self.counts(),
        }
    }
}
