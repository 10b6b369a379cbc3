//! Opens a sealed credentials file once at start, keeps its secrets in guarded memory, and keeps the tokens that they pay for.
//!
//! ```no_run
//! # async fn run() -> Result<(), bootseal::Error> {
//! let vault = bootseal::load("app.sealed.toml")?;            // once, at start
//!
//! let password = vault.secret("db.password")?;               // a cheap handle on a guarded page
//! let length = password.expose(|bytes| bytes.len());
//!
//! let acme = vault.token_source("acme")?;                    // [acme.login] in the file says how to log in
//! let client = acme.client();                               // as reqwest's: token put on, renewed, replayed
//! let answer = client.get("https://api.acme.example/v1/orders").send().await?;
//! # Ok(()) }
//! ```
//!
//! # Flow
//! [`load`] finds the file, the key and the pin ([`Loader`] has the order), verifies, and opens every value onto a guarded page;
//! then the data key is wiped. [`Secrets::secret`] hands out handles. [`Secrets::token_source`] gives a [`TokenSource`], which logs
//! in when a token is first needed, reads from the answer how long it lives, and fetches the next one behind a call before it runs
//! out. A [`Client`] puts it on each call; when the vendor rejects it, the source logs in once for all, and the call is sent once
//! more.
//!
//! # What this crate does not do
//! It installs no signal handler, logger or panic hook, prints nothing, and reads no file and no variable but those of the table in
//! [`Loader`]. Without the feature `client` there is no tokio, no HTTP and no TLS in it. It does not protect copies that an
//! application makes of what [`Secret::expose`] lends it. A forked child must not touch the secrets of its parent.

#![forbid(unsafe_code)]

mod deserialize;
mod env;
pub mod exposed;
mod secrets;
mod startup;
mod unlock;

#[cfg(feature = "client")]
mod attempts;
#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "client")]
mod client;
#[cfg(feature = "client")]
mod client_builder;
#[cfg(feature = "client")]
mod clock;
#[cfg(feature = "client")]
mod connect;
#[cfg(feature = "client")]
mod cookie;
#[cfg(feature = "client")]
mod exchange;
#[cfg(feature = "client")]
mod expiry;
#[cfg(feature = "client")]
mod flight;
#[cfg(feature = "client")]
mod follow;
#[cfg(feature = "client")]
mod forward;
#[cfg(feature = "client")]
mod frames;
#[cfg(feature = "client")]
mod gate;
#[cfg(feature = "client")]
mod guarded;
#[cfg(feature = "client")]
mod json;
#[cfg(feature = "client")]
mod jwt;
#[cfg(feature = "client")]
mod landing;
#[cfg(feature = "client")]
mod last_seen;
#[cfg(feature = "tower")]
mod layer;
#[cfg(feature = "client")]
mod login;
#[cfg(feature = "client")]
mod logout;
#[cfg(feature = "client")]
mod metrics;
#[cfg(feature = "middleware")]
mod middleware;
#[cfg(feature = "client")]
mod pace;
#[cfg(feature = "client")]
mod peek;
#[cfg(feature = "client")]
mod placeholder;
#[cfg(feature = "client")]
mod pool;
#[cfg(feature = "client")]
mod setback;
#[cfg(feature = "client")]
mod status;
#[cfg(feature = "client")]
mod steps;
#[cfg(feature = "client")]
mod sync;
#[cfg(feature = "client")]
mod token;
#[cfg(feature = "client")]
mod token_source;
#[cfg(feature = "client")]
mod totp;
#[cfg(feature = "client")]
mod transport;
#[cfg(feature = "client")]
mod writer;

mod error;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(test, bootseal_model))]
mod model;

#[cfg(all(fuzzing, feature = "client"))]
#[doc(hidden)]
pub use cookie::fuzzed as fuzzed_cookies;

#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../README.md")]
struct Readme;

pub use bootseal_core::{Gateway, Identity, Kind, Profile, Secret, VaultId, VerifiedFile};
#[cfg(target_os = "linux")]
pub use bootseal_memory::{Audit, AuditError, audit};
pub use bootseal_memory::{Hardened, Level, Report, Setting, WipingAllocator, harden, one_heap, report};
pub use error::{Error, Result};
pub use secrets::Secrets;
pub use startup::{Check, Loader, load};

#[cfg(feature = "client")]
pub use client::{Client, RequestBuilder};
#[cfg(feature = "client")]
pub use client_builder::ClientBuilder;
#[cfg(feature = "client")]
pub use clock::{Clock, SystemClock};
#[cfg(feature = "client")]
pub use expiry::ExpiryFrom;
#[cfg(feature = "client")]
pub use forward::Payload;
#[cfg(feature = "tower")]
pub use layer::{TokenLayer, TokenService};
#[cfg(feature = "client")]
pub use login::{LoginAnswer, LoginRequest, Transport, TransportError};
#[cfg(feature = "middleware")]
pub use middleware::TokenMiddleware;
#[cfg(feature = "client")]
pub use peek::AnswerBody;
#[cfg(feature = "client")]
pub use status::{LastLogin, Status};
#[cfg(feature = "client")]
pub use token::Token;
#[cfg(feature = "client")]
pub use token_source::{Counts, TokenSource};
#[cfg(feature = "client")]
pub use transport::HttpTransport;
