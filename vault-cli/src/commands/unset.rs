//! `bootseal unset`: takes a property out.

use super::set::having;
use crate::cli::{Everywhere, Unset};
use crate::exit::{Done, Result};
use crate::many::{self, Answer};
use crate::output::Style;
use crate::target::Target;
use crate::world::World;
use bootseal_core::{PropertyPath, Shown};
use serde_json::json;

pub(crate) fn run(options: &Unset, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Done> {
    let path: PropertyPath = options.path.parse()?;
    let targets = having(&path, Target::find_all(everywhere, style, world)?, style, world)?;
    many::each(targets, style, world, |(target, _), world| {
        target.change_and_tell(style, world, |vault| Ok(vault.unset(&path)?))?;
        world.detail(style, format_args!("{}: {path} is gone", Shown(&target.path().to_string_lossy())));
        Ok(Answer { document: json!({ "name": path.to_string() }), text: String::new() })
    })
}
