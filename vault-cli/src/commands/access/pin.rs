//! `bootseal access pin`: writes a vault's id into key files, so that they open no other vault.

use crate::cli::AccessPin;
use crate::context::Context;
use crate::trust::keyring::Keys;
use crate::trust::locate::{self, OpenedFile};
use crate::trust::pins;
use crate::trust::vouch::vouch;
use crate::ui::failure::{Exit, Result};
use bootseal_core::{Pin, Shown};
use serde_json::json;

pub(crate) fn run(options: &AccessPin, context: &mut Context<'_>) -> Result<(), Exit> {
    // No key is read: none is needed, and a key file may be invalid until this command repairs it.
    let (path, keys) = (locate::sealed_file(context)?, Keys::default());
    let pins = pins::at_hand(&keys, context)?;
    let OpenedFile { memory, mut file, .. } = locate::find_at(&path, keys, pins, context)?;
    // A vault id must not become a pin before a pin, a known vault or the user confirms it.
    vouch(&mut file, &memory, &path, context)?;
    for path in &options.files {
        Pin::write_into(path, &[file.vault_id().into()])?;
        let shown = Shown::path(path).to_string();
        context.ui.note(format_args!("from now on, {shown} opens {} only", file.vault_id()));
    }
    if context.ui.style.json {
        let files: Vec<_> = options.files.iter().map(|path| path.to_string_lossy()).collect();
        context.ui.document(&json!({ "vault": file.vault_id().to_string(), "files": files }))?;
    }
    Ok(())
}
