//! The requested behaviour of a simulated vendor, and its report of each request.

use std::sync::Arc;
use std::time::Duration;

/// The behaviour of an [`Imitation`](crate::Imitation).
///
/// ```
/// use bootseal_vendor_sim::Behaviour;
/// use std::time::Duration;
/// let moody = Behaviour { revoke_every: Some(Duration::from_secs(30)), ..Behaviour::default() };
/// assert!(!moody.refuse && !moody.down);
/// ```
#[derive(Clone, Default)]
pub struct Behaviour {
    /// The lifetime of tokens; with `None`, that of the profile or else 15 minutes.
    pub lifetime: Option<Duration>,
    /// Revokes all tokens issued so far, each time this interval has passed.
    pub revoke_every: Option<Duration>,
    /// Refuses logins; tokens stay valid.
    pub refuse: bool,
    /// Responds with 503 to everything.
    pub down: bool,
    /// Delays every response.
    pub slow: Duration,
    /// Is called with each request after its response is decided.
    pub listener: Option<Arc<dyn Fn(Served) + Send + Sync>>,
}

impl std::fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Behaviour { lifetime, revoke_every, refuse, down, slow, listener: _ } = self;
        write!(
            f,
            "Behaviour {{ {lifetime:?}, {revoke_every:?}, refuse: {refuse}, down: {down}, slow: {slow:?} }}"
        )
    }
}

/// A request and its response, without any part that could be a secret.
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
    /// The path without its query. For a login step it is the profile's path, with its `${names}`.
    pub path: String,
    /// The status of the response.
    pub status: u16,
    /// The login step that the request matched, and the error, if any.
    pub what: String,
}
