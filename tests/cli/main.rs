//! The command line through its real binary: what each verb prints where, how it ends and what it leaves on disk.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // tests

#[path = "../support/other_tools.rs"]
mod other_tools;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vendor.rs"]
mod vendor_process;

mod clipboard;
#[cfg(unix)]
mod crash;
mod doctor;
#[cfg(target_os = "linux")]
mod edit;
mod ergonomics;
#[cfg(target_os = "linux")]
mod exec;
mod export;
mod git;
mod git_resolve;
mod git_review;
mod import;
mod json_schema;
mod many_files;
mod profile;
mod proposals;
mod seal_formats;
mod shells;
mod sign;
#[cfg(unix)]
mod snapshots;
mod vendor;
mod verbs;
