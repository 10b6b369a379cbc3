//! Logins: the requests of an account and the interpretation of the responses.
//!
//! The network is behind the trait `Transport`.

pub(crate) mod procedure;

pub(crate) mod request;
pub(crate) mod response;

pub(crate) mod extract;
pub(crate) mod outcome;
pub(crate) mod totp;

pub(crate) mod account;
pub(crate) mod clock;
pub(crate) mod expiry;
pub(crate) mod http_transport;
pub(crate) mod transport;

pub(crate) mod parse;
