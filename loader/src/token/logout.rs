//! How does a token end? At its vendor, where the profile says how, with the account that it was made with.

use crate::error::{Error, Result};
use crate::login::procedure;
use crate::token::single_flight::Flight;
use crate::token::source::{Core, TokenSource};
use crate::token::sync::{Ordering, Runtime, Thread};
use crate::token::{Entry, Published};
use bootseal_core::Kind;
use std::sync::Arc;
use std::time::Duration;

/// So many seconds a token that is given out no more is left to the calls that are under way with it, before it is logged out.
const GRACE: u32 = 60;

impl TokenSource {
    /// Ends the token, at the vendor too where the profile has a `logout`. The next call logs in anew. A login that is under way is waited for.
    /// For the end of a program.
    ///
    /// # Errors
    /// [`Kind::LoginDown`], [`Kind::LoginProtocol`] where the vendor did not do it; the token is dropped all the same.
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// # tokio::runtime::Runtime::new()?.block_on(async {
    /// acme.token().await?;
    /// acme.log_out().await?;
    /// acme.token().await?; // logs in again
    /// assert_eq!(vendor.logins(), 2);
    /// # Ok::<(), bootseal::Error>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn log_out(&self) -> Result<()> {
        // The token of a login that is under way is ended too.
        let under_way = self.0.lock().flight.clone();
        if let Some(flight) = under_way {
            let _ = flight.wait().await;
        }
        let Some(entry) = self.take_token() else { return Ok(()) };
        let (flight, core) = (Arc::new(Flight::default()), self.0.clone());
        let ours = flight.clone();
        let thread = Thread::new().name("bootseal-logout".into()).spawn(move || {
            ours.land(core.end(&entry).map(|()| entry.token()));
        });
        thread.map_err(|error| Error::new(Kind::Io, format!("no thread for the logout: {error}")))?;
        flight.wait().await.map(drop)
    }

    /// The same for callers that are not async.
    ///
    /// # Errors
    /// As [`TokenSource::log_out`].
    ///
    /// ```
    /// # let vendor = bootseal_vendor_sim::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// acme.token_blocking()?;
    /// acme.log_out_blocking()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn log_out_blocking(&self) -> Result<()> {
        let under_way = self.0.lock().flight.clone();
        if let Some(flight) = under_way {
            let _ = flight.wait_blocking();
        }
        let Some(entry) = self.take_token() else { return Ok(()) };
        let core = self.0.clone();
        let ended = Thread::new().name("bootseal-logout".into()).spawn(move || core.end(&entry));
        let ended = ended.map_err(|error| Error::new(Kind::Io, format!("no thread for the logout: {error}")))?;
        ended.join().unwrap_or_else(|_| Err(Error::new(Kind::LoginDown, "the logout stopped inside the program")))
    }

    fn take_token(&self) -> Option<Arc<Published>> {
        self.0.take(&mut self.0.lock())
    }
}

impl Core {
    /// Ends a token at the vendor, on a runtime of its own.
    pub(crate) fn end(&self, entry: &Entry) -> Result<()> {
        if entry.account.profile.logout.is_none() {
            return Ok(());
        }
        let runtime =
            Runtime::new().map_err(|error| Error::new(Kind::Io, format!("no runtime for the logout: {error}")))?;
        let ended = runtime.block_on(self.send_logout(entry));
        runtime.end();
        ended
    }

    /// Ends a token that is given out no more, when no call has it any more.
    pub(crate) fn end_unused(&self, old: &Published) {
        let rejected = old.rejected.load(Ordering::Relaxed);
        if old.account.profile.logout.is_none() || rejected || old.age(&*self.clock) >= old.deadlines.hard_at {
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
        // What came of it is in the log.
        let _ = self.end(old);
    }

    /// The same on a thread of its own. Where there is none, the token lives until it runs out.
    pub(crate) fn end_behind(self: &Arc<Core>, old: Arc<Published>) {
        if old.account.profile.logout.is_some() {
            let core = self.clone();
            let _ = Thread::new().name("bootseal-logout".into()).spawn(move || core.end_unused(&old));
        }
    }

    pub(crate) async fn send_logout(&self, entry: &Entry) -> Result<()> {
        let profile = &entry.account.profile;
        let Some(call) = &profile.logout else { return Ok(()) };
        let request = procedure::logout(call, entry)?;
        let response = self.transport.send(request).await;
        let origin = call.url.base().origin().ascii_serialization();
        match response {
            // What is gone already is what was asked for.
            Ok(response) if response.status < 400 || [401, 404, 410].contains(&response.status) => Ok(()),
            Ok(response) => {
                let text = format!("logout of `{}`: {origin} answered {}", profile.table, response.status);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginProtocol, text).with_status(Some(response.status)))
            }
            Err(_) => {
                let text = format!("logout of `{}`: {origin} gave no answer", profile.table);
                tracing::warn!(target: "bootseal", "{text}");
                Err(Error::new(Kind::LoginDown, text))
            }
        }
    }
}
