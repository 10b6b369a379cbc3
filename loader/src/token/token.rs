//! The token: the secret, its deadlines, and the number that identifies the token in a rejection.

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

/// A token, as a cheap handle. `Debug` shows no part of its content, which [`Token::expose`] reads.
///
/// ```
/// # let (_vendor, acme) = bootseal_fixtures::account();
/// let token = acme.token_blocking()?;
/// assert!(format!("{token:?}").starts_with("Token(#1, ")); // a number and a fingerprint, for logs
/// assert!(token.expose(|bytes| bytes.is_ascii()));
/// # Ok::<(), bootseal::Error>(())
/// ```
#[derive(Clone)]
pub struct Token(pub(crate) Arc<Handle>);

/// One of an entry's reference counts, which has its own cache line. Each thread uses one of them,
/// so that cores that read the same token do not contend for one cache line.
#[repr(align(128))]
pub(crate) struct Handle(Arc<Entry>);

impl Deref for Handle {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0
    }
}

/// A token that callers get, with its reference counts.
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
        // A thread that is about to end no longer has a number.
        Token(self.handles[MINE.try_with(|mine| *mine).unwrap_or(0)].clone())
    }

    /// Whether a caller still has this token.
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

/// A token and its data.
pub(crate) struct Entry {
    /// The number of its source.
    pub(crate) source: u64,
    pub(crate) secret: Secret,
    /// Its number within the source, assigned when it is published; a greater number is newer.
    pub(crate) number: u64,
    /// The time at which its login, or the call whose response contained it, was sent.
    pub(crate) sent: Moment,
    /// The account that obtained it, which determines the token's hosts, renewal and logout.
    pub(crate) account: Arc<Account>,
    pub(crate) status: u16,
    pub(crate) lifetime: Duration,
    pub(crate) from: ExpiryFrom,
    pub(crate) deadlines: Deadlines,
    /// The clock's tick at which it was last found fresh.
    pub(crate) fresh_at_tick: AtomicU64,
    /// Whether a call was accepted with it.
    pub(crate) accepted: AtomicBool,
    /// Whether a call was rejected with it soon after its login.
    pub(crate) rejected_young: AtomicBool,
    pub(crate) rejected: AtomicBool,
    /// For a token whose lifetime is extended by use: the time from its login to the last accepted
    /// call, in milliseconds on the monotonic clock. Its deadlines move by this much.
    pub(crate) moved: Option<AtomicU64>,
    pub(crate) fingerprint: u64,
    /// The values that the login captured with it.
    pub(crate) captured: Values,
    /// The headers of a call, with the token filled in.
    pub(crate) headers: Vec<(HeaderName, Secret)>,
}

impl Entry {
    /// Its age, minus the time by which use extended its lifetime.
    pub(crate) fn age(&self, clock: &dyn Clock) -> Duration {
        let age = self.sent.age(clock);
        if age >= self.account.profile.max_age {
            // Use extends no lifetime beyond `max_age`.
            return age;
        }
        let moved = self.moved.as_ref().map_or(0, |moved| moved.load(Ordering::Relaxed));
        age.saturating_sub(Duration::from_millis(moved))
    }

    /// Whether the token needs no refresh yet. The clocks are read at most once per tick.
    pub(crate) fn is_fresh(&self, clock: &dyn Clock) -> bool {
        // The tick is read before the clocks, so the times are never older than the tick.
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

    /// Records that a call, sent at `sent` on the monotonic clock, was accepted with it.
    pub(crate) fn used(&self, sent: Duration) {
        // Written only once, so that the cache line that all callers read stays shared.
        if !self.accepted.load(Ordering::Relaxed) {
            self.accepted.store(true, Ordering::Relaxed);
        }
        if let Some(moved) = &self.moved {
            let monotonic = sent.saturating_sub(self.sent.monotonic);
            moved.fetch_max(
                u64::try_from(monotonic.as_millis()).unwrap_or(u64::MAX),
                Ordering::Relaxed,
            );
        }
    }
}

/// A number that distinguishes tokens in logs. It reveals nothing about them: each process has its
/// own random key.
pub(crate) fn fingerprint(secret: &Secret) -> u64 {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    secret.expose(|bytes| KEY.get_or_init(RandomState::new).hash_one(bytes))
}

impl Token {
    /// Lends the token's bytes to `read`, and returns the result of `read`.
    pub fn expose<R>(&self, read: impl FnOnce(&[u8]) -> R) -> R {
        self.0.secret.expose(read)
    }

    /// The lifetime of the token, counted from when its login was sent.
    pub fn lifetime(&self) -> Duration {
        self.0.lifetime
    }

    /// The status of the login's response.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// The claims of a JWT, as JSON text; `None` if the token is not a JWT. The claims are not
    /// verified, and cannot be used as a token, because they contain no signature.
    ///
    /// ```
    /// # let (_vendor, acme) = bootseal_fixtures::account();
    /// let claims = acme.token_blocking()?.claims().unwrap_or_default();
    /// assert!(claims.contains("\"exp\":"));
    /// # Ok::<(), bootseal::Error>(())
    /// ```
    pub fn claims(&self) -> Option<String> {
        let payload = self.expose(crate::login::parse::jwt::payload)?;
        payload.expose(|payload| String::from_utf8(payload.to_vec()).ok())
    }

    /// The source of its lifetime.
    pub fn expiry_from(&self) -> ExpiryFrom {
        self.0.from
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(#{}, {:016x})", self.0.number, self.0.fingerprint)
    }
}
