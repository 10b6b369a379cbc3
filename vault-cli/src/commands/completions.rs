//! `bootseal completions`: prints the script with which a shell requests completions from this
//! program.

use crate::cli::Completions;
use crate::completion::script;
use crate::context::Context;
use crate::ui::failure::{Exit, Result};
use serde_json::json;

pub(crate) fn run(options: &Completions, context: &mut Context<'_>) -> Result<(), Exit> {
    let script = script(options.shell)?;
    Ok(context.ui.answer(&json!({ "script": script }), &script)?)
}
