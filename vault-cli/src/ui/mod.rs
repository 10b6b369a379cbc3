//! Talking to the user: terminal, prompts, output and errors.

pub(crate) mod change_report;
pub(crate) mod clipboard;
pub(crate) mod editor;
pub(crate) mod failure;
pub(crate) mod output;
pub(crate) mod progress;
pub(crate) mod prompt;
pub(crate) mod shell_quote;
