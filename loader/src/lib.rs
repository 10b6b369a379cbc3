//! Opens a sealed credentials file once at startup, keeps its secrets in guarded memory, and
//! manages the tokens that are obtained with them.
//!
//! ```no_run
//! #[tokio::main]
//! async fn main() -> Result<(), bootseal::Error> {
//!     let vault = bootseal::load("app.sealed.toml")?;   // once, at start
//!
//!     let password = vault.secret("db.password")?;      // a cheap handle on a guarded page
//!     let length = password.expose(|bytes| bytes.len());
//!
//!     let acme = vault.token_source("acme")?;           // [acme.login] in the file describes the login
//!     let client = acme.client();                       // like reqwest's; adds and renews the token
//!     let response = client.get("https://api.acme.example/v1/orders").send().await?;
//!     Ok(())
//! }
//! ```
//!
//! # Flow
//! [`load`] finds the file, the key and the pin ([`Loader`] documents where), verifies the file,
//! decrypts every value onto a guarded page, and wipes the data key. [`Secrets::secret`] returns
//! handles. [`Secrets::token_source`] returns a [`TokenSource`], which logs in when a token is
//! first needed, reads the token's lifetime from the response, and fetches the next token in the
//! background before that lifetime ends. A [`Client`] adds the token to each call. If the vendor
//! rejects the token, the source logs in once for all callers, and each rejected call is replayed
//! once.
//!
//! # What this crate does not do
//! It installs no signal handler, logger or panic hook, prints nothing, and reads only the files
//! and variables in the table of [`Loader`]. Without the feature `client`, it contains no tokio,
//! HTTP or TLS. If an application copies the bytes that [`Secret::expose`] lends it, the copies are
//! not protected. A forked child must not access its parent's secrets.

#![forbid(unsafe_code)]

#[cfg(feature = "testing")]
pub mod testing;

mod load;

#[cfg(feature = "client")]
mod call;

#[cfg(feature = "client")]
mod token;

#[cfg(feature = "client")]
mod login;

#[cfg(feature = "client")]
mod sync;

mod error;

// Secrets.
pub use bootseal_core::{Gateway, Identity, Kind, Profile, Secret, VaultId, VerifiedFile};
pub use error::{Error, Result};
pub use load::check::Check;
pub use load::exposed;
pub use load::loader::Loader;
pub use load::open::load;
pub use load::secrets::Secrets;
pub use load::watch::FileStamp;

// The process's memory.
#[cfg(target_os = "linux")]
pub use bootseal_memory::{Audit, AuditError, audit};
pub use bootseal_memory::{
    Hardened, Level, Report, Setting, WipingAllocator, harden, one_heap, report,
    return_freed_memory,
};

// Tokens, and calls with them.
#[cfg(feature = "blocking")]
pub use call::blocking;
#[cfg(feature = "middleware")]
pub use call::middleware::TokenMiddleware;
#[cfg(feature = "tower")]
pub use call::tower::{TokenLayer, TokenService};
#[cfg(feature = "client")]
pub use {
    bootseal_wire::{ArrivingBody, ResendReason, close_idle_connections, is_out_of_descriptors},
    call::builder::ClientBuilder,
    call::client::Client,
    call::forward::Payload,
    call::request::RequestBuilder,
    call::response_body::ResponseBody,
    login::clock::{Clock, SystemClock},
    login::expiry::ExpiryFrom,
    login::http_transport::HttpTransport,
    login::transport::{LoginRequest, LoginResponse, Transport, TransportError},
    token::source::{Counts, TokenSource},
    token::status::{LastLogin, Status},
    token::token::Token,
};

#[cfg(all(fuzzing, feature = "client"))]
#[doc(hidden)]
pub use login::parse::cookie::fuzzed as fuzzed_cookies;

#[cfg(all(doctest, feature = "client"))]
#[doc = include_str!("../../README.md")]
struct Readme;
