//! `bootseal completions`: the script that makes a shell ask us at Tab.

use crate::cli::Completions;
use crate::completion::script;
use crate::context::World;
use crate::ui::failure::{Exit, Result};
use crate::ui::output::Style;
use serde_json::json;

pub(crate) fn run(options: &Completions, style: Style, world: &mut World<'_>) -> Result<(), Exit> {
    let script = script(options.shell)?;
    Ok(world.answer(style, &json!({ "script": script }), &script)?)
}
