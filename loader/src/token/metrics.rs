//! The metrics of the token source, for the recorder that the application installed.
//!
//! They need the feature `metrics`.
//!
//! Each metric has the label `profile`. docs/token-source.md lists their names and meanings.

#[cfg(feature = "metrics")]
macro_rules! emit {
    ($kind:ident, $name:literal, $table:expr $(, $label:literal => $value:expr)*; $act:ident($amount:expr)) => {
        ::metrics::$kind!(concat!("bootseal_", $name), "profile" => $table.to_string() $(, $label => $value)*).$act($amount)
    };
}
#[cfg(not(feature = "metrics"))]
macro_rules! emit {
    ($kind:ident, $name:literal, $table:expr $(, $label:literal => $value:expr)*; $act:ident($amount:expr)) => {{
        let _ = (&$table, $(&$value,)* &$amount);
    }};
}

use bootseal_core::PropertyPath;
use std::time::Duration;

/// A login ended; `class` is `ok` or the kind of its error.
pub(crate) fn login(table: &PropertyPath, class: &'static str, took: Duration) {
    emit!(counter, "login_total", table, "class" => class; increment(1));
    emit!(histogram, "login_seconds", table; record(took.as_secs_f64()));
}

/// A token was published; `before` is the age of the one that it replaces.
pub(crate) fn token(
    table: &PropertyPath,
    lifetime: Duration,
    before: Option<Duration>,
    clock_skew: Option<f64>,
) {
    emit!(gauge, "expires_in_seconds", table; set(lifetime.as_secs_f64()));
    if let Some(age) = before {
        emit!(histogram, "token_age_seconds", table; record(age.as_secs_f64()));
    }
    if let Some(skew) = clock_skew {
        emit!(gauge, "clock_skew_seconds", table; set(skew));
    }
}

/// 0 open, 1 backoff, 2 refused.
pub(crate) fn backoff(table: &PropertyPath, state: u32) {
    emit!(gauge, "gate", table; set(f64::from(state)));
}

/// Whether the value of `next` is in use.
pub(crate) fn next_in_use(table: &PropertyPath, is: bool) {
    emit!(gauge, "next_in_use", table; set(f64::from(u8::from(is))));
}

pub(crate) fn served_stale(table: &PropertyPath) {
    emit!(counter, "served_stale_total", table; increment(1));
}

/// `why` is `revoked` if the token had worked, and `fresh` if it never had.
pub(crate) fn rejected(table: &PropertyPath, why: &'static str) {
    emit!(counter, "rejected_total", table, "why" => why; increment(1));
}

/// `result` is `ok` or `rejected`.
pub(crate) fn replay(table: &PropertyPath, result: &'static str) {
    emit!(counter, "replays_total", table, "result" => result; increment(1));
}

/// A caller that waits for a login; counted until this is dropped.
pub(crate) struct Waiter(PropertyPath);

impl Waiter {
    pub(crate) fn new(table: PropertyPath) -> Waiter {
        emit!(gauge, "waiters", &table; increment(1.0));
        Waiter(table)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        emit!(gauge, "waiters", &self.0; decrement(1.0));
    }
}
