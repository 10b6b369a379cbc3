//! The command line: seals credentials into a file that can be kept in git.
//!
//! # Flow
//! [`run`] parses the arguments (`cli`) and calls one function for each verb (`commands`), with a
//! `Context`: the global options, the terminal and streams (`ui`), environment and clock. `trust`
//! finds the file and the keys, and decides whether it is the right vault. Streams, environment,
//! clock and terminal are passed in as [`World`], so that the same code runs in the binary, in
//! tests and in the quickstart.
//!
//! # What this crate does not do
//! Cryptography and the file format are in `bootseal-core`. The login is in the loader, which
//! `bootseal login` calls.
//!
//! ```
//! use bootseal_cli::{World, run};
//!
//! let (mut input, mut out, mut err) = (std::io::empty(), Vec::new(), Vec::new());
//! let mut world = World::new(&mut input, &mut out, &mut err);
//! assert_eq!(run(["bootseal", "--version"], &mut world), 0);
//! assert!(String::from_utf8_lossy(&out).starts_with("bootseal "));
//! ```

#![forbid(unsafe_code)]

mod run;
mod usage;

mod commands;

mod completion;

mod export;
mod import;

mod formats;

mod profile;

mod basis;

mod trust;

mod git;

mod context;
mod ui;

mod value_writer;

mod cli;

pub use context::{World, system_time};
pub use run::{is_doctor, run};
pub use ui::terminal::{Console, Terminal};
