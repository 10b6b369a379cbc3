//! Third-party programs with ours: sops, age, Python, and the vendors django-rest-framework,
//! django-oauth-toolkit, knox and pouchdb.

#![allow(clippy::panic, clippy::unwrap_used)] // tests

#[path = "../support/other_tools.rs"]
mod other_tools;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vendor.rs"]
mod vendor;

mod age_headers;
mod knox;
mod oauth_toolkit;
mod pouchdb;
#[cfg(unix)]
mod python_writer;
mod readers;
mod simplejwt;
mod sops;
