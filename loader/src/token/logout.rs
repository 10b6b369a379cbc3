//! The logout: ends a token at its vendor, with the account that obtained the token.

use crate::error::{Error, Result};
use crate::login::request;
use crate::sync::{Ordering, Runtime, Thread};
use crate::token::core::Core;
use crate::token::single_flight::SingleFlight;
use crate::token::source::TokenSource;
use crate::token::token::{Entry, Published};
use bootseal_core::Kind;
use std::sync::Arc;
use std::time::Duration;

/// The number of seconds after which a replaced token is logged out even if calls still use it.
const GRACE: u32 = 60;

impl TokenSource {
    /// Ends the token and, if the profile has a `logout`, logs out at the vendor. It is meant for
    /// the end of a program, and waits for a running login. The next call logs in again.
    ///
    /// # Errors
    /// [`Kind::LoginDown`] or [`Kind::LoginProtocol`] if the vendor did not end the token;
    /// [`Kind::Io`] if no thread can be started. The token is dropped anyway.
    ///
    /// ```
    /// async fn at_the_end(acme: bootseal::TokenSource) {
    ///     if let Err(error) = acme.log_out().await {
    ///         eprintln!("{error}"); // the program ends anyway
    ///     }
    /// }
    /// ```
    pub async fn log_out(&self) -> Result<()> {
        // The token of a running login is ended too.
        let under_way = self.0.lock().state.login();
        if let Some(flight) = under_way {
            let _ = flight.wait().await;
        }
        let Some(entry) = self.take_token() else { return Ok(()) };
        let (flight, core) = (Arc::new(SingleFlight::default()), self.0.clone());
        let ours = flight.clone();
        let thread = Thread::new().name("bootseal-logout".into()).spawn(move || {
            ours.finish(core.end(&entry).map(|()| entry.token()));
        });
        thread.map_err(|error| {
            Error::new(Kind::Io, format!("cannot start a thread for the logout: {error}"))
        })?;
        flight.wait().await.map(drop)
    }

    /// Like [`TokenSource::log_out`], for callers that are not async.
    ///
    /// # Errors
    /// As [`TokenSource::log_out`].
    ///
    /// ```
    /// # let (vendor, acme) = bootseal_fixtures::account();
    /// acme.token_blocking()?;
    /// acme.log_out_blocking()?;
    /// acme.token_blocking()?; // logs in again
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn log_out_blocking(&self) -> Result<()> {
        let under_way = self.0.lock().state.login();
        if let Some(flight) = under_way {
            let _ = flight.wait_blocking();
        }
        let Some(entry) = self.take_token() else { return Ok(()) };
        let core = self.0.clone();
        let ended = Thread::new().name("bootseal-logout".into()).spawn(move || core.end(&entry));
        let ended = ended.map_err(|error| {
            Error::new(Kind::Io, format!("cannot start a thread for the logout: {error}"))
        })?;
        ended.join().unwrap_or_else(|_| {
            Err(Error::new(Kind::LoginDown, "the logout stopped because of an internal error"))
        })
    }

    fn take_token(&self) -> Option<Arc<Published>> {
        let mut locked = self.0.lock();
        let entry = self.0.withdraw(&locked);
        locked.state.withdraw();
        entry
    }
}

impl Core {
    /// Ends a token at the vendor, on its own runtime.
    pub(crate) fn end(&self, entry: &Entry) -> Result<()> {
        if entry.account.profile.logout.is_none() {
            return Ok(());
        }
        let runtime = Runtime::new().map_err(|error| {
            Error::new(Kind::Io, format!("cannot start an async runtime for the logout: {error}"))
        })?;
        let ended = runtime.block_on(self.send_logout(entry));
        runtime.end();
        ended
    }

    /// Ends a token that was replaced, as soon as no call uses it or after [`GRACE`] seconds.
    pub(crate) fn end_unused(&self, old: &Published) {
        let rejected = old.rejected.load(Ordering::Relaxed);
        if old.account.profile.logout.is_none()
            || rejected
            || old.age(&*self.clock) >= old.deadlines.hard_at
        {
            return;
        }
        if let Ok(runtime) = Runtime::new() {
            runtime.block_on(async {
                for _ in 0..GRACE {
                    if !old.in_use() {
                        break;
                    }
                    self.clock.sleep(Duration::from_secs(1)).await;
                }
            });
        }
        // A refused logout was logged.
        let _ = self.end(old);
    }

    /// Like [`Core::end_unused`], on its own thread. If no thread can be started, the token stays
    /// valid until it expires.
    pub(crate) fn end_behind(self: &Arc<Core>, old: Arc<Published>) {
        if old.account.profile.logout.is_some() {
            let core = self.clone();
            let _ =
                Thread::new().name("bootseal-logout".into()).spawn(move || core.end_unused(&old));
        }
    }

    pub(crate) async fn send_logout(&self, entry: &Entry) -> Result<()> {
        let profile = &entry.account.profile;
        let Some(call) = &profile.logout else { return Ok(()) };
        let mut values = entry.account.values.clone();
        values.extend(entry.captured.clone());
        values.insert("token".into(), entry.secret.clone());
        let request = request::logout(profile, call, &values, &entry.headers)?;
        let response = self.transport.send(request).await;
        let origin = call.url.base().origin().ascii_serialization();
        match response {
            // A session that no longer exists counts as ended.
            Ok(response) if response.status < 400 || [401, 404, 410].contains(&response.status) => {
                Ok(())
            }
            Ok(response) => {
                let text =
                    format!("logout of `{}`: {origin} answered {}", profile.table, response.status);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginProtocol, text).with_status(Some(response.status)))
            }
            Err(_) => {
                let text = format!("logout of `{}`: {origin} gave no response", profile.table);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginDown, text))
            }
        }
    }
}
