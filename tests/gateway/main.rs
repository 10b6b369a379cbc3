//! The gateway as its callers and operators see it, with the real binary, real sockets and a
//! simulated vendor.

#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // tests

#[path = "../support/gateway.rs"]
mod support;

mod bounded_answers;
mod calls;
mod check_login;
mod clients;
mod fuzzed_callers;
mod fuzzed_upstream;
mod handovers;
mod http2_callers;
mod http2_upstreams;
mod http_edges;
mod kubernetes;
mod lifecycle;
mod locks;
mod log;
mod memory;
mod neighbours;
mod nginx_upstream;
mod pages;
mod places;
mod refusals;
mod slow_readers;
mod status_page;
mod systemd;
mod which_file;
mod without_dns;
