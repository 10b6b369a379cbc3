//! A local proxy that adds a token to the calls of applications in any language. Applications need
//! no code for it, only configuration.
//!
//! # The path of a call
//! [`run`] starts the gateway (`start`): it hardens the process (`startup::harden`), opens the file
//! with the loader, binds an address for each route (`startup::sockets`, `server::table`) and
//! serves each address (`server::listener`). Every connection must use strict HTTP/1.1 framing
//! (`framing`). A call is checked (`rules::callers`, `rules::target`), sent with the token by the
//! loader's client (`call::forward`, `rules::headers`), and its response is returned without the
//! token (`call::body`, `rules::redact`, `rules::rewrite`); a call that fails gets a problem
//! document (`rules::problem`). `server::reload` loads newer versions of the file; `admin` serves
//! health, metrics and the status page.
//!
//! # What this crate does not do
//! Cryptography and logins belong to the loader. The gateway never answers 401, never sends the
//! token back to a caller, and follows no redirect.

#![forbid(unsafe_code)]

mod args;
mod man;
mod start;

mod admin;
mod server;

mod call;

mod route;
mod upstream_slots;

mod rules;
mod stats;

mod framing;
mod startup;

pub use start::run;

#[cfg(fuzzing)]
#[doc(hidden)]
pub use framing::machine::fuzzed as fuzzed_framing;
