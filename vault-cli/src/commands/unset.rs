//! `bootseal unset`: takes a property out.

use crate::cli::{Everywhere, Unset};
use crate::commands::set::having;
use crate::context::World;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Result};
use crate::ui::output::Style;
use bootseal_core::{PropertyPath, Shown};
use serde_json::json;

pub(crate) fn run(options: &Unset, everywhere: &Everywhere, style: Style, world: &mut World<'_>) -> Result<(), Exit> {
    let path: PropertyPath = options.path.parse()?;
    let targets = having(&path, Target::find_all(everywhere, style, world)?, style, world)?;
    each_file::each(targets, style, world, |(target, _), world| {
        target.change_and_tell(style, world, |vault| Ok(vault.unset(&path)?))?;
        world.detail(style, format_args!("{}: {path} is gone", Shown(&target.path().to_string_lossy())));
        Ok(Answer { document: json!({ "name": path.to_string() }), text: String::new() })
    })
}
