//! The command line: operations seal credentials into a file that can lie in git.
//!
//! # Flow
//! [`run`] parses the arguments (`cli`), finds identities (`keys`), file and pins (`vaults`), and hands over to one file per verb in
//! `commands`. What the world gives, streams, environment, time and terminal, comes in as [`World`], so that the same code runs in
//! the binary, in tests and in the quickstart.
//!
//! # What this crate does not do
//! No cryptography and no format: those are `bootseal-core`'s. No login: that is the loader's, and `bootseal login` calls it.
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

mod cli;
mod clipboard;
mod commands;
mod completion;
mod curl;
mod drafts;
mod editor;
mod exit;
mod export;
mod formats;
mod git;
mod import;
mod keys;
mod login_answer;
mod login_table;
mod machine;
mod many;
mod memory_folder;
mod merging;
mod on_change;
mod output;
mod plugins;
mod presets;
mod progress;
mod prompt;
mod report;
mod run;
mod shell_word;
mod special_tables;
mod target;
mod vaults;
mod versions;
mod world;

pub use prompt::{Console, Terminal};
pub use run::run;
pub use world::{World, system_time};
