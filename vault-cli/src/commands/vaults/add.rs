//! `bootseal vaults add`: adds the file's vault to the known ones, if it is pinned or confirmed.

use crate::context::Context;
use crate::trust::each_file::{self, Answer};
use crate::trust::locate;
use crate::trust::memory::remember;
use crate::trust::vouch::vouch;
use crate::ui::failure::{Exit, Result};
use bootseal_core::Shown;
use serde_json::json;

pub(crate) fn run(context: &mut Context<'_>) -> Result<(), Exit> {
    let found = locate::find_all(context)?;
    each_file::each(found, context, |mut found, context| {
        vouch(&mut found.file, &found.memory, &found.path, context)?;
        // A handover from the known vault too: the user confirms it.
        remember(&found.path, &found.file, context);
        let (vault, generation) = (found.file.vault_id(), found.file.generation());
        context.ui.note(format_args!(
            "{}: from now on, this machine knows it as {vault}, generation {generation}",
            Shown::path(&found.path)
        ));
        let document = json!({
            "file": found.path.to_string_lossy(), "vault": vault.to_string(), "generation": generation,
        });
        Ok(Answer { document, text: String::new() })
    })
}
