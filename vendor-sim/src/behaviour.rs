//! The behaviour that an imitated vendor is asked for, and its report of each request.

use std::sync::Arc;
use std::time::Duration;

/// How an [`Imitation`] behaves.
///
/// ```
/// use bootseal_vendor_sim::Behaviour;
/// use std::time::Duration;
/// let moody = Behaviour { revoke_every: Some(Duration::from_secs(30)), ..Behaviour::default() };
/// assert!(!moody.refuse && !moody.down);
/// ```
#[derive(Clone, Default)]
pub struct Behaviour {
    /// How long tokens live; `None`: what the profile says, else 15 minutes.
    pub lifetime: Option<Duration>,
    /// All tokens given out so far are no longer good each time so much has passed.
    pub revoke_every: Option<Duration>,
    /// Logins are refused; tokens stay good.
    pub refuse: bool,
    /// Everything is answered 503.
    pub down: bool,
    /// Every answer waits.
    pub slow: Duration,
    /// Told of each request that was answered.
    pub listener: Option<Arc<dyn Fn(Served) + Send + Sync>>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Behaviour { lifetime, revoke_every, refuse, down, slow, listener: _ } = self;
        write!(f, "Behaviour {{ {lifetime:?}, {revoke_every:?}, refuse: {refuse}, down: {down}, slow: {slow:?} }}")
    }
}

/// A request that was answered, with nothing in it that could be a secret.
///
/// ```
/// use bootseal_vendor_sim::Served;
/// fn line(served: &Served) -> String {
///     format!("{} {} {} {}", served.method, served.path, served.status, served.what)
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Served {
    /// The method.
    pub method: String,
    /// The path without its query; of a call of the profile as the profile writes it, with its `${names}`.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
    /// What the request was, and what was wrong with it.
    pub what: String,
}
