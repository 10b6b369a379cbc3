//! A simulated vendor, derived from a login profile: the same paths, shapes, token and expiry, on
//! loopback, for developing against the profile without credentials. Every user and every password
//! is accepted.
//!
//! It checks neither one-time codes nor client certificates. A request that is not a login step of
//! the profile counts as a call with the token.

use crate::behaviour::Behaviour;
use crate::role::Role;
use crate::server::Server;
use bootseal_core::Profile;
use std::io;
use std::net::SocketAddr;

/// A simulated vendor, derived from a profile, which listens on loopback until it is dropped.
///
/// ```
/// # use bootseal_vendor_sim::{Behaviour, Imitation};
/// let profile = "[acme.login]\nurl = \"https://api.acme.example/login\"\njson = { user = \"${username}\", pin = \"${password}\" }\n";
/// let values = [("acme.username", "any"), ("acme.password", "thing")];
/// let theirs = bootseal::testing::vault(values, profile)?.token_source("acme")?.profile().clone();
/// let vendor = Imitation::start(&theirs, ([127, 0, 0, 1], 0).into(), Behaviour::default())?;
///
/// // The same profile, at this address.
/// let here = profile.replace("https://api.acme.example", vendor.origin());
/// let token = bootseal::testing::vault(values, &here)?.token_source("acme")?.token_blocking()?;
/// assert_eq!(token.lifetime().as_secs().div_ceil(60), 15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Imitation {
    server: Server,
}

impl Imitation {
    /// Starts a vendor at `address`, over plain HTTP. See the example of [`Imitation`].
    ///
    /// # Errors
    /// When no port, thread or random bytes are available.
    pub fn start(
        profile: &Profile,
        address: SocketAddr,
        behaviour: Behaviour,
    ) -> io::Result<Imitation> {
        let (server, _) =
            Server::start(address, None, |origin| Role::new(profile.clone(), origin, behaviour))?;
        Ok(Imitation { server })
    }

    /// `http://127.0.0.1:` and the port. See the example of [`Imitation`].
    pub fn origin(&self) -> &str {
        self.server.origin()
    }
}

impl std::fmt::Debug for Imitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Imitation({})", self.server.origin())
    }
}
