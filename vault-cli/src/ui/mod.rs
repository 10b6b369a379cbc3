//! The user interface: the [`Ui`] of one run, with its streams and its terminal.
//!
//! stdout is for results only; everything else goes to stderr. The functions for output and prompts
//! are in `output`, `prompt` and `progress`.

pub(crate) mod child_environment;
pub(crate) mod clipboard;
pub(crate) mod editor;
pub(crate) mod failure;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod swap;

pub(crate) mod change_report;
pub(crate) mod tables;

pub(crate) mod review;
pub(crate) mod review_row;

pub(crate) mod output;
pub(crate) mod terminal;

use crate::ui::terminal::Terminal;
use std::io::{Read, Write};

/// The output style of this run: `--json`, `--quiet`, `--verbose` and colour.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub(crate) json: bool,
    pub(crate) quiet: bool,
    pub(crate) verbose: bool,
    pub(crate) colour: bool,
}

/// The streams of this run, and its terminal, if there is one.
pub(crate) struct Ui<'a> {
    pub(crate) style: Style,
    /// `--yes`: answers every yes-or-no question.
    pub(crate) yes: bool,
    pub(crate) stdin: &'a mut dyn Read,
    pub(crate) stdout: &'a mut dyn Write,
    pub(crate) stderr: &'a mut dyn Write,
    pub(crate) stdin_is_terminal: bool,
    pub(crate) stdout_is_terminal: bool,
    pub(crate) stdout_is_file: bool,
    pub(crate) stderr_is_terminal: bool,
    pub(crate) terminal: Option<&'a mut dyn Terminal>,
    /// Whether a key or a passphrase was read from stdin, so that nothing else can be read from it.
    pub(crate) stdin_taken: bool,
}
