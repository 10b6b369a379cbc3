//! Writes login profiles: presets, curl commands and the login table.

pub(crate) mod answer_guess;
pub(crate) mod curl;
mod json_leaves;
pub(crate) mod login_table;
pub(crate) mod presets;
