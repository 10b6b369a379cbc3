//! `bootseal rotate`: renews the keys, and re-encrypts every value.

use crate::cli::Rotate;
use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::target::Target;
use crate::ui::failure::{Exit, Result};
use bootseal_core::Shown;
use serde_json::json;

pub(crate) fn run(options: &Rotate, context: &mut Context<'_>) -> Result<(), Exit> {
    let targets = Target::find_all(context)?;
    each_file::each(targets, context, |(target, file), context| {
        // The change reads the file again, so this copy would only take memory.
        drop(file);
        let (vault, epoch) = target.change(context, |vault| {
            vault.rotate(options.signing_key).map_err(|error| error.in_file(target.path()))?;
            Ok((vault.file().vault_id(), vault.file().epoch()))
        })?;
        let shown = Shown::path(target.path()).to_string();
        context.ui.note(format_args!(
            "{shown}: new data key, epoch {epoch}; every value was re-encrypted"
        ));
        if options.signing_key {
            say_new_id(&target, context);
        }
        Ok(Answer {
            document: json!({ "vault": vault.to_string(), "epoch": epoch }),
            text: String::new(),
        })
    })
}

/// Reports a new signing key, after the note on the new id. Pins on the old id still match because
/// of the handover, but should be renewed.
pub(crate) fn say_new_id(target: &Target, context: &mut Context<'_>) {
    context.ui.note(format_args!(
        "{}: pins of the old id still match, with a warning, but anyone with the old key can sign for them: renew them (bootseal access pin KEYFILE, BOOTSEAL_PIN, bootseal.pin)",
        Shown::path(target.path()),
    ));
}
