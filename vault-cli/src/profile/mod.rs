//! Builds login profiles from presets, curl commands and login responses, and writes their tables.

pub(crate) mod answer_guess;
pub(crate) mod curl;
mod json_leaves;
pub(crate) mod login_table;
pub(crate) mod presets;
