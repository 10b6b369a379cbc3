//! `bootseal unset`: removes a property.

use crate::cli::Unset;
use crate::commands::set::having;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Result};
use bootseal_core::{PropertyPath, Shown};
use serde_json::json;

pub(crate) fn run(options: &Unset, context: &mut Context<'_>) -> Result<(), Exit> {
    let path: PropertyPath = options.path.parse()?;
    let targets = having(&path, Target::find_all(context)?, context)?;
    each_file::each(targets, context, |(target, _), context| {
        target.change_and_tell(context, |vault| Ok(vault.unset(&path)?))?;
        context.ui.detail(format_args!("{}: {path} was removed", Shown::path(target.path())));
        Ok(Answer { document: json!({ "name": path.to_string() }), text: String::new() })
    })
}
