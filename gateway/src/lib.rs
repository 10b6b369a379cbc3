//! A local proxy that puts a token on the calls of applications in any language, by configuration only.
//!
//! # Flow of a call
//! [`run`] starts it (`start`): the process is hardened (`harden`), the file opened by the loader, an address bound for each route (`sockets`,
//! `running`), and each address served (`serve`). What a connection brings is held to the letter of HTTP/1.1 (`strict`); a call is looked
//! at (`callers`, `target`), sent on by the loader's client with the token (`exchange`, `headers`), and its answer handed back without it (`body`,
//! `mask`, `links`), or a problem of the gateway's own (`problem`). `reload` follows the file; `admin` and `page` tell how it is.
//!
//! # What this crate does not do
//! No cryptography and no login: those are the loader's. It never answers 401, never sends the token back, and follows no redirect.

#![forbid(unsafe_code)]

mod args;
mod start;

mod admin;
mod server;

mod call;

mod route;

mod rules;
mod stats;

pub mod framing;
mod startup;

pub use start::run;
