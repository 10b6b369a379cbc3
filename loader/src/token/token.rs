//! Token: the secret, the instants at which it expires, and the number by which it is rejected.

use crate::login::account::{Account, Values};
use crate::login::clock::{Clock, Moment};
use crate::login::expiry::{Deadlines, ExpiryFrom};
use crate::sync::{AtomicBool, AtomicU64, Ordering};
use bootseal_core::Secret;
use http::HeaderName;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// A token, as a cheap handle. It shows nothing of its content; [`Token::expose`] reads it.
///
/// ```
/// # let vendor = bootseal::testing::Vendor::start_plain()?;
/// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
/// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
/// # let acme = vault.token_source("acme")?;
/// let token = acme.token_blocking()?;
/// assert!(format!("{token:?}").starts_with("Token(#1, ")); // a number and a fingerprint, for logs
/// assert!(token.expose(|bytes| bytes.is_ascii()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Handle>);

/// One of an entry's reference counts, on a cache line of its own: each thread counts on one, so that cores that read the same token do not
/// pass one line to and fro.
#[repr(align(128))]
pub(crate) struct Handle(Arc<Entry>);

impl Deref for Handle {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

/// An entry that is given out.
pub(crate) struct Published {
    entry: Arc<Entry>,
    handles: [Arc<Handle>; HANDLES],
}

const HANDLES: usize = 8;

impl Published {
    pub(crate) fn new(entry: Entry) -> Published {
        let entry = Arc::new(entry);
        Published { handles: std::array::from_fn(|_| Arc::new(Handle(entry.clone()))), entry }
    }

    pub(crate) fn token(&self) -> Token {
        static THREADS: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        thread_local! {
            static MINE: usize = THREADS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % HANDLES;
        }
        // A thread that is about to end has no number any more.
        Token(self.handles[MINE.try_with(|mine| *mine).unwrap_or(0)].clone())
    }

    /// Whether anybody has a token of it.
    pub(crate) fn in_use(&self) -> bool {
        self.handles.iter().any(|handle| Arc::strong_count(handle) > 1)
    }
}

impl Deref for Published {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.entry
    }
}

pub(crate) struct Entry {
    /// Who published it.
    pub(crate) source: u64,
    pub(crate) secret: Secret,
    /// Given when it was published; a greater one is younger.
    pub(crate) number: u64,
    /// When its login was sent, or the call whose answer brought it.
    pub(crate) sent: Moment,
    /// With whom it was made: where it may go, how it is renewed and how it is ended.
    pub(crate) account: Arc<Account>,
    pub(crate) status: u16,
    pub(crate) lifetime: Duration,
    pub(crate) from: ExpiryFrom,
    pub(crate) deadlines: Deadlines,
    /// The clock's tick at which it was last found fresh.
    pub(crate) fresh_at_tick: AtomicU64,
    /// A call was answered with it.
    pub(crate) accepted: AtomicBool,
    /// A call was rejected with it soon after its login.
    pub(crate) rejected_young: AtomicBool,
    pub(crate) rejected: AtomicBool,
    /// Where each accepted call moves the deadline: how far it was moved, in milliseconds of boot time since the login was sent.
    pub(crate) moved: Option<AtomicU64>,
    pub(crate) fingerprint: u64,
    /// What came with it.
    pub(crate) captured: Values,
    /// What a call carries, the token in it.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
}

impl Entry {
    pub(crate) fn age(&self, clock: &dyn Clock) -> Duration {
        let age = self.sent.age(clock);
        if age >= self.account.profile.max_age {
            // No use moves the deadline beyond it.
            return age;
        }
        let moved = self.moved.as_ref().map_or(0, |moved| moved.load(Ordering::Relaxed));
        age.saturating_sub(Duration::from_millis(moved))
    }

    /// Whether it needs no refresh yet. The clocks are read at most once a tick.
    pub(crate) fn is_fresh(&self, clock: &dyn Clock) -> bool {
        // Read first: what the clocks say later is never of an earlier tick.
        let tick = clock.tick().unwrap_or(0);
        if tick != 0 && self.fresh_at_tick.load(Ordering::Relaxed) == tick {
            return true;
        }
        let fresh = self.age(clock) < self.deadlines.refresh_at;
        if fresh {
            self.fresh_at_tick.store(tick, Ordering::Relaxed);
        }
        fresh
    }

    /// A call that was sent at `sent`, a time since boot, was answered with it.
    pub(crate) fn used(&self, sent: Duration) {
        // Written once: the line that all callers read stays where it is.
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
        if let Some(moved) = &self.moved {
            let monotonic = sent.saturating_sub(self.sent.monotonic);
            moved.fetch_max(u64::try_from(monotonic.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }
}

/// A number for logs by which two tokens are told apart, and that says nothing of either: keyed anew in each process.
pub(crate) fn fingerprint(secret: &Secret) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    secret.expose(|bytes| KEY.get_or_init(RandomState::new).hash_one(bytes))
}

impl Token {
    /// Lends the token's bytes for the time of one call, and returns what it returns.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// let length = token.expose(|bytes| bytes.len());
    /// # assert!(length > 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.0.secret.expose(read)
    }

    /// How long it was good for when its login was sent.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// vendor.life(std::time::Duration::from_secs(600));
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// assert!((599..=601).contains(&token.lifetime().as_secs()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// The status of the login's answer.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// assert_eq!(token.status(), 200);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The claims of a JWT, as JSON text; `None` where it is none. They are what the vendor says, not checked, and without their
    /// signature no token.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// let claims = token.claims().unwrap_or_default();
    /// assert!(claims.contains("\"exp\":"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn claims(&self) -> Option<String> {
        let payload = self.expose(crate::login::parse::jwt::payload)?;
        payload.expose(|payload| String::from_utf8(payload.to_vec()).ok())
    }

    /// What told how long it lives.
    ///
    /// ```
    /// # let vendor = bootseal::testing::Vendor::start_plain()?;
    /// # let login = format!("[acme.login]\nurl = \"{}\"\nbasic = true\n", vendor.url("/login"));
    /// # let vault = bootseal::testing::vault([("acme.username", "quickstart"), ("acme.password", "open sesame")], &login)?;
    /// # let acme = vault.token_source("acme")?;
    /// let token = acme.token_blocking()?;
    /// assert_eq!(token.expiry_from().as_str(), "jwt");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn expiry_from(&self) -> ExpiryFrom {
        self.0.from
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(#{}, {:016x})", self.0.number, self.0.fingerprint)
    }
}
