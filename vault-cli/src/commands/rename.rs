//! `bootseal rename`: renames a property; a sealed value keeps its date.

use crate::cli::Rename;
use crate::context::Context;
use crate::trust::target::Target;
use crate::trust::value_name::{ValueName, whole_property};
use crate::ui::failure::{Exit, Failure, Result};
use bootseal_core::Kind;
use serde_json::json;

pub(crate) fn run(options: &Rename, context: &mut Context<'_>) -> Result<(), Exit> {
    let (old, new): (ValueName, ValueName) = (options.old.parse()?, options.new.parse()?);
    let (target, file) = Target::find(context)?;
    let old = whole_property(&old, std::iter::once(&file))?;
    let new = whole_property(&new, std::iter::once(&file))?;
    // The change reads the file again, so this copy would only take memory.
    drop(file);
    target.change_and_tell(context, |vault| {
        vault.rename(&old, &new, options.force).map_err(|error| match error.kind() {
            Kind::Exists => {
                Failure::from(error.in_file(target.path()).with_help("To replace it, add --force."))
            }
            _ => error.in_file(target.path()).into(),
        })
    })?;
    if context.ui.style.json {
        context.ui.document(&json!({ "name": new.to_string(), "was": old.to_string() }))?;
    }
    Ok(())
}
