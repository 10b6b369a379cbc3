//! The documentation, checked by running it.

#![allow(clippy::panic, clippy::unwrap_used)] // tests

#[path = "../support/running.rs"]
mod running;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vendor.rs"]
mod vendor;

mod first_ten_minutes;
mod pages;
mod threat_model;
