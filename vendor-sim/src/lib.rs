//! Vendors for tests and for development: an HTTP server on loopback that issues tokens, in place
//! of the real one.
//!
//! - [`Vendor`] has its own users and tokens and misbehaves at the request of a test.
//! - [`Imitation`] plays the vendor of a login profile; `bootseal vendor` runs it.
//!
//! ```
//! let vendor = bootseal_vendor_sim::Vendor::start()?;
//! let vault = bootseal::testing::vault([
//!     ("acme.username", "quickstart"),
//!     ("acme.password", "open sesame"),
//! ], &format!("[acme.login]\nurl = \"{}\"\njson = {{ username = \"${{username}}\", password = \"${{password}}\" }}\nca = '''{}'''\n",
//!     vendor.url("/login"), vendor.ca_pem()))?;
//! let token = vault.token_source("acme")?.token_blocking()?;
//! assert_eq!(vendor.logins(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! This crate is not part of the loader: an application that links `bootseal` does not contain it.

#![forbid(unsafe_code)]

mod imitation;
mod role;

mod draft;

mod behaviour;
mod shape;

mod vendor;

mod certificate;
mod state;

mod server;

mod responses;

pub use behaviour::{Behaviour, Served};
pub use imitation::Imitation;
pub use state::Seen;
pub use vendor::Vendor;
