//! The command line through its real binary: the output, exit code and files of each verb.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::unwrap_used)] // tests

mod answers;
#[path = "../support/other_tools.rs"]
mod other_tools;
#[path = "../support/running.rs"]
mod running;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/vendor.rs"]
mod vendor_process;

mod access;
mod arguments;
mod arrays;
mod bad_files;
#[cfg(target_os = "linux")]
mod bounded_memory;
mod clipboard;
#[cfg(unix)]
mod clock;
#[cfg(unix)]
mod crash;
mod curl_copies;
mod doctor;
#[cfg(target_os = "linux")]
mod edit;
mod encodings;
mod env_dialects;
mod ergonomics;
#[cfg(target_os = "linux")]
mod exec;
mod export;
mod foreign_ciphertext;
mod format_detection;
#[cfg(target_os = "linux")]
mod full_disk;
mod get;
mod git;
mod git_resolve;
mod git_review;
mod git_two_removals;
mod help;
mod import;
mod import_ansible;
mod import_jasypt;
mod import_sops;
mod init;
mod json_schema;
mod keygen;
mod known_vaults;
#[cfg(unix)]
mod links;
mod list;
#[cfg(target_os = "linux")]
mod locks;
mod login;
mod long_lists;
mod many_files;
mod messages;
mod numbers;
mod output;
#[cfg(unix)]
mod pipes;
mod profile;
mod proposals;
#[cfg(unix)]
mod quoting;
mod review;
#[cfg(target_os = "linux")]
mod rights;
mod route;
mod seal;
mod seal_comments;
mod seal_formats;
mod seal_rules;
mod set;
mod set_types;
mod several_names;
mod shells;
mod sign;
#[cfg(unix)]
mod snapshots;
mod unknown_vaults;
mod vendor;
mod verify;
mod which_file;
mod yaml_dialects;
