//! `bootseal unset`: removes a property.

use crate::cli::Unset;
use crate::commands::set::having;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::{Target, files};
use crate::trust::value_name::{ValueName, whole_property};
use crate::ui::failure::{Exit, Result};
use bootseal_core::Shown;
use serde_json::json;

pub(crate) fn run(options: &Unset, context: &mut Context<'_>) -> Result<(), Exit> {
    let name: ValueName = options.path.parse()?;
    let found = Target::find_all(context)?;
    let path = whole_property(&name, files(&found))?;
    let targets = having(&path, found, context)?;
    each_file::each(targets, context, |(target, _), context| {
        target.change_and_tell(context, |vault| Ok(vault.unset(&path)?))?;
        context.ui.detail(format_args!("{}: {path} was removed", Shown::path(target.path())));
        Ok(Answer { document: json!({ "name": path.to_string() }), text: String::new() })
    })
}
