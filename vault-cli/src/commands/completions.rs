//! `bootseal completions`: the script that makes a shell ask us at Tab.

use crate::cli::Completions;
use crate::completion::script;
use crate::exit::{Done, Result};
use crate::output::Style;
use crate::world::World;
use serde_json::json;

pub(crate) fn run(options: &Completions, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let script = script(options.shell)?;
    Ok(world.answer(style, &json!({ "script": script }), &script)?)
}
