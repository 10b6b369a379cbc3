//! The core of a token source: the account, the published token, and the token's state behind one
//! lock.
//!
//! Callers that find a fresh token take no lock: they read three cells, `cell`, `present_id` and
//! `revoked`. Every change of the state happens under the lock, and [`StateGuard`] updates
//! `revoked` and `guard_may_hold` before it releases the lock.

use crate::login::account::Account;
use crate::login::clock::{Clock, Moment};
use crate::login::expiry::Deadlines;
use crate::login::outcome::Fresh;
use crate::login::transport::Transport;
use crate::sync::{ArcSwap, ArcSwapOption, AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering};
use crate::token::login_history::LoginHistory;
use crate::token::single_flight::SingleFlight;
use crate::token::state::{TokenId, TokenState};
use crate::token::thread_cache;
use crate::token::token::{Entry, Published, Token, fingerprint};
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, PoisonError};

pub(crate) struct Core {
    /// The number of the source within the process.
    pub(crate) id: u64,
    /// Replaced when the file changes.
    pub(crate) account: ArcSwap<Account>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    cell: ArcSwapOption<Published>,
    /// The number of the token in `cell`; 0 if there is none.
    present_id: AtomicU64,
    /// A copy of [`TokenState::revoked`] that is readable without the lock.
    revoked: AtomicU64,
    /// A copy of [`TokenState::guard_may_hold`] that is readable without the lock.
    guard_may_hold: AtomicBool,
    /// The lock is never held during a wait.
    locked: Mutex<Locked>,
    /// The period of the last one-time code that was sent; 0 if none was.
    pub(crate) last_code: AtomicU64,
    pub(crate) counts: Counters,
}

/// The data that the lock protects.
pub(crate) struct Locked {
    pub(crate) state: TokenState<Arc<SingleFlight>>,
    /// The history of the logins, which outlives the process.
    pub(crate) history: Option<LoginHistory>,
}

/// The lock on the state. On drop, it updates the copies that callers read without the lock, and
/// then releases the lock.
pub(crate) struct StateGuard<'a> {
    core: &'a Core,
    locked: MutexGuard<'a, Locked>,
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) logins: AtomicU64,
    pub(crate) refreshes: AtomicU64,
    pub(crate) rejections: AtomicU64,
    pub(crate) replays: AtomicU64,
}

impl Deref for StateGuard<'_> {
    type Target = Locked;

    fn deref(&self) -> &Locked {
        &self.locked
    }
}

impl DerefMut for StateGuard<'_> {
    fn deref_mut(&mut self) -> &mut Locked {
        &mut self.locked
    }
}

impl Drop for StateGuard<'_> {
    fn drop(&mut self) {
        self.core.revoked.store(self.locked.state.revoked(), Ordering::Release);
        self.core.guard_may_hold.store(self.locked.state.guard_may_hold(), Ordering::Relaxed);
    }
}

impl Core {
    pub(crate) fn new(
        account: Account,
        clock: Arc<dyn Clock>,
        transport: Arc<dyn Transport>,
        locked: Locked,
        last_code: u64,
    ) -> Core {
        // This is not an atomic of the model checker, because the number must differ between its
        // runs.
        static SOURCES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        Core {
            id: SOURCES.fetch_add(1, std::sync::atomic::Ordering::Relaxed),
            account: ArcSwap::from_pointee(account),
            clock,
            transport,
            cell: ArcSwapOption::empty(),
            present_id: AtomicU64::new(0),
            revoked: AtomicU64::new(0),
            guard_may_hold: AtomicBool::new(false),
            locked: Mutex::new(locked),
            last_code: AtomicU64::new(last_code),
            counts: Counters::default(),
        }
    }

    pub(crate) fn lock(&self) -> StateGuard<'_> {
        // No code under the lock panics or leaves the state inconsistent.
        StateGuard {
            core: self,
            locked: self.locked.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// The token, if it needs no refresh yet. This needs no lock, allocation or system call.
    pub(crate) fn fresh(&self) -> Option<Token> {
        let token = match thread_cache::recall(self.id, self.present_id.load(Ordering::Acquire)) {
            Some(token) => token,
            None => {
                let token = self.cell.load().as_ref()?.token();
                thread_cache::remember(&token);
                token
            }
        };
        (!self.is_revoked(token.0.number) && token.0.is_fresh(&*self.clock)).then_some(token)
    }

    /// The token that was published last; it may be expired or revoked.
    pub(crate) fn latest(&self) -> Option<Arc<Published>> {
        self.cell.load_full()
    }

    /// The token, if it may still be sent.
    pub(crate) fn good(&self) -> Option<Arc<Published>> {
        let entry = self.cell.load();
        let entry = entry.as_ref()?;
        (!self.is_revoked(entry.number) && entry.age(&*self.clock) < entry.deadlines.hard_at)
            .then(|| entry.clone())
    }

    /// Whether the token of this number must not be sent any more. If the caller does not hold the
    /// lock, the token may be revoked at any moment.
    pub(crate) fn is_revoked(&self, id: TokenId) -> bool {
        id <= self.revoked.load(Ordering::Acquire)
    }

    pub(crate) fn guard_may_hold(&self) -> bool {
        self.guard_may_hold.load(Ordering::Relaxed)
    }

    pub(crate) fn table(&self) -> bootseal_core::PropertyPath {
        self.account.load().profile.table.clone()
    }

    /// A token and its data. Its number is 0 until [`Core::publish`] sets it.
    pub(crate) fn entry(&self, account: &Arc<Account>, fresh: Fresh, sent: Moment) -> Entry {
        let (profile, lifetime) = (&account.profile, fresh.lifetime);
        let age = sent.age(&*self.clock);
        Entry {
            source: self.id,
            number: 0,
            account: account.clone(),
            fingerprint: fingerprint(&fresh.secret),
            headers: fresh.headers,
            captured: fresh.captured,
            secret: fresh.secret,
            status: fresh.status,
            sent,
            lifetime: lifetime.lifetime,
            from: lifetime.from,
            deadlines: Deadlines::of(profile, &lifetime, self.clock.jitter()).kept(&lifetime, age),
            fresh_at_tick: AtomicU64::new(0),
            accepted: AtomicBool::new(false),
            rejected_young: AtomicBool::new(false),
            rejected: AtomicBool::new(false),
            moved: profile.idle.then(|| AtomicU64::new(0)),
        }
    }

    /// Publishes `entry` under the number that the state assigned, so that callers get this token
    /// from now on.
    pub(crate) fn publish(&self, _lock: &StateGuard<'_>, entry: Entry, id: TokenId) -> Token {
        let entry = Arc::new(Published::new(Entry { number: id, ..entry }));
        // The token is stored before its number, so that a caller that reads the new number finds
        // the token that belongs to it.
        self.cell.store(Some(entry.clone()));
        self.present_id.store(id, Ordering::Release);
        entry.token()
    }

    /// Removes the token, after the state has decided so. Returns it if it could still be sent.
    pub(crate) fn withdraw(&self, _lock: &StateGuard<'_>) -> Option<Arc<Published>> {
        let entry = self.good();
        self.cell.store(None);
        self.present_id.store(0, Ordering::Release);
        entry
    }

    /// Saves the outcome of the last login, if there is a state folder. The lock is released first,
    /// because the folder may be slow.
    pub(crate) fn save_history(&self) {
        let locked = self.lock();
        let Some(history) = locked.history.clone() else { return };
        let backoff = locked.state.saved_backoff(self.clock.monotonic());
        drop(locked);
        history.login_ended(backoff, self.account.load().slot(), self.clock.unix_time());
    }
}
